//! Each sub-command: what it prints, where, and how it ends.

use std::os::unix::fs::PermissionsExt;

use locket_testkit::Canary;
use locket_testkit::canary::assert_absent;

use super::User;

#[test]
fn init_prints_the_recipient_and_makes_private_files() {
    let user = User::new();
    let ran = user.store(["init"]).succeeds();
    assert!(ran.stdout().starts_with("age1") && ran.stdout().lines().count() == 1);
    assert!(ran.stderr().contains("keep a copy"));
    for path in [user.identity(), user.file()] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{}", path.display());
    }
    let before = std::fs::read(user.file()).unwrap();
    let again = user.store(["init"]).fails_with(1);
    assert!(again.stderr().contains("already"));
    assert_eq!(std::fs::read(user.file()).unwrap(), before);
}

#[test]
fn set_takes_standard_input_byte_for_byte_and_get_gives_it_back() {
    let user = User::with_store();
    for canary in [Canary::text("a"), Canary::awkward("b"), Canary::binary("c")] {
        let ran = user.feed(["set", "group/name"], canary.bytes()).succeeds();
        assert!(ran.0.stdout.is_empty());
        assert_absent([&canary], "the message", &ran.0.stderr);
        assert_eq!(user.get("group/name"), canary.bytes());
        assert!(canary.find_below(user.0.path()).unwrap().is_none(), "on the disk");
    }
}

#[test]
fn a_kept_newline_is_mentioned_and_other_values_are_not() {
    let user = User::with_store();
    let note = |value: &[u8]| {
        user.feed(["set", "a"], value)
            .succeeds()
            .stderr()
            .contains("ends with a newline")
    };
    assert!(note(b"from echo\n"));
    assert!(!note(b"from printf"));
    assert!(!note(b"-----BEGIN-----\nMII\n-----END-----\n"));
}

#[test]
fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    let user = User::with_store();
    let canary = Canary::text("argument");
    for arguments in [
        vec!["set", "a", canary.as_str()],
        vec!["set", "a", "--", canary.as_str()],
        vec!["set", "a", "-x", canary.as_str()],
    ] {
        let ran = user.store(&arguments).fails_with(2);
        assert!(ran.stderr().contains("does not belong on the command line"));
        assert_absent([&canary], "the refusal", &ran.0.stderr);
    }
    assert!(user.store(["list"]).succeeds().stdout().is_empty());
}

#[test]
fn an_empty_input_sets_nothing_unless_it_is_meant() {
    let user = User::with_store();
    user.set("a", b"before");
    let ran = user.store(["set", "a"]).fails_with(2);
    assert!(ran.stderr().contains("--allow-empty"));
    assert_eq!(user.get("a"), b"before");
    user.store(["set", "a", "--allow-empty"]).succeeds();
    assert_eq!(user.get("a"), b"");
}

#[test]
fn list_gives_names_and_with_long_their_age_and_length() {
    let user = User::with_store();
    user.set("db/password", b"12345");
    user.set("a", b"1");
    assert_eq!(user.store(["list"]).succeeds().stdout(), "a\ndb/password\n");
    let long = user.store(["list", "--long"]).succeeds().stdout();
    let columns: Vec<_> = long.lines().last().unwrap().split_whitespace().collect();
    assert_eq!((columns[0], columns[2]), ("db/password", "5"));
    assert!(columns[1].ends_with('s') || columns[1].ends_with('m'));
}

#[test]
fn rm_removes_all_or_nothing() {
    let user = User::with_store();
    user.set("a", b"1");
    user.set("b", b"2");
    assert!(
        user.store(["rm", "a", "c"])
            .fails_with(1)
            .stderr()
            .contains("holds no `c`")
    );
    assert_eq!(user.store(["list"]).stdout(), "a\nb\n");
    user.store(["rm", "a", "b"]).succeeds();
    assert_eq!(user.store(["list"]).stdout(), "");
}

#[test]
fn flags_and_variables_name_the_store_and_the_identity() {
    let user = User::new();
    let init = ["init", "--file", "sub.store", "--identity-file", "key.txt"];
    user.store(init).succeeds();
    assert_eq!(user.files(), ["key.txt", "sub.store"]);
    assert!(!user.identity().exists());
    let mut by_variables = user.command(["list"]);
    by_variables
        .env("LOCKET_STORE_FILE", "sub.store")
        .env("LOCKET_IDENTITY_FILE", "key.txt");
    assert!(by_variables.output().unwrap().status.success());
    let mut by_value = user.command(["list"]);
    let text = std::fs::read_to_string(user.project().join("key.txt")).unwrap();
    by_value
        .env("LOCKET_STORE_FILE", "sub.store")
        .env("LOCKET_IDENTITY", text);
    assert!(by_value.output().unwrap().status.success());
    user.store(["list", "--file", "sub.store"]).fails_with(1);
}

#[test]
fn the_configuration_names_the_store_and_where_its_identity_is() {
    let user = User::new();
    user.store(["init", "--file", "sub.store", "--identity-file", "key.txt"])
        .succeeds();
    let own = |config: &str| {
        std::fs::write(user.project().join("locket.toml"), config).unwrap();
        user.store(["list"])
    };
    own("[store]\nfile = 'sub.store'\nidentity-file = 'key.txt'\n").succeeds();
    let key = user.project().join("key.txt");
    own(&format!(
        "[store]\nfile = 'sub.store'\nidentity = 'file://{}'\n",
        key.display()
    ))
    .succeeds();
    let misspelt = own("[store]\nflie = 'sub.store'\n").fails_with(2);
    assert!(misspelt.stderr().contains("flie"));
    let gone = own("[store]\nfile = 'sub.store'\nidentity = 'file:///nonexistent'\n").fails_with(2);
    assert!(gone.stderr().contains("/nonexistent"), "{}", gone.stderr());
}

