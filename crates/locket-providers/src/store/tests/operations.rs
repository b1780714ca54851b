use locket_core::ErrorKind;

use super::super::{Change, OwnKey, Rekey, Store};
use super::{filled, name, now, other_user, secret, store};

fn get(store: &Store, key: &str) -> Vec<u8> {
    let value = store.get(&name(key)).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test compares whole values")]
    value.expose().to_vec()
}

#[test]
fn what_is_set_comes_back_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[]);
    for value in [b"".as_slice(), b"text\n", b"\x00\xff\xfe", "ünï\r\n".as_bytes()] {
        store.set(&name("a/b"), secret(value), now()).unwrap();
        assert_eq!(get(&store, "a/b"), value);
    }
    let large = vec![0xa5; 3 << 20];
    store.set(&name("large"), secret(&large), now()).unwrap();
    assert_eq!(get(&store, "large"), large);
}

#[test]
fn the_file_shows_neither_values_nor_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("canary-name", b"canary-value")]);
    let sealed = std::fs::read(store.path()).unwrap();
    assert!(sealed.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let shown = String::from_utf8(sealed).unwrap();
    assert!(!shown.contains("canary"));
}

#[test]
fn setting_the_same_value_writes_nothing_and_keeps_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x")]);
    let before = std::fs::read(store.path()).unwrap();
    let later = now() + std::time::Duration::from_secs(60);
    assert_eq!(
        store.set(&name("a"), secret(b"x"), later).unwrap(),
        Change::Unchanged
    );
    assert_eq!(std::fs::read(store.path()).unwrap(), before);
    assert_eq!(store.list().unwrap()[0].updated, Some(now()));
    assert_eq!(
        store.set(&name("a"), secret(b"y"), later).unwrap(),
        Change::Replaced
    );
    assert_ne!(std::fs::read(store.path()).unwrap(), before);
    assert_eq!(store.list().unwrap()[0].updated, Some(later));
}

#[test]
fn list_gives_names_in_order_and_lengths_but_no_values() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("b", b"canary"), ("a/x", b"12")]);
    let listed = store.list().unwrap();
    let lengths: Vec<_> = listed
        .iter()
        .map(|entry| (entry.name.as_str(), entry.bytes))
        .collect();
    assert_eq!(lengths, [("a/x", 2), ("b", 6)]);
    assert!(!format!("{listed:?} {store:?}").contains("canary"));
}

#[test]
fn a_missing_secret_is_not_found_with_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("db/password", b"x")]);
    let error = store.get(&name("db/pasword")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(error.hint.unwrap(), "Did you mean `db/password`?");
}

#[test]
fn removing_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x"), ("b", b"y")]);
    let error = store.remove(&[name("a"), name("nope")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(store.list().unwrap().len(), 2);
    store.remove(&[name("a"), name("b")]).unwrap();
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn init_never_touches_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("locket.store"), "something else").unwrap();
    let error = store(dir.path()).init(&[], now()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        std::fs::read(dir.path().join("locket.store")).unwrap(),
        b"something else"
    );
    assert!(
        !dir.path().join("identity.txt").exists(),
        "no identity was made in vain"
    );
}

#[test]
fn a_missing_store_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for error in [
        store.list().unwrap_err(),
        store.set(&name("a"), secret(b"x"), now()).unwrap_err(),
        store.rekey(&Rekey::default(), now()).unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.hint.unwrap().contains("locket store init"));
    }
}

#[test]
fn another_identity_is_told_its_public_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"canary")]);
    let (key, other) = other_user(&store);
    let error = other.get(&name("a")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.as_ref().unwrap().contains(&key.to_string()));
    assert!(!format!("{error:?}").contains("SECRET-KEY"));
}

#[test]
fn a_store_cut_off_anywhere_is_damaged_and_gives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"canary"), ("b", &[7; 300])]);
    let whole = std::fs::read(store.path()).unwrap();
    for length in (0..whole.len() - 1).step_by(7) {
        std::fs::write(store.path(), &whole[..length]).unwrap();
        let error = store.get(&name("a")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{length}: {error}");
        assert!(error.hint.is_some());
        assert!(!format!("{error:?}").contains("canary"));
    }
    std::fs::write(store.path(), &whole).unwrap();
    assert_eq!(get(&store, "a"), b"canary");
}

#[test]
fn a_changed_byte_anywhere_gives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"canary")]);
    let whole = std::fs::read(store.path()).unwrap();
    let last = whole.len() - "-----END AGE ENCRYPTED FILE-----\n".len() - 1;
    for at in (0..last).step_by(11) {
        let mut changed = whole.clone();
        changed[at] = if changed[at] == b'Q' { b'R' } else { b'Q' };
        std::fs::write(store.path(), &changed).unwrap();
        let error = store.get(&name("a")).unwrap_err();
        assert!(
            matches!(error.kind, ErrorKind::Invalid | ErrorKind::Auth),
            "{at}: {error}"
        );
    }
}

