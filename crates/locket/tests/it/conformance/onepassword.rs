//! What each way to 1Password has to read: the same items in a vault of the same name.

use locket_testkit::Canary;
use locket_testkit::fakes::connect::{Category, Field, File, Item};

use super::fixture::{Applicable, References, Sample};

/// The vault that the credential may read; and how references write it.
pub(super) const OPEN: &str = "Open \"vault\"";
pub(super) const OPEN_IN_REFERENCES: &str = "Open %22vault%22";

/// Makes the items by `put`, which gives the references' beginning: vault and item.
pub(super) fn references(
    put: impl Fn(Item, &str) -> String,
    binary: Applicable<Sample>,
    denied: String,
) -> References {
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
    References {
        text: login("text", Canary::text("text")),
        other: login("other", Canary::text("other")),
        awkward: login("awkward", Canary::awkward("awkward")),
        binary,
        empty: Ok(format!("{pair}/blank")),
        missing_field: Ok(format!("{pair}/three")),
        missing_item: format!("op://{OPEN_IN_REFERENCES}/nowhere/password"),
        // By names a vault out of scope is not told from one that does not exist.
        denied: Ok(denied),
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
    }
}

/// An item with a file, made by `put`.
pub(super) fn document(put: impl Fn(Item, &str) -> String) -> Sample {
    let file = Canary::binary("file");
    let document = Item::new(Category::Document, "document").file(File::new("key.bin", file.bytes()));
    Sample {
        reference: put(document, "document") + "/key.bin",
        value: file,
    }
}
