//! Every option is honoured in every layer, by every command that takes it.

use super::*;
use crate::settings::{Common, Form, SyncSettings};

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
