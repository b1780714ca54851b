//! A mistake in a configuration is told without what stands beside it.

use super::commands::filled;
use super::world::{self, World};

/// Configurations with a mistake beside a secret that does not belong there.
const MISTAKES: &[&str] = &[
    "[run]\ntoken = '{token}'\n",
    "[run]\nprovider = { name = 'bao', token = '{token}' }\n",
    "[run]\nmode = 7 # {token}\n",
    "[exec]\npassword = '{token}'\n",
    "[[map]]\nsource = 'a'\ndestination = 'b'\nvalue = ['{token}']\n",
    "[[secret]]\nname = 'a'\nvalue = '{token}'\n",
    "[[secret]]\nname = 'a'\ntemplate = 'b'\npassword = '{token}'\n",
    "secret = ['a={token}', { name = 'b', template = '{token}', no = 1 }]\n",
    "[[notify]]\naction = 'exec:true'\ntoken = '{token}'\n",
    "[swarm]\ntoken = '{token}'\n",
    "[[swarm.secret]]\nname = 'a'\nvalue = '{token}'\n",
    "[rotate]\npassword = '{token}'\n",
    "[labels]\nkey = '{token}'\n",
    "[plugin]\nbao.token = '{token}'\n",
    "[bao]\nurl = ['{token}']\n",
    "[providers]\nprod = '{token}'\n",
    "token = '{token}'\n",
    "bao = { url = 'http://x', token = '{token}' x }\n",
    "prod = { type = 'bao', token = '{token} }\n",
    "[bao]\ntoken = [\n'{token}'\n'x'\n",
    "[bao]\ntoken = '''\n{token} = x\n",
    "[bao]\nurl = 'a' # {token}\nurl = 'b' # {token}\n",
    "{token}\n",
];

#[test]
fn no_mistake_in_a_configuration_tells_the_secret_that_stands_there() {
    let world = World::new();
    let mut wrong = Vec::new();
    for text in MISTAKES {
        world.scene.write("given/mistake.toml", filled(&world, text));
        for command in [
            &["plan", "--secret", "x=y"][..],
            &["get", "file:///x"],
            &["providers"],
            &["doctor"],
            &["check", "given/mistake.toml"],
        ] {
            let arguments = [command, &["--config", "given/mistake.toml"]].concat();
            let name = format!("`{}` with {text:?}", arguments.join(" "));
            let ran = world::run(&mut world.command(&arguments), None);
            let told = [ran.stdout, ran.stderr].concat();
            if ran.status.success() || !String::from_utf8_lossy(&told).contains("mistake.toml") {
                wrong.push(format!("{name} does not tell of the mistake"));
            }
            wrong.extend(world.found_in(&name, &told));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
