//! The core's instance: its memory and tables, its microtasks, timers and requests. It does nothing by itself: whoever
//! holds it lets it run, sends its requests and says what time it is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use locket_core::Clock;
use locket_wasm::wasmtime::{
    AsContext, AsContextMut, Engine, Error, ExternRef, Func, Instance, Linker, Memory, Module, Ref, Result,
    RootScope, Store, StoreLimits, StoreLimitsBuilder, Table, TypedFunc, Val,
};
use zeroize::Zeroizing;

use super::glue::GLUE;
use super::imports;
use super::operation::Operation;
use super::value::{Buffer, Closure, How, Js, Object, Promise, Reaction, Response, locked};

/// The core, ready to be called.
pub(super) struct Machine {
    store: Store<State>,
    instance: Instance,
}

/// What belongs to one instance.
pub(super) struct State {
    exports: Option<Exports>,
    microtasks: VecDeque<Microtask>,
    timers: Vec<Timer>,
    next_timer: u32,
    /// Requests that wait for being sent.
    outbox: Vec<Outgoing>,
    /// Requests that wait for an answer.
    open: HashMap<u64, Open>,
    next_request: u64,
    /// What came in, for as long as anybody holds it.
    #[cfg(test)]
    bodies: Vec<std::sync::Weak<std::sync::Mutex<Zeroizing<Vec<u8>>>>>,
    pub(super) clock: Arc<dyn Clock>,
    limits: StoreLimits,
}

struct Exports {
    memory: Memory,
    externrefs: Table,
    functions: Table,
    malloc: TypedFunc<(u32, u32), u32>,
    allocate_reference: TypedFunc<(), u32>,
    store_exception: TypedFunc<u32, ()>,
    /// What calls closures, by the name of the export.
    shims: HashMap<&'static str, Func>,
}

enum Microtask {
    /// Calls a function.
    Call(Js),
    /// Tells somebody how a promise was settled.
    React(Reaction, Result<Js, Js>),
}

struct Timer {
    id: u32,
    due: Duration,
    function: Js,
}

/// A request that is to be sent.
pub(super) struct Outgoing {
    pub(super) id: u64,
    /// A [`Object::Request`].
    pub(super) request: Arc<Object>,
}

struct Open {
    promise: Arc<Object>,
    signal: Option<Arc<Object>>,
    url: String,
}

/// What came of a request.
pub(super) struct Incoming {
    pub(super) id: u64,
    /// The status, headers and body; nothing where there is no answer.
    pub(super) answer: Option<Answer>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Zeroizing<String>)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Where a promise has come to.
pub(super) enum Progress {
    Settled(Result<Js, Js>),
    /// It waits for these requests, for earlier ones, or for a timer.
    Waiting {
        requests: Vec<Outgoing>,
        /// When the next timer is due, on the monotonic clock.
        timer: Option<Duration>,
    },
}

impl Machine {
    /// An instance of the core. Every one of its imports has to be known.
    pub(super) fn new(engine: &Engine, module: &Module, clock: Arc<dyn Clock>) -> Result<Self> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(locket_wasm::MEMORY)
            .table_elements(1 << 20)
            .instances(1)
            .build();
        let state = State {
            exports: None,
            microtasks: VecDeque::new(),
            timers: Vec::new(),
            next_timer: 1,
            outbox: Vec::new(),
            open: HashMap::new(),
            next_request: 0,
            #[cfg(test)]
            bodies: Vec::new(),
            clock,
            limits,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        let mut linker = Linker::new(engine);
        for import in module.imports() {
            let known = GLUE.import(import.name());
            let (Some(known), Some(ty)) = (known, import.ty().func().cloned()) else {
                return Err(Error::msg(format!(
                    "the core wants the unknown import {}",
                    import.name()
                )));
            };
            let result = ty.results().next();
            linker.func_new(
                import.module(),
                import.name(),
                ty,
                move |mut caller, arguments, results| {
                    let given = imports::perform(&mut caller, known, arguments, result.as_ref())?;
                    if let (Some(place), Some(given)) = (results.first_mut(), given) {
                        *place = given;
                    }
                    Ok(())
                },
            )?;
        }
        let instance = linker.instantiate(&mut store, module)?;
        let exports = Exports::of(&instance, &mut store)?;
        store.data_mut().exports = Some(exports);
        let start = instance.get_typed_func::<(), ()>(&mut store, "__wbindgen_start")?;
        start.call(&mut store, ())?;
        Ok(Self { store, instance })
    }

