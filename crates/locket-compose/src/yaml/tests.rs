use super::*;
use crate::place::{Source, Sources};

fn read(text: &str) -> (Vec<Node>, Vec<locket_core::Diagnostic>) {
    let mut sources = Sources::default();
    let id = sources.add(Source {
        path: "compose.yaml".into(),
        base: "".into(),
        text: text.into(),
    });
    parse(text, id)
}

fn one(text: &str) -> Node {
    let (mut documents, found) = read(text);
    assert!(found.is_empty(), "{text}: {found:?}");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

#[test]
fn every_key_and_value_knows_its_bytes() {
    let text = "\u{feff}# é\nservices:\n  web:\n    image: 'nginx'\n    environment:\n      - A=\"ü\"\n";
    let node = one(text);
    let web = node.get("services").unwrap().get("web").unwrap();
    let of = |node: &Node| &text[node.place.span.start..node.place.span.end];
    assert_eq!(of(web.get("image").unwrap()), "'nginx'");
    assert_eq!(
        of(&web.get("environment").unwrap().as_list().unwrap()[0]),
        "A=\"ü\""
    );
    let key = web.as_map().unwrap().entry("image").unwrap().key_place.span;
    assert_eq!(&text[key.start..key.end], "image");
}

#[test]
fn words_are_what_they_are_to_compose() {
    for (written, text) in [
        ("0400", Some("256")),
        ("0o17", Some("15")),
        ("0x1F", Some("31")),
        ("1_000", Some("1000")),
        ("08", Some("8")),
        ("1.0", Some("1")),
        ("1e3", Some("1000")),
        ("1e21", Some("1e+21")),
        (".5", Some("0.5")),
        ("0.00001", Some("1e-05")),
        ("-3", Some("-3")),
        ("yes", Some("yes")),
        ("True", Some("true")),
        ("1.2.3", Some("1.2.3")),
        ("12ab", Some("12ab")),
        ("5:3", Some("5:3")),
        ("-", Some("-")),
        ("~", None),
        ("null", None),
    ] {
        assert_eq!(
            Scalar::plain(written).map(|scalar| scalar.text).as_deref(),
            text,
            "{written}"
        );
    }
}

#[test]
fn anchors_and_merge_keys_are_resolved_and_own_keys_win() {
    let node = one("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: own\n  d: *x\n");
    let z = node.get("z").unwrap();
    let texts: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|key| z.get(key).unwrap().as_str().unwrap())
        .collect();
    assert_eq!(texts, ["own", "2", "4"]);
    assert_eq!(z.get("d").unwrap().get("b").unwrap().as_str(), Some("2"));
}

#[test]
fn the_tags_of_compose_are_kept() {
    let node = one("a: !reset null\nb: !override [1]\nc: !!str 012\n");
    assert_eq!(node.get("a").unwrap().edit, Some(Edit::Reset));
    assert_eq!(node.get("b").unwrap().edit, Some(Edit::Override));
    assert_eq!(node.get("c").unwrap().as_str(), Some("012"));
}

#[test]
fn what_is_no_yaml_is_one_finding_without_any_of_its_text() {
    let (_, found) = read("services:\n  web:\n    environment:\n      P: \"hunter2-never-closed\n");
    assert_eq!(found.len(), 1);
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn a_key_that_stands_twice_is_found() {
    let (documents, found) = read("a: 1\na: 2\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(documents[0].get("a").unwrap().as_str(), Some("2"));
}

#[test]
fn aliases_of_aliases_and_deep_nesting_end_with_a_finding() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    for text in [text, "[".repeat(5_000), format!("a: {}", "{b: ".repeat(3_000))] {
        let (_, found) = read(&text);
        assert!(!found.is_empty());
    }
}
