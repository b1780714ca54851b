//! What the core's imports do. They make values, queue work and note requests; none of them reaches outside.
//!
//! An operation that is not here ends the core with its name.

use std::sync::Arc;
use std::time::Duration;

use locket_wasm::wasmtime::{AsContext, AsContextMut, Caller, Error, Result, Val, ValType};
use zeroize::Zeroizing;

use super::machine::{
    State, add_reference, call, call_shim, init_references, iterator, next, pass_bytes, read_bytes,
    store_exception, to_js, to_val, with_buffer,
};
use super::operation::{Import, Operation};
use super::value::{Buffer, Closure, How, Js, Object, Request, locked};

type Cx<'a> = Caller<'a, State>;

/// Either a value or an exception.
type Outcome = std::result::Result<Js, Js>;

/// Does what `import` does, and gives the result of the type that the core wants.
pub(super) fn perform(
    cx: &mut Cx<'_>,
    import: &'static Import,
    arguments: &[Val],
    wanted: Option<&ValType>,
) -> Result<Option<Val>> {
    let outcome = operate(cx, import, arguments)?;
    let value = match outcome {
        Ok(value) => value,
        Err(error) if import.catches => {
            store_exception(&mut *cx, error)?;
            Js::Undefined
        }
        Err(error) => {
            let words = match error.as_object().map(|object| &**object) {
                Some(Object::Error(message)) => message.clone(),
                _ => error.kind().to_owned(),
            };
            return Err(Error::msg(format!("{} failed: {words}", import.name)));
        }
    };
    wanted.map(|wanted| given(cx, value, wanted)).transpose()
}

/// A value in the form of a type of the core.
fn given(cx: &mut Cx<'_>, value: Js, wanted: &ValType) -> Result<Val> {
    let number = match &value {
        Js::Number(number) => *number,
        Js::Bool(truth) => f64::from(u8::from(*truth)),
        _ => 0.0,
    };
    match wanted {
        // Numbers wrap as they do in JavaScript.
        ValType::I32 => Ok(Val::I32(wrapped(number))),
        ValType::F64 => Ok(Val::F64(number.to_bits())),
        ValType::Ref(_) => to_val(cx, value),
        _ => Err(Error::msg("the core wants a value of an unknown kind")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "as JavaScript converts numbers to 32 bits"
)]
fn wrapped(number: f64) -> i32 {
    number as i64 as i32
}

fn operate(cx: &mut Cx<'_>, import: &Import, arguments: &[Val]) -> Result<Outcome> {
    let value = |cx: &Cx<'_>, place: usize| match arguments.get(place) {
        Some(value) => to_js(cx, value),
        None => Ok(Js::Undefined),
    };
    let number = |place: usize| match arguments.get(place) {
        Some(Val::I32(number)) => Ok(number.cast_unsigned()),
        _ => Err(Error::msg(format!("{} wants a number", import.name))),
    };
    match import.operation {
        Operation::Get(property) => Ok(get(&value(cx, 0)?, property)),
        Operation::Set(property) => Ok(set(&value(cx, 0)?, property, value(cx, 1)?)),
        Operation::SetText(property) => {
            let text = Js::Text(Arc::new(text(cx, number(1)?, number(2)?)?));
            Ok(set(&value(cx, 0)?, property, text))
        }
        // Caches, modes and credentials are a browser's.
        Operation::SetWord(_) => Ok(Ok(Js::Undefined)),
        Operation::Closure { destructor, shim } => {
            let closure = Closure {
                a: number(0)?,
                b: number(1)?,
                count: 1,
                destructor,
                shim,
            };
            Ok(Ok(Js::object(Object::Closure(closure.into()))))
        }
        Operation::New(class) => make(cx, class, import, arguments),
        Operation::Call(name, count) => invoke(cx, name, count, import, arguments),
    }
}

