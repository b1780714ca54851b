//! Every provider setting in every layer, and credentials that come from elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::schemes::Fragment;
use locket_core::template::TemplateOptions;
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError, Reference,
    SecretBytes,
};
use locket_engine::{Instances, once};
use locket_providers::{Credential, ProviderKind, SchemeSpec, Setting, SettingKind};

use super::choice::Choice;
use super::gather::{Gathered, Subject, gather};
use super::instances::{ProviderSettings, settle};
use super::sections::{kinds, literal_name, loans, sections};
use crate::context::{Context, Style};
use crate::options::Layers;
use crate::testing;

mod borrowed;
mod helpers;
mod meant;

use borrowed::{FIRST, SECOND};

const TIMEOUT: Duration = Duration::from_secs(5);

fn gathered(
    kind: &ProviderKind,
    subject: Subject<'_>,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
) -> Gathered {
    let directory = tempfile::tempdir().unwrap();
    let settle = |layers: &mut Layers<'_>, _: &Context| gather(layers, Choice::default(), kind, subject);
    match testing::settled(directory.path(), flags, variables, toml, settle) {
        Ok(gathered) => gathered,
        Err(failure) => panic!("{}", failure.draw(Style::Plain)),
    }
}

fn complaints(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let settle = |layers: &mut Layers<'_>, _: &Context| settle(layers, TIMEOUT);
    match testing::settled(directory.path(), flags, variables, toml, settle) {
        Ok(_) => String::new(),
        Err(failure) => failure.draw(Style::Plain),
    }
}

/// What a setting came to: its text, or what kind of credential it is.
fn shown(gathered: &Gathered, setting: &Setting) -> Option<String> {
    let text = gathered.settings.text(setting.name).map(str::to_owned);
    let credential = gathered.settings.credential(setting.name);
    text.or_else(|| credential.map(|credential| format!("{credential:?}")))
}

fn example(setting: &Setting) -> &'static str {
    match setting.kind {
        SettingKind::Text => "text",
        SettingKind::Choice(words) => words[0],
        SettingKind::Path | SettingKind::CredentialPath | SettingKind::Credential => "/a/file",
        SettingKind::Duration => "7s",
        SettingKind::Count => "7",
        SettingKind::Command | SettingKind::List | SettingKind::Table => {
            panic!(
                "{}: only what is made by its table alone can be told this",
                setting.name
            )
        }
    }
}

#[test]
fn every_setting_is_honoured_in_every_layer() {
    let mut walked = 0;
    for kind in kinds().iter().filter(|kind| !kind.named_only) {
        let scheme = kind.schemes[0].name;
        for setting in kind.all_settings() {
            let text = example(setting);
            let expected = match setting.kind {
                SettingKind::Credential => "File(\"/a/file\")".to_owned(),
                _ => text.to_owned(),
            };
            let name = format!("{}.{}", kind.prefix, setting.name);
            let expect = |subject, flags: &[&str], variables: &[(&str, &str)], toml: &str| {
                let gathered = gathered(kind, subject, flags, variables, toml);
                assert_eq!(
                    shown(&gathered, setting),
                    Some(expected.clone()),
                    "{name} {flags:?} {variables:?} {toml}"
                );
            };
            let own = Subject::Scheme(scheme);
            expect(own, &[&format!("--{name}={text}")], &[], "");
            expect(
                own,
                &[&format!("--{}-{}={text}", kind.prefix, setting.name)],
                &[],
                "",
            );
            expect(
                own,
                &[],
                &[],
                &format!("[{}]\n{} = '{text}'\n", kind.prefix, setting.name),
            );
            let table = |name: &str| {
                format!(
                    "[providers.{name}]\ntype = '{}'\n{} = '{text}'\n",
                    kind.name, setting.name
                )
            };
            expect(own, &[], &[], &table(scheme));
            expect(Subject::Instance("other"), &[], &[], &table("other"));
            for variable in setting.env {
                if setting.kind == SettingKind::Credential {
                    expect(own, &[], &[(&format!("{variable}_FILE"), text)], "");
                    let by_value = gathered(kind, own, &[], &[(variable, "s3cret")], "");
                    let Some(Credential::Value(value)) = by_value.settings.credential(setting.name) else {
                        panic!("{variable} gives no value");
                    };
                    assert!(value.matches(b"s3cret"), "{variable}");
                } else {
                    expect(own, &[], &[(variable, text)], "");
                }
            }
            let nothing = gathered(kind, own, &[], &[], "");
            assert_eq!(shown(&nothing, setting), None, "{name} is not set by itself");
            walked += 1;
        }
    }
    assert!(walked > 10, "the registry has settings: {walked}");
}

