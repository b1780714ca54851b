//! What a reference gives.

use locket_core::provider::Derive;
use locket_testkit::canary::Canary;
use locket_testkit::fakes::connect::{Category, FieldType, Grant, State, TitleMatching};

use super::*;

#[tokio::test]
async fn values_come_byte_for_byte() {
    let rig = Rig::new();
    let awkward = Canary::awkward("value");
    let binary = Canary::binary("file");
    rig.add(
        Item::login("db", awkward.as_str())
            .section("s1", "Keys")
            .field(Field::concealed("empty", "").without_value())
            .field(Field::concealed("in section", "here").section("s1"))
            .file(File::new("top.bin", binary.bytes()))
            .file(File::new("key.pem", b"in a section\n").section("s1"))
            .file(File::new("nothing", b"")),
    );
    rig.gives("op://prod/db/password", awkward.bytes()).await;
    rig.gives("op://prod/db", awkward.bytes()).await;
    rig.gives("op://prod/db/empty", b"").await;
    rig.gives("op://prod/db/Keys/in section", b"here").await;
    rig.gives("op://prod/db/top.bin", binary.bytes()).await;
    rig.gives("op://prod/db/Keys/key.pem", b"in a section\n").await;
    rig.gives("op://prod/db/key.pem", b"in a section\n").await;
    rig.gives("op://prod/db/nothing", b"").await;
}

#[tokio::test]
async fn names_and_ids_mean_the_same_item() {
    let rig = Rig::new();
    let item = rig.add(Item::login("db", "secret"));
    for vault in ["prod", &rig.vault] {
        for item in ["db", &item] {
            rig.gives(&format!("op://{vault}/{item}/password"), b"secret")
                .await;
        }
    }
}

#[tokio::test]
async fn a_name_that_looks_like_an_id_is_still_found() {
    let fake = Connect::new();
    let vault = fake.add_vault("abcdefghijklmnopqrstuvwxyz");
    let rig = Rig::over(fake, vault);
    rig.add(Item::login("zyxwvutsrqponmlkjihgfedcba", "secret"));
    rig.gives(
        "op://abcdefghijklmnopqrstuvwxyz/zyxwvutsrqponmlkjihgfedcba/password",
        b"secret",
    )
    .await;
}

#[tokio::test]
async fn an_id_means_its_item_even_where_another_one_has_it_as_a_title() {
    let rig = Rig::new();
    let item = rig.add(Item::login("db", "right"));
    rig.add(Item::login(&item, "shadow"));
    rig.gives(&format!("op://prod/{item}/password"), b"right").await;
}

#[tokio::test]
async fn names_with_quotes_backslashes_and_other_signs_are_found() {
    let fake = Connect::new();
    let vault = fake.add_vault(r#"the "big" one"#);
    let rig = Rig::over(fake, vault);
    let titles = [
        r#"say "hi""#,
        r"back\slash\",
        r#"both \" of them"#,
        "a+b & c=d; 100%",
        "über straße 日本",
        "tab\there",
        "single 'quote'",
        r#"x" or title eq "y"#,
    ];
    for title in titles {
        rig.add(Item::login(title, title));
    }
    for title in titles {
        // Each in a round of its own: many of one round are found in the list of the vault.
        rig.clock.advance(Duration::from_secs(60));
        let encoded: String = title.bytes().map(|byte| format!("%{byte:02X}")).collect();
        rig.gives(
            &format!("op://the %22big%22 one/{encoded}/password"),
            title.as_bytes(),
        )
        .await;
    }
    assert!(
        rig.asked().iter().all(|target| !target.ends_with("/items")),
        "every filter was understood: the whole list was never needed"
    );
}

#[tokio::test]
async fn titles_that_several_items_have_are_refused_with_their_ids() {
    let rig = Rig::new();
    let (one, two) = (rig.add(Item::login("db", "1")), rig.add(Item::login("db", "2")));
    let error = rig.failure("op://prod/db/password").await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error.context.contains(&one) && error.context.contains(&two),
        "{}",
        error.context
    );
    rig.gives(&format!("op://prod/{two}/password"), b"2").await;
}

