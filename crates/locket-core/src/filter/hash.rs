//! Password hashes, whose random salt is kept while the value stays.

use std::collections::HashSet;

use ::bcrypt::{HashParts, Version};
use memchr::memmem;
use zeroize::Zeroizing;

use super::apply::{FilterCx, FilterError};
use super::call::{Filter, FilterCall};
use super::memo::{Digest, HashMemo};
use super::undo::undone;
use crate::{SecretBuilder, SecretBytes};

/// Two to this many rounds.
const COST: u32 = 12;
/// Length of a hash in its usual form.
const LENGTH: usize = 60;
/// The digits of a hash, by their values, and how many of them a sample has.
const ALPHABET: &str = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SAMPLED: usize = 51;
/// How many hashes of the present output one value is verified against, at some 0.2 s each.
const MAX_CHECKS: usize = 16;

/// A bcrypt hash of `value`: the one in the present output that verifies, else the one made before, else a new one.
pub(super) fn bcrypt(value: &[u8], cx: &mut FilterCx<'_>) -> Result<SecretBytes, FilterError> {
    check(value)?;
    let digest = cx.memo.digest(&[b"bcrypt", value])?;
    let candidates = candidates(&seen(cx));
    keep_or_make(value, digest, &candidates, Version::TwoB, cx.memo)
}

/// `user:` and a bcrypt hash of `value`, kept like that of [`bcrypt`] but looked for behind this user's name only.
/// The hash has the prefix `$2y$`, which every server that reads such files knows.
pub(super) fn htpasswd(value: &[u8], user: &str, cx: &mut FilterCx<'_>) -> Result<SecretBytes, FilterError> {
    check(value)?;
    let digest = cx.memo.digest(&[b"htpasswd", user.as_bytes(), value])?;
    let seen = seen(cx);
    let mut candidates = candidates(&seen);
    candidates.retain(|candidate| stands_behind(&seen[..candidate.start], user));
    let hash = keep_or_make(value, digest, &candidates, Version::TwoY, cx.memo)?;
    let mut line = SecretBuilder::with_capacity(user.len() + 1 + LENGTH);
    line.extend(user.as_bytes());
    line.extend(b":");
    #[expect(clippy::disallowed_methods, reason = "the hash is put behind the user's name")]
    line.extend(hash.expose());
    Ok(line.finish())
}

/// The first filter behind a password hash through which that cannot be found again in the output: every process would
/// make another one. Tried with hashes of which every character of their alphabet is in one.
pub(super) fn losing(filters: &[FilterCall]) -> Option<&FilterCall> {
    let at = filters.iter().position(|call| call.filter.is_slow())?;
    let behind = &filters[at + 1..];
    let mut samples = [&ALPHABET[..SAMPLED], &ALPHABET[ALPHABET.len() - SAMPLED..]].map(|letters| {
        // The last digits of salt and hash have bits that stand for nothing.
        let hash = format!("$2y$12${}u{}.", &letters[..21], &letters[21..]);
        let line = match &filters[at].filter {
            Filter::Htpasswd(user) => format!("{user}:{hash}"),
            _ => hash.clone(),
        };
        (hash, SecretBytes::new(line.into_bytes()))
    });
    for (at, call) in behind.iter().enumerate() {
        if call.filter.is_slow() {
            return Some(call);
        }
        for (hash, sample) in &mut samples {
            // What has no value at all is told when it is rendered.
            *sample = call.filter.apply_alone(sample).ok()?;
            #[expect(clippy::disallowed_methods, reason = "a made-up hash is looked for")]
            let found = candidates(&undone(sample.expose(), &behind[..=at]));
            if !found.iter().any(|candidate| candidate.hash == *hash) {
                return Some(call);
            }
        }
    }
    None
}

/// What bcrypt would cut off or stop at, and what would let everybody in, has no hash.
fn check(value: &[u8]) -> Result<(), FilterError> {
    let reason = if value.is_empty() {
        "the value is empty, and a hash of it would accept the empty password"
    } else if value.len() > 72 {
        "the value is longer than the 72 bytes that bcrypt reads"
    } else if value.contains(&0) {
        "the value holds a NUL byte, where bcrypt stops reading"
    } else {
        return Ok(());
    };
    Err(FilterError::Value(reason.into()))
}

/// Where hashes are looked for: the present output before the filters behind, then as it is, in case there were none yet.
fn seen(cx: &FilterCx<'_>) -> Zeroizing<Vec<u8>> {
    let present = cx.present.unwrap_or_default();
    if cx.behind.is_empty() {
        return Zeroizing::new(present.to_vec());
    }
    let mut seen = undone(present, cx.behind);
    seen.push(b'\n');
    seen.extend_from_slice(present);
    seen
}

fn keep_or_make(
    value: &[u8],
    digest: Digest,
    candidates: &[Candidate],
    version: Version,
    memo: &mut HashMemo,
) -> Result<SecretBytes, FilterError> {
    if let Some(hash) = kept(value, digest, candidates, memo)? {
        return Ok(hash);
    }
    if let Some(hash) = memo.made(&digest) {
        return Ok(SecretBytes::copy_from(hash.as_bytes()));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| no_hash())?;
    let parts = ::bcrypt::hash_with_salt(value, COST, salt).map_err(|_| no_hash())?;
    let hash = parts.format_for_version(version);
    memo.claim(digest, &hash)?;
    Ok(SecretBytes::copy_from(hash.as_bytes()))
}

