//! What the command line says of itself.

use super::*;

#[test]
fn the_parser_is_sound() {
    let mut parser = parser(Style::Plain);
    parser.build();
    parser.debug_assert();
}

#[test]
fn the_help_of_each_command_is_as_documented() {
    let mut parser = parser(Style::Plain);
    parser.build();
    insta::assert_snapshot!("help", parser.render_long_help());
    for command in COMMANDS {
        let described = parser.find_subcommand_mut(command.name).unwrap();
        // The flags of providers come with the providers; their own test walks them.
        let own = described.clone().mut_args(|arg| {
            let is_hidden = arg.is_hide_set() || arg.get_help_heading().is_some();
            arg.hide(is_hidden)
        });
        let name = format!("help-{}", command.name);
        insta::assert_snapshot!(name, own.term_width(100).render_long_help());
    }
}

#[test]
fn the_help_names_every_provider_setting() {
    let mut parser = parser(Style::Plain);
    parser.build();
    for command in ["run", "inject", "get", "render"] {
        let help = parser
            .find_subcommand_mut(command)
            .unwrap()
            .render_long_help()
            .to_string();
        for section in providers::sections() {
            for setting in &section.settings {
                let flag = format!("--{}.{}", section.prefix, setting.name);
                assert!(help.contains(&flag), "{command} {flag}");
                for variable in setting.env {
                    assert!(help.contains(variable), "{command} {variable}");
                }
            }
        }
    }
}

#[test]
fn a_flag_that_nobody_knows_is_refused_without_its_value() {
    for line in [
        ["run", "--conect.token=s3cret"],
        ["get", "--pasword=s3cret"],
        ["inject", "--debounce=s3cret"],
    ] {
        let arguments = std::iter::once("locket").chain(line);
        let refused = parser(Style::Plain).try_get_matches_from(arguments).unwrap_err();
        let told = refused.render().to_string();
        assert!(told.contains("unexpected argument"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn flags_of_providers_are_made_when_one_may_be_meant_and_not_otherwise() {
    let words = |words: &[&str]| -> Vec<OsString> { words.iter().map(OsString::from).collect() };
    for section in providers::sections() {
        for setting in &section.settings {
            for mark in [".", "-"] {
                let flag = format!("--{}{mark}{}=x", section.prefix, setting.name);
                let line = words(&["locket", "get", &flag, "env://A"]);
                let matches = parse(&line, Style::Plain).unwrap();
                let id = format!("{}.{}", section.prefix, setting.name);
                let (_, matches) = matches.subcommand().unwrap();
                assert_eq!(matches.get_one::<String>(&id).unwrap(), "x", "{flag}");
            }
        }
    }
    let matches = parse(&words(&["locket", "get", "env://A"]), Style::Plain).unwrap();
    let (_, matches) = matches.subcommand().unwrap();
    assert!(
        matches.try_get_one::<String>("bao.url").is_err(),
        "it was not made"
    );
    let help = parse(&words(&["locket", "get", "--help"]), Style::Plain).unwrap_err();
    assert!(help.to_string().contains("--bao.url"), "{help}");
}

#[test]
fn every_shell_completes_every_command_and_setting() {
    for shell in <clap_complete::Shell as clap::ValueEnum>::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut parser(Style::Plain), "locket", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in [
            "healthcheck",
            "completions",
            "inject-failure-policy",
            "connect.token-file",
            "one-shot",
        ] {
            assert!(script.contains(word), "{shell} {word}");
        }
        assert!(
            !script.contains("connect.token "),
            "{shell} offers what is refused"
        );
    }
}

#[test]
fn a_credential_on_the_command_line_is_refused_and_not_repeated() {
    let mut walked = 0;
    for section in providers::sections() {
        for setting in &section.settings {
            let Some(name) = providers::literal_name(setting) else {
                continue;
            };
            for flag in [
                format!("--{}.{name}", section.prefix),
                format!("--{}-{name}", section.prefix),
            ] {
                for line in [
                    vec![format!("{flag}=s3cret")],
                    vec![flag.clone(), "s3cret".to_owned()],
                ] {
                    let line = ["locket", "run"].map(str::to_owned).into_iter().chain(line);
                    let refused = parser(Style::Plain).try_get_matches_from(line).unwrap_err();
                    let failure = answer(&refused, Style::Plain).unwrap_err();
                    let drawn = failure.draw(Style::Plain);
                    assert!(
                        drawn.contains("does not belong on the command line"),
                        "{flag}: {drawn}"
                    );
                    assert!(
                        drawn.contains(&format!("--{}.{}", section.prefix, setting.name)),
                        "{drawn}"
                    );
                    assert!(!drawn.contains("s3cret"), "{drawn}");
                }
            }
            walked += 1;
        }
    }
    assert!(walked > 2, "{walked}");
}

#[test]
fn every_command_that_a_build_may_lack_is_known_by_name() {
    for command in COMMANDS {
        let is_always_there = ["run", "inject", "healthcheck"].contains(&command.name);
        let is_known = KNOWN.iter().any(|(name, _)| *name == command.name);
        assert!(is_known != is_always_there, "{}", command.name);
    }
}