    /// Calls an export that takes a text and gives a promise.
    pub(super) fn call(&mut self, export: &str, text: &[u8]) -> Result<Arc<Object>> {
        self.store.set_epoch_deadline(1);
        let (at, length) = pass_bytes(&mut self.store, text)?;
        let function = self.instance.get_func(&mut self.store, export);
        let function = function.ok_or_else(|| Error::msg(format!("the core has no {export}")))?;
        let mut results = [Val::ExternRef(None)];
        let arguments = [Val::I32(at.cast_signed()), Val::I32(length.cast_signed())];
        let mut scope = self.scope();
        function.call(&mut scope, &arguments, &mut results)?;
        match to_js(&scope, &results[0])? {
            Js::Object(promise) if matches!(*promise, Object::Promise(_)) => Ok(promise),
            other => Err(Error::msg(format!("{export} of the core gave {}", other.kind()))),
        }
    }

    /// Runs all that can be run until `promise` is settled or waits for something outside.
    pub(super) fn run(
        &mut self,
        promise: &Arc<Object>,
        arrived: Vec<Incoming>,
        now: Duration,
    ) -> Result<Progress> {
        self.store.set_epoch_deadline(1);
        for incoming in arrived {
            self.take(incoming);
        }
        loop {
            self.run_microtasks()?;
            if let Object::Promise(state) = &**promise
                && let Promise::Settled(outcome) = &*locked(state)
            {
                self.settle_down()?;
                return Ok(Progress::Settled(outcome.clone()));
            }
            let state = self.store.data_mut();
            let due = state.timers.iter().position(|timer| timer.due <= now);
            let Some(due) = due else {
                return Ok(Progress::Waiting {
                    requests: std::mem::take(&mut state.outbox),
                    timer: state.timers.iter().map(|timer| timer.due).min(),
                });
            };
            let timer = state.timers.swap_remove(due);
            self.run_function(&timer.function)?;
        }
    }

    /// Forgets a call that is over: its timers and requests, and whatever the core does not refer to any more. That holds
    /// answers, which are wiped with it.
    fn settle_down(&mut self) -> Result<()> {
        let state = self.store.data_mut();
        state.microtasks.clear();
        state.timers.clear();
        state.outbox.clear();
        state.open.clear();
        self.store.gc(None)
    }

    /// Fills the core's memory, which holds keys and values, with zeroes. Nothing can be called afterwards.
    pub(super) fn wipe(&mut self) {
        if let Some(exports) = &self.store.data().exports {
            let memory = exports.memory;
            memory.data_mut(&mut self.store).fill(0);
        }
    }

