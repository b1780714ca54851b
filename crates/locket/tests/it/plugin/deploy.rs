//! The examples in `deploy/` that need the plugin, brought up as they stand on an engine of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use locket_testkit::services::{openbao_program, release};

use super::World;
use crate::docker::deploy::{Example, build_image, build_server, succeed};
use crate::support::eventually;

impl World {
    /// With the server that the examples ask.
    fn with_server() -> Option<Self> {
        let program = openbao_program()?;
        let world = Self::new()?;
        build_server(&world.engine, &program);
        Some(world)
    }
}

#[test]
fn two_users_share_a_volume_that_the_plugin_fills_and_keeps_fresh() {
    let Some(world) = World::with_server() else { return };
    let _plugin = world.plugin();
    let example = Example::new(&world.engine, "volume", "shop", "");
    example.up();
    for service in ["app", "worker"] {
        eventually("it has read its file", || {
            let read = example.logs(service);
            read.contains("user = app\npassword = \"correct horse\"")
        });
        assert!(!example.inspect(service, "{{json .}}").contains("correct horse"));
    }
    assert_eq!(world.mounts().len(), 1, "one volume for both");
    let put = "bao kv put -mount=secret app user=app password=second";
    let variables = "BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN=only-for-trying";
    let put = format!("{variables} {put}");
    succeed(&mut example.compose(&["exec", "-T", "bao", "sh", "-c", &put]));
    for service in ["app", "worker"] {
        eventually("the rotated password is read", || {
            example.logs(service).contains("password = \"second\"")
        });
    }
    succeed(&mut example.compose(&["down", "--volumes", "--timeout", "1"]));
    assert!(world.mounts().is_empty());
    assert_eq!(world.engine.run(&["volume", "ls", "--quiet"]), "");
}

#[test]
fn a_stack_has_secrets_of_the_driver_and_secrets_that_are_kept_equal() {
    let (Some(binary), Some(world)) = (release(), World::with_server()) else {
        return;
    };
    build_image(&world.engine, &binary);
    world.swarm();
    let example = Example::new(&world.engine, "swarm", "shop", "");
    let place = |name: &str| example.scene.path(name).display().to_string();
    fs::set_permissions(place("bao_token"), fs::Permissions::from_mode(0o600)).unwrap();
    let _plugin = world.plugin_with(&["--config", &place("locket.toml")]);
    let mut up = world.engine.docker();
    up.args(["stack", "deploy", "--detach=true", "--resolve-image", "never"])
        .args(["--compose-file", &place("stack.yaml"), "shop"])
        .env("DOCKER_SOCKET", world.engine.socket());
    succeed(&mut up);
    let logs = |text: &str| world.logs("shop_app").matches(text).count();
    eventually("both replicas have the secret of the driver", || {
        logs("db_password:correct horse") >= 2
    });
    eventually("and the one that is kept equal", || {
        logs("app_key:battery staple") >= 2
    });
    let secrets = || {
        let names = world.engine.run(&["secret", "ls", "--format", "{{.Name}}"]);
        let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(secrets(), ["app_key.v1", "shop_bao_token", "shop_db_password"]);

    let id = world.engine.run(&["ps", "--quiet", "--filter", "name=shop_bao."]);
    let put = "BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN=only-for-trying \
               bao kv put -mount=secret app password=second key=other";
    world.engine.run(&["exec", &id, "sh", "-c", put]);
    eventually("a rotation reaches both", || {
        logs("app_key:other") >= 2 && logs("db_password:second") >= 2
    });
    eventually("one object is left", || {
        secrets() == ["app_key.v2", "shop_bao_token", "shop_db_password"]
    });
    world.engine.run(&["stack", "rm", "shop"]);
}