#[test]
fn a_setting_follows_flag_then_variable_then_own_table_then_section() {
    let kind = ProviderKind::by_name("store").unwrap();
    let toml = "[store]\nfile = '/section'\n[providers.store]\ntype = 'store'\nfile = '/own'\n";
    let file = |flags: &[&str], variables: &[(&str, &str)], toml: &str| {
        let gathered = gathered(kind, Subject::Scheme("store"), flags, variables, toml);
        gathered.settings.text("file").unwrap().to_owned()
    };
    let variable = [("LOCKET_STORE_FILE", "/variable")];
    assert_eq!(file(&["--store.file=/flag"], &variable, toml), "/flag");
    assert_eq!(file(&[], &variable, toml), "/variable");
    assert_eq!(file(&[], &[], toml), "/own");
    assert_eq!(file(&[], &[], "[store]\nfile = '/section'\n"), "/section");
}

#[test]
fn a_named_instance_hears_neither_flags_nor_variables_nor_its_section() {
    let kind = ProviderKind::by_name("op-connect").unwrap();
    let toml =
        "[connect]\nhost = 'http://section'\n[providers.prod]\ntype = 'op-connect'\nhost = 'http://prod'\n";
    let flags = ["--connect.token-file=/flag", "--connect.host=http://flag"];
    let variables = [
        ("OP_CONNECT_TOKEN", "t0ken"),
        ("OP_CONNECT_HOST", "http://variable"),
    ];
    let prod = gathered(kind, Subject::Instance("prod"), &flags, &variables, toml);
    assert_eq!(prod.settings.text("host"), Some("http://prod"));
    assert!(
        prod.settings.credential("token-file").is_none(),
        "a token meant for another server"
    );
    let own = gathered(kind, Subject::Scheme("op"), &flags, &variables, toml);
    assert_eq!(
        own.settings.text("host"),
        Some("http://flag"),
        "the scheme itself hears them"
    );
}

#[test]
fn a_variable_and_its_file_form_are_one_too_many_when_the_provider_is_used() {
    let kind = ProviderKind::by_name("op-connect").unwrap();
    let variables = [("OP_CONNECT_TOKEN", "t0ken"), ("OP_CONNECT_TOKEN_FILE", "/file")];
    let error = gathered(kind, Subject::Scheme("op"), &[], &variables, "")
        .error
        .unwrap();
    assert_eq!(
        error.message,
        "both OP_CONNECT_TOKEN and OP_CONNECT_TOKEN_FILE are set"
    );
    let flag = ["--connect.token-file=/flag"];
    assert_eq!(
        gathered(kind, Subject::Scheme("op"), &flag, &variables, "").error,
        None,
        "a flag decides"
    );
    assert_eq!(complaints(&[], &variables, ""), "", "nobody uses it");
}

#[test]
fn a_wrong_text_is_told_where_it_stands() {
    let drawn = complaints(
        &["--connect.timeout=soon", "--connect.max-concurrent=0"],
        &[],
        "[connect]\ndaily-budget = 'lots'\ntimeout = 3\n[providers.x]\ntype = 'op-connect'\nproxi = 'none'\n",
    );
    insta::assert_snapshot!(drawn);
}

#[test]
fn a_wrong_variable_matters_only_to_who_reads_it() {
    for kind in kinds() {
        for setting in kind.all_settings() {
            let is_checked = matches!(
                setting.kind,
                SettingKind::Choice(_) | SettingKind::Duration | SettingKind::Count
            );
            for variable in setting.env.iter().filter(|_| is_checked) {
                let variables = [(*variable, "!")];
                let error = gathered(kind, Subject::Scheme(kind.schemes[0].name), &[], &variables, "").error;
                assert!(error.unwrap().message.contains(variable));
                assert_eq!(complaints(&[], &variables, ""), "");
            }
        }
    }
}