/// `object.property`
fn get(object: &Js, property: &str) -> Outcome {
    let Some(object) = object.as_object() else {
        return Ok(Js::Undefined);
    };
    Ok(match (&**object, property) {
        // Neither a browser nor Node: the core then takes the random numbers of `crypto`.
        (Object::Global, "crypto") => Js::object(Object::Crypto),
        (Object::Memory, "buffer") => Js::object(Object::Buffer(Buffer::Memory)),
        (Object::Bytes { length, .. }, "length") => count(*length),
        (Object::Bytes { buffer, .. }, "buffer") => Js::object(Object::Buffer(buffer.clone())),
        (Object::Array(items), "length") => count(items.len()),
        (Object::Controller(signal), "signal") => Js::Object(Arc::clone(signal)),
        (Object::Response(response), "status") => Js::Number(f64::from(response.status)),
        (Object::Response(response), "url") => Js::text(response.url.clone()),
        (Object::Response(response), "headers") => Js::Object(Arc::clone(&response.headers)),
        (Object::IteratorResult(item), "done") => Js::Bool(item.is_none()),
        (Object::IteratorResult(item), "value") => item.clone().unwrap_or(Js::Undefined),
        (Object::Iterator(_), "next") => Js::object(Object::NextMethod),
        (Object::Plain(properties), name) => locked(properties).get(name).cloned().unwrap_or(Js::Undefined),
        _ => Js::Undefined,
    })
}

/// `object.property = value`
fn set(object: &Js, property: &str, value: Js) -> Outcome {
    match object.as_object().map(|object| &**object) {
        Some(Object::Plain(properties)) => {
            locked(properties).insert(property.to_owned(), value);
            Ok(Js::Undefined)
        }
        _ => Err(Js::error(
            "a property of something else than a plain object is set",
        )),
    }
}

/// `new class(…)`
fn make(cx: &mut Cx<'_>, class: &str, import: &Import, arguments: &[Val]) -> Result<Outcome> {
    let value = |place: usize| {
        arguments
            .get(place)
            .map_or(Ok(Js::Undefined), |value| to_js(&*cx, value))
    };
    let number = |place: usize| match arguments.get(place) {
        Some(Val::I32(number)) => Ok(number.cast_unsigned()),
        _ => Err(Error::msg(format!("{} wants a number", import.name))),
    };
    let made = match (class, arguments.len()) {
        ("Object", 0) => Object::Plain(Default::default()),
        ("Headers", 0) => Object::Headers(Default::default()),
        ("AbortController", 0) => Object::Controller(Arc::new(Object::Signal)),
        ("Date", 0) => Object::Date(wall(cx)),
        ("Date", 1) => Object::Date(value(0)?.as_number().unwrap_or(f64::NAN)),
        ("Uint8Array", 1) => match (value(0)?, arguments.first()) {
            (_, Some(Val::I32(length))) => {
                return Ok(Ok(Js::bytes(Zeroizing::new(vec![
                    0;
                    length.cast_unsigned() as usize
                ]))));
            }
            (Js::Object(buffer), _) => match &*buffer {
                Object::Buffer(buffer) => {
                    let length = with_buffer(&mut *cx, buffer, |bytes| Some(bytes.len()))?;
                    let buffer = buffer.clone();
                    Object::Bytes {
                        buffer,
                        start: 0,
                        length,
                    }
                }
                // Of another array it is a copy.
                Object::Bytes { .. } => return Ok(Ok(Js::bytes(copy_of(cx, &buffer)?))),
                _ => return Ok(Err(Js::error("an array is made of something else than a buffer"))),
            },
            _ => return Ok(Err(Js::error("an array is made of something else than a buffer"))),
        },
        ("Uint8Array", 3) => match value(0)?.as_object().map(|object| &**object) {
            Some(Object::Buffer(buffer)) => Object::Bytes {
                buffer: buffer.clone(),
                start: number(1)? as usize,
                length: number(2)? as usize,
            },
            _ => return Ok(Err(Js::error("an array is made of something else than a buffer"))),
        },
        ("Request", 3) => {
            let url = text(cx, number(0)?, number(1)?)?;
            let options = to_js(&*cx, &arguments[2])?;
            return request(cx, &url, &options);
        }
        ("Function", 2) => match text(cx, number(0)?, number(1)?)?.as_str() {
            "return this" => Object::ReturnThis,
            _ => return Ok(Err(Js::error("functions are not made of text here"))),
        },
        _ => return Err(unknown(import)),
    };
    Ok(Ok(Js::object(made)))
}

