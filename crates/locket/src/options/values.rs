//! From texts to types, for what is not part of a plan. Each parser says what is wrong and what to write instead.

use std::net::SocketAddr;
use std::time::Duration;

use locket_core::Diagnostic;

/// A thousand years. No time span is longer: clocks have room for a few of these beyond the present.
const LONGEST: Duration = Duration::from_secs(31_557_600_000);

/// A time span: `500ms`, `10s`, `1h 30m`.
///
/// # Errors
/// The text is none, or one of more than a thousand years.
pub(crate) fn duration(text: &str) -> Result<Duration, Diagnostic> {
    match humantime::parse_duration(text.trim()) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err(wrong(text, "is longer than a thousand years")
            .help("Write a shorter time, like `10s`, `6h` or `2y`.")),
        Err(_) => {
            let wrong = wrong(text, "is not a duration");
            Err(match text.trim().parse::<u64>() {
                Ok(number) => wrong.help(format!("Add the unit, as in `{number}s` or `{number}ms`.")),
                Err(_) => wrong.help("Write it like `500ms`, `10s` or `6h`."),
            })
        }
    }
}

/// A time span that is not zero.
///
/// # Errors
/// The text is none.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, Diagnostic> {
    match duration(text)? {
        Duration::ZERO => {
            Err(wrong(text, "leaves no time at all").help("Write it like `500ms`, `10s` or `6h`."))
        }
        duration => Ok(duration),
    }
}

/// A time span, or `off` for never.
///
/// # Errors
/// The text is neither.
pub(crate) fn duration_or_off(text: &str) -> Result<Option<Duration>, Diagnostic> {
    match text.trim() {
        "off" => Ok(None),
        text if duration(text) == Ok(Duration::ZERO) => {
            Err(wrong(text, "would ask without pause").help("Write `off` for never."))
        }
        text => duration(text).map(Some),
    }
}

/// A number of bytes, with `K`, `M`, `G` (and `KiB`, `kB`, …) for powers of 1,024.
///
/// # Errors
/// The text is none.
pub(crate) fn size(text: &str) -> Result<u64, Diagnostic> {
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let shift = match unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit)
    {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| wrong(text, "is not a number of bytes").help("Write it like `500K`, `10M` or `1G`."))
}

/// `true` or `false`, also as `1` and `0`.
///
/// # Errors
/// The text is neither.
pub(crate) fn switch(text: &str) -> Result<bool, Diagnostic> {
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(wrong(text, "is neither on nor off").help("Write `true` or `false`.")),
    }
}

/// An address to listen on: `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100`; a port alone is one of the loopback
/// interface.
///
/// # Errors
/// The text is none; names are not looked up.
pub(crate) fn address(text: &str) -> Result<SocketAddr, Diagnostic> {
    let trimmed = text.trim();
    let (host, port) = trimmed.rsplit_once(':').unwrap_or(("", trimmed));
    let parsed = match (host, port.parse::<u16>()) {
        ("" | "localhost", Ok(port)) => Some(SocketAddr::from(([127, 0, 0, 1], port))),
        _ => trimmed.parse().ok(),
    };
    parsed.ok_or_else(|| {
        wrong(text, "is not an address to listen on").help("Write it like `127.0.0.1:9100` or `9100`.")
    })
}

/// One of `words`, which carry what they mean.
///
/// # Errors
/// The text is none of them.
pub(crate) fn word<T: Clone>(text: &str, words: &[(&'static str, T)]) -> Result<T, Diagnostic> {
    let known = words.iter().find(|(word, _)| *word == text.trim());
    known.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
        let names = words.iter().map(|(word, _)| *word);
        wrong(text, "is not known here")
            .help(format!("Write {}.", alternatives(names.clone())))
            .did_you_mean(text, names)
    })
}

/// The words as a sentence lists them: `a`, `b` or `c`.
pub(crate) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn wrong(text: &str, reason: &str) -> Diagnostic {
    Diagnostic::error(0..text.len(), format!("`{text}` {reason}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_duration_comes_back_as_it_is_shown(seconds in 0..u64::from(u32::MAX), nanos in 0..1_000_000_000_u32) {
            let exact = Duration::new(seconds, nanos);
            let shown = humantime::format_duration(exact).to_string();
            prop_assert_eq!(duration(&shown), Ok(exact), "{}", shown);
            prop_assert_eq!(duration(&format!(" {shown}\t")), Ok(exact));
        }

        #[test]
        fn no_text_makes_a_duration_or_size_panic(text in r"\PC{0,12}|[0-9]{0,22} ?(ms|s|h|y|K|MiB)?") {
            for found in [duration(&text).err(), duration_or_off(&text).err(), size(&text).err()].into_iter().flatten() {
                prop_assert!(text.get(found.span.start..found.span.end).is_some() || text.trim() != text);
            }
        }

        #[test]
        fn every_size_comes_back(number in 0..1_u64 << 30, shift in 0..4_u32) {
            let unit = ["", "K", "MiB", "gb"][shift as usize];
            prop_assert_eq!(size(&format!("{number}{unit}")), Ok(number << (10 * shift)));
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        let wrong = duration("30").unwrap_err();
        assert_eq!(
            wrong.help.as_deref(),
            Some("Add the unit, as in `30s` or `30ms`.")
        );
        assert!(duration("-1s").is_err() && duration("").is_err());
    }

    #[test]
    fn a_time_that_no_clock_has_room_for_is_refused() {
        for text in ["400000000000y", "1001y", "18446744073709551615s"] {
            for told in [
                duration(text).unwrap_err(),
                positive_duration(text).unwrap_err(),
                duration_or_off(text).unwrap_err(),
            ] {
                assert!(told.message.contains("a thousand years"), "{told:?}");
            }
        }
        assert!(duration("1000y").is_ok());
    }

    #[test]
    fn a_refresh_without_pause_is_refused() {
        assert_eq!(duration_or_off("off"), Ok(None));
        assert_eq!(duration_or_off("1s"), Ok(Some(Duration::from_secs(1))));
        assert!(duration_or_off("0s").is_err() && duration_or_off("never").is_err());
        assert!(positive_duration("0s").is_err() && positive_duration("1ns").is_ok());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("10M", 10 << 20),
            ("512k", 512 << 10),
            ("1GiB", 1 << 30),
            ("3 kB", 3072),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "10X", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_has_a_port_and_is_loopback_unless_it_says_otherwise() {
        for (text, expected) in [
            ("9100", "127.0.0.1:9100"),
            (":9100", "127.0.0.1:9100"),
            ("localhost:9100", "127.0.0.1:9100"),
            ("[::1]:1", "[::1]:1"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "host:1", "1.2.3.4", "127.0.0.1:99999", "::1"] {
            assert!(address(text).is_err(), "{text}");
        }
        assert_eq!((switch("true"), switch("0")), (Ok(true), Ok(false)));
        assert!(switch("yes").is_err());
    }

    #[test]
    fn an_unknown_word_comes_with_the_near_one_or_all_of_them() {
        let words = [("watch", 1), ("park", 2)];
        assert_eq!(word(" park ", &words), Ok(2));
        let near = word("wacht", &words).unwrap_err();
        assert_eq!(near.help.as_deref(), Some("Did you mean `watch`?"));
        let far = word("forever", &words).unwrap_err();
        assert_eq!(far.help.as_deref(), Some("Write `watch` or `park`."));
    }
}
