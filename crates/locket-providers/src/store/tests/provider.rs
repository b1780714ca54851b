use std::path::Path;
use std::sync::Arc;

use locket_core::{Environment, ErrorKind, Provider};

use super::super::KIND;
use super::{filled, name, now, secret};
use crate::file::testing::{build, fetch, reference};
use crate::{Credential, Settings};

fn provider(dir: &Path) -> Arc<dyn Provider> {
    let settings =
        Settings::default().with_credential("identity-file", Credential::File("identity.txt".into()));
    build(&KIND, &settings, &Environment::default(), dir)
}

#[test]
fn a_batch_mixes_values_and_missing_names() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &[("a", b"1"), ("db/b", b"\x00\xff\n")]);
    let provider = provider(dir.path());
    let got = fetch(
        &KIND,
        provider.as_ref(),
        &["store://db/b", "store://nope", "store://a"],
    );
    assert!(got[0].as_ref().unwrap().value.matches(b"\x00\xff\n"));
    assert_eq!(got[1].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    let first = got[2].as_ref().unwrap();
    assert!(first.value.matches(b"1"));
    assert_eq!(first.version.as_ref().unwrap().0, "2025-10-09T08:53:20.123Z");
}

#[test]
fn a_change_of_the_store_or_the_identity_is_seen_by_the_next_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"1")]);
    let provider = provider(dir.path());
    let read = || fetch(&KIND, provider.as_ref(), &["store://a"]).remove(0);
    assert!(read().unwrap().value.matches(b"1"));
    store.set(&name("a"), secret(b"2"), now()).unwrap();
    assert!(read().unwrap().value.matches(b"2"));
    std::fs::rename(dir.path().join("identity.txt"), dir.path().join("away")).unwrap();
    assert_eq!(read().unwrap_err().kind, ErrorKind::Auth);
    std::fs::rename(dir.path().join("away"), dir.path().join("identity.txt")).unwrap();
    assert!(read().unwrap().value.matches(b"2"));
    std::fs::write(store.path(), "torn").unwrap();
    assert_eq!(read().unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn settings_name_the_file_and_the_environment_names_the_default_identity() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"1")]);
    std::fs::rename(store.path(), dir.path().join("other.store")).unwrap();
    let config = dir.path().join("config/locket");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::rename(dir.path().join("identity.txt"), config.join("identity.txt")).unwrap();
    let settings = Settings::default().with("file", "other.store");
    let home = dir.path().join("home");
    for variables in [
        vec![
            ("XDG_CONFIG_HOME", dir.path().join("config")),
            ("HOME", home.clone()),
        ],
        vec![("XDG_CONFIG_HOME", "relative".into()), ("HOME", home.clone())],
        vec![("HOME", home.clone())],
    ] {
        let environment = Environment::from_iter(variables);
        let provider = build(&KIND, &settings, &environment, dir.path());
        let got = fetch(&KIND, provider.as_ref(), &["store://a"]).remove(0);
        assert!(got.unwrap().value.matches(b"1"));
        // The other two look under the home directory.
        let _ = std::fs::create_dir(&home);
        let _ = std::fs::rename(dir.path().join("config"), home.join(".config"));
    }
}

#[test]
fn references_carry_names_and_nothing_else() {
    for wrong in ["store://a b", "store://a?version=1", "store://../a", "store://a/"] {
        assert!((KIND.parse)(&reference(wrong)).is_err(), "{wrong}");
    }
    assert!((KIND.parse)(&reference("store://a/b?optional#c")).is_ok());
}

#[test]
fn nothing_of_the_store_is_shown_by_debug() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &[("a", b"canary-3")]);
    let provider = provider(dir.path());
    assert!(fetch(&KIND, provider.as_ref(), &["store://a"])[0].is_ok());
    assert!(!format!("{provider:?}").contains("canary"));
}

#[test]
fn the_store_is_decrypted_once_for_each_state_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"1"), ("b", b"2")]);
    let opened = super::super::provider::Opened::new(store.clone());
    let names = ["a", "b"].map(|text| Some(super::super::provider::Wanted::One(name(text))));
    let address = || {
        assert!(opened.fetch(&names).iter().all(Result::is_ok));
        let content = opened.content.lock().unwrap();
        #[expect(clippy::disallowed_methods, reason = "only the place is looked at")]
        let place = content.as_ref().unwrap().secrets[&name("a")]
            .value
            .expose()
            .as_ptr();
        place
    };
    let first = address();
    assert_eq!(address(), first, "the same memory: nothing was decrypted again");
    // Decrypted again while the first values still lie where they lay, they lie elsewhere.
    let _kept = opened.content.lock().unwrap().take();
    assert_ne!(address(), first);
}

#[test]
fn names_with_a_prefix_are_keys_one_level_deep() {
    let dir = tempfile::tempdir().unwrap();
    filled(
        dir.path(),
        &[
            ("top", b"t"),
            ("app/user", b"ann"),
            ("app/pass", b"p"),
            ("app/tls/key", b"k"),
        ],
    );
    let provider = provider(dir.path());
    let wanted = ["store://app/*", "store://*", "store://app/us*", "store://nope/*"];
    let got = fetch(&KIND, provider.as_ref(), &wanted);
    let names = |index: usize| {
        let members = got[index].as_ref().unwrap().members.as_ref().unwrap();
        members.names().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["pass", "user"]);
    assert_eq!(names(1), ["top"]);
    assert_eq!(names(2), ["er"]);
    assert_eq!(got[3].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    let members = got[0].as_ref().unwrap().members.as_ref().unwrap();
    let user = members.get("user").unwrap();
    assert!(user.value.matches(b"ann") && user.version.is_some());
    let parse_every = KIND.parse_every.unwrap();
    for wrong in [
        "store://a b/",
        "store://../",
        "store://a//",
        "store://a/?version=1",
    ] {
        assert!(parse_every(&reference(wrong)).is_err(), "{wrong}");
    }
}
