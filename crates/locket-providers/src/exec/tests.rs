//! Helpers that are real programs, well behaved and not. What the suite asks of every provider is asked elsewhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::{ErrorKind, Fetched, Locator, Provider, ProviderError};
use locket_testkit::Capture;
use proptest::prelude::*;

use super::KIND;
use super::locator::HelperLocator;
use super::wire::{self, Content};
use crate::file::testing::reference;
use crate::testing::Fixture;

type Answers = Vec<Result<Fetched, ProviderError>>;

/// A helper that is this shell script. `read` is in it already: it sets `$id` to the number of each request.
fn helper(script: &str) -> Fixture {
    Fixture::new()
        .environment([
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("SECRET", "canary-env"),
            ("PASSED", "on"),
        ])
        .list("command", &["/bin/sh", "-c", &format!("{PRELUDE}{script}")])
}

/// The same, with its own directory in `$DIR`.
fn stubborn(script: &str) -> Fixture {
    let fixture = helper(&format!("{script} {STUBBORN}"));
    let directory = fixture.path("").to_string_lossy().into_owned();
    fixture.table("env", &[("DIR", &directory)])
}

/// Reads one request and takes its number out of it.
const PRELUDE: &str = r#"
next() { IFS= read -r line || exit 0; id=${line#*\"id\":}; id=${id%%,*}; }
say() { printf '%s\n' "$1"; }
"#;

fn provider(fixture: &Fixture) -> Arc<dyn Provider> {
    fixture.build(|cx| (KIND.build)(cx)).unwrap()
}

fn locators(texts: &[&str]) -> Vec<Locator> {
    let parse = |text: &&str| (KIND.parse)(&reference(&format!("exec://test/{text}"))).unwrap();
    texts.iter().map(parse).collect()
}

async fn ask(fixture: &Fixture, provider: &Arc<dyn Provider>, texts: &[&str]) -> Answers {
    provider.fetch(&locators(texts), &fixture.fetch_cx()).await
}

/// What a new instance of `fixture` answers.
async fn answers(fixture: &Fixture, texts: &[&str]) -> Answers {
    ask(fixture, &provider(fixture), texts).await
}

#[track_caller]
fn gives(answer: &Result<Fetched, ProviderError>, value: &[u8]) {
    assert!(answer.as_ref().unwrap().value.matches(value), "{answer:?}");
}

#[track_caller]
fn fails(answer: &Result<Fetched, ProviderError>, kind: ErrorKind, words: &str) {
    let error = answer.as_ref().unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.context.contains(words), "{error}");
}

/// A program that writes its process id, then waits for ever, however it is asked to end.
const STUBBORN: &str =
    "trap '' TERM INT HUP; echo $$ > $DIR/pid.new; mv $DIR/pid.new $DIR/pid; while :; do sleep 1000; done";

/// The process that the script above told, once it has.
async fn told_pid(fixture: &Fixture) -> rustix::process::Pid {
    let path = fixture.path("pid");
    loop {
        if let Ok(text) = std::fs::read_to_string(&path) {
            return rustix::process::Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until nobody of this process group is left.
async fn ends(group: rustix::process::Pid) {
    let gone = async {
        while rustix::process::test_kill_process_group(group).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(20);
    assert!(
        tokio::time::timeout(patience, gone).await.is_ok(),
        "{group:?} lives on"
    );
}

#[tokio::test]
async fn answers_come_in_any_order_with_version_and_end() {
    let fixture = helper(
        r#"next
        say '{"id":'$id',"item":2,"base64":"/wA=","ttl":90}'
        say '{"id":'$id',"item":0,"value":"tab\t \u00e9\ud83d\ude00\u0000","version":7}'
        say '{"id":'$id',"item":1,"value":"","version":"v-2","unknown":[1]}'"#,
    );
    let got = answers(&fixture, &["a", "b", "c"]).await;
    gives(&got[0], "tab\t \u{e9}\u{1f600}\0".as_bytes());
    gives(&got[1], b"");
    gives(&got[2], b"\xff\x00");
    let version = |index: usize| {
        got[index]
            .as_ref()
            .unwrap()
            .version
            .clone()
            .map(|version| version.0)
    };
    assert_eq!(
        [version(0), version(1), version(2)],
        [Some("7".into()), Some("v-2".into()), None]
    );
    let lease = got[2].as_ref().unwrap().lease.clone().unwrap();
    assert_eq!((lease.lasts, lease.renewable), (Duration::from_secs(90), false));
    assert!(lease.handle.is_none());
}

#[tokio::test]
async fn every_kind_of_error_arrives_with_its_message() {
    let fixture = helper(
        r#"next
        say '{"id":'$id',"item":0,"error":"not-found","message":"no  entry\nhere"}'
        say '{"id":'$id',"item":1,"error":"denied"}'
        say '{"id":'$id',"item":2,"error":"auth","message":""}'
        say '{"id":'$id',"item":3,"error":"rate-limited","retry-after":1.5}'
        say '{"id":'$id',"item":4,"error":"rate-limited","retry-after":"soon"}'
        say '{"id":'$id',"item":5,"error":"unavailable"}'
        say '{"id":'$id',"item":6,"error":"invalid"}'"#,
    );
    let got = answers(&fixture, &["0", "1", "2", "3", "4", "5", "6"]).await;
    fails(
        &got[0],
        ErrorKind::NotFound,
        "the helper of `test` says: no entry here",
    );
    fails(
        &got[1],
        ErrorKind::Denied,
        "the helper of `test` may not read this",
    );
    fails(&got[2], ErrorKind::Auth, "has no valid credential");
    let limited = |retry_after| ErrorKind::RateLimited { retry_after };
    fails(&got[3], limited(Some(Duration::from_millis(1500))), "too often");
    fails(&got[4], limited(None), "too often");
    fails(&got[5], ErrorKind::Unavailable, "reaches nobody");
    fails(&got[6], ErrorKind::Invalid, "cannot make sense");
}

#[tokio::test]
async fn an_error_without_an_item_is_that_of_all_that_are_open() {
    let fixture = helper(
        r#"next
        say '{"id":'$id',"item":1,"value":"kept"}'
        say '{"id":'$id',"error":"auth","message":"the token has expired"}'"#,
    );
    let got = answers(&fixture, &["a", "b", "c"]).await;
    gives(&got[1], b"kept");
    for index in [0, 2] {
        fails(&got[index], ErrorKind::Auth, "says: the token has expired");
    }
}

#[tokio::test]
async fn the_request_is_one_line_as_documented() {
    let fixture = helper(
        r#"next
        value=$(printf '%s' "$line" | base64 | tr -d '\n')
        say '{"id":'$id',"item":0,"base64":"'$value'"}'
        say '{"id":'$id',"item":1,"value":""}'"#,
    );
    let got = answers(&fixture, &["a%2Fb/c%20%22d%22?z=1&a=%26", "e"]).await;
    gives(
        &got[0],
        br#"{"protocol":1,"id":1,"get":[{"item":0,"locator":"a/b/c \"d\"","options":{"a":"&","z":"1"}},{"item":1,"locator":"e"}]}"#,
    );
}

#[tokio::test]
async fn one_helper_serves_request_after_request() {
    let fixture = helper(r#"while next; do say '{"id":'$id',"item":0,"value":"'$$-$id'"}'; done"#);
    let provider = provider(&fixture);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let got = ask(&fixture, &provider, &["a"]).await.remove(0).unwrap();
        seen.push(got.value);
    }
    #[expect(clippy::disallowed_methods, reason = "the value is the helper's process id")]
    let texts: Vec<_> = seen
        .iter()
        .map(|value| String::from_utf8_lossy(value.expose()).into_owned())
        .collect();
    let process = texts[0].strip_suffix("-1").unwrap();
    assert_eq!(texts, [1, 2, 3].map(|id| format!("{process}-{id}")));
}

#[tokio::test]
async fn a_helper_that_left_between_two_requests_is_replaced_unnoticed() {
    let fixture = helper(r#"next; say '{"id":'$id',"item":0,"value":"once"}'"#);
    let provider = provider(&fixture);
    for _ in 0..3 {
        gives(&ask(&fixture, &provider, &["a"]).await[0], b"once");
    }
}

#[tokio::test]
async fn a_helper_that_left_is_waited_for_by_its_provider_and_by_nobody_else() {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    let ended = |pid| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let stray = std::process::Command::new("/bin/true").spawn();
    let mut stray = stray.unwrap();
    let of_nobody = Pid::from_raw(i32::try_from(stray.id()).unwrap()).unwrap();

    let fixture = helper(r#"next; say "{\"id\":$id,\"item\":0,\"value\":\"$$\"}"; exec >&-"#);
    let provider = provider(&fixture);
    let answer = ask(&fixture, &provider, &["a"]).await.remove(0).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the value is a process id")]
    let helper = String::from_utf8(answer.value.expose().to_vec()).unwrap();
    let helper = Pid::from_raw(helper.parse().unwrap()).unwrap();
    ended(helper).unwrap();
    ended(of_nobody).unwrap();
    let zombies = locket_sys::child::zombies().unwrap();
    assert!(zombies.contains(&of_nobody), "{zombies:?}");
    assert!(!zombies.contains(&helper), "{zombies:?}");
    stray.wait().unwrap();

    ask(&fixture, &provider, &["a"]).await.remove(0).unwrap();
    assert!(ended(helper).is_err(), "it was waited for");
}

#[tokio::test]
async fn a_helper_that_dies_half_way_fails_only_what_it_did_not_answer() {
    let fixture =
        helper(r#"next; say '{"id":'$id',"item":1,"value":"kept"}'; printf '{"id":1,"item":0,"val'; exit 3"#);
    let got = answers(&fixture, &["a", "b", "c"]).await;
    gives(&got[1], b"kept");
    for index in [0, 2] {
        fails(
            &got[index],
            ErrorKind::Unavailable,
            "ended (exit status: 3) before it answered",
        );
    }
}

#[tokio::test]
async fn the_last_answer_needs_no_line_end() {
    let fixture = helper(r#"next; printf '{"id":%s,"item":0,"value":"last"}' "$id""#);
    gives(&answers(&fixture, &["a"]).await[0], b"last");
}

#[tokio::test]
async fn garbage_is_invalid_ends_the_helper_and_is_not_repeated() {
    for (garbage, length) in [
        ("Connected with canary-4f7a!", 27),
        (r#"{"id":1,"item":0,"value":"canary-4f7a""#, 38),
        (r#"["canary-4f7a"]"#, 15),
        (r#"{"id":1,"item":3,"value":"canary-4f7a"}"#, 39),
        (r#"{"id":2,"item":1,"value":"canary-4f7a"}"#, 39),
        (r#"{"id":1,"value":"canary-4f7a"}"#, 30),
    ] {
        let fixture = stubborn(&format!(
            r#"next; say '{{"id":'$id',"item":0,"value":"kept"}}'; say '{garbage}';"#
        ));
        let got = answers(&fixture, &["a", "b"]).await;
        gives(&got[0], b"kept");
        fails(
            &got[1],
            ErrorKind::Invalid,
            &format!("line 2 of its answers, of {length} bytes"),
        );
        let error = got[1].as_ref().unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_fails_its_own_item_alone() {
    let fixture = helper(
        r#"next
        say '{"id":'$id',"item":0,"value":"canary-4f7a","base64":""}'
        say '{"id":'$id',"item":1,"base64":"canary-4f7a"}'
        say '{"id":'$id',"item":2,"error":"canary-4f7a"}'
        say '{"id":'$id',"item":3,"value":["canary-4f7a"]}'
        say '{"id":'$id',"item":4}'
        say '{"id":'$id',"item":5,"value":"x","ttl":-1}'
        say '{"id":'$id',"item":6,"value":"\ud800"}'
        say '{"id":'$id',"item":7,"value":"kept"}'"#,
    );
    let got = answers(&fixture, &["0", "1", "2", "3", "4", "5", "6", "7"]).await;
    for answer in &got[..7] {
        fails(answer, ErrorKind::Invalid, "makes no sense");
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    }
    gives(&got[7], b"kept");
}

#[tokio::test]
async fn of_two_answers_to_one_item_the_first_stands_and_the_helper_is_not_asked_again() {
    let fixture = helper(
        r#"next
        say '{"id":'$id',"item":0,"value":"first-'$id'"}'
        say '{"id":'$id',"item":0,"value":"second"}'
        say '{"id":'$id',"item":1,"value":"other"}'
        next; say '{"id":'$id',"item":0,"value":"first-'$id'"}'; say '{"id":'$id',"item":1,"value":""}'"#,
    );
    let provider = provider(&fixture);
    for _ in 0..2 {
        // A helper that went on would call its second request `2`.
        gives(&ask(&fixture, &provider, &["a", "b"]).await[0], b"first-1");
    }
}

#[tokio::test]
async fn a_late_second_answer_is_not_taken_for_that_of_the_next_request() {
    let fixture = helper(
        r#"next; say '{"id":'$id',"item":0,"value":"one"}'; say '{"id":'$id',"item":0,"value":"late"}'
        next; say '{"id":'$id',"item":0,"value":"two"}'"#,
    );
    let provider = provider(&fixture);
    gives(&ask(&fixture, &provider, &["a"]).await[0], b"one");
    gives(&ask(&fixture, &provider, &["b"]).await[0], b"two");
}

#[tokio::test]
async fn the_same_locator_is_asked_once_and_answered_everywhere() {
    let fixture = helper(
        r#"next; say '{"id":'$id',"item":0,"value":"one"}'; say '{"id":'$id',"item":1,"value":"two"}'"#,
    );
    let got = answers(&fixture, &["a", "b", "a", "%61"]).await;
    for (index, value) in [b"one", b"two", b"one", b"one"].iter().enumerate() {
        gives(&got[index], *value);
    }
    assert!(answers(&fixture, &[]).await.is_empty());
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed_with_all_that_it_started() {
    let fixture =
        stubborn(r#"next; say '{"id":'$id',"item":0,"value":"kept"}'; (sleep 1000) &"#).set("timeout", "2s");
    let (got, group) = tokio::join!(answers(&fixture, &["a", "b"]), told_pid(&fixture));
    gives(&got[0], b"kept");
    fails(
        &got[1],
        ErrorKind::Unavailable,
        "did not answer within 2s and was killed",
    );
    ends(group).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_the_helper_with_it() {
    let fixture = stubborn("next;");
    let provider = provider(&fixture);
    let group = tokio::select! {
        got = ask(&fixture, &provider, &["a"]) => panic!("{got:?}"),
        group = told_pid(&fixture) => group,
    };
    ends(group).await;
}

#[tokio::test]
async fn a_helper_ends_with_its_provider() {
    let fixture = stubborn(r#"next; say '{"id":'$id',"item":0,"value":"x"}';"#);
    let provider = provider(&fixture);
    gives(&ask(&fixture, &provider, &["a"]).await[0], b"x");
    let group = told_pid(&fixture).await;
    assert!(
        rustix::process::test_kill_process_group(group).is_ok(),
        "it waits for the next request"
    );
    drop(provider);
    ends(group).await;
}

#[tokio::test]
async fn a_line_past_the_limit_is_refused() {
    let fixture = helper("next; head -c 17000000 /dev/zero | tr '\\0' 'x'; sleep 1000");
    fails(
        &answers(&fixture, &["a"]).await[0],
        ErrorKind::Invalid,
        "wrote more than 16 MiB in one line",
    );
}

#[tokio::test]
async fn a_large_request_and_large_answers_do_not_block_each_other() {
    // Both directions, and standard error, take more than a pipe holds; the helper reads nothing before it has written.
    let fixture = helper(
        r#"head -c 300000 /dev/zero | tr '\0' 'e' >&2; next
        i=0; big=$(head -c 100000 /dev/zero | tr '\0' 'v')
        while [ $i -lt 40 ]; do say '{"id":'$id',"item":'$i',"value":"'$big'"}'; i=$((i+1)); done"#,
    );
    let long = "l".repeat(3000);
    let texts: Vec<_> = (0..40).map(|index| format!("{long}{index}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    for answer in answers(&fixture, &texts).await {
        gives(&answer, &[b'v'; 100_000]);
    }
}

#[tokio::test]
async fn the_environment_is_what_was_said_and_nothing_else() {
    let script = r#"next; value=$(env | grep -v '^_=\|^PWD=\|^SHLVL=\|^OLDPWD=' | sort | base64 | tr -d '\n'); say '{"id":'$id',"item":0,"base64":"'$value'"}'"#;
    let plain = helper(script);
    gives(
        &answers(&plain, &["a"]).await[0],
        b"PATH=/usr/local/bin:/usr/bin:/bin\n",
    );
    let told = helper(script)
        .list("pass-env", &["PASSED", "NOT_SET"])
        .table("env", &[("OWN", "own value"), ("HOME", "/elsewhere")]);
    gives(
        &answers(&told, &["a"]).await[0],
        b"HOME=/elsewhere\nOWN=own value\nPASSED=on\nPATH=/usr/local/bin:/usr/bin:/bin\n",
    );
}

#[tokio::test]
async fn standard_error_is_logged_without_the_values_that_were_answered() {
    let log = Capture::of_this_thread();
    let fixture = helper(
        r#"next
        echo 'asking the vault' >&2
        echo 'got canary-4f7a from it' >&2
        say '{"id":'$id',"item":0,"value":"canary-4f7a\n"}'
        sleep 0.2
        say '{"id":'$id',"item":1,"error":"invalid","message":"near canary-4f7a"}'"#,
    );
    let got = answers(&fixture, &["a", "b"]).await;
    fails(&got[1], ErrorKind::Invalid, "cannot make sense of this");
    let log = log.text();
    assert!(log.contains("helper: asking the vault"), "{log}");
    assert!(log.contains("the line is left out"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn what_a_dying_helper_says_last_is_in_the_log_and_bounded() {
    let log = Capture::of_this_thread();
    let fixture =
        helper("next; echo 'no such profile' >&2; head -c 100000 /dev/zero | tr '\\0' 'e' >&2; exit 1");
    fails(
        &answers(&fixture, &["a"]).await[0],
        ErrorKind::Unavailable,
        "exit status: 1",
    );
    let log = log.text();
    assert!(log.contains("helper: no such profile"), "{log}");
    assert!(log.contains("further bytes of the helper's standard error are left out") && log.len() < 40_000);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_mistake_in_the_configuration() {
    for program in ["/nowhere/helper", "no-such-helper", "/"] {
        let fixture = Fixture::new().list("command", &[program]);
        let got = answers(&fixture, &["a"]).await;
        fails(&got[0], ErrorKind::Invalid, "cannot be run");
        assert!(
            got[0]
                .as_ref()
                .unwrap_err()
                .hint
                .as_ref()
                .unwrap()
                .contains("[providers.test]")
        );
    }
}

#[test]
fn what_cannot_be_run_is_refused_before() {
    let refused = |fixture: Fixture| fixture.build(|cx| (KIND.build)(cx)).unwrap_err().message;
    assert!(refused(Fixture::new()).contains("has no `command`"));
    assert!(refused(Fixture::new().list("command", &["a\0b"])).contains("names no program"));
    let with = |setting, names: &[&str]| Fixture::new().list("command", &["true"]).list(setting, names);
    assert!(refused(with("pass-env", &["A=B"])).contains("cannot be the name of a variable"));
    assert!(refused(with("pass-env", &[]).table("env", &[("", "x")])).contains("cannot be the name"));
    assert!(refused(with("pass-env", &[]).table("env", &[("A", "x\0")])).contains("NUL"));
}

#[test]
fn different_references_are_different_items_however_they_are_written() {
    let item = |text: &str| locators(&[text]).remove(0).item().to_owned();
    assert_eq!(item("a/b?x=1&y=2"), item("%61/b?y=2&x=1"));
    assert_eq!(item("a#fragment"), item("a"));
    for (one, other) in [
        ("a?b=c", "a%3Fb=c"),
        ("a?b=", "a"),
        ("a?b=c&d=e", "a?b=c%26d%3De"),
    ] {
        assert_ne!(item(one), item(other), "{one} {other}");
    }
    let typed = locators(&["a%2Fb?x=1"]).remove(0);
    let HelperLocator { text, options } = typed.typed().unwrap();
    assert_eq!(
        (&**text, options.as_slice()),
        ("a/b", &[("x".to_owned(), "1".to_owned())][..])
    );
    for wrong in [
        "exec://test",
        "exec://test/",
        "exec://test/%00",
        "exec://test/%ff",
        "exec://test/a?b=%00",
    ] {
        assert!((KIND.parse)(&reference(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn nothing_of_arguments_and_variables_is_in_debug_output() {
    let fixture = Fixture::new()
        .list("command", &["helper", "--password=canary-arg"])
        .table("env", &[("TOKEN", "canary-env")]);
    let shown = format!("{:?}", provider(&fixture));
    assert!(shown.contains("helper") && !shown.contains("canary"), "{shown}");
}

proptest! {
    #[test]
    fn any_locator_is_asked_for_in_one_line_as_it_is(
        text in r"\PC{1,12}|[\n\r{}:,/]{1,8}", options in prop::collection::btree_map(any::<String>(), any::<String>(), 0..3)
    ) {
        let locator = HelperLocator { text: text.clone().into(), options: options.clone().into_iter().collect() };
        let line = wire::request(3, &[&locator, &locator]);
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        // What a shell looks for.
        let marks = String::from_utf8(line.clone()).unwrap().matches("{\"item\":").count();
        prop_assert_eq!(marks, 2);
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(&read["id"], 3);
        prop_assert_eq!(&read["get"][1]["locator"], &text);
        let empty = serde_json::Map::new();
        let given = read["get"][1]["options"].as_object().unwrap_or(&empty);
        prop_assert_eq!(given.len(), options.len());
        for (name, value) in &options {
            prop_assert_eq!(&given[name], value);
        }
    }

    #[test]
    fn any_value_arrives_as_text_and_as_base64(text: String, bytes: Vec<u8>) {
        let now = SystemTime::UNIX_EPOCH;
        let encoded = data_encoding::BASE64.encode(&bytes);
        for (line, value) in [
            (serde_json::json!({"id": 1, "item": 0, "value": text}), text.as_bytes()),
            (serde_json::json!({"id": 1, "item": 0, "base64": encoded}), bytes.as_slice()),
        ] {
            let answer = wire::answer(line.to_string().as_bytes(), now).unwrap();
            let Content::Value { value: read, .. } = answer.content else {
                panic!("{answer:?}");
            };
            prop_assert!(read.matches(value));
        }
    }
}