#[tokio::test]
async fn vault_names_that_several_vaults_have_are_refused_with_their_ids() {
    let fake = Connect::new();
    let (one, two) = (fake.add_vault("prod"), fake.add_vault("prod"));
    let token = fake.token(&[&one, &two]);
    let answering = fake.clone();
    let rig = Rig::with(fake, two.clone(), value_credential(&token), move |request| {
        answering.answer(&request)
    });
    rig.add(Item::login("db", "2"));
    let error = rig.failure("op://prod/db/password").await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error.context.contains(&one) && error.context.contains(&two),
        "{}",
        error.context
    );
    rig.gives(&format!("op://{two}/db/password"), b"2").await;
}

#[tokio::test]
async fn case_does_not_matter_unless_it_tells_two_names_apart() {
    for matching in [TitleMatching::Exact, TitleMatching::IgnoringCase] {
        let rig = Rig::new();
        rig.fake.match_titles(matching);
        rig.add(Item::login("Database", "upper"));
        rig.add(Item::login("database", "lower"));
        rig.add(Item::login("Cache", "cache"));
        rig.gives("op://prod/Database/password", b"upper").await;
        rig.gives("op://prod/database/password", b"lower").await;
        rig.gives("op://PROD/cache/PASSWORD", b"cache").await;
        assert_eq!(
            rig.failure("op://prod/DATABASE/password").await.kind,
            ErrorKind::Invalid,
            "{matching:?}"
        );
    }
}

#[tokio::test]
async fn archived_items_are_found_by_id_only() {
    let rig = Rig::new();
    let old = rig.add(Item::login("db", "old"));
    rig.fake.change_item(&old, |item| item.set_state(State::Archived));
    assert_eq!(
        rig.failure("op://prod/db/password").await.kind,
        ErrorKind::NotFound
    );
    rig.gives(&format!("op://prod/{old}/password"), b"old").await;
}

