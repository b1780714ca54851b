use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use locket_core::SecretBytes;
use proptest::prelude::*;

use super::*;

fn masks(secrets: &[&[u8]]) -> Arc<Masks> {
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| SecretBytes::copy_from(secret))
        .collect();
    Arc::new(Masks::of(secrets.iter()).unwrap())
}

fn masked(masks: &Arc<Masks>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut masker = Masker::new(masks.clone());
    let mut out = Vec::new();
    for piece in pieces {
        masker.feed(piece, &mut out);
    }
    masker.flush(&mut out);
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_secret_is_hidden_wherever_it_is_cut() {
    let masks = masks(&[b"hunter2-canary", b"another one"]);
    let line = b"before hunter2-canary between another one, hunter2-canar and after".as_slice();
    let expected = "before ******** between ********, hunter2-canar and after";
    for first in 0..=line.len() {
        for second in [first, first + 1, first + 5, line.len()] {
            let second = second.clamp(first, line.len());
            let pieces = [&line[..first], &line[first..second], &line[second..]];
            assert_eq!(
                text(&masked(&masks, &pieces)),
                expected,
                "cut at {first} and {second}"
            );
        }
    }
    let bytes: Vec<_> = line.chunks(1).collect();
    assert_eq!(text(&masked(&masks, &bytes)), expected);
}

#[test]
fn what_cannot_be_a_secret_is_put_out_at_once() {
    let mut masker = Masker::new(masks(&[b"hunter2"]));
    let mut out = Vec::new();
    masker.feed(b"a prompt: ", &mut out);
    assert_eq!(
        (out.as_slice(), masker.is_holding()),
        (b"a prompt: ".as_slice(), false)
    );
    masker.feed(b"hunt", &mut out);
    assert_eq!(
        (out.as_slice(), masker.is_holding()),
        (b"a prompt: ".as_slice(), true)
    );
    masker.feed(b"ing", &mut out);
    assert_eq!(
        (out.as_slice(), masker.is_holding()),
        (b"a prompt: hunting".as_slice(), false)
    );
}

#[test]
fn encoded_forms_are_hidden() {
    let secret = b"p\"ss/w\xc3\xb6rd & more\n\\";
    let masks = masks(&[secret]);
    let percent = "p%22ss%2Fw%C3%B6rd%20%26%20more%0A%5C";
    let json = serde_json::to_string(std::str::from_utf8(secret).unwrap()).unwrap();
    for form in [
        BASE64.encode(secret),
        HEXLOWER.encode(secret),
        HEXUPPER.encode(secret),
        percent.to_owned(),
        percent
            .replace("%C3%B6", "%c3%b6")
            .replace("%2F", "%2f")
            .replace("%0A", "%0a")
            .replace("%5C", "%5c"),
        percent.replace("%20", "+"),
        json.trim_matches('"').to_owned(),
        r#"p\"ss/w\u00f6rd & more\n\\"#.to_owned(),
        r#"p\"ss\/w\u00f6rd & more\n\\"#.to_owned(),
        "p\\\"ss/w\u{f6}rd \\u0026 more\\n\\\\".to_owned(),
    ] {
        let shown = text(&masked(&masks, &[format!("<{form}>").as_bytes()]));
        assert_eq!(shown, "<********>", "{form}");
    }
    // Inside of a longer text all but the characters at the edges is hidden.
    for before in ["", "u", "us"] {
        let whole = [format!("{before}:").as_bytes(), secret, b"!!"].concat();
        for encoded in [BASE64.encode(&whole), BASE64URL_NOPAD.encode(&whole)] {
            let shown = text(&masked(&masks, &[encoded.as_bytes()]));
            assert!(
                shown.contains("********") && shown.len() < 8 + 12,
                "{encoded}: {shown}"
            );
        }
    }
}

#[test]
fn a_secret_of_several_lines_is_hidden_as_a_terminal_shows_it() {
    let secret = "-----BEGIN KEY-----\nline one\nline two\n-----END KEY-----\n";
    let masks = masks(&[secret.as_bytes()]);
    for (shown, expected) in [
        (secret.to_owned(), "<********>"),
        (secret.replace('\n', "\r\n"), "<********>"),
        (secret.trim_end().replace('\n', "\r\n"), "<********>"),
        ("line one\r\n".to_owned(), "<line one\r\n>"),
    ] {
        let line = format!("<{shown}>");
        for cut in 0..line.len() {
            let (one, other) = line.as_bytes().split_at(cut);
            assert_eq!(
                text(&masked(&masks, &[one, other])),
                expected,
                "{shown:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn what_encoders_of_urls_make_of_a_secret_is_hidden() {
    let secret = b"Tr0ub4dor!(x)*'y&3 ~/$:;%";
    let masks = masks(&[secret]);
    for (encoder, form) in [
        ("encodeURIComponent", "Tr0ub4dor!(x)*'y%263%20~%2F%24%3A%3B%25"),
        ("encodeURI", "Tr0ub4dor!(x)*'y&3%20~/$:;%25"),
        (
            "URLSearchParams",
            "Tr0ub4dor%21%28x%29*%27y%263+%7E%2F%24%3A%3B%25",
        ),
        ("URL.password", "Tr0ub4dor!(x)*'y&3%20~%2F$%3A%3B%"),
        (
            "urllib.parse.quote",
            "Tr0ub4dor%21%28x%29%2A%27y%263%20~/%24%3A%3B%25",
        ),
        (
            "urllib.parse.quote_plus",
            "Tr0ub4dor%21%28x%29%2A%27y%263+~%2F%24%3A%3B%25",
        ),
        ("url.PathEscape", "Tr0ub4dor%21%28x%29%2A%27y&3%20~%2F$:%3B%25"),
        (
            "urlencode of PHP",
            "Tr0ub4dor%21%28x%29%2A%27y%263+%7E%2F%24%3A%3B%25",
        ),
        (
            "WebUtility.UrlEncode",
            "Tr0ub4dor!(x)*%27y%263+%7E%2F%24%3A%3B%25",
        ),
    ] {
        let shown = text(&masked(&masks, &[format!("<{form}>").as_bytes()]));
        assert_eq!(shown, "<********>", "{encoder}");
    }
    let other = b"Tr0ub4dor%21(x)*'y&3";
    assert_eq!(masked(&masks, &[other]), other, "what no encoder makes is shown");
}

#[test]
fn a_secret_that_encoders_leave_as_it_is_has_no_form_for_each() {
    let forms = |secret: &[u8]| forms::of(secret).len();
    assert_eq!(forms(b"hunter2-canary"), forms(b"hunter22canary"));
    assert!(forms(b"hunter2 canary!") > forms(b"hunter22canary!"));
}

#[test]
fn secrets_that_overlap_or_contain_each_other_are_hidden_together() {
    let nested = masks(&[b"abcdef", b"defghi", b"cde", b"xabcdefx"]);
    for (line, expected) in [
        ("-abcdefghi-", "-********-"),
        ("-abcde-", "-ab********-"),
        ("-xabcdefx-", "-********-"),
        ("-abcdefdefghi-", "-********-"),
        ("-xabcdef-", "-x********-"),
    ] {
        for cut in 0..line.len() {
            let (one, other) = line.as_bytes().split_at(cut);
            assert_eq!(
                text(&masked(&nested, &[one, other])),
                expected,
                "{line} cut at {cut}"
            );
        }
    }
}

#[test]
fn the_shortest_and_the_longest_secrets_are_hidden() {
    assert_eq!(
        text(&masked(&masks(&[b"x"]), &[b"axb", b"x", b"c"])),
        "a********b********c"
    );
    let long: Vec<u8> = (0..64 * 1024_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let masks = masks(&[&long]);
    let line = [b"<".as_slice(), &long, b">"].concat();
    for size in [1, 7, 4096, 65536, line.len()] {
        let pieces: Vec<_> = line.chunks(size).collect();
        assert_eq!(text(&masked(&masks, &pieces)), "<********>", "{size}");
    }
    let mut almost = line.clone();
    let last = almost.len() - 2;
    almost[last] ^= 1;
    assert_eq!(
        masked(&masks, &[&almost]),
        almost,
        "all but the last byte is no secret"
    );
}

#[test]
fn a_stream_that_turns_to_other_masks_hides_what_it_holds_and_what_follows() {
    let old: [&[u8]; 3] = [b"hunter2-canary", b"abcdef", b"defghi"];
    let both: [&[u8]; 4] = [b"hunter2-canary", b"abcdef", b"defghi", b"hunter3-canary"];
    let (before, after) = (masks(&old), masks(&both));
    for (line, expected) in [
        ("a hunter3-canary, hunter2-canary", "a ********, ********"),
        ("hunter2-abcdefdefghi hunter3-", "hunter2-******** hunter3-"),
        ("abcdefghi abcdef gh", "******** ******** gh"),
        ("abcdefg", "********g"),
    ] {
        for cut in 0..=line.len() {
            let (one, other) = line.as_bytes().split_at(cut);
            let (mut masker, mut out) = (Masker::new(before.clone()), Vec::new());
            masker.feed(one, &mut out);
            let is_seen = text(&out).contains("hunter3");
            masker.turn_to(&after, &mut out);
            masker.feed(other, &mut out);
            masker.flush(&mut out);
            // What was no secret yet may be out.
            if !is_seen && cut <= line.find("hunter3").map_or(line.len(), |at| at + 6) {
                assert_eq!(text(&out), expected, "{line} cut at {cut}");
            }
        }
    }
}

#[test]
fn what_was_replaced_stays_hidden_until_very_much_else_was() {
    let hidden = Hidden::new(Hidden::SHORTEST);
    let note = |secret: &str| hidden.note([Arc::new(SecretBytes::copy_from(secret.as_bytes()))]);
    let shown = |line: &str| text(&masked(&hidden.masks().unwrap(), &[line.as_bytes()]));
    assert_eq!(shown("first-secret second-secret"), "first-secret second-secret");
    note("first-secret");
    note("short");
    hidden.end_generation();
    assert_eq!(
        shown("first-secret second-secret short"),
        "******** second-secret short"
    );
    note("second-secret");
    hidden.end_generation();
    assert_eq!(shown("first-secret second-secret"), "******** ********");
    for other in 0..1100 {
        note("second-secret");
        note(&format!("other-{other}-secret"));
        hidden.end_generation();
    }
    assert_eq!(
        shown("first-secret second-secret other-0-secret other-1000-secret"),
        "first-secret ******** other-0-secret ********"
    );
}

proptest! {
    #[test]
    fn hiding_is_the_same_however_the_stream_is_cut(
        secrets in prop::collection::vec("[ab]{1,6}|[a-d]{8,30}", 1..5),
        line in "([ab]{0,4}|[a-d]{0,20}|<[0-9]>){0,12}",
        known in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(0..200_usize, 0..8),
    ) {
        let secret = &secrets[known.index(secrets.len())];
        let line = format!("{line}{secret}{line}");
        let values: Vec<_> = secrets.iter().map(String::as_bytes).collect();
        let masks = masks(&values);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % (line.len() + 1)).collect();
        cuts.extend([0, line.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &line.as_bytes()[pair[0]..pair[1]]).collect();
        let whole = masked(&masks, &[line.as_bytes()]);
        prop_assert_eq!(&masked(&masks, &pieces), &whole);
        // What is not hidden holds no secret, and what is plain stays.
        let shown = text(&whole);
        for part in shown.split("********") {
            for secret in &secrets {
                prop_assert!(!part.contains(secret.as_str()), "{} in {}", secret, shown);
            }
        }
        prop_assert!(shown.contains("********"));
    }
}