#[test]
fn a_template_is_rendered_from_the_store() {
    let user = User::with_store();
    user.set("db/password", b"p@ss");
    std::fs::write(
        user.project().join("app.tmpl"),
        "url=pg://u:{{ store://db/password | url }}@h\n",
    )
    .unwrap();
    let mut render = std::process::Command::new(env!("CARGO_BIN_EXE_locket"));
    render
        .args(["render", "app.tmpl"])
        .env_clear()
        .env("HOME", user.home())
        .current_dir(user.project());
    let output = render.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "url=pg://u:p%40ss@h\n");
}

#[test]
fn import_and_export_carry_everything_and_say_what_they_did() {
    let user = User::with_store();
    std::fs::write(user.project().join(".env"), "A=1\nB='two words'\n").unwrap();
    let ran = user.store(["import", ".env"]).succeeds();
    assert_eq!(ran.stderr(), "added A\nadded B\n");
    assert_eq!(user.get("B"), b"two words");

    let conflict = user
        .feed(["import", "-"], br#"{"A": "other", "C": "3"}"#)
        .fails_with(1);
    assert!(conflict.stderr().contains("--replace"));
    assert_eq!(user.store(["list"]).stdout(), "A\nB\n");
    user.feed(["import", "-", "--keep"], br#"{"A": "other", "C": "3"}"#)
        .succeeds();
    assert_eq!(user.get("A"), b"1");
    user.feed(["import", "-", "--replace"], br#"{"A": "other"}"#)
        .succeeds();
    assert_eq!(user.get("A"), b"other");

    user.set("binary", b"\xff\x00");
    let json = user.store(["export"]).succeeds().0.stdout;
    let other = User::with_store();
    other.feed(["import", "-"], &json).succeeds();
    assert_eq!(other.store(["export"]).0.stdout, json);
    assert_eq!(other.get("binary"), b"\xff\x00");

    let ran = user.store(["export", "--format", "dotenv"]).fails_with(1);
    assert!(ran.0.stdout.is_empty() && ran.stderr().contains("`binary`"));
    user.store(["rm", "binary"]).succeeds();
    let env = user.store(["export", "--format", "dotenv"]).succeeds().0.stdout;
    user.feed(["import", "-"], &env).succeeds();
}

#[test]
fn a_bad_line_to_import_is_named_and_never_shown() {
    let user = User::with_store();
    let canary = Canary::text("line");
    let text = format!("A=1\nnot an assignment {0}\nB=\"{0}\nC=3\n", canary.as_str());
    let ran = user.feed(["import", "-"], text.as_bytes()).fails_with(2);
    assert!(ran.stderr().contains("line 2") && ran.stderr().contains("line 3"));
    assert_absent([&canary], "the complaint", &ran.0.stderr);
    assert!(user.store(["list"]).stdout().is_empty());
}

#[test]
fn a_second_user_reads_after_being_added_and_no_more_after_being_removed() {
    let (one, two) = (User::with_store(), User::with_store());
    one.set("a", b"shared");
    let key = two.store(["rekey"]).succeeds().stdout();
    let key = key.trim();
    let file = one.file();
    let read = || two.store(["get", "a", "--file", file.to_str().unwrap()]);
    let refused = read().fails_with(1);
    assert!(
        refused
            .stderr()
            .contains(&format!("locket store rekey --add {key}"))
    );

    let recipients = one.store(["rekey", "--add", key]).succeeds().stdout();
    assert_eq!(recipients.lines().count(), 2);
    assert_eq!(read().succeeds().0.stdout, b"shared");
    let left = one.store(["rekey", "--remove", key]).succeeds();
    assert_eq!(left.stdout().lines().count(), 1);
    assert!(left.stderr().contains("still knows"));
    read().fails_with(1);

    let before = one.store(["rekey"]).succeeds().stdout();
    let after = one.store(["rekey", "--new-identity"]).succeeds().stdout();
    assert_ne!(before, after);
    assert_eq!(one.get("a"), b"shared");
}

#[test]
fn a_private_key_given_as_recipient_is_not_repeated() {
    let user = User::with_store();
    let identity = std::fs::read_to_string(user.identity()).unwrap();
    let key = identity
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY"))
        .unwrap();
    for arguments in [
        ["rekey", "--add", key],
        ["rekey", "--remove", key],
        ["init", "--recipient", key],
    ] {
        let ran = user.store(arguments).fails_with(2);
        assert!(ran.stderr().contains("private key"));
        assert!(!ran.stderr().contains(key));
    }
}

#[test]
fn each_way_of_not_opening_has_its_own_words() {
    let user = User::new();
    let says = |words: &str| {
        let ran = user.store(["list"]).fails_with(1);
        assert!(ran.stderr().contains(words), "{}", ran.stderr());
        assert!(ran.stderr().contains("help: "), "{}", ran.stderr());
    };
    says("there is no store");
    user.store(["init"]).succeeds();
    user.store(["list"]).succeeds();
    let whole = std::fs::read(user.file()).unwrap();
    std::fs::write(user.file(), &whole[..whole.len() / 2]).unwrap();
    says("damaged or cut off");
    std::fs::write(user.file(), b"hello").unwrap();
    says("is not an age file");
    std::fs::write(user.file(), &whole).unwrap();
    std::fs::set_permissions(user.identity(), std::fs::Permissions::from_mode(0o640)).unwrap();
    says("chmod 600");
    std::fs::remove_file(user.identity()).unwrap();
    says("LOCKET_IDENTITY_FILE");
}