/// The hash in the present output that is one of `value`.
fn kept(
    value: &[u8],
    digest: Digest,
    candidates: &[Candidate],
    memo: &mut HashMemo,
) -> Result<Option<SecretBytes>, FilterError> {
    let owners = candidates
        .iter()
        .map(|candidate| memo.owner(&candidate.hash))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(mine) = owners.iter().position(|owner| *owner == Some(digest)) {
        return Ok(Some(SecretBytes::copy_from(candidates[mine].hash.as_bytes())));
    }
    // Values come in the order of their hashes: those behind the last known one are the likeliest, and in an
    // unchanged output each value meets its own hash first.
    let next = owners
        .iter()
        .rposition(Option::is_some)
        .map_or(0, |last| last + 1);
    let mut checks = 0;
    for index in (next..candidates.len()).chain(0..next) {
        let hash = &candidates[index].hash;
        // A hash of another value is not one of this value.
        if owners[index].is_some() || memo.is_refuted(&digest, hash)? {
            continue;
        }
        if checks == MAX_CHECKS {
            break;
        }
        checks += 1;
        if ::bcrypt::verify(value, hash).unwrap_or(false) {
            memo.claim(digest, hash)?;
            return Ok(Some(SecretBytes::copy_from(hash.as_bytes())));
        }
        memo.refute(&digest, hash)?;
    }
    Ok(None)
}

/// A bcrypt hash in the present output.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    /// Offset of its first byte.
    start: usize,
    hash: String,
}

/// Every hash of our own cost, each once. Another cost is not ours, and a higher one would take for ever.
fn candidates(present: &[u8]) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    memmem::find_iter(present, b"$2")
        .filter_map(|at| candidate(present, at))
        .filter(|candidate| seen.insert(candidate.hash.clone()))
        .collect()
}

/// The hash whose `$2` is at `at`; also in the form for Compose files, with every `$` doubled.
fn candidate(present: &[u8], at: usize) -> Option<Candidate> {
    let doubled = at > 0 && present[at - 1] == b'$';
    let dollar: &[u8] = if doubled { b"$$" } else { b"$" };
    let (version, rest) = present[at + 1..].split_at_checked(2)?;
    let version = std::str::from_utf8(version)
        .ok()
        .filter(|name| matches!(*name, "2a" | "2b" | "2y"))?;
    let rest = rest
        .strip_prefix(dollar)?
        .strip_prefix(b"12")?
        .strip_prefix(dollar)?;
    let (tail, _) = rest.split_at_checked(LENGTH - "$2b$12$".len())?;
    let hash = format!("${version}$12${}", std::str::from_utf8(tail).ok()?);
    // Refuses what is not of bcrypt's alphabet.
    hash.parse::<HashParts>().ok()?;
    Some(Candidate {
        start: if doubled { at - 1 } else { at },
        hash,
    })
}

/// Whether `before` ends in `user:`, and not in a longer name that ends in this one.
fn stands_behind(before: &[u8], user: &str) -> bool {
    let name = before
        .strip_suffix(b":")
        .and_then(|before| before.strip_suffix(user.as_bytes()));
    name.is_some_and(|before| {
        before.last().is_none_or(|byte| {
            !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_' | b'-' | b'@' | b'+')
        })
    })
}

fn no_hash() -> FilterError {
    FilterError::Value("the system gave no random salt".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash() -> String {
        format!("$2b$12$abcdefghijklmnopqrstuu{}.", "A".repeat(30))
    }

    #[test]
    fn hashes_are_found_wherever_they_stand() {
        let (hash, doubled) = (hash(), hash().replace('$', "$$"));
        let text = format!("a:{hash}\nb={doubled}; {hash}");
        let [first] = candidates(text.as_bytes()).try_into().unwrap();
        assert_eq!(
            first,
            Candidate {
                start: 2,
                hash: hash.clone()
            }
        );
        let [alone] = candidates(doubled.as_bytes()).try_into().unwrap();
        assert_eq!(alone, Candidate { start: 0, hash });
    }

    #[test]
    fn what_only_resembles_a_hash_of_ours_is_never_tried() {
        let hash = hash();
        for other in [
            hash.replace("$12$", "$31$"),
            hash.replace("$2b$", "$2x$"),
            hash[..59].to_owned(),
            hash.replace('A', "!"),
            hash.replacen('$', "$$", 1),
        ] {
            assert_eq!(candidates(other.as_bytes()), [], "{other}");
        }
    }

    #[test]
    fn a_longer_name_is_another_user() {
        assert!(stands_behind(b"bob:", "bob"));
        assert!(stands_behind(b"x:y\nbob:", "bob"));
        assert!(stands_behind(b"users=\"bob:", "bob"));
        assert!(!stands_behind(b"big-bob:", "bob"));
        assert!(!stands_behind(b"bobby:", "bob"));
    }
}
