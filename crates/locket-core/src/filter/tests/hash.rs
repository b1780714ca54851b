//! Salts are random, and stay while the value stays.

use super::*;

fn render(filter: &Filter, value: &[u8], present: Option<&[u8]>, memo: &mut HashMemo) -> String {
    let mut cx = FilterCx {
        now: at(0),
        present,
        behind: &[],
        memo,
        valid_until: None,
    };
    let hash = filter.apply(&SecretBytes::copy_from(value), &mut cx).unwrap();
    #[expect(clippy::disallowed_methods, reason = "test values are no secrets")]
    String::from_utf8(hash.expose().to_vec()).unwrap()
}

#[test]
fn a_value_keeps_its_hash_across_processes_and_a_new_value_gets_another() {
    let first = render(&Filter::Bcrypt, b"hunter2", None, &mut HashMemo::default());
    assert!(first.starts_with("$2b$12$") && bcrypt::verify("hunter2", &first).unwrap());

    let present = format!("user: ann\nhash: {first}\n");
    let second = render(
        &Filter::Bcrypt,
        b"hunter2",
        Some(present.as_bytes()),
        &mut HashMemo::default(),
    );
    assert_eq!(second, first);

    let rotated = render(
        &Filter::Bcrypt,
        b"hunter3",
        Some(present.as_bytes()),
        &mut HashMemo::default(),
    );
    assert_ne!(rotated, first);
    assert!(bcrypt::verify("hunter3", &rotated).unwrap());
}

#[test]
fn the_salt_is_random() {
    let hash = || render(&Filter::Bcrypt, b"hunter2", None, &mut HashMemo::default());
    assert_ne!(hash(), hash());
}

#[test]
fn a_hash_that_the_output_hides_is_kept_by_the_process() {
    let mut memo = HashMemo::default();
    let first = render(&Filter::Bcrypt, b"hunter2", None, &mut memo);
    let hidden = open(&Filter::Base64, first.as_bytes());
    assert_eq!(
        render(&Filter::Bcrypt, b"hunter2", Some(&hidden), &mut memo),
        first
    );
}

#[test]
fn a_hash_behind_an_encoding_is_kept_across_processes() {
    let call = |(name, arguments): &(&str, &[&str])| FilterCall {
        filter: filter(name, arguments),
        span: Span::default(),
    };
    let chains: [&[(&str, &[&str])]; 9] = [
        &[("base64", &[])],
        &[("base64url", &[])],
        &[("hex", &[])],
        &[("url", &[])],
        &[("trim", &[]), ("base64", &[]), ("base64", &[])],
        &[("replace", &["$", "\\$"]), ("hex", &[]), ("url", &[])],
        &[("json-string", &[]), ("base64url", &[])],
        &[("shell", &[])],
        &[("dotenv", &[]), ("base64", &[])],
    ];
    // The text before a hash may be of the same characters; before a user's name it would be a part of that.
    let users = Filter::Htpasswd("o'neil\"x".into());
    let cases = [
        (&Filter::Bcrypt, &["", "a", "ab", "abc"][..]),
        (&users, &["", "\n"]),
    ];
    for ((first, places), chain) in cases
        .into_iter()
        .flat_map(|case| chains.map(|chain| (case, chain)))
    {
        let behind: Vec<_> = chain.iter().map(call).collect();
        let again = |present: Option<&[u8]>| {
            let mut cx = FilterCx {
                now: at(0),
                present,
                behind: &behind,
                memo: &mut HashMemo::default(),
                valid_until: None,
            };
            let mut value = first.apply(&SecretBytes::copy_from(b"hunter2"), &mut cx).unwrap();
            let mut memo = HashMemo::default();
            let mut cx = FilterCx {
                now: at(0),
                present: None,
                behind: &[],
                memo: &mut memo,
                valid_until: None,
            };
            for call in &behind {
                value = call.filter.apply(&value, &mut cx).unwrap();
            }
            #[expect(clippy::disallowed_methods, reason = "test values are no secrets")]
            value.expose().to_vec()
        };
        let made = again(None);
        for before in places {
            let present = [before.as_bytes(), &made, b"\n"].concat();
            assert_eq!(again(Some(&present)), made, "{chain:?} behind {before:?}");
        }
    }
}

