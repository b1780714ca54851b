//! Providers as the command line knows them: what each can be told, what it was told, and the instances made of that.

mod check;
mod choice;
mod credential;
mod deferred;
mod flags;
mod gather;
mod instances;
mod meant;
mod sections;
#[cfg(test)]
mod tests;

pub(crate) use credential::template_of;
pub(crate) use flags::{add_flags, advice_on_literal, may_be_among as flags_may_be_among, without_flags};
pub(crate) use instances::{Described, ProviderSettings, settle};
pub(crate) use sections::{
    check_text, credential_name, kinds, literal_name, sections, variables, without_credentials,
};
