//! Which provider a token file goes to when layers name several.

use super::*;
use crate::options::Notice;

type Variables<'a> = &'a [(&'a str, &'a str)];

/// What the layers come to: for each of these instances where its token comes from, and what is told loudly.
struct Outcome {
    connect: Vec<String>,
    bao: Vec<String>,
    op: Vec<String>,
    warnings: Vec<String>,
    hints: Vec<String>,
}

fn outcome(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    outcome_in(directory.path(), flags, variables, toml)
}

fn outcome_in(directory: &Path, flags: &[&str], variables: &[(&str, &str)], toml: &str) -> Outcome {
    let settled = |layers: &mut Layers<'_>, _: &Context| {
        let settings = settle(layers, TIMEOUT);
        let tokens = |name: &str, kind: &str| -> Vec<String> {
            let of_kind = settings
                .describe()
                .any(|described| described.name == name && described.kind.name == kind);
            let credentials = settings.credentials(name).filter(|_| of_kind);
            credentials.map(|(_, origin)| origin.to_string()).collect()
        };
        let told = |loud: bool| {
            let told = layers.notices.iter().filter_map(|notice| match notice {
                Notice::Warning(text) if loud => Some(text.clone()),
                Notice::Info(text) if !loud => Some(text.clone()),
                _ => None,
            });
            told.collect()
        };
        Outcome {
            connect: tokens("op", "op-connect"),
            bao: tokens("bao", "bao"),
            op: tokens("op", "op"),
            warnings: told(true),
            hints: told(false),
        }
    };
    match testing::settled(directory, flags, variables, toml, settled) {
        Ok(outcome) => outcome,
        Err(failure) => panic!("{flags:?} {variables:?} {toml}: {}", failure.draw(Style::Plain)),
    }
}

const CONNECT: &str = "[run]\nprovider = 'op-connect'\ntoken-file = '/connect.tok'\n";

