//! What the layers come to together, and what is wrong with them.

use std::path::Path;

use locket_core::Action;
use locket_core::plan::OnError;

use super::{Keys, Named, ProgramSettings, RunSettings, VariableForm};
use crate::context::{Context, Style};
use crate::options::{Key, Layers, Shape, table};
use crate::testing;

mod honoured;
mod shown;

pub(crate) use honoured::walks;

/// Something to do, so that a run can be settled; it stands in the weakest layer.
const WORK: &str = "[[map]]\nsource = '/templates'\ndestination = '/out'\n";

fn settled(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> RunSettings {
    let directory = tempfile::tempdir().unwrap();
    match testing::run(directory.path(), flags, variables, toml) {
        Ok(settings) => settings,
        Err(failure) => panic!("{}", failure.draw(Style::Plain)),
    }
}

fn refused(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    match testing::run(directory.path(), flags, variables, toml) {
        Ok(settings) => panic!("accepted: {settings:?}"),
        Err(failure) => failure.draw(Style::Plain),
    }
}

#[test]
fn flags_beat_variables_beat_the_file() {
    let toml = format!("[run]\ndebounce = '3s'\nmode = 'park'\n{WORK}");
    let probe = |run: RunSettings| run.schedule.debounce.as_secs();
    assert_eq!(probe(settled(&[], &[], &toml)), 3);
    assert_eq!(probe(settled(&[], &[("WATCH_DEBOUNCE", "2s")], &toml)), 2);
    assert_eq!(
        probe(settled(&["--debounce", "1s"], &[("WATCH_DEBOUNCE", "2s")], &toml)),
        1
    );
    assert_eq!(
        probe(settled(&[], &[("WATCH_DEBOUNCE", "")], &toml)),
        3,
        "an empty variable is not set"
    );
}

#[test]
fn a_later_file_beats_an_earlier_one_and_lists_are_replaced_whole() {
    let directory = tempfile::tempdir().unwrap();
    let first = directory.path().join("first.toml");
    let second = directory.path().join("sub/second.toml");
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    let map = |name: &str| format!("[[map]]\nsource = '{name}'\ndestination = 'out'\n");
    std::fs::write(
        &first,
        format!("[run]\ndebounce = '1s'\nmode = 'park'\n{}{}", map("a"), map("b")),
    )
    .unwrap();
    std::fs::write(&second, format!("[run]\ndebounce = '2s'\n{}", map("c"))).unwrap();
    let flags = ["--config", "first.toml", "--config", "sub/second.toml"];
    let run = testing::run(directory.path(), &flags, &[], "").unwrap();
    assert_eq!(run.schedule.debounce.as_secs(), 2);
    assert_eq!(format!("{:?}", run.schedule.mode), "Park");
    let sources: Vec<_> = run.plan.maps.iter().map(|map| map.source.as_path()).collect();
    assert_eq!(
        sources,
        [directory.path().join("sub/c")],
        "relative to its own file"
    );
    assert_eq!(run.plan.maps[0].destination, directory.path().join("sub/out"));
    let named = [("LOCKET_CONFIG", "first.toml;sub/second.toml")];
    let run = testing::run(directory.path(), &[], &named, "").unwrap();
    assert_eq!(run.schedule.debounce.as_secs(), 2);
}

#[test]
fn paths_of_flags_and_variables_count_from_the_callers_directory() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--map", "t:out", "--secret", "x=@y", "--out", "o"];
    let run = testing::run(directory.path(), &flags, &[("LOCKET_STATUS_FILE", "s")], "").unwrap();
    let under = |name: &str| directory.path().join(name);
    assert_eq!(run.plan.maps[0].source, under("t"));
    assert_eq!(run.plan.maps[0].destination, under("out"));
    assert_eq!(run.plan.out, under("o"));
    assert_eq!(run.status_file, Some(under("s")));
    assert_eq!(
        run.plan.secrets[0].source,
        locket_core::plan::Source::File(under("y"))
    );
}

#[test]
fn secrets_go_where_the_first_directory_map_goes() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    std::fs::create_dir(directory.path().join("templates")).unwrap();
    let out = |flags: &[&str]| {
        let flags: Vec<_> = flags.iter().copied().chain(["--secret", "x=y"]).collect();
        testing::run(directory.path(), &flags, &[], "").unwrap().plan.out
    };
    assert_eq!(out(&[]), Path::new("/run/secrets/locket"));
    assert_eq!(out(&["--map", "file:/a/file"]), Path::new("/run/secrets/locket"));
    assert_eq!(
        out(&["--map", "file:/a/file", "--map", "templates:/b"]),
        Path::new("/b")
    );
}