#[test]
fn a_merge_conflict_an_empty_file_and_a_stranger_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[]);
    let whole = std::fs::read_to_string(store.path()).unwrap();
    let conflict = whole.replacen('\n', "\n<<<<<<< HEAD\n", 1);
    for (content, says) in [
        (conflict.as_str(), "merge conflict"),
        ("\n", "is empty"),
        ("DB=1\n", "is not an age file"),
        (&whole.replace("END AGE", "END ADE"), "is damaged or cut off"),
    ] {
        std::fs::write(store.path(), content).unwrap();
        let error = store.list().unwrap_err();
        assert!(error.context.contains(says), "{}", error.context);
    }
}

#[test]
fn line_endings_changed_by_version_control_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x")]);
    let whole = std::fs::read_to_string(store.path()).unwrap();
    std::fs::write(store.path(), whole.replace('\n', "\r\n")).unwrap();
    assert_eq!(get(&store, "a"), b"x");
}

#[test]
fn whoever_writes_encrypts_to_all_recipients() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x")]);
    let (key, other) = other_user(&store);
    let add = Rekey {
        add: vec![key.clone()],
        ..Rekey::default()
    };
    assert_eq!(store.rekey(&add, now()).unwrap().last(), Some(&key));
    other.set(&name("b"), secret(b"from the other"), now()).unwrap();
    assert_eq!(get(&store, "b"), b"from the other");
    assert_eq!(get(&other, "a"), b"x");
}

#[test]
fn a_removed_recipient_reads_no_more_and_nobody_locks_himself_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x")]);
    let (key, other) = other_user(&store);
    let add = Rekey {
        add: vec![key.clone()],
        ..Rekey::default()
    };
    let own = store.rekey(&add, now()).unwrap().remove(0);
    let error = store
        .rekey(
            &Rekey {
                remove: vec![own.clone()],
                ..Rekey::default()
            },
            now(),
        )
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let left = other
        .rekey(
            &Rekey {
                remove: vec![own],
                ..Rekey::default()
            },
            now(),
        )
        .unwrap();
    assert_eq!(left, [key]);
    assert_eq!(store.get(&name("a")).unwrap_err().kind, ErrorKind::Auth);
    assert_eq!(get(&other, "a"), b"x");
    let (stranger, _) = other_user(&store);
    let error = other
        .rekey(
            &Rekey {
                remove: vec![stranger],
                ..Rekey::default()
            },
            now(),
        )
        .unwrap_err();
    assert!(error.context.contains("is not a recipient"));
}

#[test]
fn a_renewed_key_takes_the_old_ones_place_and_earlier_copies_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x")]);
    let (key, other) = other_user(&store);
    let add = Rekey {
        add: vec![key.clone()],
        ..Rekey::default()
    };
    let before = store.rekey(&add, now()).unwrap();
    let earlier = std::fs::read(store.path()).unwrap();
    let renew = Rekey {
        own_key: OwnKey::Renew,
        ..Rekey::default()
    };
    let after = store.rekey(&renew, now()).unwrap();
    assert_eq!((after.len(), &after[1]), (2, &key));
    assert_ne!(after[0], before[0]);
    assert_eq!(get(&store, "a"), b"x");
    assert_eq!(get(&other, "a"), b"x");
    store.set(&name("b"), secret(b"y"), now()).unwrap();
    std::fs::write(store.path(), earlier).unwrap();
    assert_eq!(get(&store, "a"), b"x");
    let error = other.rekey(&renew, now()).unwrap_err();
    assert!(error.context.contains("comes from a variable"));
}

#[test]
fn a_store_made_by_hand_is_read_and_written_only_once_its_recipients_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[]);
    let keys = store.identity().read().ok().unwrap().0;
    let (friend, other) = other_user(&store);
    let plain = br#"{"locket-store":1,"secrets":{"a":{"value":"by hand"}}}"#;
    let sealed = super::super::seal::seal(plain, &[keys.own(), friend.clone()]).unwrap();
    std::fs::write(store.path(), sealed).unwrap();
    assert_eq!(get(&store, "a"), b"by hand");
    let error = store.set(&name("b"), secret(b"x"), now()).unwrap_err();
    assert!(error.hint.unwrap().contains("rekey --add"));
    let add = Rekey {
        add: vec![friend],
        ..Rekey::default()
    };
    assert_eq!(store.rekey(&add, now()).unwrap().len(), 2);
    store.set(&name("b"), secret(b"x"), now()).unwrap();
    assert_eq!(get(&other, "b"), b"x");
}

#[test]
fn a_value_too_large_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[]);
    let error = store
        .set(&name("big"), secret(&vec![b'x'; (16 << 20) + 1]), now())
        .unwrap_err();
    assert!(error.context.contains("`big` is larger than 16 MiB"));
}