/// What `fetch` gets, out of the plain object that describes it.
fn request(cx: &mut Cx<'_>, url: &str, options: &Js) -> Result<Outcome> {
    let method = get(options, "method");
    let method = method.ok().and_then(|method| method.as_text().map(str::to_owned));
    let headers = get(options, "headers");
    let headers = match headers
        .as_ref()
        .ok()
        .and_then(Js::as_object)
        .map(|object| &**object)
    {
        Some(Object::Headers(headers)) => locked(headers).clone(),
        _ => Vec::new(),
    };
    let body = match get(options, "body") {
        Ok(Js::Undefined | Js::Null) => Zeroizing::default(),
        Ok(Js::Text(text)) => Zeroizing::new(text.as_bytes().to_vec()),
        Ok(Js::Object(object)) => copy_of(cx, &object)?,
        _ => return Ok(Err(Js::error("the body of a request is of an unknown kind"))),
    };
    let signal = match get(options, "signal") {
        Ok(Js::Object(signal)) => Some(signal),
        _ => None,
    };
    Ok(Ok(Js::object(Object::Request(Request {
        method: method.unwrap_or_else(|| "GET".to_owned()),
        url: url.to_owned(),
        headers,
        body,
        signal,
    }))))
}

/// An operation that is known by its name.
fn invoke(cx: &mut Cx<'_>, name: &str, count: usize, import: &Import, arguments: &[Val]) -> Result<Outcome> {
    let value = |cx: &Cx<'_>, place: usize| {
        arguments
            .get(place)
            .map_or(Ok(Js::Undefined), |value| to_js(cx, value))
    };
    let number = |place: usize| match arguments.get(place) {
        Some(Val::I32(number)) => Ok(number.cast_unsigned()),
        _ => Err(Error::msg(format!("{} wants a number", import.name))),
    };
    let done = |()| Ok(Ok(Js::Undefined));
    let truth = |truth: bool| Ok(Ok(Js::Bool(truth)));
    match (name, count) {
        ("__wbindgen_init_externref_table", 0) => init_references(&mut *cx).and_then(done),
        ("__wbindgen_memory", 0) => Ok(Ok(Js::object(Object::Memory))),
        ("__wbindgen_is_function", 1) => truth(value(cx, 0)?.is_function()),
        ("__wbindgen_is_object", 1) => truth(value(cx, 0)?.is_object()),
        ("__wbindgen_is_string", 1) => truth(matches!(value(cx, 0)?, Js::Text(_))),
        ("__wbindgen_is_undefined", 1) => truth(matches!(value(cx, 0)?, Js::Undefined)),
        ("__wbindgen_number_new", 1) => Ok(Ok(value(cx, 0)?)),
        ("__wbindgen_string_new", 2) => Ok(Ok(Js::Text(Arc::new(text(cx, number(0)?, number(1)?)?)))),
        ("__wbindgen_string_get", 2) => {
            let (place, value) = (number(0)?, value(cx, 1)?);
            give_text(cx, place, value.as_text()).and_then(done)
        }
        ("__wbindgen_debug_string", 2) => {
            let (place, value) = (number(0)?, value(cx, 1)?);
            // What is shown ends in errors: no text and no number is repeated.
            let shown = match value.as_object().map(|object| &**object) {
                Some(Object::Error(message)) => message.clone(),
                _ => value.kind().to_owned(),
            };
            give_text(cx, place, Some(&shown)).and_then(done)
        }
        ("__wbindgen_throw", 2) => {
            let message = text(cx, number(0)?, number(1)?)?;
            Err(Error::msg(format!("the core gave up: {}", message.as_str())))
        }
        ("__wbindgen_cb_drop", 1) => match value(cx, 0)?.as_object().map(|object| &**object) {
            Some(Object::Closure(closure)) => {
                let mut closure = locked(closure);
                closure.count = closure.count.saturating_sub(1);
                if closure.count == 0 {
                    closure.a = 0;
                }
                truth(closure.count == 0)
            }
            _ => truth(false),
        },
        ("new", 2) => new_promise(cx, number(0)?, number(1)?),
        ("resolve", 1) => {
            let value = value(cx, 0)?;
            match value.as_object() {
                Some(object) if matches!(**object, Object::Promise(_)) => Ok(Ok(value)),
                _ => Ok(Ok(Js::Object(Object::settled(Ok(value))))),
            }
        }
        ("then", 2 | 3) => {
            let (promise, fulfilled) = (value(cx, 0)?, value(cx, 1)?);
            let rejected = if count == 3 { Some(value(cx, 2)?) } else { None };
            match promise.as_object() {
                Some(promise) => Ok(Ok(Js::Object(cx.data_mut().then(
                    promise,
                    Some(fulfilled),
                    rejected,
                )))),
                None => Ok(Err(Js::error("it is no promise"))),
            }
        }
        ("queueMicrotask", 1) => {
            let function = value(cx, 0)?;
            cx.data_mut().queue(function);
            done(())
        }
        ("setTimeout", 2) => {
            let function = value(cx, 0)?;
            let after = match arguments.get(1) {
                Some(Val::I32(milliseconds)) => u64::try_from(*milliseconds).unwrap_or_default(),
                _ => 0,
            };
            let id = cx.data_mut().set_timer(function, Duration::from_millis(after));
            Ok(Ok(Js::Number(f64::from(id))))
        }
        ("clearTimeout", 1) => {
            if let Some(id) = value(cx, 0)?.as_number() {
                cx.data_mut().clear_timer(wrapped(id).cast_unsigned());
            }
            done(())
        }
        ("fetch", 1 | 2) => match value(cx, count - 1)?.as_object() {
            Some(request) => Ok(Ok(Js::Object(cx.data_mut().fetch(request)))),
            None => Ok(Err(Js::error("fetch wants a request"))),
        },
        ("abort", 1 | 2) => {
            if let Some(Object::Controller(signal)) = value(cx, 0)?.as_object().map(|object| &**object) {
                let signal = Arc::clone(signal);
                cx.data_mut().abort(&signal);
            }
            done(())
        }
        ("append", 5) => {
            let name = text(cx, number(1)?, number(2)?)?.to_lowercase();
            let content = text(cx, number(3)?, number(4)?)?;
            if let Some(Object::Headers(headers)) = value(cx, 0)?.as_object().map(|object| &**object) {
                locked(headers).push((name, content));
            }
            done(())
        }
        ("arrayBuffer", 1) => match value(cx, 0)?.as_object().map(|object| &**object) {
            Some(Object::Response(response)) => {
                let buffer = Js::object(Object::Buffer(Buffer::Own(Arc::clone(&response.body))));
                Ok(Ok(Js::Object(Object::settled(Ok(buffer)))))
            }
            _ => Ok(Err(Js::error("it has no body"))),
        },
        ("url", 2) => {
            let (place, response) = (number(0)?, value(cx, 1)?);
            let url = get(&response, "url").ok();
            give_text(cx, place, url.as_ref().and_then(Js::as_text)).and_then(done)
        }
        ("instanceof_Response", 1) => {
            let object = value(cx, 0)?;
            truth(matches!(
                object.as_object().map(|object| &**object),
                Some(Object::Response(_))
            ))
        }
        ("instanceof_Window" | "instanceof_WorkerGlobalScope", 1) => truth(false),
        ("iterator", 0) => Ok(Ok(Js::IteratorSymbol)),
        ("next", 1) => Ok(next(&value(cx, 0)?)),
        ("values", 1) => Ok(iterator(&value(cx, 0)?)),
        ("call", 2 | 3) => {
            let (function, this) = (value(cx, 0)?, value(cx, 1)?);
            let more: Vec<Js> = if count == 3 {
                vec![value(cx, 2)?]
            } else {
                Vec::new()
            };
            call(&mut *cx, &function, &this, &more)
        }
        ("get", 2) => Ok(reflect(&value(cx, 0)?, &value(cx, 1)?)),
        ("has", 2) => {
            let found = reflect(&value(cx, 0)?, &value(cx, 1)?);
            Ok(found.map(|found| Js::Bool(!matches!(found, Js::Undefined))))
        }
        ("stringify", 1) => Ok(stringified(&value(cx, 0)?)),
        ("subarray", 3) => {
            let (from, to) = (number(1)? as usize, number(2)? as usize);
            match value(cx, 0)?.as_object().map(|object| &**object) {
                Some(Object::Bytes {
                    buffer,
                    start,
                    length,
                }) => {
                    let (from, to) = (from.min(*length), to.min(*length));
                    Ok(Ok(Js::object(Object::Bytes {
                        buffer: buffer.clone(),
                        start: start + from,
                        length: to.saturating_sub(from),
                    })))
                }
                _ => Ok(Err(Js::error("it is no array"))),
            }
        }
        ("set", 3) => {
            let (target, source, offset) = (value(cx, 0)?, value(cx, 1)?, number(2)? as usize);
            match (target.as_object(), source.as_object()) {
                (Some(target), Some(source)) => copy_into(cx, target, source, offset),
                _ => Ok(Err(Js::error("it is no array"))),
            }
        }
        // In the core's memory, where the two arguments are a place and a length; else into an array of its own.
        ("getRandomValues", 2) => match (arguments.first(), arguments.get(1)) {
            (Some(Val::I32(_)), _) => {
                let (at, length) = (number(0)? as usize, number(1)? as usize);
                fill_random(cx, &Buffer::Memory, at, length)
            }
            _ => match value(cx, 1)?.as_object().map(|object| &**object) {
                Some(Object::Bytes {
                    buffer,
                    start,
                    length,
                }) => fill_random(cx, buffer, *start, *length),
                _ => Ok(Err(Js::error("it is no array"))),
            },
        },
        ("now", 0) => Ok(Ok(Js::Number(wall(cx)))),
        ("now", 1) => {
            let now = cx.data().clock.monotonic().as_secs_f64() * 1000.0;
            Ok(Ok(Js::Number(now)))
        }
        ("static_accessor_GLOBAL_THIS" | "static_accessor_GLOBAL", 0) => {
            let index = add_reference(&mut *cx, Js::object(Object::Global))?;
            Ok(Ok(Js::Number(f64::from(index))))
        }
        ("static_accessor_SELF" | "static_accessor_WINDOW", 0) => Ok(Ok(Js::Number(0.0))),
        ("static_accessor_performance", 0) => Ok(Ok(Js::object(Object::Performance))),
        ("getTimezoneOffset", 1) => Ok(Ok(Js::Number(0.0))),
        ("getFullYear", 1) => match value(cx, 0)?.as_object().map(|object| &**object) {
            Some(Object::Date(milliseconds)) => Ok(Ok(Js::Number(year(*milliseconds)))),
            _ => Ok(Err(Js::error("it is no date"))),
        },
        ("self" | "window", 0) => Ok(Err(Js::error("this is no browser"))),
        _ => Err(unknown(import)),
    }
}

