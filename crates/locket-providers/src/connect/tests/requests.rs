//! What is asked, and how often; and what happens when remembered ids are no longer right.

use futures_util::future::join_all;
use locket_testkit::fakes::connect::State;

use super::*;

#[tokio::test]
async fn all_fields_of_an_item_are_one_read_beside_the_two_look_ups_of_the_first_time() {
    let rig = Rig::new();
    let item = rig.add(
        Item::login("db", "p")
            .field(Field::concealed("a", "1"))
            .field(Field::concealed("b", "2")),
    );
    let fields = [
        "op://prod/db/password",
        "op://prod/db/username",
        "op://prod/db/a",
        "op://prod/db/b",
        "op://prod/db",
    ];
    assert!(rig.get_all(&fields).await.iter().all(Result::is_ok));
    let vault = &rig.vault;
    let read = format!("/v1/vaults/{vault}/items/{item}");
    assert_eq!(
        rig.asked(),
        [
            "/v1/vaults?filter=name+eq+%22prod%22".to_owned(),
            format!("/v1/vaults/{vault}/items?filter=title+eq+%22db%22"),
            read.clone(),
        ]
    );
    assert!(rig.get_all(&fields).await.iter().all(Result::is_ok));
    assert_eq!(
        rig.asked().join(
            "
"
        ),
        read,
        "names are remembered, values are not"
    );
    rig.get(&format!("op://{vault}/{item}/a")).await.unwrap();
    assert_eq!(rig.asked().join("\n"), read, "ids need no look-up");
}

#[tokio::test]
async fn many_items_read_at_once_ask_for_their_vault_once_and_for_most_titles_together() {
    let rig = Rig::new();
    for number in 0..20 {
        rig.add(Item::login(&format!("item {number}"), &number.to_string()));
    }
    let references: Vec<_> = (0..20)
        .map(|number| format!("op://prod/item {number}/password"))
        .collect();
    let results = join_all(references.iter().map(|reference| rig.get(reference))).await;
    for (number, result) in results.iter().enumerate() {
        let value = &result.as_ref().unwrap().value;
        assert!(value.matches(number.to_string().as_bytes()), "{number}");
    }
    let asked = rig.asked();
    let of = |end: &str| asked.iter().filter(|target| target.contains(end)).count();
    assert_eq!((of("name+eq"), of("title+eq"), of("/items/")), (1, 4, 20));
    assert_eq!(asked.len(), 1 + 4 + 1 + 20, "and one list: {asked:?}");
}

#[tokio::test]
async fn what_is_newer_than_the_list_of_a_vault_is_found_all_the_same() {
    let rig = Rig::new();
    let items: Vec<_> = (0..6)
        .map(|number| rig.add(Item::login(&format!("item {number}"), &number.to_string())))
        .collect();
    for number in 0..5 {
        rig.gives(
            &format!("op://prod/item {number}/password"),
            number.to_string().as_bytes(),
        )
        .await;
    }
    let listed = |asked: &[String]| asked.iter().filter(|target| target.ends_with("/items")).count();
    assert_eq!(listed(&rig.asked()), 1, "the fifth title");
    rig.add(Item::login("new", "n"));
    rig.gives("op://prod/new/password", b"n").await;
    // In the list, and gone: another one has its title.
    rig.fake.remove_item(&items[5]);
    rig.add(Item::login("item 5", "another"));
    rig.gives("op://prod/item 5/password", b"another").await;
    rig.asked();
    rig.clock.advance(Duration::from_secs(10));
    rig.add(Item::login("later", "l"));
    rig.gives("op://prod/later/password", b"l").await;
    assert_eq!(listed(&rig.asked()), 0, "a look-up of another round");
}

