//! Every option in every layer: what is accepted is honoured.

use std::path::Path;

use locket_core::Action;
use locket_core::plan::OnError;

use super::{Common, Form, Keys, Named, ProgramSettings, RunSettings, SyncSettings, VariableForm};
use crate::context::{Context, Style};
use crate::options::{Key, Layers, Shape, table};
use crate::testing;

/// One option: a text for it, and what of the settled run shows that it was honoured.
struct Sample {
    option: &'static str,
    text: &'static str,
    /// The same in the configuration, where it is not a key in `[run]`.
    tables: &'static str,
    probe: fn(&RunSettings) -> String,
}

const fn sample(option: &'static str, text: &'static str, probe: fn(&RunSettings) -> String) -> Sample {
    Sample {
        option,
        text,
        tables: "",
        probe,
    }
}

/// A sample of every option of `run`; a test sees to it that none is left out.
fn samples() -> Vec<Sample> {
    vec![
        Sample {
            tables: "[[map]]\nsource = '/src'\ndestination = '/dst'\nmode = '0440'\n",
            ..sample("map", "/src:/dst:mode=0440", |run| format!("{:?}", run.plan.maps))
        },
        Sample {
            tables: "[[secret]]\nname = 'db'\ntemplate = '{{ file:///db }}'\n",
            ..sample("secret", "db={{ file:///db }}", |run| {
                format!("{:?}", run.plan.secrets)
            })
        },
        Sample {
            tables: "[[secret]]\nfrom = 'store://app/*'\n",
            ..sample("secret-from", "store://app/*", |run| {
                format!("{:?}", run.plan.secrets)
            })
        },
        sample("out", "/elsewhere", |run| run.plan.out.display().to_string()),
        sample("mode", "park", |run| format!("{:?}", run.schedule.mode)),
        sample("refresh", "17m", |run| format!("{:?}", run.schedule.refresh)),
        sample("on-error", "ignore", |run| {
            format!("{:?}", run.plan.maps.first().map(|map| map.settings.on_error))
        }),
        Sample {
            tables: "[[notify]]\naction = 'exec:true'\n",
            ..sample("notify", "exec:true", |run| format!("{:?}", run.actions))
        },
        sample("notify-timeout", "17m", |run| format!("{:?}", run.notify_timeout)),
        sample("debounce", "17ms", |run| format!("{:?}", run.schedule.debounce)),
        sample("delete-after", "17s", |run| {
            format!("{:?}", run.plan.delete_after)
        }),
        sample("file-mode", "0640", |run| {
            format!(
                "{:?}",
                run.plan.maps.first().map(|map| map.settings.access.file_mode)
            )
        }),
        sample("dir-mode", "0750", |run| {
            format!(
                "{:?}",
                run.plan.maps.first().map(|map| map.settings.access.dir_mode)
            )
        }),
        sample("user", "17:18", |run| {
            format!("{:?}", run.plan.maps.first().map(|map| map.settings.access.owner))
        }),
        sample("max-file-size", "17K", |run| run.plan.max_file_size.to_string()),
        sample("sandbox", "off", |run| format!("{:?}", run.sandbox)),
        sample("status-file", "/run/status", |run| {
            format!("{:?}", run.status_file)
        }),
        sample("cleanup", "true", |run| format!("{:?}", run.at_end)),
        sample("audit-log", "/var/log/locket", |run| {
            format!("{:?}", run.outlets.audit)
        }),
        sample("metrics", "127.0.0.1:17", |run| {
            format!("{:?}", run.outlets.metrics)
        }),
        sample("state-dir", "/state", |run| run.state_dir.display().to_string()),
        sample("request-timeout", "17s", |run| {
            format!("{:?}", (run.schedule.request, run.common.request_timeout))
        }),
        sample("deadline", "17s", |run| {
            format!("{:?}", (run.schedule.deadline, run.common.deadline))
        }),
    ]
}

/// Options of `run` that other tests look at: they change nothing that a settled run shows.
const ELSEWHERE: &[&str] = &[
    "config",
    "log-level",
    "log-format",
    "provider",
    "token-file",
    "metrics-public",
    "docker-labels",
];

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

/// The configuration that gives an option, beside something to do.
fn in_file(sample: &Sample) -> String {
    match sample.option {
        "map" => sample.tables.to_owned(),
        _ if sample.text == "true" => format!("[run]\n{} = true\n{WORK}", sample.option),
        _ if sample.tables.is_empty() => format!("[run]\n{} = '{}'\n{WORK}", sample.option, sample.text),
        _ => format!("{}{WORK}", sample.tables),
    }
}