#[test]
fn what_a_stronger_list_drops_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--map", "/a:/b", "--secret", "db=hunter2", "--file-mode", "0440"];
    let variables = [("SECRET_MAP", "/c:/d;/e:/f"), ("SECRET_VALUES", "one=s3cret")];
    let told = testing::notices(
        directory.path(),
        &flags,
        &variables,
        &format!("{WORK}[[secret]]\nname='two'\ntemplate='x'\n"),
    );
    assert_eq!(
        told,
        [
            "map: --map replaces what SECRET_MAP says: /c:/d, /e:/f",
            "map: --map replaces what locket.toml says: /templates:/out",
            "secret: --secret replaces what SECRET_VALUES says: one",
            "secret: --secret replaces what locket.toml says: two",
        ]
    );
}

#[test]
fn every_value_says_where_it_came_from() {
    let toml = format!("[run]\nrefresh = '1h'\ndebounce = '1s'\nout = '/x'\n{WORK}");
    let variables = [
        ("LOCKET_MODE", "park"),
        ("WATCH_DEBOUNCE", "2s"),
        ("SECRETS_PROVIDER", "store"),
    ];
    let origins = testing::origins(&["--deadline=9s", "--debounce=3s"], &variables, &toml);
    let origin = |option: &str| {
        origins
            .iter()
            .find(|(name, _)| *name == option)
            .map(|(_, origin)| origin.as_str())
    };
    assert_eq!(origin("deadline"), Some("--deadline"));
    assert_eq!(origin("debounce"), Some("--debounce"));
    assert_eq!(origin("mode"), Some("LOCKET_MODE"));
    assert_eq!(origin("provider"), Some("SECRETS_PROVIDER"));
    assert_eq!(origin("refresh"), Some("locket.toml:2"));
    assert_eq!(origin("out"), Some("locket.toml:4"));
    assert_eq!(origin("user"), None, "nobody says anything");
}

#[test]
fn a_variable_that_looks_like_ours_and_is_not_is_told() {
    let told = |variables: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        testing::notices(directory.path(), &["--user=1:1"], variables, WORK)
    };
    assert_eq!(
        told(&[
            ("LOCKET_MDOE", "park"),
            ("LOCKET_SECRET_ONE", "x"),
            ("OTHER", "x")
        ]),
        [
            "the variable LOCKET_MDOE means nothing here; did you mean LOCKET_MODE?",
            "the variable LOCKET_SECRET_ONE means nothing here",
        ]
    );
    let known = [
        ("LOCKET_MODE", "park"),
        ("LOCKET_IDENTITY_FILE", "/x"),
        ("LOCKET_CHANGED", "/x"),
    ];
    assert_eq!(told(&known), [""; 0]);
}

#[test]
fn outputs_that_only_the_agent_can_read_are_told_about() {
    let told = |flags: &[&str], toml: &str| {
        let directory = tempfile::tempdir().unwrap();
        let told = testing::notices(directory.path(), flags, &[], toml);
        told.iter()
            .any(|notice| notice.contains("only the agent's own user"))
    };
    assert!(told(&[], WORK));
    assert!(!told(&["--file-mode=0440"], WORK));
    assert!(!told(&["--user=4242"], WORK));
    assert!(!told(&[], &format!("{WORK}mode = 0o444\n")));
    assert!(told(&["--file-mode=0440"], &format!("{WORK}mode = 0o400\n")));
}

