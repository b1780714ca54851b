//! What messages show of texts that may hold a credential, and what they say of what is dropped.

use super::{ProgramSettings, WORK, refused};
use crate::context::Style;
use crate::testing;

/// Addresses that are refused, and what may be a credential in them.
const ADDRESSES: [&str; 4] = [
    "http:https://user:hunter2@hooks.example.com/x",
    "https://user:hunter2@hooks.example.com/x",
    "http:user:hunter2@hooks.example.com",
    "https://hooks.example.com/hunter2 x",
];

#[test]
fn an_address_that_is_refused_is_told_without_its_credentials_whoever_gave_it() {
    for address in ADDRESSES {
        let list = format!("exec:true;{address};container:web:HPU");
        let map = format!("/a:/b:notify={address},mode=0440");
        let of_file = |key: &str| format!("{WORK}{key} = {address:?}\n");
        let notify = format!("{WORK}[[notify]]\naction = {address:?}\n");
        let named = format!("{WORK}notify = ['x', '{address}']\n");
        for told in [
            refused(&["--notify", address], &[], WORK),
            refused(&["--map", &map], &[], ""),
            refused(&[], &[("LOCKET_NOTIFY", address)], WORK),
            refused(&[], &[("LOCKET_NOTIFY", &list)], WORK),
            refused(&[], &[("SECRET_MAP", &format!("/c:/d;{map}"))], ""),
            refused(&[], &[], &of_file("notify")),
            refused(&[], &[], &notify),
            refused(&[], &[], &named),
        ] {
            assert!(!told.contains("hunter"), "{told}");
            assert!(told.contains("address"), "{told}");
        }
    }
    let told = refused(&["--notify", ADDRESSES[0]], &[], WORK);
    assert!(
        told.contains("@hooks.example.com"),
        "the host is no secret: {told}"
    );
    let list = format!("{};container:web:HPU", ADDRESSES[0]);
    let told = refused(&[], &[("LOCKET_NOTIFY", &list)], WORK);
    assert!(told.contains("container:web:HPU"), "the others are shown: {told}");
}

#[test]
fn a_list_of_values_with_a_mistake_is_told_without_them() {
    for list in [
        "db_pass=hunter2;x",
        "db_pass=hunter2;hunter=2;x",
        "db_pass={{ op://v/a }}hunter2;x y",
        "hunter2;db_pass=hunter2",
    ] {
        for variable in ["SECRET_VALUES", "LOCKET_SECRETS"] {
            let told = refused(&[], &[(variable, list)], WORK);
            assert!(told.contains("1 | "), "{told}");
            assert!(!told.contains("hunter"), "{told}");
            assert_eq!(told.contains("db_pass="), list.starts_with("db_pass"), "{told}");
            assert_eq!(told.contains("{{ op://v/a }}"), list.contains("{{"), "{told}");
        }
        let told = program(&[], &[("LOCKET_ENV", &list.replace("x", "1x=hunter2"))], "").unwrap_err();
        assert!(!told.contains("hunter"), "{told}");
    }
}

/// What is said of the variables of a program.
fn program(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("1a=b.env"), "A=1").unwrap();
    let words: Vec<_> = ["env"].iter().chain(flags).copied().collect();
    let (matches, context) = (
        testing::matches(&words),
        testing::context(directory.path(), variables),
    );
    if !toml.is_empty() {
        std::fs::write(directory.path().join("locket.toml"), toml).unwrap();
    }
    crate::settings::load_quietly(&matches, &context, |layers| {
        ProgramSettings::settle(layers, &matches, &context)
    })
    .map(drop)
    .map_err(|failure| failure.draw(Style::Plain))
}

#[test]
fn a_variable_with_a_mistake_in_its_name_is_no_file_and_its_value_is_not_told() {
    for text in ["MY KEY=hunter2", "1A=hunter2", "\u{fc}=hunter2", "=hunter2"] {
        let toml = format!("[exec]\nenv = [{text:?}]\n");
        for told in [
            program(&["-e", text], &[], ""),
            program(&[], &[("LOCKET_ENV", text)], ""),
            program(&[], &[("LOCKET_ENV_FILE", text)], ""),
            program(&[], &[], &toml),
        ] {
            let told = told.unwrap_err();
            assert!(told.contains("this names no"), "{told}");
            assert!(!told.contains("hunter"), "{told}");
        }
    }
    for file in ["1a=b.env", "none.env"] {
        assert_eq!(program(&["-e", file], &[("LOCKET_ENV_FILE", file)], ""), Ok(()));
    }
}

#[test]
fn the_second_variable_of_a_list_is_told_as_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--file-mode", "0440"];
    let told = |variables: &[(&str, &str)]| testing::notices(directory.path(), &flags, variables, "");
    assert_eq!(
        told(&[
            ("SECRET_VALUES", "one=x"),
            ("LOCKET_SECRETS", "two=hunter2;three=y")
        ]),
        ["secret: SECRET_VALUES replaces what LOCKET_SECRETS says: two, three"]
    );
    assert_eq!(
        told(&[("SECRET_VALUES", "one=x"), ("LOCKET_SECRETS", "two=\"hunter2")]),
        ["secret: SECRET_VALUES replaces what LOCKET_SECRETS says: a list with mistakes"]
    );
    assert!(told(&[("LOCKET_SECRETS", "two=x")]).is_empty());
}