#[test]
fn every_option_of_run_has_a_sample() {
    let rows = table::EVERY.iter().chain(table::READING).chain(table::RUN);
    for opt in rows {
        let is_sampled = samples().iter().any(|sample| sample.option == opt.name);
        assert_ne!(is_sampled, ELSEWHERE.contains(&opt.name), "{}", opt.name);
    }
}

#[test]
fn every_option_is_honoured_in_every_layer() {
    for sample in samples() {
        let opt = table::all().find(|opt| opt.name == sample.option).unwrap();
        let work = if sample.option == "map" {
            "[[secret]]\nname = 'x'\ntemplate = 'x'\n"
        } else {
            WORK
        };
        let default = (sample.probe)(&settled(&[], &[], work));
        let flag = format!("--{}={}", sample.option, sample.text);
        let by_flag = (sample.probe)(&settled(&[&flag], &[], work));
        assert_ne!(by_flag, default, "{flag} is honoured");
        for alias in opt.aliases {
            let flag = format!("--{alias}={}", sample.text);
            assert_eq!((sample.probe)(&settled(&[&flag], &[], work)), by_flag, "{flag}");
        }
        assert!(!opt.variables.is_empty(), "{} has a variable", opt.name);
        for variable in opt.variables {
            let by_variable = (sample.probe)(&settled(&[], &[(variable, sample.text)], work));
            assert_eq!(by_variable, by_flag, "{variable}");
        }
        let by_file = (sample.probe)(&settled(&[], &[], &in_file(&sample)));
        assert_eq!(by_file, by_flag, "{} in the file", sample.option);
    }
}

/// The commands whose options have layers, and a line with what else they need.
const COMMANDS: &[(&[&str], Form)] = &[
    (&["run"], Form::Run),
    (&["inject"], Form::Inject),
    (&["plan"], Form::Run),
    (&["providers"], Form::Look),
    (&["providers", "check", "file:///x"], Form::Look),
    (&["doctor"], Form::Look),
    (&["check"], Form::Look),
    (&["get", "file:///x"], Form::Look),
    (&["render", "-"], Form::Look),
    (&["healthcheck"], Form::Look),
    (&["sync"], Form::Sync),
];

/// Whether that test takes the options of `command` through every layer.
pub(crate) fn walks(command: &str) -> bool {
    let way: Vec<_> = command.split(' ').collect();
    COMMANDS.iter().any(|(known, _)| known.starts_with(&way))
}

#[test]
fn every_option_is_honoured_by_every_command_that_takes_it() {
    let mut taken = 0;
    for (command, form) in COMMANDS {
        let settled = |flags: &[&str], variables: &[(&str, &str)], toml: &str| {
            let directory = tempfile::tempdir().unwrap();
            match testing::command(command, *form, directory.path(), flags, variables, toml) {
                Ok(settings) => settings,
                Err(failure) => panic!("{command:?} {flags:?}: {}", failure.draw(Style::Plain)),
            }
        };
        for sample in samples() {
            let flag = format!("--{}={}", sample.option, sample.text);
            let line: Vec<_> = command.iter().copied().chain([flag.as_str()]).collect();
            // What `sync` writes is made of a map; another test looks at its files.
            let is_of_map = *form == Form::Sync && ["user", "dir-mode"].contains(&sample.option);
            if is_of_map || !testing::is_accepted(&line) {
                continue;
            }
            taken += 1;
            let work = match sample.option {
                "map" => "[[secret]]\nname = 'x'\ntemplate = 'x'\n",
                _ => WORK,
            };
            let default = (sample.probe)(&settled(&[], &[], work));
            let by_flag = (sample.probe)(&settled(&[&flag], &[], work));
            assert_ne!(by_flag, default, "{command:?} {flag}");
            let opt = table::all().find(|opt| opt.name == sample.option).unwrap();
            for variable in opt.variables {
                let by_variable = (sample.probe)(&settled(&[], &[(variable, sample.text)], work));
                assert_eq!(by_variable, by_flag, "{command:?} {variable}");
            }
            // What an agent of the same file holds is not for `sync`; another test says so.
            if *form == Form::Sync && ["status-file", "metrics", "state-dir"].contains(&sample.option) {
                continue;
            }
            let by_file = (sample.probe)(&settled(&[], &[], &in_file(&sample)));
            assert_eq!(by_file, by_flag, "{command:?} {} in the file", sample.option);
        }
    }
    assert!(taken > 60, "only {taken} were tried");
}

