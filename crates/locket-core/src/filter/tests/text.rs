use proptest::prelude::*;

use super::*;

#[test]
fn bytes_of_any_kind_are_encoded() {
    let value = b"\0\xff\xfe?>\n";
    gives("base64", &[], value, "AP/+Pz4K");
    gives("base64", &[], b"\xff\xfe", "//4=");
    gives("base64url", &[], b"\xff\xfe", "__4");
    gives("hex", &[], value, "00fffe3f3e0a");
    gives(
        "sha256",
        &[],
        b"abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
}

#[test]
fn base64_is_read_in_either_alphabet_with_or_without_padding_and_space() {
    for text in [
        "//79Pw==",
        "__79Pw",
        "//79Pw",
        "_/7-9Pw==".replace("7-", "7").as_str(),
        " //79\r\n\tPw= = \n",
    ] {
        gives("base64-decode", &[], text, b"\xff\xfe\xfd?");
    }
    gives("base64-decode", &[], "", "");
    // Some encoders leave bits behind the last byte set.
    gives("base64-decode", &[], "//79Px", b"\xff\xfe\xfd?");
}

#[test]
fn what_is_not_base64_is_refused_with_its_place() {
    refuses(
        "base64-decode",
        &[],
        "ab!d",
        "the value is not base64: byte 3 is not of its alphabet",
    );
    refuses(
        "base64-decode",
        &[],
        "ab==cd",
        "the value is not base64: byte 5 stands behind the padding",
    );
    for cut in ["abcde", "a", "ab=", "abcd=", "abc==", "=", "ab==="] {
        refuses(
            "base64-decode",
            &[],
            cut,
            "the value is not base64: it is cut off, or its padding is wrong",
        );
    }
}

#[test]
fn white_space_is_trimmed_from_both_ends_only() {
    gives("trim", &[], "\u{2003} a b\t\r\n", "a b");
    gives("trim", &[], "\n", "");
}

#[test]
fn case_changes_character_by_character() {
    gives("upper", &[], "straße é", "STRASSE É");
    gives("lower", &[], "ÀBC İ", "àbc i\u{307}");
}

#[test]
fn replacing_goes_from_the_left_without_overlap() {
    gives("replace", &["aa", "b"], "aaaXaa", "baXb");
    gives("replace", &["$", "$$"], "$2b$", "$$2b$$");
    gives("replace", &["x", ""], "xyx", "y");
    gives("replace", &["absent", "b"], "text", "text");
}

#[test]
fn lines_come_without_the_end_of_the_last() {
    gives("lines", &["1"], "one\ntwo\n", "one");
    gives("lines", &["2"], "one\r\ntwo\r\nthree", "one\r\ntwo");
    gives("lines", &["9"], "one\ntwo\n", "one\ntwo");
    gives("lines", &["1"], "\nx", "");
    gives("lines", &["0"], "one", "");
}

#[test]
fn all_lines_but_the_first_are_indented() {
    gives("indent", &["2"], "a\nb\n\nc\n", "a\n  b\n  \n  c\n");
    gives("indent", &["0"], "a\nb", "a\nb");
    gives("indent", &["4"], "one", "one");
}

#[test]
fn only_unreserved_characters_stay_in_a_url() {
    gives("url", &[], "aZ09-._~", "aZ09-._~");
    gives("url", &[], "p@ss/wörd +%\n", "p%40ss%2Fw%C3%B6rd%20%2B%25%0A");
}

const CHAIN: &str = "bag attributes\n-----BEGIN CERTIFICATE-----\nAAA=\n-----END CERTIFICATE-----\n\
    -----BEGIN RSA PRIVATE KEY-----\nBBB=\n-----END RSA PRIVATE KEY-----\n\
    -----BEGIN CERTIFICATE-----\r\nCCC=\r\n-----END CERTIFICATE-----";

#[test]
fn pem_blocks_are_picked_by_their_whole_label_in_order() {
    gives(
        "pem",
        &["CERTIFICATE"],
        CHAIN,
        "-----BEGIN CERTIFICATE-----\nAAA=\n-----END CERTIFICATE-----\n\
         -----BEGIN CERTIFICATE-----\r\nCCC=\r\n-----END CERTIFICATE-----\n",
    );
    gives(
        "pem",
        &["RSA PRIVATE KEY"],
        CHAIN,
        "-----BEGIN RSA PRIVATE KEY-----\nBBB=\n-----END RSA PRIVATE KEY-----\n",
    );
}

#[test]
fn a_missing_block_lets_default_stand_in_and_a_torn_one_does_not() {
    assert_eq!(
        apply(&filter("pem", &["PRIVATE KEY"]), CHAIN.as_bytes()),
        Err(FilterError::NoSuchPart(
            "the value holds no PEM block `PRIVATE KEY`".into()
        ))
    );
    refuses(
        "pem",
        &["X"],
        "-----BEGIN X-----\nAAA",
        "the PEM block `X` is never closed",
    );
}

#[test]
fn text_filters_refuse_bytes_that_are_no_text() {
    for (name, arguments) in [
        ("trim", &[][..]),
        ("upper", &[]),
        ("lower", &[]),
        ("replace", &["a", "b"]),
        ("lines", &["1"]),
        ("indent", &["1"]),
        ("url", &[]),
        ("shell", &[]),
        ("dotenv", &[]),
        ("json-string", &[]),
        ("yaml-string", &[]),
        ("toml-string", &[]),
        ("pem", &["X"]),
        ("totp", &[]),
    ] {
        refuses(
            name,
            arguments,
            b"ab\xffcanary",
            "the value is not UTF-8 text (byte 3)",
        );
    }
}

proptest! {
    #[test]
    fn every_encoding_is_undone_by_its_decoder(value in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in ["base64", "base64url"] {
            let encoded = open(&filter(name, &[]), &value);
            prop_assert_eq!(&open(&Filter::Base64Decode, &encoded), &value);
        }
    }

    #[test]
    fn the_url_form_decodes_to_the_value(value in any::<String>()) {
        let encoded = String::from_utf8(open(&Filter::Url, value.as_bytes())).unwrap();
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        prop_assert!(encoded.bytes().all(unreserved));
        prop_assert_eq!(percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap(), value);
    }

    #[test]
    fn no_value_makes_a_filter_panic(value in prop::collection::vec(any::<u8>(), 0..80)) {
        for kind in super::super::FILTERS.iter().filter(|kind| !matches!(kind.name, "bcrypt" | "htpasswd")) {
            let arguments: Vec<_> =
                kind.arguments.iter().map(|shown| if *shown == "N" { "2" } else { "x" }).collect();
            let _ = apply(&filter(kind.name, &arguments), &value);
        }
    }
}
