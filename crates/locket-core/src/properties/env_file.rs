//! Env files.

use super::check::{are_placed, lies_in, schemes};
use crate::env_file as subject;
use crate::template::TemplateOptions;
use crate::{Environment, Template};

/// Any text as an env file.
pub fn env_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let inherited: Environment = [("INH", "{{ op://inherited }}"), ("EMPTY", "")]
        .into_iter()
        .collect();
    match subject::parse(text, &inherited) {
        Err(found) => {
            assert!(!found.is_empty());
            are_placed(&found, data);
        }
        Ok(variables) => {
            for variable in variables {
                assert!(!variable.name.is_empty() && !variable.name.contains(['=', '\n', '\0']));
                lies_in(variable.span, data);
                // What is inherited is put out as it is.
                if !text.contains("{{")
                    && !text.contains("://")
                    && let Ok(template) = Template::parse(
                        variable.template.into_bytes(),
                        &TemplateOptions::default(),
                        &schemes(),
                    )
                {
                    assert!(template.references().is_empty());
                }
            }
        }
    }
}
