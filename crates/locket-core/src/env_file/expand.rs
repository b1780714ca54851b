//! `$NAME` and `${NAME…}` in values.

/// Why a value cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong, as a lower-case fragment. It holds nothing that was looked up.
    pub message: String,
    /// What to do, as a sentence.
    pub help: &'static str,
    /// Whether the form is fine, and only a variable that must have a value has none.
    pub is_unset: bool,
}

/// Nobody means more braces inside of each other, and each takes a part of the stack.
const DEEPEST: usize = 64;

/// What `${NAME…}` does when NAME has a value or none.
#[derive(Clone, Copy)]
enum Operator {
    /// `-`: the text stands in for it.
    Default,
    /// `+`: the text stands instead of it.
    Alternative,
    /// `?`: the text says what is wrong.
    Required,
}

/// Resolves every `$` of `value`, as Compose does in its own files and in env files; `$$` is one `$`, and a `$` that
/// begins nothing stays.
///
/// # Errors
/// The first `${…}` that is none, or whose variable must have a value and has none, or that stands inside of too many
/// others.
pub fn expand(value: &str, look_up: &mut dyn FnMut(&str) -> Option<String>) -> Result<String, Wrong> {
    expand_at(value, 0, look_up)
}

fn expand_at(
    value: &str,
    depth: usize,
    look_up: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<String, Wrong> {
    if depth > DEEPEST {
        return Err(Wrong {
            message: format!("more than {DEEPEST} variables stand inside of each other"),
            help: "Give the parts names of their own, and put them together in steps.",
            is_unset: false,
        });
    }
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = behind;
        } else if let Some(body) = rest.strip_prefix('{') {
            let length = braced(body, depth, &mut expanded, look_up)?;
            rest = &body[length..];
        } else {
            let name = name(rest);
            match name {
                "" => expanded.push('$'),
                _ => expanded.push_str(&look_up(name).unwrap_or_default()),
            }
            rest = &rest[name.len()..];
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Resolves what stands behind `${`, and gives its length with the closing brace.
fn braced(
    body: &str,
    depth: usize,
    expanded: &mut String,
    look_up: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<usize, Wrong> {
    let invalid = || Wrong {
        message: "what stands behind `${` is no variable".to_owned(),
        help: "Write `${NAME}`, `${NAME:-text}`, `${NAME:?text}` or `${NAME:+text}`; `$$` is a plain `$`.",
        is_unset: false,
    };
    let name = name(body);
    let behind = &body[name.len()..];
    if name.is_empty() {
        return Err(invalid());
    }
    if behind.starts_with('}') {
        expanded.push_str(&look_up(name).unwrap_or_default());
        return Ok(name.len() + 1);
    }
    let minds_empty = behind.starts_with(':');
    let operator = match behind[usize::from(minds_empty)..].chars().next() {
        Some('-') => Operator::Default,
        Some('+') => Operator::Alternative,
        Some('?') => Operator::Required,
        _ => return Err(invalid()),
    };
    let begin = name.len() + usize::from(minds_empty) + 1;
    let end = closing(&body[begin..]).ok_or_else(invalid)?;
    let text = &body[begin..begin + end];
    let value = look_up(name).filter(|value| !(minds_empty && value.is_empty()));
    match (operator, value) {
        (Operator::Default | Operator::Required, Some(value)) => expanded.push_str(&value),
        (Operator::Default, None) | (Operator::Alternative, Some(_)) => {
            expanded.push_str(&expand_at(text, depth + 1, look_up)?);
        }
        (Operator::Alternative, None) => {}
        (Operator::Required, None) => {
            // Not expanded: what is inherited may be a secret.
            let message = match text {
                "" => format!("the variable {name} has no value"),
                said => format!("the variable {name} has no value: {said}"),
            };
            let help = "Set it in the environment, or above in the file.";
            return Err(Wrong {
                message,
                help,
                is_unset: true,
            });
        }
    }
    Ok(begin + end + 1)
}

/// Where the brace closes: braces inside count. What is never balanced reaches to the last one of the line.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut last = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                last = Some(at);
            }
            b'\n' => break,
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    last
}

/// The name of a variable at the start.
fn name(text: &str) -> &str {
    let is_first = |c: char| c == '_' || c.is_ascii_alphabetic();
    let end = match text.starts_with(is_first) {
        true => text
            .find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()))
            .unwrap_or(text.len()),
        false => 0,
    };
    &text[..end]
}
