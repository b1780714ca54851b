//! Reads what the core's imports do out of the JavaScript that its authors ship with it.
//!
//! The names of imports and the numbers of closures hold for one build of the core, so that they are generated. What
//! cannot be told apart here ends the generation: nothing is guessed.

/// What one import does, as a variant of `Operation` in Rust.
struct Import<'a> {
    name: &'a str,
    operation: String,
    catches: bool,
}

/// The text of `glue.rs` for the JavaScript of `version`.
pub(super) fn source(js: &str, version: &str) -> Result<String, String> {
    let adapter = |name: &str| {
        let (_, function) = js.split_once(&format!("function {name}("))?;
        let (_, body) = function.split_once("{\n")?;
        between(body, "wasm.", "(")
    };
    let mut imports = Vec::new();
    for chunk in js.split("\nmodule.exports.").skip(1) {
        let name = chunk.split(' ').next().unwrap_or_default();
        if name.starts_with("__wbg_") || name.starts_with("__wbindgen_") {
            imports.push(import(name, chunk, adapter)?);
        }
    }
    if imports.is_empty() {
        return Err("the core's JavaScript has no imports that are known by their names".to_owned());
    }
    imports.sort_by_key(|import| import.name);
    let externrefs = between(js, "wasm.", ".set(idx, obj)").and_then(|text| text.rsplit("wasm.").next());
    let functions = between(js, "wasm.", ".get(state.dtor)").and_then(|text| text.rsplit("wasm.").next());
    let promise =
        between(js, "return __wbg_adapter_", "(a, state0.b").map(|number| format!("__wbg_adapter_{number}"));
    let promise = promise.as_deref().and_then(adapter);
    let (Some(externrefs), Some(functions), Some(promise)) = (externrefs, functions, promise) else {
        return Err("the core's JavaScript does not name its tables".to_owned());
    };
    let rows: String = imports
        .iter()
        .map(
            |Import {
                 name,
                 operation,
                 catches,
             }| {
                format!("Import {{ name: \"{name}\", operation: {operation}, catches: {catches} }},\n")
            },
        )
        .collect();
    Ok(format!(
        "//! What the imports of 1Password's core {version} do. Made by `cargo xtask op-core` out of the core's own \
         JavaScript:\n//! not to be edited.\n\n\
         use super::operation::{{Glue, Import, Operation}};\n\n\
         pub(super) static GLUE: Glue = Glue {{\n\
         externrefs: \"{externrefs}\",\nfunctions: \"{functions}\",\npromise: \"{promise}\",\n\
         imports: &[\n{rows}],\n}};\n"
    ))
}

fn import<'a>(
    name: &'a str,
    chunk: &str,
    adapter: impl Fn(&str) -> Option<&'a str>,
) -> Result<Import<'a>, String> {
    let catches = chunk.contains("return handleError(function");
    let (head, tail) = match catches {
        true => chunk.split_once("handleError(function ("),
        false => chunk.split_once(" = function("),
    }
    .ok_or_else(|| format!("the import {name} is no function"))?
    .1
    .split_once(") {\n")
    .ok_or_else(|| format!("the import {name} has no body"))?;
    let arguments = head
        .split(',')
        .filter(|argument| !argument.trim().is_empty())
        .count();
    let body = tail.split("\n}").next().unwrap_or_default();
    let lines: Vec<&str> = body.lines().map(str::trim).collect();
    let operation = match lines.first() {
        Some(first) if name.starts_with("__wbg_") => {
            one_line(first).unwrap_or_else(|| called(bare(name), arguments))
        }
        Some(first) if name.starts_with("__wbindgen_closure_wrapper") => {
            let words =
                between(first, "makeMutClosure(arg0, arg1, ", ")").and_then(|text| text.split_once(", "));
            let (destructor, shim) =
                words.ok_or_else(|| format!("the closure {name} is of an unknown kind"))?;
            let shim = adapter(shim).ok_or_else(|| format!("the closure {name} calls nobody"))?;
            format!("Operation::Closure {{ destructor: {destructor}, shim: \"{shim}\" }}")
        }
        _ => called(name, arguments),
    };
    Ok(Import {
        name,
        operation,
        catches,
    })
}

