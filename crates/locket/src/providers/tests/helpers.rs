//! Helper programs, which only a table of their own makes.

use super::*;

/// A helper program with everything that it can be told.
const HELPER: &str = "[providers.team]
type = 'exec'
command = ['./helpers/team', '-v', './data']
env = { TEAM_URL = 'https://a.example', RETRIES = 3 }
pass-env = ['TEAM_TOKEN']
timeout = '7s'
batch-size = 7
max-concurrent = 2
daily-budget = 70
";

#[test]
fn every_setting_of_a_helper_is_honoured_in_its_table() {
    let kind = ProviderKind::by_name("exec").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let subject = Subject::Instance("team");
    let settle = |layers: &mut Layers<'_>, _: &Context| gather(layers, Choice::default(), kind, subject);
    let gathered = testing::settled(directory.path(), &[], &[], HELPER, settle).unwrap_or_default();
    let settings = gathered.settings;
    let program = directory
        .path()
        .join("./helpers/team")
        .to_string_lossy()
        .into_owned();
    assert_eq!(settings.list("command"), [program.as_str(), "-v", "./data"]);
    assert_eq!(settings.list("pass-env"), ["TEAM_TOKEN"]);
    let env: Vec<_> = settings.table("env").collect();
    assert_eq!(env, [("RETRIES", "3"), ("TEAM_URL", "https://a.example")]);
    assert_eq!(settings.duration("timeout"), Ok(Some(Duration::from_secs(7))));
    assert_eq!(settings.count("batch-size"), Ok(Some(7)));
    let limits = (gathered.limits.max_concurrent, gathered.limits.daily_budget);
    assert_eq!(limits, (Some(2), Some(70)));
    assert_eq!(kind.all_settings().count(), 7, "each of them is looked at");
}

#[test]
fn a_helper_has_a_name_of_its_own_and_no_flags() {
    let drawn = complaints(&[], &[], "[providers.exec]\ntype = 'exec'\ncommand = 'true'\n");
    assert!(
        drawn.contains("`exec` is the type, and names no instance of it"),
        "{drawn}"
    );
    let drawn = complaints(&[], &[], "[exec]\ncommand = 'true'\n");
    assert!(drawn.contains("has no key `command`"), "{drawn}");
    assert!(!testing::is_accepted(&["run", "--exec.command=true"]));
    assert_eq!(complaints(&[], &[], HELPER), "");
}

#[test]
fn what_helpers_are_told_is_checked_where_it_stands_and_no_variable_of_theirs_is_shown() {
    let drawn = complaints(
        &[],
        &[],
        "[providers.team]
type = 'exec'
command = ['true', 1]
env = { TOKEN = 'canary-4f7a', command = ['canary-4f7a'], timeout = true }
pass-env = { a = 'b' }
timeout = 'soon'
comand = 'true'
",
    );
    for told in [
        "`command` wants a text, not a number",
        "`command` wants a text, not an array",
        "`timeout` wants a text, not a truth value",
        "`pass-env` wants a text, not a table",
        "`soon` is not a duration",
        "Did you mean `command`?",
    ] {
        assert!(drawn.contains(told), "{told} is missing in:\n{drawn}");
    }
    assert!(!drawn.contains("canary"), "{drawn}");
}

#[test]
fn a_helper_is_reached_by_its_name_and_behind_exec() {
    let directory = tempfile::tempdir().unwrap();
    let settle = |layers: &mut Layers<'_>, context: &Context| settle(layers, TIMEOUT).instances(context);
    let table = format!("{HELPER}[providers.prod]\ntype = 'bao'\nurl = 'http://127.0.0.1:1'\n");
    let instances = testing::settled(directory.path(), &[], &[], &table, settle)
        .unwrap_or_else(|failure| panic!("{}", failure.draw(Style::Plain)));
    let key = |text: &str| match Reference::parse(text, 0, Position::Tag, instances.schemes()) {
        Parsed::Reference(reference) => instances.locate(&reference).map_err(|found| found[0].clone()),
        other => panic!("{text} is {other:?}"),
    };
    let direct = key("team://db/password?version=3").unwrap();
    assert_eq!(direct, key("exec://team/db/password?version=3").unwrap());
    assert_eq!(
        (&*direct.instance, direct.locator.item()),
        ("team", "db/password\0version\x003")
    );
    let near = key("exec://taem/db").unwrap_err();
    assert_eq!(near.help.as_deref(), Some("Did you mean `team`?"));
    let other = key("exec://prod/kv/app/password").unwrap_err();
    assert!(
        other
            .message
            .contains("no provider `prod` is configured for `exec://`"),
        "{other:?}"
    );
    assert_eq!(other.help.as_deref(), Some("There are `team`."));
    assert!(key("exec://team").is_err() && key("exec://team/").is_err());
}
