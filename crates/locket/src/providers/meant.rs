//! Whose a credential is that stands under no name of its own provider: `token-file`, and one that is lent. A token is
//! good for one server: whoever chooses another provider in a stronger layer does not hand that one the token.

use locket_providers::ProviderKind;

use super::choice::Choice;
use crate::options::{Given, Layers, table};

/// A layer of the configuration, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Flags,
    /// Flags that somebody else gave before, such as those of a plugin to its volumes.
    Beforehand,
    Variables,
    /// A file, by its place in [`Layers::files`].
    File(usize),
}

impl Layer {
    /// The layer of the flag `id`.
    pub(super) fn of_flag(layers: &Layers<'_>, id: &str) -> Self {
        match layers.beforehand().flags.contains(id) {
            true => Self::Beforehand,
            false => Self::Flags,
        }
    }
}

/// Whether a credential of `layer` that names nobody is meant for `kind`.
pub(super) fn is_meant(layers: &Layers<'_>, layer: Layer, kind: &ProviderKind) -> bool {
    match provider_of(layers, layer) {
        Some(given) => Choice::parse(&given.text).is_ok_and(|meant| meant.is(kind)),
        None => true,
    }
}

/// The provider that was in force for whoever wrote `layer`: the one that this layer or a weaker one names. Where they
/// name none, it is the one that is named next above them.
pub(super) fn provider_of(layers: &Layers<'_>, layer: Layer) -> Option<Given> {
    let mut named = providers(layers);
    let before = layers.beforehand();
    if before.has_other_files && matches!(layer, Layer::Beforehand | Layer::Variables) {
        // Whoever gave these had other files below them, and nothing above.
        named.retain(|(place, _)| matches!(place, Layer::Beforehand | Layer::Variables));
        let configured = before.configured.clone();
        named.extend(configured.map(|given| (Layer::File(0), given)));
    } else if before.has_other_files && matches!(layer, Layer::File(_)) {
        // Whoever gave those knew nothing of these files.
        named.retain(|(place, _)| !matches!(place, Layer::Beforehand | Layer::Variables));
    }
    let own = named.iter().find(|(place, _)| *place >= layer);
    own.or(named.last()).map(|(_, given)| given.clone())
}

/// Every `token-file` with its layer, the strongest first.
pub(super) fn token_files(layers: &Layers<'_>) -> Vec<(Layer, Given)> {
    let name = table::TOKEN_FILE.name;
    let flag = layers.flag(name, name);
    let flag = flag.map(|given| (Layer::of_flag(layers, name), given));
    // What is wrong with the variable was told already.
    let variable = layers.look_up(table::TOKEN_FILE.variables).ok().flatten();
    let files = layers.files().enumerate().filter_map(|(place, file)| {
        let given = file.text(&table::TOKEN_FILE)?;
        Some((Layer::File(place), given.clone()))
    });
    let variable = variable.map(|given| (Layer::Variables, given));
    flag.into_iter().chain(variable).chain(files).collect()
}

/// Every provider that is named, with its layer, the strongest first.
fn providers(layers: &Layers<'_>) -> Vec<(Layer, Given)> {
    let name = table::PROVIDER.name;
    let flag = layers
        .flag(name, name)
        .map(|given| (Layer::of_flag(layers, name), given));
    let before = layers.beforehand().provider.clone();
    let before = before.map(|given| (Layer::Beforehand, given));
    let variable = layers.look_up(table::PROVIDER.variables).ok().flatten();
    let variable = variable.map(|given| (Layer::Variables, given));
    let files = layers.files().enumerate().filter_map(|(place, file)| {
        let given = file.text(&table::PROVIDER)?;
        Some((Layer::File(place), given.clone()))
    });
    flag.into_iter()
        .chain(before)
        .chain(variable)
        .chain(files)
        .collect()
}
