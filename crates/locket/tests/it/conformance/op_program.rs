//! 1Password service accounts by the `op` program, for which a stand-in answers.

use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::Canary;
use locket_testkit::fakes::connect::{Category, Field, File, Item};
use locket_testkit::fakes::op_program::OpProgram;

use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets};

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
        let open = program.add_vault("Open \"vault\"");
        let put = |item: Item, title: &str| {
            program.add_item(&open, item);
            format!("op://Open %22vault%22/{title}")
        };
        let login = |title: &str, value: Canary| Sample {
            reference: put(Item::login(title, value.as_str()), title) + "/password",
            value,
        };
        let [one, two] = ["one", "two"].map(Canary::text);
        let pair = Item::new(Category::Database, "pair")
            .section("s", "Section")
            .field(Field::concealed("one", one.as_str()))
            .field(Field::concealed("two", two.as_str()).section("s"))
            .field(Field::concealed("blank", "").without_value());
        let pair = put(pair, "pair");
        let file = Canary::binary("file");
        let document = Item::new(Category::Document, "document").file(File::new("key.bin", file.bytes()));
        let references = References {
            text: login("text", Canary::text("text")),
            other: login("other", Canary::text("other")),
            awkward: login("awkward", Canary::awkward("awkward")),
            binary: Ok(Sample {
                reference: put(document, "document") + "/key.bin",
                value: file,
            }),
            empty: Ok(format!("{pair}/blank")),
            missing_field: Ok(format!("{pair}/three")),
            missing_item: "op://Open %22vault%22/nowhere/password".to_owned(),
            // A vault out of scope is not told from one that does not exist.
            denied: Ok("op://Closed/hidden/password".to_owned()),
            siblings: Ok([
                Sample {
                    reference: format!("{pair}/one"),
                    value: one,
                },
                Sample {
                    reference: format!("{pair}/Section/two"),
                    value: two,
                },
            ]),
        };
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