#[test]
fn a_token_file_is_not_sent_to_a_provider_that_a_stronger_layer_chooses() {
    // As they stand, the layers agree.
    assert_eq!(outcome(&[], &[], CONNECT).connect, ["locket.toml:3"]);
    let chosen_in: [(&[&str], Variables<'_>); 2] =
        [(&["--provider=bao"], &[]), (&[], &[("SECRETS_PROVIDER", "bao")])];
    for (flags, variables) in chosen_in {
        let other = outcome(flags, variables, CONNECT);
        assert!(other.bao.is_empty(), "{flags:?} {variables:?}: {:?}", other.bao);
        assert!(
            matches!(&other.warnings[..], [told] if told.contains("locket.toml:3")
                && told.contains("`op-connect`") && told.contains("`bao.token-file`")),
            "{:?}",
            other.warnings
        );
        let own = [variables, &[("BAO_TOKEN", "t")]].concat();
        let equipped = outcome(flags, &own, CONNECT);
        assert_eq!(equipped.bao, ["BAO_TOKEN"]);
        assert!(equipped.warnings.is_empty() && equipped.hints.len() == 1);
    }
    let variables = [
        ("SECRETS_PROVIDER", "op-connect"),
        ("LOCKET_TOKEN_FILE", "/connect.tok"),
    ];
    assert_eq!(outcome(&[], &variables, "").connect, ["LOCKET_TOKEN_FILE"]);
    let other = outcome(&["--provider=bao"], &variables, "");
    assert!(other.bao.is_empty(), "{:?}", other.bao);
    assert!(
        matches!(&other.warnings[..], [told] if told.contains("LOCKET_TOKEN_FILE")),
        "{:?}",
        other.warnings
    );
    // The choice of a provider without a token is no mistake of whoever wrote the file.
    let none = outcome(&["--provider=env"], &[], CONNECT);
    assert!(none.warnings.is_empty() && none.hints.len() == 1);
}

#[test]
fn a_token_file_counts_for_the_provider_that_its_own_layer_or_a_weaker_one_names() {
    let preset = [("SECRETS_PROVIDER", "op-connect")];
    let token = [("LOCKET_TOKEN_FILE", "/t")];
    let named = "[run]\nprovider = 'op-connect'\n";
    let alone = "[run]\ntoken-file = '/t'\n";
    let connect: [(&[&str], Variables<'_>, &str, &str); 8] = [
        (
            &["--provider=op-connect", "--token-file=/t"],
            &[],
            "",
            "--token-file",
        ),
        (&["--token-file=/t"], &preset, "", "--token-file"),
        (&["--token-file=/t"], &[], named, "--token-file"),
        (&[], &[preset[0], token[0]], "", "LOCKET_TOKEN_FILE"),
        (&[], &token, named, "LOCKET_TOKEN_FILE"),
        (&[], &[], CONNECT, "locket.toml:3"),
        // An image that presets the provider, and a token that names none.
        (&[], &preset, alone, "locket.toml:2"),
        (&["--provider=op-connect"], &token, "", "LOCKET_TOKEN_FILE"),
    ];
    for (flags, variables, toml, from) in connect {
        let found = outcome(flags, variables, toml);
        assert_eq!(found.connect, [from], "{flags:?} {variables:?} {toml}");
        assert!(found.warnings.is_empty() && found.hints.is_empty());
    }
    // A token that names nobody was meant for the next provider above it, not for one that is chosen over that.
    let over = outcome(&["--provider=bao"], &preset, alone);
    assert!(over.bao.is_empty() && over.warnings.len() == 1);
    // What is passed over lets a weaker layer speak.
    let variables = [preset[0], token[0]];
    let own = "[run]\nprovider = 'bao'\ntoken-file = '/bao.tok'\n";
    assert_eq!(
        outcome(&["--provider=bao"], &variables, own).bao,
        ["locket.toml:3"]
    );
}

#[test]
fn a_token_variable_that_is_no_text_is_told_of_whoever_is_chosen() {
    use std::os::unix::ffi::OsStringExt;
    let directory = tempfile::tempdir().unwrap();
    for provider in [None, Some("--provider=bao")] {
        for (bytes, problems) in [(b"/t".to_vec(), usize::from(provider.is_none())), (vec![0xff], 1)] {
            let mut context = testing::context(directory.path(), &[]);
            let text = std::ffi::OsString::from_vec(bytes);
            context.environment = [("LOCKET_TOKEN_FILE", text)].into_iter().collect();
            let line: Vec<_> = ["run"].into_iter().chain(provider).collect();
            let matches = testing::matches(&line);
            let layers = &mut Layers::new(&matches, &context, &[]);
            settle(layers, TIMEOUT);
            assert_eq!(layers.problems.len(), problems, "{:?}", layers.problems);
        }
    }
}

#[test]
fn a_token_file_of_one_configuration_file_is_not_sent_to_the_provider_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    file("low.toml", CONNECT);
    file("bao.toml", "[run]\nprovider = 'bao'\n");
    file("both.toml", "[run]\nprovider = 'bao'\ntoken-file = '/bao.tok'\n");
    let of = |names: [&str; 2]| {
        let flags = names.map(|name| format!("--config={name}"));
        outcome_in(directory.path(), &[&flags[0], &flags[1]], &[], "")
    };
    let passed = of(["low.toml", "bao.toml"]);
    assert!(passed.bao.is_empty() && passed.warnings.len() == 1);
    assert_eq!(of(["low.toml", "both.toml"]).bao, ["both.toml:3"]);
    assert_eq!(of(["bao.toml", "low.toml"]).connect, ["low.toml:3"]);
}

#[test]
fn the_token_of_a_service_account_is_not_lent_by_a_layer_that_chose_its_provider() {
    let own = "[run]\nprovider = 'op'\n[op]\ntoken-file = '/op.tok'\n";
    assert_eq!(outcome(&[], &[], own).op, ["locket.toml:4"]);
    let kept = outcome(&["--provider=op-connect"], &[], own);
    assert!(kept.connect.is_empty(), "{:?}", kept.connect);
    assert!(
        matches!(&kept.warnings[..], [told] if told.contains("locket.toml:4")),
        "{:?}",
        kept.warnings
    );
    let unnamed = "[op]\ntoken-file = '/op.tok'\n";
    let lent = outcome(&["--provider=op-connect"], &[], unnamed);
    assert_eq!(lent.connect, ["locket.toml:2"]);
    assert!(lent.warnings.is_empty());
    let flags = ["--provider=op-connect", "--op.token-file=/op.tok"];
    assert_eq!(outcome(&flags, &[], own).connect, ["--op.token-file"]);
}
