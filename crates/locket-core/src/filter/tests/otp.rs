//! RFC 6238, appendix B, and the seeds that real services give out.

use data_encoding::BASE32_NOPAD;

use super::*;
use crate::filter::current_code;

fn key(algorithm: &str) -> String {
    let length = match algorithm {
        "SHA1" => 20,
        "SHA256" => 32,
        _ => 64,
    };
    BASE32_NOPAD.encode(&b"1234567890".repeat(7)[..length])
}

#[test]
fn the_vectors_of_the_rfc_hold() {
    for (time, codes) in [
        (59, ["94287082", "46119246", "90693936"]),
        (1_111_111_109, ["07081804", "68084774", "25091201"]),
        (1_111_111_111, ["14050471", "67062674", "99943326"]),
        (1_234_567_890, ["89005924", "91819424", "93441116"]),
        (2_000_000_000, ["69279037", "90698825", "38618901"]),
        (20_000_000_000, ["65353130", "77737706", "47863826"]),
    ] {
        for (algorithm, expected) in ["SHA1", "SHA256", "SHA512"].into_iter().zip(codes) {
            let seed = format!(
                "otpauth://totp/x?secret={}&algorithm={algorithm}&digits=8&period=30",
                key(algorithm)
            );
            let code = current_code(seed.as_bytes(), at(time)).unwrap();
            assert!(code.code.matches(expected.as_bytes()), "{algorithm} at {time}");
            assert_eq!(code.valid_until, at((time / 30 + 1) * 30));
        }
    }
}

#[track_caller]
fn code_of(seed: &str, expected: &str) {
    let code = current_code(seed.as_bytes(), at(59)).unwrap();
    assert!(
        code.code.matches(expected.as_bytes()),
        "{seed} gives another code"
    );
}

#[test]
fn a_key_is_taken_as_people_copy_it() {
    let key = key("SHA1");
    let grouped: Vec<_> = key
        .as_bytes()
        .chunks(4)
        .map(|group| str::from_utf8(group).unwrap())
        .collect();
    for seed in [
        key.clone(),
        key.to_lowercase(),
        format!(" {} \n", grouped.join(" ")),
        grouped.join("-").to_lowercase(),
        format!("{key}===="),
        format!(
            "otpauth://totp/ACME:ann@acme.example?secret={}&issuer=ACME",
            grouped.join("%20")
        ),
        format!("otpauth://totp/x?secret={}", grouped.join("+").to_lowercase()),
        format!("OTPAUTH://TOTP/x?issuer=a%26b&SECRET={key}&algorithm=HmacSHA1&image=y#z"),
    ] {
        code_of(&seed, "287082");
    }
}

#[test]
fn a_seed_of_eighty_bits_works() {
    // The code was computed apart, with Python's hmac module.
    code_of("JBSWY3DPEHPK3PXP", "996554");
}

#[test]
fn what_is_no_seed_is_refused_without_being_quoted() {
    for (seed, reason) in [
        (
            "hunter2-canary!",
            "the one-time seed is neither an otpauth:// URI nor base32 (byte 15)",
        ),
        ("JBSWY3DPEHPK3PXPA", "the one-time seed is cut off"),
        ("", "the one-time seed is empty"),
        ("====", "the one-time seed is empty"),
        (
            "otpauth://hotp/x?secret=JBSWY3DPEHPK3PXP",
            "the otpauth:// URI is not of the kind `totp`",
        ),
        ("otpauth://totp/x?issuer=y", "the otpauth:// URI has no `secret`"),
        (
            "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&digits=5",
            "the otpauth:// URI asks for other than 6, 7 or 8 digits",
        ),
        (
            "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&period=0",
            "the otpauth:// URI has a period outside of 1 to 86400 seconds",
        ),
        (
            "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&algorithm=MD5",
            "the otpauth:// URI names an algorithm other than SHA1, SHA256 and SHA512",
        ),
        (
            "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&encoder=steam",
            "the otpauth:// URI is of Steam, whose codes are not of RFC 6238",
        ),
    ] {
        assert_eq!(
            current_code(seed.as_bytes(), at(59)).unwrap_err(),
            FilterError::Value(reason.into())
        );
    }
}

#[test]
fn the_earliest_end_of_several_codes_counts() {
    let mut memo = HashMemo::default();
    let mut cx = FilterCx {
        now: at(61),
        present: None,
        behind: &[],
        memo: &mut memo,
        valid_until: None,
    };
    for period in [60, 30, 90] {
        let seed = format!("otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&period={period}");
        Filter::Totp
            .apply(&SecretBytes::copy_from(seed.as_bytes()), &mut cx)
            .unwrap();
    }
    assert_eq!(cx.valid_until, Some(at(90)));
}