#[test]
fn entries_of_the_file_have_settings_of_their_own() {
    let toml = "
        [run]
        file-mode = 0o644
        on-error = 'error'
        [[map]]
        source = 'a'
        destination = 'b'
        mode = 0o440
        dir-mode = '0755'
        user = 1000
        on-error = 'ignore'
        notify = ['reload', 'pid:/run/x.pid:HUP']
        delimiters = ['<<', '>>']
        [[secret]]
        name = 'raw'
        file = 'raw.txt'
        render = false
        [[notify]]
        name = 'reload'
        action = 'exec:nginx -s reload'
        [[notify]]
        action = 'exec:everything'
    ";
    let run = settled(&[], &[], toml);
    let map = &run.plan.maps[0].settings;
    assert_eq!((map.access.file_mode, map.access.dir_mode), (0o440, 0o755));
    assert_eq!(
        map.access.owner.map(|owner| (owner.uid, owner.gid)),
        Some((1000, None))
    );
    assert_eq!(map.on_error, OnError::Ignore);
    assert_eq!(map.template.delimiters.open, "<<");
    let told: Vec<_> = map.notify.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["exec:nginx", "pid:/run/x.pid:SIGHUP"]);
    let secret = &run.plan.secrets[0].settings;
    assert_eq!(
        (secret.access.file_mode, secret.on_error),
        (0o644, OnError::Error)
    );
    assert!(secret.template.verbatim && !map.template.verbatim);
    assert_eq!(run.actions.len(), 1, "a named notification is not for everything");
}

#[test]
fn actions_of_a_file_count_from_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    let toml = "[[notify]]\naction = 'pid:x.pid:HUP'\n[[notify]]\naction = 'exec:./hook x/y'\n[[notify]]\naction = 'exec:hook'\n";
    std::fs::write(directory.path().join("sub/a.toml"), format!("{toml}{WORK}")).unwrap();
    let run = testing::run(directory.path(), &["--config=sub/a.toml"], &[], "").unwrap();
    let under = |name: &str| directory.path().join("sub").join(name);
    let exec = |program: &Path, rest: &[&str]| Action::Exec {
        argv: [program.to_str().unwrap()]
            .iter()
            .chain(rest)
            .map(ToString::to_string)
            .collect(),
    };
    let signal = locket_core::Signal::parse("HUP").unwrap();
    assert_eq!(
        run.actions,
        [
            Action::Pid {
                file: under("x.pid"),
                signal
            },
            exec(&under("./hook"), &["x/y"]),
            exec(Path::new("hook"), &[]),
        ]
    );
}

#[test]
fn nothing_to_do_is_refused() {
    assert!(refused(&[], &[], "").contains("nothing to render"));
}

#[test]
fn all_mistakes_of_all_layers_come_together() {
    let toml = "
[run]
mode = 'wacht'
debonce = '3s'
dir-mode = 750
debounce = 3
user = 'root'
map = ['a:b']
[[map]]
source = 't'
destination = 'out'
mode = '0888'
notify = ['reload', 'exce:x']
include = ['[conf']
atomc = true
[[map]]
source = 't'
[[secret]]
name = 'a/b'
template = 'x'
file = 'y'
[[secret]]
name = 'c/d'
template = 'x'
[[notify]]
name = 'reload'
action = 'exec:true'
[[notify]]
name = 'reload'
action = 'pid:/x:HPU'
[[notify]]
name = 'lonely'
action = 'exec:true'
[exec]
watch = 'yes'
wacth = true
[stroe]
x = 1
";
    let flags = ["--file-mode=0999", "--deadline=9", "--map=:x", "--secret=x"];
    let variables = [
        ("SECRET_MAP", "/a:/b,mode=9;/c"),
        ("LOCKET_REFRESH", "0s"),
        ("LOCKET_MODE", ""),
    ];
    insta::assert_snapshot!(refused(&flags, &variables, toml));
}

#[test]
fn an_empty_path_is_refused_in_every_layer() {
    let chosen = "[run]\nprovider = 'bao'\n";
    let mut tried = 0;
    for opt in table::RUN.iter().chain(table::READING) {
        if !matches!(opt.shape, Shape::Path) && opt.name != table::AUDIT_LOG.name {
            continue;
        }
        tried += 1;
        let flag = |text: &str| format!("--{}={text}", opt.name);
        let line = |text: &str| format!("{chosen}{} = '{text}'\n{WORK}", opt.name);
        let by_flag = refused(&[&flag("")], &[], &format!("{chosen}{WORK}"));
        let told = format!("--{}: the path is empty", opt.name);
        assert_eq!(by_flag.matches(&told).count(), 1, "{by_flag}");
        let by_file = refused(&[], &[], &line(""));
        assert!(
            by_file.contains("the path is empty") && by_file.contains("locket.toml:3"),
            "{by_file}"
        );
        settled(&[&flag("x")], &[], &format!("{chosen}{WORK}"));
        settled(&[], &[], &line("x"));
        // Compose makes empty variables of those that nobody set.
        for variable in opt.variables {
            settled(&[], &[(variable, "")], &format!("{chosen}{WORK}"));
        }
    }
    assert!(tried >= 5, "{tried}");
    let by_flag = refused(&["--config="], &[], WORK);
    assert!(by_flag.contains("--config: the path is empty"), "{by_flag}");
    // What of `exec` may be the path of an env file or a variable.
    let program = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let settle = |layers: &mut Layers<'_>, context: &Context| {
            let named = Named {
                form: VariableForm::Any,
                given: layers.given_by_flag("env", text),
            };
            ProgramSettings::of(layers, vec![named], &Keys::default(), context);
        };
        testing::settled(directory.path(), &[], &[], "", settle).is_ok()
    };
    assert!(program("x") && !program(""));
}