#[test]
fn a_variable_that_is_no_text_matters_only_to_who_reads_it() {
    use std::os::unix::ffi::OsStringExt;
    let directory = tempfile::tempdir().unwrap();
    let mut context = testing::context(directory.path(), &[]);
    let broken = std::ffi::OsString::from_vec(vec![0xff]);
    context.environment = [("OP_CONNECT_TOKEN", broken.clone()), ("LOCKET_MODE", broken)]
        .into_iter()
        .collect();
    let matches = testing::matches(&["run"]);
    let layers = &mut Layers::new(&matches, &context, &[]);
    let kind = ProviderKind::by_name("op-connect").unwrap();
    let error = gather(layers, Choice::default(), kind, Subject::Scheme("op"))
        .error
        .unwrap();
    assert_eq!(error.message, "OP_CONNECT_TOKEN: the value is not UTF-8");
    settle(layers, TIMEOUT);
    assert_eq!(layers.problems, []);
    layers.text(&crate::options::table::MODE);
    assert_eq!(layers.problems.len(), 1, "an option is read by everybody");
}

#[test]
fn a_credential_in_the_configuration_is_refused_and_not_shown() {
    for section in sections() {
        for setting in &section.settings {
            let Some(name) = literal_name(setting) else {
                continue;
            };
            for toml in [
                format!("[{}]\n{name} = 's3cret'\n", section.prefix),
                format!("[{}]\n{name} = '''\ns3cret\n'''\n", section.prefix),
                format!(
                    "{} = {{ {name} = 's3cret', nonsense = 'pa55word' }}\n",
                    section.prefix
                ),
            ] {
                let drawn = complaints(&[], &[], &toml);
                assert!(
                    drawn.contains("credential does not belong into a configuration file"),
                    "{drawn}"
                );
                assert!(
                    !drawn.contains("s3cret") && !drawn.contains("pa55word"),
                    "{drawn}"
                );
            }
        }
    }
}

#[test]
fn a_misspelt_credential_is_not_shown_either() {
    let drawn = complaints(
        &[],
        &[],
        "[connect]\ntokn = 's3cret'\n[conect]\ntoken = 's3cret'\n",
    );
    assert!(
        drawn.contains("Did you mean `token`?") && drawn.contains("Did you mean `connect`?"),
        "{drawn}"
    );
    assert!(!drawn.contains("s3cret"), "{drawn}");
}

#[test]
fn a_credential_is_given_once() {
    let drawn = complaints(&[], &[], "[connect]\ntoken = 'file:///t'\ntoken-file = '/t'\n");
    assert!(drawn.contains("given twice"), "{drawn}");
}

#[test]
fn token_file_belongs_to_the_chosen_provider() {
    let directory = tempfile::tempdir().unwrap();
    let token = |flags: &[&str], variables: &[(&str, &str)], toml: &str| {
        let kind = ProviderKind::by_name("op-connect").unwrap();
        let settle = |layers: &mut Layers<'_>, _: &Context| {
            gather(layers, Choice(Some(kind)), kind, Subject::Scheme("op"))
        };
        let gathered = testing::settled(directory.path(), flags, variables, toml, settle).unwrap();
        gathered
            .settings
            .credential("token-file")
            .map(|credential| format!("{credential:?}"))
    };
    let file = |path: &Path| Some(format!("File({path:?})"));
    assert_eq!(
        token(&["--token-file=t"], &[], ""),
        file(&directory.path().join("t"))
    );
    assert_eq!(
        token(&[], &[("LOCKET_TOKEN_FILE", "/t")], ""),
        file(Path::new("/t"))
    );
    assert_eq!(
        token(&[], &[], "[run]\ntoken-file = '/t'\n"),
        file(Path::new("/t"))
    );
    let both = [("LOCKET_TOKEN_FILE", "/t"), ("OP_CONNECT_TOKEN_FILE", "/own")];
    assert_eq!(
        token(&[], &both, ""),
        file(Path::new("/own")),
        "its own variable knows better"
    );

    let chosen = "--provider=op-connect";
    for (flags, told) in [
        (vec!["--token-file=t"], "not said whose token this is"),
        (vec!["--token-file=t", "--provider=env"], "takes no token"),
        (
            vec!["--token-file=t", "--provider=op-conect"],
            "no provider `op-conect`",
        ),
        (
            vec!["--token-file=t", chosen, "--connect.token-file=u"],
            "gives this token, too",
        ),
    ] {
        let drawn = complaints(&flags, &[], "");
        assert!(drawn.contains(told), "{flags:?}: {drawn}");
    }
    assert_eq!(complaints(&["--token-file=t", chosen], &[], ""), "");
}

