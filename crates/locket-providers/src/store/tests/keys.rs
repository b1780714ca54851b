use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use locket_core::ErrorKind;

use super::super::keys::{Identities, IdentityError};
use super::super::{IdentitySource, NameError, Recipient, RecipientError, SecretName, Store};
use super::{filled, name, now, secret, store};

/// 32 bytes of 0x42: the key of the test vectors that age itself publishes.
const PRIVATE: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

fn identity_error(text: &str) -> IdentityError {
    match Identities::parse(text.as_bytes()) {
        Err(error) => error,
        Ok(_) => panic!("{text} was taken"),
    }
}

#[test]
fn an_identity_file_may_have_comments_blank_lines_and_several_keys() {
    let text = format!("# made today\r\n\r\n{PRIVATE}\r\n  # and one more\n{PRIVATE}\n");
    let keys = Identities::parse(text.as_bytes()).ok().unwrap();
    assert_eq!(keys.recipients().len(), 2);
    assert_eq!(keys.own(), keys.recipients()[0]);
}

#[test]
fn identities_of_other_kinds_are_refused_by_name() {
    let kind = |text: &str| match identity_error(text) {
        IdentityError::Kind { kind, line: 2 } => kind,
        other => panic!("{other}"),
    };
    assert_eq!(kind("#\nAGE-SECRET-KEY-PQ-1QQQ"), "a post-quantum identity");
    assert_eq!(kind("#\nAGE-PLUGIN-YUBIKEY-1QQQ"), "a plugin's identity");
    assert_eq!(
        kind("#\n-----BEGIN OPENSSH PRIVATE KEY-----"),
        "an SSH or PEM key"
    );
    assert_eq!(identity_error("# nothing\n"), IdentityError::None);
    let locked = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n";
    assert_eq!(identity_error(locked), IdentityError::Passphrase);
}

#[test]
fn a_mistyped_private_key_is_never_echoed() {
    let mistyped = PRIVATE.replace("GFPYY", "GFPYZ");
    let error = identity_error(&mistyped);
    assert_eq!(error, IdentityError::Malformed { line: 1 });
    assert!(!format!("{error} {error:?}").contains("GFPY"));
    let error = PRIVATE.parse::<Recipient>().unwrap_err();
    assert_eq!(error, RecipientError::PrivateKey);
    assert!(!format!("{error} {error:?}").contains("GFPY"));
}

#[test]
fn recipients_of_other_kinds_are_refused_by_name() {
    for (text, what) in [
        ("age1pq1qqqq", "a post-quantum key"),
        ("age1tag1qqqq", "a hardware key"),
        ("age1yubikey1qqqq", "a plugin's key"),
        ("ssh-ed25519 AAAA", "an SSH key"),
    ] {
        match text.parse::<Recipient>() {
            Err(RecipientError::Kind { kind, .. }) => assert_eq!(kind, what),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(
        "age1qqq".parse::<Recipient>(),
        Err(RecipientError::Malformed(_))
    ));
    let own = Identities::generate().own();
    assert_eq!(own.to_string().parse::<Recipient>().unwrap(), own);
}

#[test]
fn a_name_goes_into_a_reference_and_onto_a_disk_without_escaping() {
    for good in ["a", "DB_PASSWORD", "db/password", "a.b-c@d+e/0", ".env"] {
        assert_eq!(good.parse::<SecretName>().unwrap().as_str(), good);
    }
    for (wrong, error) in [
        ("", NameError::Empty),
        ("/a", NameError::Empty),
        ("a//b", NameError::Empty),
        ("a/", NameError::Empty),
        ("a/../b", NameError::Dots),
        (".", NameError::Dots),
        ("a b", NameError::Character(' ')),
        ("a?b", NameError::Character('?')),
        ("a\0", NameError::Character('\0')),
        ("ä", NameError::Character('ä')),
        (&"x".repeat(256), NameError::TooLong),
    ] {
        assert_eq!(wrong.parse::<SecretName>().unwrap_err(), error, "{wrong}");
    }
}

#[test]
fn init_makes_a_private_identity_in_a_private_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config/locket/identity.txt");
    let store = Store::new(dir.path().join("s"), IdentitySource::Default(path.clone()));
    let created = store.init(&[], now()).unwrap();
    assert_eq!(created.identity.as_ref(), Some(&path));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(store.path()), 0o600);
    assert_eq!(
        Identities::parse(&std::fs::read(&path).unwrap())
            .ok()
            .unwrap()
            .recipients(),
        created.recipients
    );

    let second = Store::new(dir.path().join("t"), IdentitySource::Default(path));
    assert_eq!(
        second.init(&[], now()).unwrap().identity,
        None,
        "the identity is used again"
    );
}

#[test]
fn the_default_identity_must_be_private_and_a_named_one_may_be_mounted_readable() {
    let dir = tempfile::tempdir().unwrap();
    let named = filled(dir.path(), &[("a", b"x")]);
    let path = dir.path().join("identity.txt");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(named.get(&name("a")).unwrap().matches(b"x"));
    let default = Store::new(named.path().to_owned(), IdentitySource::Default(path.clone()));
    let error = default.get(&name("a")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("0644") && error.hint.unwrap().contains("chmod 600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(default.get(&name("a")).unwrap().matches(b"x"));
}

#[test]
fn an_identity_may_come_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let text = IdentitySource::Text(Arc::new(secret(format!("{PRIVATE}\n").as_bytes())));
    let store = Store::new(dir.path().join("s"), text);
    assert_eq!(store.init(&[], now()).unwrap().identity, None);
    store.set(&name("a"), secret(b"x"), now()).unwrap();
    assert!(store.get(&name("a")).unwrap().matches(b"x"));
}

#[test]
fn a_missing_identity_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let made = filled(dir.path(), &[]);
    std::fs::remove_file(dir.path().join("identity.txt")).unwrap();
    let error = store(dir.path()).list().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("LOCKET_IDENTITY_FILE"));
    let nowhere = Store::new(made.path().to_owned(), IdentitySource::Nowhere);
    assert_eq!(nowhere.list().unwrap_err().kind, ErrorKind::Auth);
}
