//! What a program gets, and how it ends, when locket becomes it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use crate::support::Scene;

fn exec(scene: &Scene, options: &[&str], command: &[&str]) -> Output {
    let words = ["exec"].iter().chain(options).chain(&["--"]).chain(command);
    scene.locket(words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("secrets/a", "value of a\n");
    scene.write("secrets/b", "$HOME \"b\" #x\nsecond line");
    scene.write("secrets/json", r#"{"USER":"u","PASS":"p","LD_PRELOAD":"x"}"#);
    scene
}

#[test]
fn a_program_gets_its_variables_and_gives_its_status() {
    let scene = scene();
    let shown = exec(
        &scene,
        &["-e", "A={{ file://secrets/a }}"],
        &["sh", "-c", "printf %s \"$A\""],
    );
    assert_eq!(stdout(&shown), "value of a\n");
    assert!(
        shown.stderr.is_empty(),
        "nothing of ours is mixed in: {}",
        stderr(&shown)
    );
    for status in [0, 7, 255] {
        let ended = exec(&scene, &["-e", "A=1"], &["sh", "-c", &format!("exit {status}")]);
        assert_eq!(ended.status.code(), Some(status));
    }
    let killed = exec(&scene, &[], &["sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.status.signal(), Some(15));
}

#[test]
fn locket_becomes_the_program_when_nothing_is_left_to_do() {
    let scene = scene();
    let child = scene
        .locket([
            "exec",
            "-e",
            "A={{ file://secrets/a }}",
            "--",
            "sh",
            "-c",
            "echo $$; grep -E 'NoNewPrivs|SigIgn' /proc/self/status",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let shown = stdout(&child.wait_with_output().unwrap());
    assert!(shown.starts_with(&format!("{id}\n")), "{shown}");
    assert!(
        shown.contains("NoNewPrivs:\t0"),
        "a program may need set-user-id programs: {shown}"
    );
    let ignored = shown
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & 0x7FFF_FFFF, 0, "no ordinary signal is ignored: {shown}");
}

#[test]
fn failures_have_the_statuses_of_a_shell_and_one_of_our_own() {
    let scene = scene();
    scene.write("plain", "text");
    fs::set_permissions(scene.path("plain"), fs::Permissions::from_mode(0o644)).unwrap();
    for (options, command, status, said) in [
        (vec![], "no-such-program", 127, "no-such-program cannot be found"),
        (vec![], "./plain", 126, "./plain cannot be run"),
        (
            vec!["-e", "A={{ file://secrets/nothing }}"],
            "true",
            125,
            "file://secrets/nothing",
        ),
        (vec!["-e", "A={{ fil://secrets/a }}"], "true", 125, "Did you mean"),
        (vec!["-e", "nothing.env"], "true", 125, "nothing.env"),
        (vec!["--no-such-option"], "true", 125, "no-such-option"),
        (vec!["--on-change", "explode"], "true", 125, "explode"),
        (vec!["--refresh", "soon"], "true", 125, "soon"),
    ] {
        let ended = exec(&scene, &options, &[command]);
        assert_eq!(
            ended.status.code(),
            Some(status),
            "{options:?}: {}",
            stderr(&ended)
        );
        assert!(stderr(&ended).contains(said), "{options:?}: {}", stderr(&ended));
    }
}

#[test]
fn a_later_flag_wins_and_flags_beat_variables_beat_files_beat_what_is_inherited() {
    let scene = scene();
    scene.write("one.env", "A=file\nB=file\nC=file\nD=file\nE=file\n");
    scene.write("two.env", "E=flagged file\n");
    let shown = scene
        .locket([
            "exec",
            "-e",
            "C=flag",
            "--env",
            "D=first",
            "--env-file",
            "two.env",
            "-e",
            "D=last",
            "--",
        ])
        .args(["sh", "-c", "echo \"$A,$B,$C,$D,$E,$F\""])
        .env("LOCKET_ENV_FILE", "one.env")
        .env("LOCKET_ENV", "B=variable;C=variable")
        .env("A", "inherited")
        .env("F", "inherited")
        .output()
        .unwrap();
    assert_eq!(stdout(&shown), "file,variable,flag,last,flagged file,inherited\n");
}

#[test]
fn the_configuration_gives_what_flags_and_variables_do_not() {
    let scene = scene();
    scene.write("conf/app.env", "A=file\nB=file\nC=file\nD=file\n");
    scene.write(
        "conf/locket.toml",
        "[exec]\n\
         env = ['app.env', 'B={{ file://secrets/a }}', 'C=table']\n\
         env-from = 'file://secrets/json#*'\nprefix = 'DB_'\nexcept = ['LD_*']\n\
         mask = true\nmask-short = true\nkeep-credentials = true\n",
    );
    let shown = |options: &[&str]| {
        let options = [&["--config", "conf/locket.toml"], options].concat();
        let words = ["exec"].iter().chain(&options).chain(&["--", "sh", "-c"]);
        let script = "echo $A $B $C $D $DB_USER $DB_LD_PRELOAD $BAO_TOKEN";
        let mut locket = scene.locket(words.chain(&[script]));
        locket
            .env("BAO_TOKEN", "t")
            .env("LOCKET_ENV", "C=variable;D=variable");
        stdout(&locket.output().unwrap())
    };
    let masked = shown(&["-e", "D=flag"]);
    assert_eq!(masked, "file ******** variable flag ******** t\n");
    let plain = shown(&[
        "-e",
        "D=flag",
        "--mask=false",
        "--mask-short=false",
        "--keep-credentials=false",
    ]);
    assert_eq!(plain, "file value of a variable flag u\n");
}

#[test]
fn nothing_in_a_secret_is_expanded_and_every_byte_arrives() {
    let scene = scene();
    scene.write(
        "x.env",
        "B={{ file://secrets/b }}\nC=\"<${B}>\\t$UNSET\"\nEMPTY=\n",
    );
    let shown = exec(
        &scene,
        &["-e", "x.env"],
        &["sh", "-c", "printf '%s|%s|%s' \"$B\" \"$C\" \"${EMPTY-unset}\""],
    );
    let b = "$HOME \"b\" #x\nsecond line";
    assert_eq!(stdout(&shown), format!("{b}|<{b}>\t|"));
}

#[test]
fn the_program_gets_none_of_our_credentials_unless_that_is_asked_for() {
    let scene = scene();
    let seen = |options: &[&str]| {
        let shown = scene
            .locket(["exec"].iter().chain(options).chain(&[
                "--",
                "sh",
                "-c",
                "echo ${OP_CONNECT_TOKEN-none},${BAO_TOKEN_FILE-none},$OTHER",
            ]))
            .env("OP_CONNECT_TOKEN", "a token")
            .env("BAO_TOKEN_FILE", "secrets/a")
            .env("OTHER", "other")
            .output()
            .unwrap();
        stdout(&shown)
    };
    assert_eq!(seen(&["-e", "A=1"]), "none,none,other\n");
    assert_eq!(
        seen(&["-e", "A=1", "--keep-credentials"]),
        "a token,secrets/a,other\n"
    );
}

#[test]
fn a_variable_that_holds_a_credential_for_us_is_the_programs_only_where_it_is_asked_for() {
    let scene = scene();
    scene.write(
        "locket.toml",
        "[bao]\nurl = 'http://127.0.0.1:9'\ntoken = 'env://MY_TOKEN'\n",
    );
    let seen = |options: &[&str]| {
        let shown = scene
            .locket(
                ["exec", "--config", "locket.toml", "-e", "A=1"]
                    .iter()
                    .chain(options),
            )
            .args(["--", "sh", "-c", "echo ${MY_TOKEN-none}"])
            .env("MY_TOKEN", "a token")
            .output()
            .unwrap();
        stdout(&shown)
    };
    assert_eq!(seen(&[]), "none\n");
    assert_eq!(seen(&["-e", "MY_TOKEN={{ env://MY_TOKEN }}"]), "a token\n");
    assert_eq!(seen(&["--keep-credentials"]), "a token\n");
}

#[test]
fn a_file_that_only_the_program_can_read_holds_what_no_variable_can() {
    let scene = scene();
    let binary = b"\0binary\xff\n".repeat(3);
    scene.write("secrets/binary", &binary);
    let options = [
        "--as-file",
        "F={{ file://secrets/binary }}",
        "--as-file",
        "G={{ file://secrets/a }}",
    ];
    let shown = exec(
        &scene,
        &options,
        &[
            "sh",
            "-c",
            "cat \"$F\"; cat \"$F\" \"$G\"; echo $F >&2; echo x 2>/dev/null >> $G || echo sealed >&2",
        ],
    );
    assert_eq!(
        shown.stdout,
        [binary.as_slice(), &binary, b"value of a\n"].concat()
    );
    let said = stderr(&shown);
    assert!(
        said.starts_with("/proc/self/fd/") && said.contains("sealed"),
        "{said}"
    );
    let refused = exec(&scene, &["-e", "F={{ file://secrets/binary }}"], &["true"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        stderr(&refused).contains("`--as-file` makes a file of it"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn every_key_of_a_secret_becomes_a_variable() {
    let scene = scene();
    let from = ["--env-from", "file://secrets/json#*"];
    let shown = |more: &[&str]| {
        let options: Vec<_> = from.iter().chain(more).copied().collect();
        exec(
            &scene,
            &options,
            &["sh", "-c", "echo \"$USER,$PASS,$DB_USER,$DB_PASS\""],
        )
    };
    assert_eq!(stdout(&shown(&["--except", "LD_*"])), "u,p,,\n");
    assert_eq!(stdout(&shown(&["--prefix", "DB_", "--only", "USER"])), ",,u,\n");
    assert_eq!(
        stdout(&shown(&["--except", "LD_*", "-e", "PASS=mine"])),
        "u,mine,,\n"
    );
}

#[test]
fn a_secret_changes_what_programs_do_only_where_that_is_allowed() {
    let scene = scene();
    for name in ["LD_PRELOAD", "PATH", "BASH_ENV", "NODE_OPTIONS"] {
        let variable = format!("{name}={{{{ file://secrets/a }}}}");
        let refused = exec(&scene, &["-e", &variable], &["true"]);
        assert_eq!(refused.status.code(), Some(125), "{name}");
        assert!(
            stderr(&refused).contains("--allow-name"),
            "{name}: {}",
            stderr(&refused)
        );
    }
    let refused = exec(&scene, &["--env-from", "file://secrets/json#*"], &["true"]);
    assert!(stderr(&refused).contains("LD_PRELOAD"), "{}", stderr(&refused));
    let allowed = [
        "--allow-name",
        "NODE_*",
        "-e",
        "NODE_OPTIONS={{ file://secrets/a }}",
    ];
    assert_eq!(
        stdout(&exec(&scene, &allowed, &["sh", "-c", "printf \"$NODE_OPTIONS\""])),
        "value of a\n"
    );
    let plain = exec(
        &scene,
        &["-e", "NODE_OPTIONS=--no-warnings"],
        &["sh", "-c", "echo $NODE_OPTIONS"],
    );
    assert_eq!(
        stdout(&plain),
        "--no-warnings\n",
        "what is no secret is the user's own"
    );
}

#[test]
fn files_are_put_in_place_before_the_program_runs() {
    let scene = scene();
    scene.write("in/app.conf", "pass={{ file://secrets/a | trim }}\n");
    let options = [
        "--map",
        "in:out",
        "--secret",
        "s={{ file://secrets/a }}",
        "--out",
        "out/one",
        "--file-mode",
        "0440",
    ];
    let shown = exec(
        &scene,
        &options,
        &["sh", "-c", "cat out/app.conf out/one/s; stat -c %a out/one/s"],
    );
    assert_eq!(stdout(&shown), "pass=value of a\nvalue of a\n440\n");
}

#[test]
fn a_mistake_in_an_env_file_is_shown_at_its_place() {
    let scene = scene();
    scene.write("bad.env", "GOOD=1\nBAD NAME=2\nC=\"{{ fil://secrets/a }}\"\n");
    let refused = exec(&scene, &["-e", "bad.env"], &["true"]);
    assert!(
        stderr(&refused).contains("bad.env:2") && stderr(&refused).contains("a name has no spaces"),
        "{}",
        stderr(&refused)
    );
    scene.write("bad.env", "GOOD=1\nC=\"{{ fil://secrets/a }}\"\n");
    let refused = exec(&scene, &["-e", "bad.env"], &["true"]);
    assert!(
        stderr(&refused).contains("C of ") && stderr(&refused).contains("Did you mean"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn variables_are_printed_in_every_format() {
    let scene = scene();
    scene.write(
        "x.env",
        "A={{ file://secrets/a | trim }}\nB={{ file://secrets/b }}\n",
    );
    let env = |more: &[&str]| {
        let words = ["env", "-e", "x.env"].iter().chain(more);
        scene.locket(words).output().unwrap()
    };
    assert_eq!(
        stdout(&env(&[])),
        "A=\"value of a\"\nB=\"\\$HOME \\\"b\\\" #x\\nsecond line\"\n"
    );
    assert_eq!(
        stdout(&env(&["--format", "json"])),
        "{\n  \"A\": \"value of a\",\n  \"B\": \"$HOME \\\"b\\\" #x\\nsecond line\"\n}\n"
    );
    assert_eq!(
        stdout(&env(&["--format", "yaml"])),
        "A: \"value of a\"\nB: \"$HOME \\\"b\\\" #x\\nsecond line\"\n"
    );
    // What YAML takes for a line break, or refuses, in quotes is escaped.
    let odd = scene
        .locket(["env", "--format", "yaml", "-e", "ODD=a\u{85}b\u{7f}c\u{2028}d\té"])
        .output()
        .unwrap();
    assert_eq!(stdout(&odd), "ODD: \"a\\u0085b\\u007Fc\\u2028d\\té\"\n");
    assert_eq!(
        stdout(&env(&["--format", "shell"])),
        "export A='value of a'\nexport B='$HOME \"b\" #x\nsecond line'\n"
    );
    let refused = env(&["--format", "docker"]);
    assert!(stderr(&refused).contains("B cannot be written in this format: its value has several lines"));
    let plain = scene
        .locket([
            "env",
            "-e",
            "A={{ file://secrets/a | trim }}",
            "--format",
            "docker",
        ])
        .output()
        .unwrap();
    assert_eq!(stdout(&plain), "A=value of a\n");
    // What it prints, it reads.
    scene.write("again.env", stdout(&env(&[])));
    let again = exec(&scene, &["-e", "again.env"], &["sh", "-c", "printf %s \"$B\""]);
    assert_eq!(stdout(&again), "$HOME \"b\" #x\nsecond line");
}

#[test]
fn what_the_configuration_makes_a_file_for_programs_is_left_out_where_variables_are_printed() {
    let scene = scene();
    scene.write(
        "locket.toml",
        "[exec]\nenv = ['A={{ file://secrets/a | trim }}', 'KEY=weaker']\nas-file = ['KEY={{ file://secrets/key }}']\n",
    );
    fs::set_permissions(scene.path("locket.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    // Nobody asks for it where nobody could read it.
    for format in ["dotenv", "docker", "json", "yaml", "shell"] {
        let printed = scene.locket(["env", "--format", format]).output().unwrap();
        assert!(printed.status.success(), "{format}: {}", stderr(&printed));
        let text = stdout(&printed);
        assert!(
            text.contains("value of a") && !text.contains("KEY"),
            "{format}: {text}"
        );
        assert!(
            stderr(&printed).contains("KEY is left out"),
            "{}",
            stderr(&printed)
        );
    }
    // A program has it.
    scene.write("secrets/key", "of the key");
    let shown = exec(&scene, &[], &["sh", "-c", "cat $KEY"]);
    assert_eq!(stdout(&shown), "of the key", "{}", stderr(&shown));
    let refused = scene
        .locket(["env", "--as-file", "KEY={{ file://secrets/key }}"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("'--as-file'"), "{}", stderr(&refused));
}

#[test]
fn every_key_of_a_secret_is_printed() {
    let scene = scene();
    let printed = |more: &[&str]| {
        let words = ["env", "--env-from", "file://secrets/json#*"];
        stdout(&scene.locket(words.iter().chain(more)).output().unwrap())
    };
    assert_eq!(printed(&["--except", "LD_*"]), "PASS=\"p\"\nUSER=\"u\"\n");
    assert_eq!(printed(&["--prefix", "DB_", "--only", "USER"]), "DB_USER=\"u\"\n");
}

#[test]
fn a_secret_that_changes_what_programs_do_is_printed_only_where_that_is_allowed() {
    let scene = scene();
    let printed = |more: &[&str]| {
        let words = ["env", "-e", "NODE_OPTIONS={{ file://secrets/a | trim }}"];
        scene.locket(words.iter().chain(more)).output().unwrap()
    };
    let refused = printed(&[]);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--allow-name"), "{}", stderr(&refused));
    let allowed = printed(&["--allow-name", "NODE_*"]);
    assert_eq!(stdout(&allowed), "NODE_OPTIONS=\"value of a\"\n");
}

#[test]
fn files_beside_a_program_have_the_directories_owner_and_limit_that_are_said() {
    let scene = scene();
    scene.write("in/app.conf", "pass={{ file://secrets/a }}\n");
    let owner = fs::metadata(scene.base()).unwrap();
    let user = format!("{}:{}", owner.uid(), owner.gid());
    let options = ["--map", "in:out", "--dir-mode", "0710", "--user", &user];
    let shown = exec(
        &scene,
        &options,
        &["stat", "-c", "%a %u:%g", "out", "out/app.conf"],
    );
    assert_eq!(
        stdout(&shown),
        format!("710 {user}\n600 {user}\n"),
        "{}",
        stderr(&shown)
    );
    let refused = exec(&scene, &["--map", "in:out", "--user", "4242"], &["true"]);
    let as_root = scene.path("out/app.conf").metadata().unwrap().uid() == 4242;
    assert!(as_root || !refused.status.success(), "{}", stderr(&refused));
    let refused = exec(
        &scene,
        &["--map", "in:out", "--max-file-size", "3"],
        &["touch", "ran"],
    );
    assert_eq!(refused.status.code(), Some(125), "{}", stderr(&refused));
    assert!(scene.read("ran").is_none());
}

#[test]
fn options_of_which_nothing_makes_use_are_refused_by_their_names() {
    let scene = scene();
    scene.write("in/app.conf", "pass={{ file://secrets/a }}\n");
    let value = ["-e", "A={{ file://secrets/a }}"];
    let file = ["--secret", "s={{ file://secrets/a }}", "--out", "out"];
    let told = [&file[..], &["--notify", "exec:true"]].concat();
    let own = fs::metadata(scene.base()).unwrap().uid().to_string();
    for (option, given, used_by) in [
        ("--out", "out", &["--secret", "s={{ file://secrets/a }}"][..]),
        ("--file-mode", "0440", &file),
        ("--dir-mode", "0750", &file),
        ("--user", &own, &file),
        ("--max-file-size", "1M", &["--map", "in:out"]),
        ("--notify-timeout", "10s", &told),
    ] {
        let words = [option, given];
        let refused = exec(&scene, &[&value, &words[..]].concat(), &["touch", "ran"]);
        assert_eq!(refused.status.code(), Some(125), "{option}");
        let said = stderr(&refused);
        assert!(said.contains(&format!("error: {option}: ")), "{said}");
        assert!(said.contains("leave this out"), "{said}");
        assert!(scene.read("ran").is_none(), "{option}");
        let used = exec(&scene, &[used_by, &words[..]].concat(), &["true"]);
        assert!(used.status.success(), "{option}: {}", stderr(&used));
    }
    // Requests of a day are counted there whether or not anybody is told.
    let counted = exec(
        &scene,
        &[&value[..], &["--state-dir", "state"]].concat(),
        &["true"],
    );
    assert!(counted.status.success(), "{}", stderr(&counted));
    // What stands in the configuration holds for other programs, too.
    let mut command = scene.locket(["exec", "-e", "A=1", "--", "true"]);
    let plain = command.env("LOCKET_FILE_MODE", "0440").output().unwrap();
    assert!(
        plain.status.success() && stderr(&plain).is_empty(),
        "{}",
        stderr(&plain)
    );
}

#[test]
fn an_option_about_changes_is_warned_of_where_nothing_can_change() {
    let scene = scene();
    let said = |more: &[&str]| {
        let words = [&["-e", "A={{ file://secrets/a }}"][..], more].concat();
        let ran = exec(&scene, &words, &["true"]);
        assert!(ran.status.success(), "{}", stderr(&ran));
        stderr(&ran)
    };
    let told = said(&["--on-change", "none", "--timeout", "1s"]);
    for option in ["--on-change", "--timeout"] {
        assert!(told.contains(&format!("{option} makes no difference")), "{told}");
    }
    let told = said(&["--mask", "--on-change", "none", "--timeout", "1s"]);
    assert!(told.contains("--on-change makes no difference"), "{told}");
    assert!(!told.contains("--timeout"), "{told}");
    for more in ["--watch", "--refresh=1h"] {
        assert_eq!(
            said(&[more, "--on-change", "none", "--timeout", "1s"]),
            "",
            "{more}"
        );
    }
}

#[test]
fn a_signal_beside_a_file_that_cannot_change_is_refused() {
    let scene = scene();
    let with = |more: &[&str], on_change: &str| {
        let words = [more, &["--watch", "--on-change", on_change]].concat();
        exec(&scene, &words, &["touch", "ran"])
    };
    let as_file = ["--as-file", "F={{ file://secrets/a }}"];
    let refused = with(&as_file, "signal:HUP");
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(125), "{said}");
    assert!(said.contains("would read the old value of F"), "{said}");
    assert!(said.contains("`--secret` and `--out`"), "{said}");
    assert!(scene.read("ran").is_none());
    for on_change in ["restart", "none"] {
        assert!(with(&as_file, on_change).status.success(), "{on_change}");
    }
    let file = ["--secret", "f={{ file://secrets/a }}", "--out", "out"];
    assert!(with(&file, "signal:HUP").status.success());
}

#[test]
fn who_is_to_be_told_without_a_file_to_be_told_of_is_refused() {
    let scene = scene();
    let words = ["-e", "A={{ file://secrets/a }}", "--notify", "exec:touch told"];
    let refused = exec(&scene, &words, &["touch", "ran"]);
    assert_eq!(refused.status.code(), Some(125));
    let told = stderr(&refused);
    assert!(
        told.contains("there is no file whose changes could be told"),
        "{told}"
    );
    assert!(told.contains("Make one with `--map` or `--secret`"), "{told}");
    assert!(scene.read("ran").is_none());
    let with_one = exec(
        &scene,
        &[
            "--secret",
            "t={{ file://secrets/a }}",
            "--out",
            "out",
            "--notify",
            "exec:touch told",
        ],
        &["sleep", "0.3"],
    );
    assert!(with_one.status.success(), "{}", stderr(&with_one));
    assert!(scene.read("told").is_some());
}

#[test]
fn who_was_not_told_beside_one_program_is_told_beside_the_next_if_it_is_kept() {
    let scene = scene();
    let secret = "t={{ file://secrets/a }}";
    let notify = "exec:sh -c 'test -e door && echo told >> told'";
    let words = [
        "--secret",
        secret,
        "--out",
        "out",
        "--notify",
        notify,
        "--notify-timeout",
        "1s",
    ];
    let kept = [&words[..], &["--state-dir", "state"]].concat();
    let first = exec(&scene, &kept, &["true"]);
    assert!(stderr(&first).contains("was not told"), "{}", stderr(&first));
    scene.write("door", "");
    exec(&scene, &words, &["true"]);
    assert!(
        scene.read("told").is_none(),
        "nothing changed, and nothing says who is owed a word"
    );
    let next = exec(&scene, &kept, &["true"]);
    assert_eq!(scene.read("told").as_deref(), Some("told\n"), "{}", stderr(&next));
}

#[test]
fn the_program_gets_no_children_that_it_did_not_start() {
    let scene = Scene::new();
    scene.write("values/a", "of-the-helper");
    let helper = include_str!("../../../../../examples/exec-helper/helper.sh");
    scene.write("helper.sh", helper);
    scene.write(
        "locket.toml",
        "[providers.helper]\ntype = 'exec'\ncommand = ['sh', 'helper.sh', 'values']\n",
    );
    let children = |before: &str| {
        let script = format!(
            "{before} line=; read -r line < /proc/$$/task/$$/children; echo \"$A <$line>\"; kill $! 2>/dev/null; :"
        );
        let words = ["exec", "-e", "A={{ helper://a }}", "--", "sh", "-c", &script];
        let output = scene.locket(words).output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let (_, line) = told.split_once("of-the-helper <").expect(&told);
        line.split_once('>').unwrap().0.trim().to_owned()
    };
    assert_eq!(children(""), "");
    assert_ne!(children("sleep 100 &"), "", "its own are seen");
}

fn fifo(scene: &Scene, name: &str) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, scene.path(name), mode).unwrap();
}

#[test]
fn an_env_file_may_come_through_a_pipe_however_late() {
    let scene = scene();
    fifo(&scene, "pipe");
    for options in [&["env", "-e", "pipe"][..], &["exec", "-e", "pipe", "--", "env"]] {
        let pipe = scene.path("pipe");
        #[expect(clippy::disallowed_methods, reason = "plays the other end of the pipe")]
        let writing = std::thread::spawn(move || fs::write(pipe, "A={{ file://secrets/json#USER }}\n"));
        let shown = stdout(&scene.locket(options).output().unwrap());
        assert!(shown.contains("A=u\n") || shown.contains("A=\"u\"\n"), "{shown}");
        writing.join().unwrap().unwrap();
    }
    let unwritten = scene
        .locket(["env", "-e", "pipe", "--deadline", "100ms"])
        .output()
        .unwrap();
    assert_eq!(unwritten.status.code(), Some(1));
    let told = stderr(&unwritten);
    assert!(
        told.contains("pipe is a pipe, and was not written to its end in time"),
        "{told}"
    );
}