#[test]
fn op_token_file_serves_connect_when_that_is_chosen_and_has_none_of_its_own() {
    let loan = loans().next().unwrap();
    assert_eq!((loan.prefix, loan.to), ("op", "op-connect"));
    let kind = ProviderKind::by_name("op-connect").unwrap();
    let token = |choice: Choice, flags: &[&str], variables: &[(&str, &str)], toml: &str| {
        let directory = tempfile::tempdir().unwrap();
        let settle =
            |layers: &mut Layers<'_>, _: &Context| gather(layers, choice, kind, Subject::Scheme("op"));
        let gathered = testing::settled(directory.path(), flags, variables, toml, settle).unwrap();
        gathered
            .settings
            .credential("token-file")
            .map(|credential| format!("{credential:?}"))
    };
    let chosen = Choice(Some(kind));
    let lent = Some("File(\"/op\")".to_owned());
    assert_eq!(token(chosen, &["--op.token-file=/op"], &[], ""), lent);
    assert_eq!(token(chosen, &["--op-token-file=/op"], &[], ""), lent);
    assert_eq!(token(chosen, &[], &[], "[op]\ntoken-file = '/op'\n"), lent);
    assert_eq!(token(Choice::default(), &["--op.token-file=/op"], &[], ""), None);
    let own = [("OP_CONNECT_TOKEN_FILE", "/own")];
    assert_eq!(
        token(chosen, &["--op.token-file=/op"], &own, ""),
        Some("File(\"/own\")".to_owned())
    );

    assert_eq!(complaints(&["--op.token-file=/op"], &[], ""), "");
    assert_eq!(complaints(&[], &[], "[op]\ntoken-file = '/op'\n"), "");
    assert_eq!(
        complaints(&["--op.token-file=/op", "--provider=op-connect"], &[], ""),
        ""
    );
    assert_eq!(
        complaints(
            &["--op.token-file=/op"],
            &[("SECRETS_PROVIDER", "op-connect")],
            ""
        ),
        ""
    );
}

#[test]
fn an_unknown_provider_comes_with_the_near_one() {
    let drawn = complaints(&["--provider", "op-conect"], &[], "");
    assert!(drawn.contains("Did you mean `op-connect`?"), "{drawn}");
    assert!(complaints(&[], &[("SECRETS_PROVIDER", "nonsense")], "").contains("SECRETS_PROVIDER"));
    assert!(complaints(&[], &[], "[run]\nprovider = 'nonsense'\n").contains("locket.toml:2"));
}

#[test]
fn instances_have_names_that_nothing_else_has() {
    for (name, told) in [
        ("https", "other programs use"),
        ("bws", "belongs to another type"),
        ("env", "belongs to another type"),
        ("'a b'", "cannot stand before"),
        ("1st", "cannot stand before"),
    ] {
        let drawn = complaints(&[], &[], &format!("[providers.{name}]\ntype = 'store'\n"));
        assert!(drawn.contains(told), "{name}: {drawn}");
    }
    for name in ["prod", "store", "my-store.v2"] {
        let quoted = format!("[providers.'{name}']\ntype = 'store'\n");
        assert_eq!(complaints(&[], &[], &quoted), "", "{name}");
    }
    assert!(complaints(&[], &[], "[providers.prod]\ntype = 'stor'\n").contains("Did you mean `store`?"));
    assert!(complaints(&[], &[], "[providers.prod]\n").contains("has no `type`"));
    assert!(complaints(&[], &[], "[providers]\nprod = 'store'\n").contains("[providers.prod]"));
}