#[tokio::test]
async fn a_vault_whose_list_cannot_be_had_is_asked_for_one_title_after_the_other() {
    let fake = Connect::new();
    let vault = fake.add_vault("prod");
    let token = fake.token(&[&vault]);
    let answering = fake.clone();
    let rig = Rig::with(fake, vault, value_credential(&token), move |request| {
        match request.path.ends_with("/items") && request.query.is_empty() {
            true => Response::json(500, &serde_json::json!({"status": 500, "message": "too many"})),
            false => answering.answer(&request),
        }
    });
    for number in 0..8 {
        rig.add(Item::login(&format!("item {number}"), "p"));
        rig.gives(&format!("op://prod/item {number}/password"), b"p")
            .await;
    }
    let asked = rig.asked();
    let lists = asked.iter().filter(|target| target.ends_with("/items"));
    assert_eq!(lists.count(), 1, "and not again and again: {asked:?}");
}

#[tokio::test]
async fn a_file_is_one_more_read_and_only_when_its_content_is_wanted() {
    let rig = Rig::new();
    rig.add(Item::login("db", "p").file(File::new("f", b"content")));
    rig.get("op://prod/db/password").await.unwrap();
    rig.asked();
    rig.get_all(&["op://prod/db/password", "op://prod/db/f?attribute=size"])
        .await;
    assert_eq!(rig.asked().len(), 1);
    rig.get_all(&["op://prod/db/password", "op://prod/db/f"]).await;
    let asked = rig.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].ends_with("/content"));
}

