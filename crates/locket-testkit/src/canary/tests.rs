use std::os::unix::fs::symlink;

use data_encoding::{BASE64, BASE64_MIME, BASE64URL, HEXLOWER, HEXUPPER};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::*;

fn kinds() -> [Canary; 4] {
    [
        Canary::text("text"),
        Canary::awkward("awkward"),
        Canary::binary("binary"),
        Canary::of("token", "hvs.a token/of+a \"real\" server\\"),
    ]
}

/// Every form that leaks take, built by other code than the search uses.
fn leaks(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let around = |before: &str, middle: Vec<u8>| {
        let mut all = before.as_bytes().to_vec();
        all.extend(middle);
        all.extend_from_slice(b" after");
        all
    };
    let behind = |prefix: &[u8]| {
        let mut all = prefix.to_vec();
        all.extend_from_slice(value);
        all.extend_from_slice(b"tail");
        all
    };
    let text = String::from_utf8_lossy(value).into_owned();
    let every_percent: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
    let every_json: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    vec![
        ("plain", around("error: ", value.to_vec())),
        ("base64", BASE64.encode(value).into_bytes()),
        ("base64 after one byte", BASE64.encode(&behind(b":")).into_bytes()),
        (
            "base64 after two bytes",
            BASE64.encode(&behind(b"u:")).into_bytes(),
        ),
        (
            "base64 after three bytes",
            BASE64.encode(&behind(b"us:")).into_bytes(),
        ),
        ("base64url", BASE64URL.encode(&behind(b"?")).into_bytes()),
        (
            "base64 in lines",
            BASE64_MIME.encode(&behind(&[b'x'; 50])).into_bytes(),
        ),
        (
            "base64 in a URL",
            percent_encode(BASE64.encode(value).as_bytes(), NON_ALPHANUMERIC)
                .to_string()
                .into_bytes(),
        ),
        ("hex", HEXLOWER.encode(value).into_bytes()),
        ("HEX", HEXUPPER.encode(value).into_bytes()),
        (
            "URL",
            percent_encode(value, NON_ALPHANUMERIC).to_string().into_bytes(),
        ),
        ("URL, every byte", every_percent.into_bytes()),
        ("JSON", serde_json::to_vec(&text).unwrap()),
        ("JSON, every letter", every_json.into_bytes()),
        ("Debug of a string", format!("{text:?}").into_bytes()),
        ("Debug of bytes", format!("{value:?}").into_bytes()),
        ("alternate Debug of bytes", format!("{value:#?}").into_bytes()),
        ("JSON of bytes", serde_json::to_vec(value).unwrap()),
        (
            "Debug of a byte string",
            format!("{:?}", bytes::Bytes::copy_from_slice(value)).into_bytes(),
        ),
        ("capitals", value.to_ascii_uppercase()),
    ]
}

#[test]
fn every_form_of_every_canary_is_found_and_only_its_own() {
    let (canaries, strangers) = (kinds(), kinds().map(|stranger| stranger.bytes().to_vec()));
    for (canary, stranger) in canaries.iter().zip(strangers).take(3) {
        for ((form, leak), (_, foreign)) in leaks(canary.bytes()).into_iter().zip(leaks(&stranger)) {
            assert!(canary.find(&leak).is_some(), "{canary:?} as {form}");
            assert_eq!(canary.find(&foreign), None, "another value as {form}");
        }
    }
    let token = &canaries[3];
    for (form, leak) in leaks(token.bytes()) {
        assert!(token.find(leak).is_some(), "a foreign token as {form}");
    }
    assert_eq!(token.find("hvs.a token of another server"), None);
}

#[test]
fn half_a_canary_is_found() {
    for canary in kinds().iter().take(3) {
        let half = canary.bytes().len() / 2;
        assert!(canary.find(&canary.bytes()[..half]).is_some(), "{canary:?}");
        assert!(canary.find(&canary.bytes()[half..]).is_some(), "{canary:?}");
    }
}

#[test]
fn a_finding_tells_form_and_place_without_the_value() {
    let canary = Canary::text("password");
    let haystack = format!("0123{}", HEXLOWER.encode(canary.bytes()));
    let finding = canary.find(haystack).unwrap();
    assert_eq!(finding.form, Form::Hex);
    assert_eq!((finding.view, finding.offset), (View::Raw, 4));
    let told = format!("{finding} {finding:?} {canary:?}");
    assert!(told.contains("password"));
    assert_eq!(canary.find(told), None);
}

#[test]
fn no_two_canaries_are_alike() {
    let one = Canary::text("same");
    assert_eq!(one.find(Canary::text("same").bytes()), None);
    assert!(one.find(one.clone().bytes()).is_some());
}

#[test]
#[should_panic(expected = "proves nothing")]
fn a_short_value_is_no_canary() {
    let _ = Canary::of("pin", "1234");
}

#[test]
#[should_panic(expected = "the log holds the canary `pw` as Plain")]
fn asserting_absence_fails_where_it_stands() {
    let canary = Canary::text("pw");
    assert_absent([&canary], "an empty log", "");
    assert_absent([&canary], "the log", canary.bytes());
}

#[test]
fn a_tree_is_searched_by_content_name_and_link() {
    let canary = Canary::text("tree");
    let place_of = |build: &dyn Fn(&Path)| {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("a/b")).unwrap();
        std::fs::write(tree.path().join("a/b/harmless"), "nothing").unwrap();
        build(&tree.path().join("a/b"));
        let place = canary.find_below(tree.path()).unwrap();
        place.map(|(path, _)| path.strip_prefix(tree.path()).unwrap().to_owned())
    };
    assert_eq!(place_of(&|_| ()), None);
    let in_file = place_of(&|directory| std::fs::write(directory.join("f"), canary.bytes()).unwrap());
    assert_eq!(in_file.unwrap(), Path::new("a/b/f"));
    let in_name = place_of(&|directory| std::fs::write(directory.join(canary.as_str()), "").unwrap());
    assert_eq!(in_name.unwrap(), Path::new("a/b").join(canary.as_str()));
    let in_link = place_of(&|directory| symlink(canary.as_str(), directory.join("link")).unwrap());
    assert_eq!(in_link.unwrap(), Path::new("a/b/link"));
}

#[test]
fn what_cannot_be_searched_is_an_error_and_not_an_absence() {
    let canary = Canary::text("gone");
    canary.find_below(Path::new("/nonexistent")).unwrap_err();
}
