//! What imports can do: the vocabulary of the generated table.

/// Everything about one build of the core that its imports' names do not say.
pub(super) struct Glue {
    /// The export that is the table of references.
    pub(super) externrefs: &'static str,
    /// The export that is the table of functions.
    pub(super) functions: &'static str,
    /// The export that a new promise's executor calls.
    pub(super) promise: &'static str,
    /// Every import, sorted by name.
    pub(super) imports: &'static [Import],
}

/// One import.
pub(super) struct Import {
    pub(super) name: &'static str,
    pub(super) operation: Operation,
    /// Whether an exception is handed to the core instead of ending it.
    pub(super) catches: bool,
}

/// What an import does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Reads a property of an object.
    Get(&'static str),
    /// Sets a property of an object.
    Set(&'static str),
    /// The same with a text.
    SetText(&'static str),
    /// The same with one of a list of words, none of which mean anything outside of a browser.
    SetWord(&'static str),
    /// Makes an object of a class.
    New(&'static str),
    /// Known by its name and number of arguments.
    Call(&'static str, usize),
    /// Makes a function of a closure of the core.
    Closure {
        /// Its place in the table of functions.
        destructor: u32,
        /// The export that calls it.
        shim: &'static str,
    },
}

impl Glue {
    /// The import of this name.
    pub(super) fn import(&self, name: &str) -> Option<&'static Import> {
        let at = self.imports.binary_search_by(|import| import.name.cmp(name));
        at.ok().map(|at| &self.imports[at])
    }
}