#[test]
fn providers_that_wait_for_each_other_are_refused() {
    let table =
        |name: &str, identity: &str| format!("[providers.{name}]\ntype = 'store'\nidentity = '{identity}'\n");
    let circle = [
        table("a", "b://x"),
        table("b", "{{ c://x | trim }}"),
        table("c", "a://x"),
    ]
    .concat();
    let drawn = complaints(&[], &[], &circle);
    for name in ["a", "b", "c"] {
        assert!(
            drawn.contains(&format!("`{name}://` would need its own secrets")),
            "{drawn}"
        );
    }
    assert!(complaints(&[], &[], &table("a", "a://x")).contains("would need its own secrets"));
    let chain = [table("a", "b://x"), table("b", "file:///key")].concat();
    assert_eq!(complaints(&[], &[], &chain), "", "a chain is no circle");
}

#[test]
fn the_chosen_provider_serves_its_scheme_else_the_one_with_credentials() {
    let both: &[&'static ProviderKind] = &[&FIRST, &SECOND];
    let serves = |choice, equipped: &[&str]| {
        let (kind, others) = Choice(choice)
            .for_scheme("both", both, |kind| equipped.contains(&kind.name))
            .unwrap();
        (kind.name, others.len())
    };
    assert_eq!(serves(None, &[]), ("first", 0));
    assert_eq!(serves(None, &["second"]), ("second", 0));
    assert_eq!(serves(None, &["first", "second"]), ("first", 1));
    assert_eq!(serves(Some(&SECOND), &["first"]), ("second", 0));
}

#[test]
fn where_nobody_has_credentials_every_way_to_the_scheme_is_named() {
    let both: &[&'static ProviderKind] = &[&FIRST, &SECOND];
    let missing = |choice, kinds| Choice(choice).nobody_equipped("both", kinds);
    let error = missing(None, both).unwrap();
    let told = format!("{} {}", error.message, error.hint.unwrap());
    for kind in both {
        assert!(told.contains(kind.title), "{told}");
    }
    assert_eq!(missing(Some(&SECOND), both), None, "it is clear who is meant");
    assert_eq!(missing(None, &both[..1]), None, "there is no other way");
}

#[test]
fn programs_that_are_told_do_not_get_our_credentials() {
    let variables = [
        ("OP_CONNECT_TOKEN", "t"),
        ("OP_CONNECT_TOKEN_FILE", "f"),
        ("OP_CONNECT_HOST", "h"),
        ("PATH", "p"),
    ];
    let environment = variables.into_iter().collect();
    let left = super::without_credentials(&environment, &[]);
    let names: Vec<_> = left.names().map(|name| name.to_str().unwrap()).collect();
    assert_eq!(names, ["OP_CONNECT_HOST", "PATH"]);
}

#[test]
fn programs_get_no_variable_that_the_configuration_names_for_a_credential() {
    let variables = [
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_FEDERATED_TOKEN_FILE",
        "BAO_CACERT",
        "BAO_CLIENT_KEY",
        "MY_KEY",
        "MY_OTHER",
        "MY_TOKEN",
        "VAULT_CLIENT_KEY",
    ]
    .map(|name| (name, "v"));
    let toml = "[bao]\nurl = 'http://127.0.0.1:9'\ntoken = 'env://MY_TOKEN'\n\
                [bws]\ntoken = '{{ own://MY%5FKEY | trim }}'\n[providers.own]\ntype = 'env'\n";
    let directory = tempfile::tempdir().unwrap();
    let left = |toml: &str| {
        let settle = |layers: &mut Layers<'_>, _: &Context| settle(layers, TIMEOUT);
        let settings = testing::settled(directory.path(), &[], &variables, toml, settle).unwrap();
        let left = settings.without_credentials(&variables.into_iter().collect());
        let names = left.names().map(|name| name.to_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(left(toml), ["BAO_CACERT", "MY_OTHER"]);
    let untold = left("");
    assert_eq!(
        untold,
        ["BAO_CACERT", "MY_KEY", "MY_OTHER", "MY_TOKEN"],
        "the control"
    );
}

#[test]
fn credentials_of_the_service_manager_are_found_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let given = directory.path().join("credentials");
    std::fs::create_dir(&given).unwrap();
    for name in [
        "locket.bao.token",
        "locket.prod.token",
        "locket.bws.tokn",
        "other",
    ] {
        std::fs::write(given.join(name), "t").unwrap();
    }
    let given = given.to_str().unwrap();
    let toml =
        "[bao]\nurl = 'http://127.0.0.1:9'\n[providers.prod]\ntype = 'vault'\nurl = 'http://127.0.0.1:9'\n";
    let from = |variables: &[(&str, &str)], name: &str| {
        let settle = |layers: &mut Layers<'_>, _: &Context| settle(layers, TIMEOUT);
        let settings = testing::settled(directory.path(), &[], variables, toml, settle).unwrap();
        let origins = settings
            .credentials(name)
            .map(|(setting, origin)| format!("{setting} from {origin}"));
        origins.collect::<Vec<_>>()
    };
    let directed = [("CREDENTIALS_DIRECTORY", given)];
    assert_eq!(
        from(&directed, "bao"),
        ["token-file from the credential locket.bao.token"]
    );
    assert_eq!(
        from(&directed, "prod"),
        ["token-file from the credential locket.prod.token"]
    );
    let both = [("CREDENTIALS_DIRECTORY", given), ("BAO_TOKEN", "x")];
    assert_eq!(from(&both, "bao"), ["token-file from BAO_TOKEN"]);
    assert_eq!(
        from(&both, "prod"),
        ["token-file from the credential locket.prod.token"]
    );
    assert!(from(&[], "bao").is_empty() && from(&[("CREDENTIALS_DIRECTORY", "relative")], "bao").is_empty());
    let work = format!("[run]\nout = '/run/x'\n{toml}[[secret]]\nname = 'a'\ntemplate = '{{ file:///x }}'\n");
    let told = testing::notices(directory.path(), &[], &directed, &work);
    let about: Vec<_> = told.iter().filter(|text| text.contains("is nobody's")).collect();
    assert!(
        matches!(about[..], [text] if text.contains("locket.bws.tokn") && text.contains("is it locket.bws.token?")),
        "{told:?}"
    );
}

#[test]
fn a_reload_keeps_the_providers_that_were_told_the_same() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "t").unwrap();
    let bao = "[bao]\nurl = 'http://127.0.0.1:9'\n";
    let told = |toml: &str, variables: &[(&str, &str)]| {
        let settled = |layers: &mut Layers<'_>, context: &Context| {
            let settings = settle(layers, TIMEOUT);
            let instances = settings.instances(context);
            (settings, instances, context.clone())
        };
        match testing::settled(directory.path(), &[], variables, toml, settled) {
            Ok(settled) => settled,
            Err(failure) => panic!("{}", failure.draw(Style::Plain)),
        }
    };
    let token = [("BAO_TOKEN", "t")];
    let (before, running, _) = told(bao, &token);
    let made = ["bao", "file"].map(|name| running.provider(name).unwrap());
    let kept = |toml: &str, variables: &[(&str, &str)]| {
        let (settings, _, context) = told(toml, variables);
        let instances = settings.instances_after(&before, &running, &context);
        let now = ["bao", "file"].map(|name| instances.provider(name).unwrap());
        [0, 1].map(|index| Arc::ptr_eq(&now[index], &made[index]))
    };
    assert_eq!(kept(bao, &token), [true, true]);
    assert_eq!(kept(&format!("{bao}namespace = 'team'\n"), &token), [false, true]);
    assert_eq!(kept(bao, &[("BAO_TOKEN", "another")]), [false, true]);
    let file = directory.path().join("token").display().to_string();
    assert_eq!(kept(bao, &[("BAO_TOKEN_FILE", &file)]), [false, true]);
}