/// `new Promise(executor)` for the executor at `a` and `b`, which runs at once.
fn new_promise(cx: &mut Cx<'_>, a: u32, b: u32) -> Result<Outcome> {
    let promise = Object::pending();
    let settler = |how| {
        Js::object(Object::Settler {
            promise: Arc::clone(&promise),
            how,
        })
    };
    let settlers = [settler(How::Fulfil), settler(How::Reject)];
    call_shim(&mut *cx, super::glue::GLUE.promise, a, b, &settlers)?;
    Ok(Ok(Js::Object(promise)))
}

/// `Reflect.get`
fn reflect(object: &Js, key: &Js) -> Outcome {
    match (object.as_object().map(|object| &**object), key) {
        (Some(Object::Headers(_) | Object::Array(_)), Js::IteratorSymbol) => {
            Ok(Js::object(Object::IteratorMethod))
        }
        (Some(Object::Array(items)), Js::Number(place)) => {
            let place = usize::try_from(wrapped(*place)).unwrap_or(usize::MAX);
            Ok(items.get(place).cloned().unwrap_or(Js::Undefined))
        }
        (Some(_), Js::Text(name)) => get(object, name),
        (Some(_), _) => Ok(Js::Undefined),
        (None, _) => Err(Js::error("it is no object")),
    }
}