/// What the first line of a body says, where it is of a form that says all.
fn one_line(line: &str) -> Option<String> {
    if let Some((property, value)) = line.strip_prefix("arg0.").and_then(|rest| rest.split_once(" = ")) {
        return Some(match value {
            "arg1;" => format!("Operation::Set(\"{property}\")"),
            "getStringFromWasm0(arg1, arg2);" => format!("Operation::SetText(\"{property}\")"),
            word if word.starts_with("__wbindgen_enum_") => format!("Operation::SetWord(\"{property}\")"),
            _ => return None,
        });
    }
    if let Some(class) = line.strip_prefix("const ret = new ") {
        return Some(format!("Operation::New(\"{}\")", class.split('(').next()?));
    }
    let property = line.strip_prefix("const ret = arg0.")?.strip_suffix(';')?;
    let is_name = property.chars().all(|letter| letter.is_ascii_alphanumeric());
    is_name.then(|| format!("Operation::Get(\"{property}\")"))
}

/// An operation that is known by its name and number of arguments.
fn called(name: &str, arguments: usize) -> String {
    format!("Operation::Call(\"{name}\", {arguments})")
}

/// `fetch` of `__wbg_fetch_509096533071c657`.
fn bare(name: &str) -> &str {
    let name = name.strip_prefix("__wbg_").unwrap_or(name);
    name.rsplit_once('_').map_or(name, |(bare, _)| bare)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let end = text.find(after)?;
    let start = text[..end].rfind(before)? + before.len();
    Some(&text[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const JS: &str = r#"
function addToExternrefTable0(obj) {
    wasm.__wbindgen_export_2.set(idx, obj);
}
    wasm.__wbindgen_export_5.get(state.dtor)(state.a, state.b)
function __wbg_adapter_30(arg0, arg1) {
    wasm.shim_a(arg0, arg1);
}
function __wbg_adapter_147(arg0, arg1, arg2, arg3) {
    wasm.shim_b(arg0, arg1, arg2, arg3);
}
module.exports.init_client = function(config) {
};

module.exports.__wbg_body_0123456789abcdef = function(arg0, arg1) {
    arg0.body = arg1;
};

module.exports.__wbg_mode_0123456789abcdef = function(arg0, arg1) {
    arg0.mode = __wbindgen_enum_RequestMode[arg1];
};

module.exports.__wbg_new_0123456789abcdef = function() { return handleError(function () {
    const ret = new Headers();
    return ret;
}, arguments) };

module.exports.__wbg_headers_0123456789abcdef = function(arg0) {
    const ret = arg0.headers;
    return ret;
};

module.exports.__wbg_fetch_0123456789abcdef = function(arg0) {
    const ret = fetch(arg0);
    return ret;
};

module.exports.__wbg_new_fedcba9876543210 = function(arg0, arg1) {
    try {
        var cb0 = (arg0, arg1) => {
                return __wbg_adapter_147(a, state0.b, arg0, arg1);
        };
    }
};

module.exports.__wbindgen_closure_wrapper1 = function(arg0, arg1, arg2) {
    const ret = makeMutClosure(arg0, arg1, 3841, __wbg_adapter_30);
    return ret;
};
"#;

    #[test]
    fn each_import_is_told_by_its_body_or_its_name() {
        let source = source(JS, "1.2.3").unwrap_or_default();
        for wanted in [
            "externrefs: \"__wbindgen_export_2\"",
            "functions: \"__wbindgen_export_5\"",
            "promise: \"shim_b\"",
            "operation: Operation::Set(\"body\"), catches: false",
            "operation: Operation::SetWord(\"mode\"), catches: false",
            "operation: Operation::New(\"Headers\"), catches: true",
            "operation: Operation::Get(\"headers\")",
            "operation: Operation::Call(\"fetch\", 1)",
            "operation: Operation::Call(\"new\", 2)",
            "operation: Operation::Closure { destructor: 3841, shim: \"shim_a\" }",
        ] {
            assert!(source.contains(wanted), "{wanted} is not in {source}");
        }
        assert!(!source.contains("init_client"));
    }

    #[test]
    fn what_is_not_the_cores_javascript_is_refused() {
        assert!(source("", "1").is_err());
        assert!(source("\nmodule.exports.__wbg_x_0 = 5;", "1").is_err());
    }
}
