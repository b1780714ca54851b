//! The configuration file: found, read with places, and checked key by key.

mod entries;
mod file;
mod find;
mod mask;
mod providers;
mod reader;
mod rotate;
mod schema;
mod swarm;

pub(crate) use entries::{EntryTemplate, EveryEntry, SecretEntry, parse_action};
pub(crate) use file::ConfigFile;
pub(crate) use find::{Found, load, places};
pub(crate) use providers::{ProviderTable, TableName};
pub(crate) use schema::schema;
pub(crate) use swarm::SwarmSecret;