#[test]
fn an_empty_part_of_a_table_is_refused_as_in_a_flag() {
    let map = |source: &str, destination: &str| {
        format!("[[map]]\nsource = '{source}'\ndestination = '{destination}'\n")
    };
    let secret = |key: &str, text: &str| format!("[[secret]]\nname = 'a'\n{key} = '{text}'\n");
    let swarm = |text: &str| format!("{WORK}[[swarm.secret]]\nname = 'a'\ntemplate = '{text}'\n");
    for (good, bad, key) in [
        (map("a", "b"), map("", "b"), "source"),
        (map("a", "b"), map("a", ""), "destination"),
        (secret("template", "x"), secret("template", ""), "template"),
        (secret("file", "x"), secret("file", ""), "file"),
        (swarm("x"), swarm(""), "template"),
        (
            format!("{WORK}[plugin]\nsocket = 'x'\n"),
            format!("{WORK}[plugin]\nsocket = ''\n"),
            "socket",
        ),
    ] {
        settled(&[], &[], &good);
        let told = refused(&[], &[], &bad);
        assert!(told.contains(&format!("`{key}` is empty")), "{told}");
        assert!(!told.contains("has no `"), "one mistake is told once: {told}");
        // A stronger layer does not make it right.
        refused(&["--map=/a:/b", "--secret=x=y"], &[], &bad);
    }
}

#[test]
fn what_is_no_table_among_tables_is_told_and_not_dropped() {
    for (name, good) in [
        ("map", "{ source = 'a', destination = 'b' }"),
        ("secret", "{ name = 'x', template = 'y' }"),
        ("notify", "{ action = 'exec:true' }"),
    ] {
        let work = if name == "map" {
            String::new()
        } else {
            WORK.to_owned()
        };
        settled(&[], &[], &format!("{name} = [{good}]\n{work}"));
        let told = refused(&[], &[], &format!("{name} = ['a:b', {good}, 7]\n{work}"));
        let words = format!("`{name}` is written as a table of its own");
        assert_eq!(told.matches(&words).count(), 2, "{told}");
        let told = refused(&[], &[], &format!("{name} = []\n{work}"));
        assert_eq!(told.matches(&words).count(), 1, "{told}");
    }
}

#[test]
fn a_build_is_advised_of_no_option_that_it_has_not() {
    let advice = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let settle = |layers: &mut Layers<'_>, context: &Context| {
            let named = Named {
                form: VariableForm::Secret,
                given: layers.given_by_flag("secret", text),
            };
            ProgramSettings::of(layers, vec![named], &Keys::default(), context);
        };
        match testing::settled(directory.path(), &[], &[], "", settle) {
            Ok(()) => String::new(),
            Err(failure) => failure.draw(Style::Plain),
        }
    };
    for text in ["aws/credentials=x", "=x", "..=x", "a/b="] {
        let told = advice(text);
        assert!(told.contains("id=ID"), "{told}");
        assert!(!told.contains("--out") && !told.contains("--map"), "{told}");
        // Where these options are, they are what helps.
        assert!(refused(&["--secret", text], &[], "").contains("`--map`"));
    }
    assert_eq!(advice("aws.credentials=x"), "");
}

#[test]
fn a_broken_file_is_shown_without_its_credentials() {
    let drawn = refused(&[], &[], "[connect]\ntoken = hunter2\n[run\n");
    assert!(drawn.contains("locket.toml:2"), "{drawn}");
    assert!(!drawn.contains("hunter2"), "{drawn}");
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    assert!(refused(&["--config", "nope.toml"], &[], WORK).contains("nope.toml does not exist"));
    assert!(refused(&[], &[("LOCKET_CONFIG", "nope.toml")], WORK).contains("nope.toml does not exist"));
}

