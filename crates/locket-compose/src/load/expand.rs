//! `${NAME}` in every value of a file. Keys are never touched.

use locket_core::Diagnostic;
use locket_core::env_file::expand;

use super::Mistake;
use super::variables::Variables;
use crate::yaml::{Node, Value};

/// Resolves every value below `node`. What cannot be resolved stays as it was written.
pub(super) fn expand_tree(node: &mut Node, variables: &Variables, mistakes: &mut Vec<Mistake>) {
    match &mut node.value {
        Value::Null => {}
        Value::List(list) => {
            for item in list {
                expand_tree(item, variables, mistakes);
            }
        }
        Value::Map(map) => {
            for entry in &mut map.0 {
                expand_tree(&mut entry.node, variables, mistakes);
            }
        }
        Value::Scalar(scalar) => {
            if !scalar.written.contains('$') {
                return;
            }
            let mut look_up = |name: &str| variables.get(name).map(str::to_owned);
            match expand(&scalar.written, &mut look_up) {
                Ok(text) => scalar.text = text,
                Err(wrong) => {
                    if wrong.is_unset {
                        scalar.text = String::new();
                    }
                    mistakes.push(Mistake {
                        source: node.place.source,
                        diagnostic: Diagnostic::error(node.place.span, wrong.message).help(wrong.help),
                        is_unset: wrong.is_unset,
                    });
                }
            }
        }
    }
}