/// `JSON.stringify`, of a text or a list of texts.
fn stringified(value: &Js) -> Outcome {
    let text = |value: &Js| match value.as_text() {
        Some(text) => serde_json::to_string(text).map_err(|_| Js::error("a text is none")),
        None => Err(Js::error("what is written as JSON is no text")),
    };
    let json = match value.as_object().map(|object| &**object) {
        Some(Object::Array(items)) => {
            let items: std::result::Result<Vec<_>, _> = items.iter().map(text).collect();
            format!("[{}]", items?.join(","))
        }
        _ => text(value)?,
    };
    Ok(Js::text(json))
}

/// `target.set(source, offset)`
fn copy_into(cx: &mut Cx<'_>, target: &Object, source: &Object, offset: usize) -> Result<Outcome> {
    let bytes = copy_of(cx, source)?;
    match target {
        Object::Bytes {
            buffer,
            start,
            length,
        } if offset + bytes.len() <= *length => {
            let from = start + offset;
            with_buffer(&mut *cx, buffer, |all| {
                all.get_mut(from..from + bytes.len())?.copy_from_slice(&bytes);
                Some(())
            })?;
            Ok(Ok(Js::Undefined))
        }
        _ => Ok(Err(Js::error("the array is too short"))),
    }
}

/// The bytes of an array or buffer.
fn copy_of(cx: &mut Cx<'_>, object: &Object) -> Result<Zeroizing<Vec<u8>>> {
    match object {
        Object::Bytes {
            buffer,
            start,
            length,
        } => with_buffer(&mut *cx, buffer, |bytes| {
            let found = bytes.get(*start..start.checked_add(*length)?)?;
            Some(Zeroizing::new(found.to_vec()))
        }),
        Object::Buffer(buffer) => with_buffer(&mut *cx, buffer, |bytes| Some(Zeroizing::new(bytes.to_vec()))),
        _ => Err(Error::msg("the core takes something for bytes that has none")),
    }
}