#[test]
fn every_option_belongs_to_its_commands_and_is_refused_by_the_others() {
    for command in testing::command_names() {
        let positional: &[&str] = match command {
            "get" => &["store://x"],
            "render" => &["-"],
            "completions" => &["bash"],
            "rotate" => &["x"],
            "store" | "compose" | "swarm" => continue,
            "exec" => &["--", "true"],
            "build" => &["--secret", "a=b", "--", "docker", "build"],
            _ => &[],
        };
        let rows: Vec<_> = match command {
            "run" | "plan" => [table::EVERY, table::READING, table::RUN].concat(),
            "inject" => [table::EVERY, table::READING, table::INJECT].concat(),
            "sync" => [table::EVERY, table::READING, table::SYNC].concat(),
            "plugin" | "volume" => [table::EVERY, table::PLUGIN].concat(),
            "healthcheck" => [table::EVERY, table::HEALTH].concat(),
            "get" | "render" => [table::EVERY, table::READING].concat(),
            "env" => [table::EVERY, table::READING, table::VARIABLES].concat(),
            // Beside those with layers, some of their own with the same names.
            "exec" => [
                table::EVERY,
                table::READING,
                table::EXEC,
                table::VARIABLES,
                table::KEEPING,
                &[&table::MAP, &table::SECRET, &table::NOTIFY, &table::STATE_DIR],
            ]
            .concat(),
            "rotate" => [table::EVERY, table::READING].concat(),
            "build" => [
                table::EVERY,
                table::READING,
                &[&table::SECRET, &table::KEEP_CREDENTIALS],
            ]
            .concat(),
            "check" | "providers" => [table::EVERY, table::ASKING].concat(),
            "migrate" => table::EVERY.to_vec(),
            "doctor" => [table::EVERY, table::ASKING, table::PLACES].concat(),
            // Its own, of the same name.
            "man" => vec![&table::OUT],
            "systemd" => vec![&table::CONFIG, &table::MAP, &table::OUT],
            _ => Vec::new(),
        };
        for opt in table::all() {
            let flag = format!("--{}", opt.name);
            let given = match opt.shape {
                Shape::Word(words) => vec![flag.as_str(), words[0]],
                Shape::Switch => vec![flag.as_str()],
                _ => vec![flag.as_str(), "x"],
            };
            // What follows `--` belongs to a program.
            let line: Vec<_> = [command]
                .iter()
                .chain(&given)
                .chain(positional)
                .copied()
                .collect();
            let belongs = rows.iter().any(|row| row.name == opt.name);
            assert_eq!(testing::is_accepted(&line), belongs, "{line:?}");
        }
    }
}

#[test]
fn every_option_of_the_file_is_one_of_run() {
    for opt in table::all().filter(|opt| opt.key == Key::Run) {
        let known = [table::EVERY, table::READING, table::RUN, table::HEALTH].concat();
        assert!(known.iter().any(|row| row.name == opt.name), "{}", opt.name);
    }
}

#[test]
fn a_secret_of_every_key_and_a_map_of_some_templates_are_settled() {
    let directory = tempfile::tempdir().unwrap();
    let toml = "
[[secret]]
from = 'store://app/*'
prefix = 'app-'
mode = '0440'
exclude = ['tmp_*']
[[map]]
source = 't'
destination = 'out'
include = ['*.tmpl', 'tls/**']
exclude = '*.bak'
atomic = true
";
    let settled = testing::run(directory.path(), &[], &[], toml).unwrap();
    let every = &settled.plan.secrets[0];
    let locket_core::plan::Source::Every { text, prefix } = &every.source else {
        panic!("{every:?}")
    };
    assert_eq!((text.as_str(), prefix.as_str()), ("store://app/*", "app-"));
    assert_eq!(every.settings.access.file_mode, 0o440);
    assert!(!every.settings.select.takes("tmp_x") && every.settings.select.takes("x"));
    let map = &settled.plan.maps[0].settings;
    assert!(map.atomic && map.select.takes("a.tmpl") && !map.select.takes("a.bak"));

    let flags = ["--secret-from", "store://x/*", "--secret", "n=store://n"];
    let settled = testing::run(directory.path(), &flags, &[], toml).unwrap();
    assert_eq!(settled.plan.secrets.len(), 2, "the flag replaces the file's");
    let variables = [("LOCKET_SECRET_FROM", "store://x/*;env://APP_*")];
    let settled = testing::run(directory.path(), &[], &variables, "").unwrap();
    assert_eq!(settled.plan.secrets.len(), 2);
}