#[tokio::test]
async fn all_fields_and_files_of_an_item_come_with_one_read_and_one_more_for_each_file() {
    let rig = Rig::new();
    let item = Item::login("db", "p")
        .section("s", "TLS")
        .field(Field::concealed("key", "k").section("s"))
        .file(File::new("ca.pem", b"content"));
    rig.add(item);
    rig.get("op://prod/db/password").await.unwrap();
    rig.asked();
    let every = |text: &str| crate::onepassword::parse_every(&reference(text)).unwrap();
    let batch = [
        locator("op://prod/db/password"),
        every("op://prod/db/"),
        every("op://prod/db/TLS/"),
    ];
    let results = rig.provider.fetch(&batch, &rig.cx()).await;
    let names = |index: usize| {
        let members = results[index].as_ref().unwrap().members.as_ref().unwrap();
        members.names().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = names(1);
    assert!(
        ["password", "key", "ca.pem"]
            .iter()
            .all(|name| all.iter().any(|known| known == name)),
        "{all:?}"
    );
    assert!(
        !all.iter().any(|name| name == "notesPlain"),
        "an empty field is none"
    );
    assert_eq!(names(2), ["key"]);
    let asked = rig.asked();
    assert_eq!(asked.len(), 2, "the item and its file: {asked:?}");
    for wrong in [
        "op://prod/",
        "op://prod/db",
        "op://prod/db/?attribute=otp",
        "op://prod/db/a/b/",
    ] {
        assert!(
            crate::onepassword::parse_every(&reference(wrong)).is_err(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn the_token_goes_with_every_request_and_into_no_address() {
    let rig = Rig::new();
    rig.add(Item::login("db", "p"));
    rig.get("op://prod/db/password").await.unwrap();
    for request in rig.server.requests() {
        let token = request.bearer().expect("a bearer token");
        assert!(token.split('.').count() == 3 && !request.target().contains(token));
    }
}

#[tokio::test]
async fn an_item_made_anew_under_its_title_is_found_again() {
    let rig = Rig::new();
    let old = rig.add(Item::login("db", "old"));
    rig.gives("op://prod/db/password", b"old").await;
    rig.fake.remove_item(&old);
    rig.add(Item::login("db", "new"));
    rig.gives("op://prod/db/password", b"new").await;
}

#[tokio::test]
async fn a_title_that_passed_to_another_item_means_the_other_item() {
    let rig = Rig::new();
    let old = rig.add(Item::login("db", "old"));
    rig.gives("op://prod/db/password", b"old").await;
    rig.fake
        .change_item(&old, |item| item.rename("db (before the move)"));
    rig.add(Item::login("db", "new"));
    rig.gives("op://prod/db/password", b"new").await;
}

#[tokio::test]
async fn an_archived_item_gives_its_title_to_the_next_one() {
    let rig = Rig::new();
    let old = rig.add(Item::login("db", "old"));
    rig.gives("op://prod/db/password", b"old").await;
    rig.fake.change_item(&old, |item| item.set_state(State::Archived));
    rig.add(Item::login("db", "new"));
    rig.gives("op://prod/db/password", b"new").await;
}

#[tokio::test]
async fn a_renamed_item_without_a_successor_is_not_found() {
    let rig = Rig::new();
    let item = rig.add(Item::login("db", "p"));
    rig.gives("op://prod/db/password", b"p").await;
    rig.fake.change_item(&item, |item| item.rename("elsewhere"));
    assert_eq!(
        rig.failure("op://prod/db/password").await.kind,
        ErrorKind::NotFound
    );
    rig.gives("op://prod/elsewhere/password", b"p").await;
}

#[tokio::test]
async fn a_vault_made_anew_under_its_name_is_found_again() {
    let fake = Connect::new();
    let (old, new) = (fake.add_vault("prod"), fake.add_vault("spare"));
    let token = fake.token(&[&old, &new]);
    let answering = fake.clone();
    let rig = Rig::with(fake, old.clone(), value_credential(&token), move |request| {
        answering.answer(&request)
    });
    rig.add(Item::login("db", "old"));
    rig.gives("op://prod/db/password", b"old").await;
    rig.fake.remove_vault(&old);
    rig.fake.rename_vault(&new, "prod");
    rig.fake.add_item(&new, Item::login("db", "new"));
    rig.gives("op://prod/db/password", b"new").await;
}

#[tokio::test]
async fn a_vault_name_that_passed_on_is_noticed_after_five_minutes() {
    let fake = Connect::new();
    let (old, new) = (fake.add_vault("prod"), fake.add_vault("next"));
    let token = fake.token(&[&old, &new]);
    let answering = fake.clone();
    let rig = Rig::with(fake, old.clone(), value_credential(&token), move |request| {
        answering.answer(&request)
    });
    rig.add(Item::login("db", "old"));
    rig.fake.add_item(&new, Item::login("db", "new"));
    rig.gives("op://prod/db/password", b"old").await;
    rig.fake.rename_vault(&old, "prod (before the move)");
    rig.fake.rename_vault(&new, "prod");
    rig.clock.advance(Duration::from_secs(299));
    rig.gives("op://prod/db/password", b"old").await;
    rig.clock.advance(Duration::from_secs(1));
    rig.gives("op://prod/db/password", b"new").await;
}

#[tokio::test]
async fn a_missing_item_costs_a_fixed_number_of_requests() {
    let rig = Rig::new();
    rig.add(Item::login("db", "p"));
    rig.failure("op://prod/nope/password").await;
    assert_eq!(
        rig.asked().len(),
        3,
        "vault, title, and the list that knows the nearest name"
    );
    rig.failure("op://prod/nope/password").await;
    assert_eq!(rig.asked().len(), 2);
    rig.failure("op://prod/db/nope").await;
    assert_eq!(rig.asked().len(), 2, "title and item");
    rig.failure("op://prod/db/nope").await;
    assert_eq!(
        rig.asked().len(),
        1,
        "a missing field costs what a present one does"
    );
}

#[tokio::test]
async fn a_server_that_cannot_read_a_filter_is_asked_for_the_list() {
    let fake = Connect::new();
    let vault = fake.add_vault("prod");
    let token = fake.token(&[&vault]);
    let answering = fake.clone();
    let rig = Rig::with(fake, vault, value_credential(&token), move |request| {
        if request.query.contains("%5C") {
            return Response::json(
                400,
                &serde_json::json!({"status": 400, "message": "Invalid filter"}),
            );
        }
        answering.answer(&request)
    });
    rig.add(Item::login(r#"say "hi""#, "p"));
    rig.gives("op://prod/say %22hi%22/password", b"p").await;
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_provider_usable() {
    let rig = Rig::new();
    rig.add(Item::login("db", "p"));
    let (batch, cx) = ([locator("op://prod/db/password")], rig.cx());
    for polls in 1..60 {
        let mut call = rig.provider.fetch(&batch, &cx);
        for _ in 0..polls {
            if futures_util::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    rig.gives("op://prod/db/password", b"p").await;
}
