//! The JavaScript values that the core handles. Texts and bytes are wiped when the last hold on them is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use zeroize::Zeroizing;

/// One value.
#[derive(Clone)]
pub(super) enum Js {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Arc<Zeroizing<String>>),
    /// `Symbol.iterator`, the only symbol that is asked for.
    IteratorSymbol,
    Object(Arc<Object>),
}

/// What is compared by identity.
pub(super) enum Object {
    Plain(Mutex<BTreeMap<String, Js>>),
    Array(Vec<Js>),
    Global,
    Crypto,
    Performance,
    Memory,
    /// An `ArrayBuffer`, the core's own memory or not.
    Buffer(Buffer),
    /// A `Uint8Array`.
    Bytes {
        buffer: Buffer,
        start: usize,
        length: usize,
    },
    Headers(Mutex<Vec<Header>>),
    Request(Request),
    Response(Response),
    Controller(Arc<Object>),
    /// What requests are given up by.
    Signal,
    Promise(Mutex<Promise>),
    Closure(Mutex<Closure>),
    /// Settles the promise that it belongs to.
    Settler {
        promise: Arc<Object>,
        how: How,
    },
    /// Gives the iterator of `this`.
    IteratorMethod,
    /// The function of the text `return this`.
    ReturnThis,
    NextMethod,
    Iterator(Mutex<IntoIter<Js>>),
    IteratorResult(Option<Js>),
    Date(f64),
    Error(String),
}

/// Bytes that several arrays may look at.
#[derive(Clone)]
pub(super) enum Buffer {
    /// The core's memory.
    Memory,
    Own(Arc<Mutex<Zeroizing<Vec<u8>>>>),
}

/// A name in lower case, and its value.
pub(super) type Header = (String, Zeroizing<String>);

/// What `fetch` gets.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, Zeroizing<String>)>,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) signal: Option<Arc<Object>>,
}

/// What `fetch` gives.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) url: String,
    pub(super) headers: Arc<Object>,
    pub(super) body: Arc<Mutex<Zeroizing<Vec<u8>>>>,
}

/// A promise, settled or with those who wait for it.
pub(super) enum Promise {
    Pending(Vec<Reaction>),
    Settled(Result<Js, Js>),
}

/// Who waits for a promise.
pub(super) struct Reaction {
    pub(super) fulfilled: Option<Js>,
    pub(super) rejected: Option<Js>,
    /// The promise of what the handler gives.
    pub(super) derived: Arc<Object>,
}

/// A closure of the core.
pub(super) struct Closure {
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) count: u32,
    pub(super) destructor: u32,
    pub(super) shim: &'static str,
}

/// How a settler settles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Fulfil,
    Reject,
}

impl Js {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Arc::new(Zeroizing::new(text.into())))
    }

    pub(super) fn object(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }

    pub(super) fn error(message: impl Into<String>) -> Self {
        Self::object(Object::Error(message.into()))
    }

    pub(super) fn bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        let length = bytes.len();
        let buffer = Buffer::Own(Arc::new(Mutex::new(bytes)));
        Self::object(Object::Bytes {
            buffer,
            start: 0,
            length,
        })
    }

    pub(super) fn as_object(&self) -> Option<&Arc<Object>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn is_function(&self) -> bool {
        self.as_object().is_some_and(|object| {
            matches!(
                **object,
                Object::Closure(_)
                    | Object::Settler { .. }
                    | Object::IteratorMethod
                    | Object::NextMethod
                    | Object::ReturnThis
            )
        })
    }

    /// Whether `typeof` is `object` and it is not `null`.
    pub(super) fn is_object(&self) -> bool {
        self.as_object().is_some() && !self.is_function()
    }

    /// What a person may see of it: its kind. Errors have words of the core's or ours, without values.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::IteratorSymbol => "a symbol",
            Self::Object(_) => "an object",
        }
    }
}

impl Object {
    pub(super) fn pending() -> Arc<Self> {
        Arc::new(Self::Promise(Mutex::new(Promise::Pending(Vec::new()))))
    }

    pub(super) fn settled(outcome: Result<Js, Js>) -> Arc<Self> {
        Arc::new(Self::Promise(Mutex::new(Promise::Settled(outcome))))
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