#[tokio::test]
async fn a_one_time_password_comes_as_its_seed_to_be_computed_here() {
    let rig = Rig::new();
    let seed = "otpauth://totp/Example:steve?secret=JBSWY3DPEHPK3PXP&issuer=Example";
    rig.add(
        Item::login("web", "p")
            .field(Field::otp("one-time password", seed, "111111"))
            .field(Field::otp("bare", "JBSWY3DPEHPK3PXP", "222222")),
    );
    for (name, value) in [("one-time password", seed), ("bare", "JBSWY3DPEHPK3PXP")] {
        let fetched = rig
            .get(&format!("op://prod/web/{name}?attribute=otp"))
            .await
            .unwrap();
        assert_eq!(fetched.derive, Derive::Totp);
        assert!(
            fetched.value.matches(value.as_bytes()),
            "the seed, not the server's code"
        );
        let plain = rig.get(&format!("op://prod/web/{name}")).await.unwrap();
        assert_eq!(
            plain.derive,
            Derive::Nothing,
            "without the attribute it is text like any other"
        );
    }
    assert_eq!(
        rig.failure("op://prod/web/password?attribute=otp").await.kind,
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn a_code_without_its_seed_comes_from_the_server() {
    let rig = Rig::new();
    rig.add(Item::login("web", "p").field(Field::otp("code", "", "123456").without_value()));
    let fetched = rig.get("op://prod/web?attribute=otp").await.unwrap();
    assert!(fetched.value.matches(b"123456"));
    assert_eq!(fetched.derive, Derive::Nothing);
    assert!(
        fetched.lease.is_none(),
        "nobody asks for a code every half minute"
    );
}

#[tokio::test]
async fn attributes_tell_what_the_item_says_of_a_field() {
    let rig = Rig::new();
    rig.add(
        Item::login("db", "p")
            .field(Field::concealed("API key", "k").id("k3y"))
            .file(File::new("a.txt", b"four")),
    );
    for (reference, value) in [
        ("op://prod/db/password?attribute=purpose", "PASSWORD"),
        ("op://prod/db/API key?attribute=purpose", ""),
        ("op://prod/db/API key?attribute=type", "CONCEALED"),
        ("op://prod/db/API key?attribute=id", "k3y"),
        ("op://prod/db/k3y?attribute=title", "API key"),
        ("op://prod/db/k3y?attr=value", "k"),
        ("op://prod/db/a.txt?attribute=size", "4"),
        ("op://prod/db/a.txt?attribute=name", "a.txt"),
        ("op://prod/db/a.txt?attribute=content", "four"),
    ] {
        rig.gives(reference, value.as_bytes()).await;
    }
    assert_eq!(
        rig.failure("op://prod/db/a.txt?attribute=purpose").await.kind,
        ErrorKind::Invalid
    );
    assert_eq!(
        rig.failure("op://prod/db/k3y?attribute=size").await.kind,
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn a_private_key_comes_as_it_is_kept_or_in_openssh_form() {
    // RFC 8032's first key, in PKCS#8.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let rig = Rig::new();
    rig.add(
        Item::new(Category::SshKey, "keys")
            .field(Field::new(FieldType::SshKey, "private key", pem).id("private_key"))
            .field(Field::new(FieldType::String, "public key", "ssh-ed25519 AAAA").id("public_key")),
    );
    rig.gives("op://prod/keys/private key", pem.as_bytes()).await;
    for reference in [
        "op://prod/keys/private key?ssh-format=openssh",
        "op://prod/keys?ssh-format=openssh",
    ] {
        let fetched = rig.get(reference).await.unwrap();
        let expected = crate::onepassword::to_openssh(pem.as_bytes()).unwrap();
        assert_eq!(fetched.value, expected);
    }
    let error = rig.failure("op://prod/keys/public key?ssh-format=openssh").await;
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn the_version_is_the_items_and_moves_with_it() {
    let rig = Rig::new();
    let item = rig.add(Item::login("db", "one"));
    let first = rig.get("op://prod/db/password").await.unwrap();
    rig.fake.change_item(&item, |item| item.set("password", "two"));
    let second = rig.get("op://prod/db/password").await.unwrap();
    assert!(second.value.matches(b"two"));
    assert_eq!(first.version.unwrap().0, "1");
    assert_eq!(second.version.unwrap().0, "2");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_with_the_nearest_name() {
    let rig = Rig::new();
    let item = rig.add(Item::login("database", "p"));
    let error = rig.failure("op://prod/databse/password").await;
    assert_eq!(
        (error.kind, error.hint.as_deref()),
        (ErrorKind::NotFound, Some("Did you mean `database`?"))
    );
    assert_eq!(error.context, "vault `prod` has no item `databse`");
    assert_eq!(
        rig.failure("op://prod/database/nope").await.kind,
        ErrorKind::NotFound
    );
    rig.fake.remove_item(&item);
    assert_eq!(
        rig.failure(&format!("op://prod/{item}/password")).await.kind,
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn what_the_token_may_not_read_is_denied_and_never_taken_for_missing() {
    let rig = Rig::new();
    let other = rig.fake.add_vault("other");
    rig.fake.add_item(&other, Item::login("db", "p"));
    assert_eq!(
        rig.failure("op://other/db/password").await.kind,
        ErrorKind::Denied,
        "by name"
    );
    assert_eq!(
        rig.failure(&format!("op://{other}/db/password")).await.kind,
        ErrorKind::Denied,
        "by id"
    );
    let error = rig.failure("op://prd/db/password").await;
    assert_eq!(
        (error.kind, error.hint.as_deref()),
        (ErrorKind::Denied, Some("Did you mean `prod`?"))
    );

    let fake = Connect::new();
    let vault = fake.add_vault("prod");
    fake.add_item(&vault, Item::login("db", "p"));
    let token = fake.token_with(&[(&vault, Grant::WriteOnly)]);
    let answering = fake.clone();
    let rig = Rig::with(fake, vault, value_credential(&token), move |request| {
        answering.answer(&request)
    });
    assert_eq!(
        rig.failure("op://prod/db/password").await.kind,
        ErrorKind::Denied,
        "a token that only writes"
    );
}

#[tokio::test]
async fn one_bad_reference_fails_alone() {
    let rig = Rig::new();
    rig.add(Item::login("db", "p").file(File::new("f", b"content")));
    let results = rig
        .get_all(&[
            "op://prod/db/nope",
            "op://prod/db/password",
            "op://prod/db/f?attribute=otp",
            "op://prod/db/f",
        ])
        .await;
    assert_eq!(results[0].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    assert!(results[1].as_ref().unwrap().value.matches(b"p"));
    assert_eq!(results[2].as_ref().unwrap_err().kind, ErrorKind::Invalid);
    assert!(results[3].as_ref().unwrap().value.matches(b"content"));
}
