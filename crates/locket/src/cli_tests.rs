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
        for section in crate::providers::sections() {
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
