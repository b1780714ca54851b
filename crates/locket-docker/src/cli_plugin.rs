//! The protocol of CLI plugins: how `docker` learns what a program beside it does.
//!
//! Source: <https://github.com/docker/cli/blob/master/cli-plugins/metadata/metadata.go>.

use serde::Serialize;

/// The word with which `docker` asks.
pub const METADATA: &str = "docker-cli-plugin-metadata";

/// The name of the plugin's program, which is `docker-` and the word after `docker`.
pub const PROGRAM: &str = "docker-locket";

/// The word after `docker`, which comes first when `docker` runs the plugin.
pub const WORD: &str = "locket";

/// What a plugin says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    schema_version: &'static str,
    vendor: &'static str,
    version: String,
    short_description: String,
}

impl Metadata {
    /// Of this version; what it does, as a sentence without a full stop.
    pub fn new(version: &str, summary: &str) -> Self {
        Self {
            schema_version: "0.1.0",
            vendor: "locket",
            version: version.to_owned(),
            short_description: summary.to_owned(),
        }
    }

    /// The answer to `docker`.
    pub fn answer(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_names_that_docker_reads() {
        let answer = Metadata::new("1.2.3", "A summary").answer();
        assert_eq!(
            answer,
            "{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"locket\",\"Version\":\"1.2.3\",\"ShortDescription\":\"A summary\"}\n"
        );
    }
}