#[test]
fn two_outputs_of_one_value_each_keep_their_own_hash() {
    let hash = || render(&Filter::Bcrypt, b"hunter2", None, &mut HashMemo::default());
    let (one, other) = (hash(), hash());
    let mut memo = HashMemo::default();
    for _ in 0..2 {
        for present in [&one, &other] {
            assert_eq!(
                &render(&Filter::Bcrypt, b"hunter2", Some(present.as_bytes()), &mut memo),
                present
            );
        }
    }
}

#[test]
fn in_an_unchanged_output_each_value_meets_its_own_hash_first() {
    let values = [b"one", b"two", b"six"];
    let hash = |value: &[u8; 3]| render(&Filter::Bcrypt, value, None, &mut HashMemo::default());
    let hashes = values.map(hash);
    let mut memo = HashMemo::default();
    for (value, kept) in values.iter().zip(&hashes) {
        let present = hashes.join("\n");
        assert_eq!(
            &render(&Filter::Bcrypt, *value, Some(present.as_bytes()), &mut memo),
            kept
        );
    }
    assert_eq!(memo.refuted.len(), 0, "no value was tried against another's hash");

    // One value is new: only the hash that is no longer anybody's is tried.
    let mut memo = HashMemo::default();
    let present = hashes.join("\n");
    for value in [b"one", b"two", b"new"] {
        render(&Filter::Bcrypt, value, Some(present.as_bytes()), &mut memo);
    }
    assert_eq!(memo.refuted.len(), 1);
}

#[test]
fn a_new_value_among_many_hashes_is_tried_against_few_of_them_and_once() {
    let foreign = |index: usize| format!("$2b$12$abcdefghijklmnopqrstuu{index:030}.\n");
    let present: String = (0..100).map(foreign).collect();
    let mut memo = HashMemo::default();
    let made = render(&Filter::Bcrypt, b"new", Some(present.as_bytes()), &mut memo);
    assert_eq!(memo.refuted.len(), 16);
    let present = format!("{made}\n{present}");
    assert_eq!(
        render(&Filter::Bcrypt, b"new", Some(present.as_bytes()), &mut memo),
        made
    );
    assert_eq!(memo.refuted.len(), 16);
}

#[test]
fn a_hash_escaped_for_compose_is_recognised() {
    let first = render(
        &Filter::Htpasswd("ann".into()),
        b"hunter2",
        None,
        &mut HashMemo::default(),
    );
    let label = format!("traefik.users={}", first.replace('$', "$$"));
    let mut memo = HashMemo::default();
    let second = render(
        &Filter::Htpasswd("ann".into()),
        b"hunter2",
        Some(label.as_bytes()),
        &mut memo,
    );
    assert_eq!(second, first);
}

#[test]
fn each_user_keeps_the_hash_behind_their_own_name() {
    let line = |user: &str| {
        render(
            &Filter::Htpasswd(user.into()),
            b"same",
            None,
            &mut HashMemo::default(),
        )
    };
    let (ann, bob) = (line("ann"), line("bob"));
    assert!(ann.starts_with("ann:$2y$12$") && bcrypt::verify("same", &ann[4..]).unwrap());
    let present = format!("bigbob:{}\n{ann}\n{bob}\n", &line("x")[2..]);
    let mut memo = HashMemo::default();
    for (user, kept) in [("bob", &bob), ("ann", &ann)] {
        let again = render(
            &Filter::Htpasswd(user.into()),
            b"same",
            Some(present.as_bytes()),
            &mut memo,
        );
        assert_eq!(&again, kept);
    }
    let new = render(
        &Filter::Htpasswd("eve".into()),
        b"same",
        Some(present.as_bytes()),
        &mut memo,
    );
    assert!(!present.contains(&new[4..]), "nobody gets another user's salt");
}

#[test]
fn what_bcrypt_would_cut_off_is_refused() {
    for (value, reason) in [
        (
            &[b'x'; 73][..],
            "the value is longer than the 72 bytes that bcrypt reads",
        ),
        (b"a\0b", "the value holds a NUL byte, where bcrypt stops reading"),
        (
            b"",
            "the value is empty, and a hash of it would accept the empty password",
        ),
    ] {
        refuses("bcrypt", &[], value, reason);
        refuses("htpasswd", &["ann"], value, reason);
    }
    let longest = render(&Filter::Bcrypt, &[b'x'; 72], None, &mut HashMemo::default());
    assert!(bcrypt::verify([b'x'; 72], &longest).unwrap());
}