    /// Whether the core's memory holds these bytes anywhere.
    #[cfg(test)]
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let memory = self.store.data().memory().unwrap();
        memory
            .data(&self.store)
            .windows(bytes.len())
            .any(|window| window == bytes)
    }

    /// How many bodies of answers came in, and how many of them somebody holds still.
    #[cfg(test)]
    pub(super) fn bodies(&self) -> (usize, usize) {
        let bodies = &self.store.data().bodies;
        let held = bodies.iter().filter(|body| body.strong_count() > 0).count();
        (bodies.len(), held)
    }

    /// Calls a function whose result nobody waits for; an exception of it is nobody's, as in JavaScript.
    fn run_function(&mut self, function: &Js) -> Result<()> {
        call(self.scope(), function, &Js::Undefined, &[]).map(drop)
    }

    /// The store for one step. What the core is given in it is not held beyond its end: outside of a scope, the store
    /// would hold it for as long as it lives.
    fn scope(&mut self) -> RootScope<&mut Store<State>> {
        RootScope::new(&mut self.store)
    }

    fn run_microtasks(&mut self) -> Result<()> {
        while let Some(microtask) = self.store.data_mut().microtasks.pop_front() {
            match microtask {
                Microtask::Call(function) => {
                    self.run_function(&function)?;
                }
                Microtask::React(reaction, outcome) => {
                    let handler = match &outcome {
                        Ok(_) => &reaction.fulfilled,
                        Err(_) => &reaction.rejected,
                    };
                    let outcome = match (handler, outcome) {
                        (None, outcome) => outcome,
                        (Some(handler), Ok(value) | Err(value)) => {
                            call(self.scope(), handler, &Js::Undefined, &[value])?
                        }
                    };
                    let state = self.store.data_mut();
                    match outcome {
                        Ok(value) => state.fulfil(&reaction.derived, value),
                        Err(error) => state.settle(&reaction.derived, Err(error)),
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, incoming: Incoming) {
        let state = self.store.data_mut();
        // Nobody waits any more for what was given up.
        let Some(open) = state.open.remove(&incoming.id) else {
            return;
        };
        let outcome = match incoming.answer {
            Some(answer) => {
                let headers = Arc::new(Object::Headers(answer.headers.into()));
                let body = Arc::new(answer.body.into());
                #[cfg(test)]
                state.bodies.push(Arc::downgrade(&body));
                Ok(Js::object(Object::Response(Response {
                    status: answer.status,
                    url: open.url,
                    headers,
                    body,
                })))
            }
            None => Err(Js::error("fetch failed")),
        };
        state.settle(&open.promise, outcome);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl State {
    /// Puts a function into the queue of microtasks.
    pub(super) fn queue(&mut self, function: Js) {
        self.microtasks.push_back(Microtask::Call(function));
    }

    /// Makes a timer and gives its number.
    pub(super) fn set_timer(&mut self, function: Js, after: Duration) -> u32 {
        let id = self.next_timer;
        self.next_timer = self.next_timer.wrapping_add(1).max(1);
        let due = self.clock.monotonic() + after;
        self.timers.push(Timer { id, due, function });
        id
    }

    /// Unmakes a timer.
    pub(super) fn clear_timer(&mut self, id: u32) {
        self.timers.retain(|timer| timer.id != id);
    }

    /// Has a request sent, and gives the promise of its response.
    pub(super) fn fetch(&mut self, request: &Arc<Object>) -> Arc<Object> {
        let promise = Object::pending();
        let Object::Request(wanted) = &**request else {
            self.settle(&promise, Err(Js::error("fetch wants a request")));
            return promise;
        };
        let id = self.next_request;
        self.next_request += 1;
        let open = Open {
            promise: Arc::clone(&promise),
            signal: wanted.signal.clone(),
            url: wanted.url.clone(),
        };
        self.open.insert(id, open);
        let request = Arc::clone(request);
        self.outbox.push(Outgoing { id, request });
        promise
    }

    /// Gives up the requests that carry this signal.
    pub(super) fn abort(&mut self, signal: &Arc<Object>) {
        let carries = |open: &Open| open.signal.as_ref().is_some_and(|its| Arc::ptr_eq(its, signal));
        let given_up: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| carries(open))
            .map(|(id, _)| *id)
            .collect();
        for id in given_up {
            self.outbox.retain(|outgoing| outgoing.id != id);
            if let Some(open) = self.open.remove(&id) {
                self.settle(&open.promise, Err(Js::error("aborted")));
            }
        }
    }

    /// `promise.then(fulfilled, rejected)`.
    pub(super) fn then(
        &mut self,
        promise: &Arc<Object>,
        fulfilled: Option<Js>,
        rejected: Option<Js>,
    ) -> Arc<Object> {
        let derived = Object::pending();
        let reaction = Reaction {
            fulfilled,
            rejected,
            derived: Arc::clone(&derived),
        };
        if let Object::Promise(state) = &**promise {
            match &mut *locked(state) {
                Promise::Pending(waiting) => waiting.push(reaction),
                Promise::Settled(outcome) => {
                    self.microtasks
                        .push_back(Microtask::React(reaction, outcome.clone()));
                }
            }
        }
        derived
    }

    /// Resolves a promise: with a value, or with what another promise comes to.
    pub(super) fn fulfil(&mut self, promise: &Arc<Object>, value: Js) {
        match value.as_object() {
            Some(other) if matches!(**other, Object::Promise(_)) => {
                let settler = |how| {
                    Js::object(Object::Settler {
                        promise: Arc::clone(promise),
                        how,
                    })
                };
                let other = Arc::clone(other);
                self.then(&other, Some(settler(How::Fulfil)), Some(settler(How::Reject)));
            }
            _ => self.settle(promise, Ok(value)),
        }
    }

    /// Settles a promise unless it is settled.
    pub(super) fn settle(&mut self, promise: &Arc<Object>, outcome: Result<Js, Js>) {
        let Object::Promise(state) = &**promise else {
            return;
        };
        let mut state = locked(state);
        if let Promise::Pending(waiting) = &mut *state {
            let waiting = std::mem::take(waiting);
            let reactions = waiting
                .into_iter()
                .map(|reaction| Microtask::React(reaction, outcome.clone()));
            self.microtasks.extend(reactions);
            *state = Promise::Settled(outcome);
        }
    }

    fn exports(&self) -> Result<&Exports> {
        self.exports
            .as_ref()
            .ok_or_else(|| Error::msg("the core calls before it is ready"))
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        Ok(self.exports()?.memory)
    }
}

impl Exports {
    fn of(instance: &Instance, store: &mut Store<State>) -> Result<Self> {
        let missing = |name: &str| Error::msg(format!("the core has no {name}"));
        let closures = GLUE.imports.iter().filter_map(|import| match import.operation {
            Operation::Closure { shim, .. } => Some(shim),
            _ => None,
        });
        let mut shims = HashMap::new();
        for name in closures.chain([GLUE.promise]) {
            let shim = instance
                .get_func(&mut *store, name)
                .ok_or_else(|| missing(name))?;
            shims.insert(name, shim);
        }
        let table = |store: &mut Store<State>, name: &str| {
            instance.get_table(store, name).ok_or_else(|| missing(name))
        };
        Ok(Self {
            memory: instance
                .get_memory(&mut *store, "memory")
                .ok_or_else(|| missing("memory"))?,
            externrefs: table(store, GLUE.externrefs)?,
            functions: table(store, GLUE.functions)?,
            malloc: instance.get_typed_func(&mut *store, "__wbindgen_malloc")?,
            allocate_reference: instance.get_typed_func(&mut *store, "__externref_table_alloc")?,
            store_exception: instance.get_typed_func(&mut *store, "__wbindgen_exn_store")?,
            shims,
        })
    }
}

/// Calls a function. An exception of its own is the inner error; the outer one is the end of the core.
pub(super) fn call(
    mut cx: impl AsContextMut<Data = State>,
    function: &Js,
    this: &Js,
    arguments: &[Js],
) -> Result<Result<Js, Js>> {
    let first = || arguments.first().cloned().unwrap_or(Js::Undefined);
    let Some(object) = function.as_object() else {
        return Ok(Err(Js::error("what is called is no function")));
    };
    match &**object {
        Object::Closure(closure) => call_closure(cx, closure, arguments).map(Ok),
        Object::Settler { promise, how } => {
            let mut cx = cx.as_context_mut();
            match how {
                How::Fulfil => cx.data_mut().fulfil(promise, first()),
                How::Reject => cx.data_mut().settle(promise, Err(first())),
            }
            Ok(Ok(Js::Undefined))
        }
        Object::ReturnThis => Ok(Ok(Js::object(Object::Global))),
        Object::IteratorMethod => Ok(iterator(this)),
        Object::NextMethod => Ok(next(this)),
        _ => Ok(Err(Js::error("what is called is no function"))),
    }
}

fn call_closure(
    mut cx: impl AsContextMut<Data = State>,
    closure: &std::sync::Mutex<Closure>,
    arguments: &[Js],
) -> Result<Js> {
    // The core must not free the closure while it runs.
    let (a, b, shim) = {
        let mut closure = locked(closure);
        closure.count += 1;
        (std::mem::take(&mut closure.a), closure.b, closure.shim)
    };
    let called = call_shim(&mut cx, shim, a, b, arguments);
    let unused = {
        let mut closure = locked(closure);
        closure.count -= 1;
        match closure.count {
            0 => Some(closure.destructor),
            _ => {
                closure.a = a;
                None
            }
        }
    };
    called?;
    if let Some(destructor) = unused {
        let functions = cx.as_context().data().exports()?.functions;
        let entry = functions.get(&mut cx, u64::from(destructor));
        if let Some(Ref::Func(Some(destroy))) = entry {
            destroy.call(
                &mut cx,
                &[Val::I32(a.cast_signed()), Val::I32(b.cast_signed())],
                &mut [],
            )?;
        }
    }
    Ok(Js::Undefined)
}

/// Calls the export `shim` for the closure at `a` and `b`.
pub(super) fn call_shim(
    mut cx: impl AsContextMut<Data = State>,
    shim: &'static str,
    a: u32,
    b: u32,
    arguments: &[Js],
) -> Result<()> {
    let function = cx.as_context().data().exports()?.shims.get(shim).copied();
    let function = function.ok_or_else(|| Error::msg("a closure of the core has no caller"))?;
    let wanted = function.ty(&cx).params().len();
    let mut values = vec![Val::I32(a.cast_signed()), Val::I32(b.cast_signed())];
    for place in 0..wanted.saturating_sub(2) {
        let argument = arguments.get(place).cloned().unwrap_or(Js::Undefined);
        values.push(to_val(&mut cx, argument)?);
    }
    function.call(&mut cx, &values, &mut [])
}

/// Hands an exception to the core.
pub(super) fn store_exception(mut cx: impl AsContextMut<Data = State>, error: Js) -> Result<()> {
    let index = add_reference(&mut cx, error)?;
    let store = cx.as_context().data().exports()?.store_exception.clone();
    store.call(&mut cx, index)
}

/// Puts a value into the core's table of references and gives its index.
pub(super) fn add_reference(mut cx: impl AsContextMut<Data = State>, value: Js) -> Result<u32> {
    let exports = cx.as_context().data().exports()?;
    let (allocate, table) = (exports.allocate_reference.clone(), exports.externrefs);
    let index = allocate.call(&mut cx, ())?;
    let value = as_ref(&mut cx, value)?;
    table.set(&mut cx, u64::from(index), value)?;
    Ok(index)
}

/// Makes the places of the table that the core takes for granted.
pub(super) fn init_references(mut cx: impl AsContextMut<Data = State>) -> Result<()> {
    let table = cx.as_context().data().exports()?.externrefs;
    let undefined = as_ref(&mut cx, Js::Undefined)?;
    let start = table.grow(&mut cx, 4, undefined.clone())?;
    table.set(&mut cx, 0, undefined)?;
    for (place, value) in [(1, Js::Null), (2, Js::Bool(true)), (3, Js::Bool(false))] {
        let value = as_ref(&mut cx, value)?;
        table.set(&mut cx, start + place, value)?;
    }
    Ok(())
}

/// Copies bytes into memory that the core allocates, and gives their place and number.
pub(super) fn pass_bytes(mut cx: impl AsContextMut<Data = State>, bytes: &[u8]) -> Result<(u32, u32)> {
    let exports = cx.as_context().data().exports()?;
    let (malloc, memory) = (exports.malloc.clone(), exports.memory);
    let length = u32::try_from(bytes.len())?;
    let at = malloc.call(&mut cx, (length, 1))?;
    memory.write(&mut cx, at as usize, bytes)?;
    Ok((at, length))
}

/// The bytes at a place of the core's memory.
pub(super) fn read_bytes(
    cx: impl AsContext<Data = State>,
    at: u32,
    length: u32,
) -> Result<Zeroizing<Vec<u8>>> {
    let memory = cx.as_context().data().memory()?;
    let cx = cx.as_context();
    let start = at as usize;
    let bytes = memory.data(&cx).get(start..start.saturating_add(length as usize));
    let bytes = bytes.ok_or_else(|| Error::msg("the core points outside of its memory"))?;
    Ok(Zeroizing::new(bytes.to_vec()))
}

/// Runs `action` on the bytes of an array.
pub(super) fn with_buffer<R>(
    mut cx: impl AsContextMut<Data = State>,
    buffer: &Buffer,
    action: impl FnOnce(&mut [u8]) -> Option<R>,
) -> Result<R> {
    let outside = || Error::msg("an array of the core reaches outside of its buffer");
    match buffer {
        Buffer::Memory => {
            let memory = cx.as_context().data().memory()?;
            action(memory.data_mut(&mut cx)).ok_or_else(outside)
        }
        Buffer::Own(bytes) => action(&mut locked(bytes)).ok_or_else(outside),
    }
}

/// A value of the core as ours.
pub(super) fn to_js(cx: impl AsContext<Data = State>, value: &Val) -> Result<Js> {
    match value {
        Val::I32(number) => Ok(Js::Number(f64::from(*number))),
        Val::F64(bits) => Ok(Js::Number(f64::from_bits(*bits))),
        Val::ExternRef(None) => Ok(Js::Null),
        Val::ExternRef(Some(reference)) => {
            let cx = cx.as_context();
            let known = reference.data(cx)?.and_then(|known| known.downcast_ref::<Js>());
            known
                .cloned()
                .ok_or_else(|| Error::msg("the core gave a reference of somebody else"))
        }
        _ => Err(Error::msg("the core gave a value of an unknown kind")),
    }
}

/// Ours as a value of the core.
pub(super) fn to_val(cx: impl AsContextMut<Data = State>, value: Js) -> Result<Val> {
    Ok(match value {
        Js::Null => Val::ExternRef(None),
        value => Val::ExternRef(Some(ExternRef::new(cx, value)?)),
    })
}

fn as_ref(cx: impl AsContextMut<Data = State>, value: Js) -> Result<Ref> {
    Ok(match value {
        Js::Null => Ref::Extern(None),
        value => Ref::Extern(Some(ExternRef::new(cx, value)?)),
    })
}

/// What goes through the items of `this`.
pub(super) fn iterator(this: &Js) -> Result<Js, Js> {
    let items = match this.as_object().map(|object| &**object) {
        Some(Object::Array(items)) => items.clone(),
        Some(Object::Headers(headers)) => locked(headers)
            .iter()
            .map(|(name, value)| {
                Js::object(Object::Array(vec![
                    Js::text(name.clone()),
                    Js::text(value.as_str()),
                ]))
            })
            .collect(),
        _ => return Err(Js::error("it has no iterator")),
    };
    Ok(Js::object(Object::Iterator(items.into_iter().into())))
}

/// The next result of an iterator.
pub(super) fn next(this: &Js) -> Result<Js, Js> {
    match this.as_object().map(|object| &**object) {
        Some(Object::Iterator(items)) => Ok(Js::object(Object::IteratorResult(locked(items).next()))),
        _ => Err(Js::error("it is no iterator")),
    }
}