#[test]
fn metrics_are_for_this_machine_unless_that_is_waived() {
    let drawn = refused(&["--metrics", "0.0.0.0:9100"], &[], WORK);
    assert!(drawn.contains("--metrics-public"), "{drawn}");
    let public = settled(&["--metrics", "0.0.0.0:9100", "--metrics-public"], &[], WORK);
    assert_eq!(public.outlets.metrics, Some("0.0.0.0:9100".parse().unwrap()));
    let toml = format!("[run]\nmetrics = '[::]:9100'\nmetrics-public = true\n{WORK}");
    assert!(settled(&[], &[], &toml).outlets.metrics.is_some());
    assert!(
        settled(&["--metrics=9100"], &[("LOCKET_METRICS_PUBLIC", "0")], WORK)
            .outlets
            .metrics
            .is_some()
    );
    assert_eq!(settled(&[], &[], WORK).outlets.metrics, None);
}

#[test]
fn labels_count_when_that_is_asked_for_and_are_work_enough() {
    assert!(settled(&[], &[], WORK).labels.is_none());
    let allow = "[labels]\nallow = ['bao://kv/**']\n";
    for (flags, variables, toml) in [
        (&["--docker-labels"][..], &[][..], allow.to_owned()),
        (&[], &[("LOCKET_DOCKER_LABELS", "true")], allow.to_owned()),
        (
            &[],
            &[],
            format!("[run]\ndocker-labels = true\nout = '/x'\n{allow}"),
        ),
    ] {
        let settled = settled(flags, variables, &toml);
        assert!(settled.plan.secrets.is_empty());
        let labels = settled.labels.unwrap();
        assert_eq!(labels.out, settled.plan.out);
        assert_ne!(labels.allow, locket_docker::allow::Allowance::default());
    }
    let nothing = settled(&["--docker-labels"], &[], "").labels.unwrap();
    assert_eq!(nothing.allow, locket_docker::allow::Allowance::default());
}

#[test]
fn the_journal_and_a_file_are_told_apart() {
    let audit = |text: &str| settled(&["--audit-log", text], &[], WORK).outlets.audit.unwrap();
    assert_eq!(
        audit("journald").path(),
        Path::new(locket_engine::telemetry::JOURNAL_SOCKET)
    );
    assert!(audit("./journald").path().is_absolute());
}

#[test]
fn cleaning_up_after_a_single_round_is_refused() {
    let drawn = refused(&["--mode", "one-shot", "--cleanup"], &[], WORK);
    assert!(drawn.contains("one-shot"), "{drawn}");
    assert!(!testing::is_accepted(&["inject", "--cleanup"]));
    assert!(testing::is_accepted(&["run", "--cleanup=false"]));
}

#[test]
fn what_does_not_go_together_in_a_secret_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    for (toml, told) in [
        (
            "from = 'store://a/*'\nname = 'x'",
            "`name` and `from` do not go together",
        ),
        (
            "from = 'store://a/*'\nrender = false",
            "`render` and `from` do not go together",
        ),
        ("from = 'store://a'", "no reference to every key"),
        ("from = 'store://a/*'\nprefix = 'a/b'", "holds no `/`"),
        ("from = 'store://a/*'\nexclude = '[x'", "never closed"),
        ("from = 'store://a/*'\nexlude = 'x'", "Did you mean `exclude`?"),
        (
            "name = 'a'\ntemplate = 'x'\ninclude = 'x'",
            "`include` belongs to a secret with `from`",
        ),
        (
            "name = 'a'\ntemplate = 'x'\natomic = true",
            "a secret has no `atomic`",
        ),
    ] {
        let failure = testing::run(directory.path(), &[], &[], &format!("[[secret]]\n{toml}\n")).unwrap_err();
        let drawn = failure.draw(Style::Plain);
        assert!(drawn.contains(told), "{toml}: {drawn}");
    }
}