fn fill_random(cx: &mut Cx<'_>, buffer: &Buffer, at: usize, length: usize) -> Result<Outcome> {
    use ring::rand::SecureRandom;

    let filled = with_buffer(&mut *cx, buffer, |bytes| {
        let place = bytes.get_mut(at..at.checked_add(length)?)?;
        Some(ring::rand::SystemRandom::new().fill(place).is_ok())
    })?;
    match filled {
        true => Ok(Ok(Js::Undefined)),
        false => Err(Error::msg("the system gives no random numbers")),
    }
}

/// The text at a place of the core's memory.
fn text(cx: &mut Cx<'_>, at: u32, length: u32) -> Result<Zeroizing<String>> {
    let mut bytes = read_bytes(&*cx, at, length)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new)
        .map_err(|_| Error::msg("a text of the core is not UTF-8"))
}

/// Writes a text into new memory of the core, and its place and length to `place`; zeroes where there is none.
fn give_text(cx: &mut Cx<'_>, place: u32, text: Option<&str>) -> Result<()> {
    let (at, length) = match text {
        Some(text) => pass_bytes(&mut *cx, text.as_bytes())?,
        None => (0, 0),
    };
    let memory = cx.as_context().data().memory()?;
    let place = place as usize;
    memory.write(cx.as_context_mut(), place, &at.to_le_bytes())?;
    memory.write(cx.as_context_mut(), place + 4, &length.to_le_bytes())?;
    Ok(())
}

/// Milliseconds since 1970.
fn wall(cx: &Cx<'_>) -> f64 {
    let since = cx.data().clock.wall().duration_since(std::time::UNIX_EPOCH);
    (since.unwrap_or_default().as_secs_f64() * 1000.0).floor()
}

/// The year of a time in milliseconds since 1970, in UTC.
fn year(milliseconds: f64) -> f64 {
    // Days since 0000-03-01, in the proleptic Gregorian calendar, whose eras have 146,097 days.
    let days = (milliseconds / 86_400_000.0).floor() + 719_468.0;
    let era = (days / 146_097.0).floor();
    let day = days - era * 146_097.0;
    let of_era = ((day - (day / 1460.0).floor() + (day / 36_524.0).floor() - (day / 146_096.0).floor())
        / 365.0)
        .floor();
    let of_year = day - (365.0 * of_era + (of_era / 4.0).floor() - (of_era / 100.0).floor());
    // The year begins in March: its last two months are of the next one.
    let after_december = of_year >= 306.0;
    of_era + era * 400.0 + f64::from(u8::from(after_december))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "lengths of arrays are far below what a number can count"
)]
fn count(length: usize) -> Js {
    Js::Number(length as f64)
}

fn unknown(import: &Import) -> Error {
    Error::msg(format!("{} is not known here", import.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_begin_in_january() {
        for (seconds, expected) in [
            (0.0, 1970.0),
            (951_782_400.0, 2000.0),
            (1_704_067_199.0, 2023.0),
            (1_704_067_200.0, 2024.0),
            (1_735_689_599.0, 2024.0),
            (4_102_444_800.0, 2100.0),
        ] {
            assert!((year(seconds * 1000.0) - expected).abs() < 0.1, "{seconds}");
        }
    }

    #[test]
    fn numbers_wrap_as_in_javascript() {
        assert_eq!(
            (wrapped(4_294_967_295.0), wrapped(-1.0), wrapped(1.9)),
            (-1, -1, 1)
        );
    }
}