/// Commands whose settings are of another kind, and what else each needs.
const OTHERS: &[(&[&str], &[&str])] = &[
    (&["exec"], &["--", "true"]),
    (&["env"], &[]),
    (&["build"], &["--secret", "a=b", "--", "docker", "build"]),
    (&["compose", "up"], &["web"]),
    (&["swarm", "sync"], &[]),
    (&["rotate"], &["x"]),
];

#[test]
fn the_time_for_requests_is_honoured_by_commands_with_settings_of_their_own() {
    let times = |line: &[&str], variables: &[(&str, &str)], toml: &str| {
        let directory = tempfile::tempdir().unwrap();
        let settle = |layers: &mut Layers<'_>, _: &Context| Common::settle(layers);
        let common = testing::settled_as(line, directory.path(), variables, toml, settle).unwrap();
        (common.request_timeout.as_secs(), common.deadline.as_secs())
    };
    for (way, rest) in OTHERS {
        let default = times(&[*way, *rest].concat(), &[], "");
        assert_eq!(default, (10, 60), "{way:?}");
        for (flag, variable, told) in [
            ("--request-timeout", "LOCKET_REQUEST_TIMEOUT", (17, 60)),
            ("--deadline", "LOCKET_DEADLINE", (10, 17)),
        ] {
            let line = [*way, &[flag, "17s"], *rest].concat();
            assert_eq!(times(&line, &[], ""), told, "{line:?}");
            let line = [*way, *rest].concat();
            assert_eq!(
                times(&line, &[(variable, "17s")], ""),
                told,
                "{variable} {line:?}"
            );
            let toml = format!("[run]\n{} = '17s'\n", flag.trim_start_matches('-'));
            assert_eq!(times(&line, &[], &toml), told, "{toml} {line:?}");
        }
    }
}

#[test]
fn owner_and_directories_of_what_sync_writes_are_as_every_layer_says() {
    let written = |line: &[&str], variables: &[(&str, &str)], toml: &str| {
        let directory = tempfile::tempdir().unwrap();
        let settled = testing::settled_as(line, directory.path(), variables, toml, SyncSettings::settle);
        format!("{:?}", settled.unwrap().output.access)
    };
    let default = written(&["sync"], &[], "");
    for (flag, variable, text) in [
        ("--user", "LOCKET_FILE_OWNER", "17:18"),
        ("--dir-mode", "LOCKET_DIR_MODE", "0750"),
    ] {
        let by_flag = written(&["sync", flag, text], &[], "");
        assert_ne!(by_flag, default, "{flag}");
        assert_eq!(written(&["sync"], &[(variable, text)], ""), by_flag, "{variable}");
        let toml = format!("[run]\n{} = '{text}'\n", flag.trim_start_matches('-'));
        assert_eq!(written(&["sync"], &[], &toml), by_flag, "{toml}");
    }
}

#[test]
#[cfg(feature = "command-sync")]
fn sync_holds_nothing_that_an_agent_of_the_same_file_holds() {
    let directory = tempfile::tempdir().unwrap();
    let toml =
        format!("[run]\nstatus-file = '/run/status'\nmetrics = '127.0.0.1:17'\nstate-dir = '/state'\n{WORK}");
    let run = settled(&[], &[], &toml);
    assert!(run.status_file.is_some() && run.outlets.metrics.is_some());
    let sync = |flags: &[&str], variables: &[(&str, &str)]| {
        let settled = testing::sync(directory.path(), flags, variables, &toml)
            .unwrap()
            .run;
        (settled.status_file, settled.outlets.metrics, settled.state_dir)
    };
    assert_eq!(sync(&[], &[]), (None, None, run.state_dir.join("sync")));

    // What is said to `sync` itself counts.
    let own = (
        Some("/own/status".into()),
        Some("127.0.0.1:18".parse().unwrap()),
        "/own/state".into(),
    );
    let flags = [
        "--status-file=/own/status",
        "--metrics=127.0.0.1:18",
        "--state-dir=/own/state",
    ];
    let variables = [
        ("LOCKET_STATUS_FILE", "/own/status"),
        ("LOCKET_METRICS", "127.0.0.1:18"),
        ("LOCKET_STATE_DIR", "/own/state"),
    ];
    assert_eq!(sync(&flags, &[]), own);
    assert_eq!(sync(&[], &variables), own);
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
