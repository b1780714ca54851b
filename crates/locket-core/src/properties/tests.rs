//! Replays what fuzzing began with and what it found; and round trips of what only a generator can make up.

use std::sync::Arc;

use proptest::prelude::*;

use super::Target;
use super::lists as check_lists;
use super::reference as check_reference;
use super::{TARGETS, check, lists, template};
use crate::glob::Pattern;
use crate::plan::{OnError, Owner};
use crate::spec::{MapSpec, Overrides};
use crate::template::{Delimiters, Resolution, TemplateOptions};
use crate::{Action, Fetched, SecretBytes, Signal, Template};

#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_seed_and_every_former_finding_holds() {
    replay::all(TARGETS);
}

/// A path as a map may hold it.
fn path() -> impl Strategy<Value = String> {
    r#"([^\x00]|[:=,\\ ]|mode=|notify){1,12}"#
}

/// An action with whatever a person might put into it.
fn action() -> impl Strategy<Value = Action> {
    let word = r#"([^\x00]|['"\\ $]){0,8}"#;
    let exec = prop::collection::vec(word, 1..5).prop_map(|argv| Action::Exec { argv });
    let pid = (path(), 1..=31_i32).prop_map(|(file, signal)| Action::Pid {
        file: file.into(),
        signal: Signal::parse(&signal.to_string()).unwrap(),
    });
    prop_oneof![exec, pid]
}

fn owner() -> impl Strategy<Value = Owner> {
    let id = || 0..u32::MAX;
    (id(), prop::option::of(id())).prop_map(|(uid, gid)| Owner { uid, gid })
}

fn policy() -> impl Strategy<Value = OnError> {
    prop::sample::select(OnError::ALL.map(|(_, policy)| policy).to_vec())
}

fn overrides() -> impl Strategy<Value = Overrides> {
    let of = prop::option::of::<std::ops::RangeInclusive<u32>>;
    let notify = prop::collection::vec(action(), 0..3);
    let owner = prop::option::of(owner());
    (
        of(0..=0o777),
        of(0..=0o7777),
        owner,
        prop::option::of(policy()),
        notify,
        patterns(),
        patterns(),
        prop::option::of(any::<bool>()),
        prop::option::of(any::<bool>()),
    )
        .prop_map(
            |(file_mode, dir_mode, owner, on_error, notify, include, exclude, atomic, render)| Overrides {
                file_mode,
                dir_mode,
                owner,
                on_error,
                notify,
                include,
                exclude,
                atomic,
                render,
            },
        )
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let written = ["*.conf", "tls/**", "{a,b}.env", "[a-c:=]?", r"\*,x", "**/key"];
    let patterns = written.map(|text| Pattern::parse(text).unwrap());
    prop::collection::vec(prop::sample::select(patterns.to_vec()), 0..3)
}

/// Marks around tags that nothing else in the texts below begins with.
fn mark() -> impl Strategy<Value = String> {
    "[<>\\[\\](){}%$@~«»]{1,3}"
}

/// A piece of a template between `open` and `close`: how it is written, and what comes of it.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// The opening mark as text.
    Mark,
    /// So many backslashes before a tag.
    Tag(usize),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        "[a-z \n\"|é]{0,6}".prop_map(Piece::Text),
        Just(Piece::Mark),
        (0..3_usize).prop_map(Piece::Tag),
    ]
}

proptest! {
    #[test]
    fn any_map_comes_back_with_its_options(
        source in path(), destination in path(), overrides in overrides()
    ) {
        let spec = MapSpec { source: source.into(), destination: destination.into(), overrides };
        let written = lists::write_map(&spec);
        prop_assert_eq!(MapSpec::parse(&written), Ok(spec), "{:?}", written);
    }

    #[test]
    fn any_action_comes_back(action in action()) {
        let written = lists::write_action(&action);
        prop_assert_eq!(Action::parse(&written), Ok(action), "{:?}", written);
    }

    #[test]
    fn any_text_of_the_small_grammars_keeps_its_promises(
        text in r#"([a-z0-7]|[:=,;\\'"@{}\n ]|mode=|user=|exec:|pid:|é){0,24}"#
    ) {
        check_lists(text.as_bytes());
    }

    #[test]
    fn any_reference_keeps_its_promises(
        text in r#"(op|sops|oci|file|opp)://([a-z/]|[%?&=#" \u{a0}]|%2[0-9F]|optional|é){0,16}"#
    ) {
        check_reference(text.as_bytes());
    }

    #[test]
    fn tags_between_any_marks_are_found_and_all_else_is_kept(
        open in mark(), close in mark(), pieces in prop::collection::vec(piece(), 0..12)
    ) {
        const VALUE: &[u8] = b"<[{(%$@~ op://v/a";
        let delimiters = Delimiters::new(&open, &close).unwrap();
        let (mut source, mut expected) = (b"-".to_vec(), b"-".to_vec());
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    source.extend(text.as_bytes());
                    expected.extend(text.as_bytes());
                }
                Piece::Mark => {
                    source.extend(format!("\\{open} ").as_bytes());
                    expected.extend(format!("{open} ").as_bytes());
                }
                Piece::Tag(backslashes) => {
                    source.extend("\\\\".repeat(backslashes).as_bytes());
                    source.extend(format!("{open} op://v/a {close} ").as_bytes());
                    expected.extend("\\".repeat(backslashes).as_bytes());
                    expected.extend(VALUE);
                    expected.push(b' ');
                }
            }
        }
        let options = TemplateOptions { delimiters, verbatim: false };
        let template = Template::parse(source.clone(), &options, &check::schemes()).unwrap();
        let value = Resolution::Value(Arc::new(Fetched::new(SecretBytes::copy_from(VALUE))));
        let values = vec![value; template.references().len()];
        let rendered = template::render(&template, &values).unwrap();
        prop_assert!(rendered.bytes.matches(&expected), "{}", String::from_utf8_lossy(&source));
    }
}
