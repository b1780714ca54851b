//! 1Password service accounts by the `op` program, for which a stand-in answers.

use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::Canary;
use locket_testkit::fakes::connect::Item;
use locket_testkit::fakes::op_program::OpProgram;

use super::fixture::{Backend, Credential, Fixture, Secrets};
use super::onepassword::{OPEN, OPEN_IN_REFERENCES, document, references};

/// The provider with `op.cli`.
pub(crate) struct ByProgram;

const NO_SERVER: &str = "the program speaks to the server, and a stand-in answers for it";

impl Fixture for ByProgram {
    fn name(&self) -> &'static str {
        "op, by the program"
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("op").unwrap()
    }

    fn is_network(&self) -> bool {
        false
    }

    fn start(&self) -> Backend {
        let program = OpProgram::new();
        let open = program.add_vault(OPEN);
        let put = |item: Item, title: &str| {
            program.add_item(&open, item);
            format!("op://{OPEN_IN_REFERENCES}/{title}")
        };
        let references = references(put, Ok(document(put)), "op://Closed/hidden/password".to_owned());
        let secrets = Secrets::default();
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        let program = Rc::new(program);
        let issue = {
            let (program, secrets) = (program.clone(), secrets.clone());
            move || {
                let token = program.token();
                secrets.add(&Canary::of("token", token.as_str()));
                token
            }
        };
        std::fs::write(&token_file, issue()).unwrap();
        Backend {
            settings: Settings::default()
                .with("cli", program.path().to_str().unwrap())
                .with_credential("token-file", Given::File(token_file.clone())),
            environment: [("PATH", "/usr/bin:/bin")].into_iter().collect::<Environment>(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Err(NO_SERVER),
            credential: Ok(Credential {
                renew: {
                    let issue = issue.clone();
                    Box::new(move || std::fs::write(&token_file, issue()).unwrap())
                },
                revoke: Box::new(move || drop(issue())),
            }),
            secrets,
            alive: Box::new((program, directory)),
        }
    }
}
