//! The dependencies that crates must not have: a crate exists to forbid one.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

/// For each crate, what it must never depend on, built or direct, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "locket-core",
        &[
            "tokio", "mio", "reqwest", "hyper", "rustls", "notify", "tracing", "clap", "toml",
        ],
        "the core is pure: no runtime, no files, no sockets",
    ),
    (
        "locket-core",
        &["locket-engine", "locket-providers", "locket-testkit", "locket"],
        "everybody depends on the core",
    ),
    (
        "locket-engine",
        &[
            "locket-providers",
            "locket-testkit",
            "locket",
            // hyper itself serves the page of metrics; asking others takes one of these.
            "reqwest",
            "rustls",
            "age",
            "clap",
        ],
        "the engine knows no provider",
    ),
    (
        "locket-providers",
        &["locket-engine", "locket", "notify", "clap"],
        "a provider asks and answers; rounds are not its business",
    ),
    (
        "locket-docker",
        &["locket", "locket-testkit", "clap"],
        "what Docker expects is not the command line's business",
    ),
    (
        "locket-compose",
        &[
            "tokio",
            "locket-engine",
            "locket-providers",
            "locket-docker",
            "locket-testkit",
            "locket",
            "clap",
        ],
        "a Compose file is judged without a runtime, a provider or an engine",
    ),
    (
        "locket-sys",
        &[
            "locket-core",
            "locket-engine",
            "locket-providers",
            "locket-testkit",
            "locket",
            "tokio",
        ],
        "the unsafe crate knows nothing of the others",
    ),
    (
        "locket-wasm",
        &[
            "locket-core",
            "locket-providers",
            "locket-sys",
            "tokio",
            "cranelift-codegen",
        ],
        "it loads code, whoever wants it, and compiles none",
    ),
];

/// What only these crates may name in their own manifests, though others reach it through them.
const DIRECT: &[(&str, &[&str])] = &[(
    "rustix",
    &[
        "locket",
        "locket-sys",
        "locket-engine",
        "locket-providers",
        "locket-wasm",
        // Watches outputs from outside, as consumers do.
        "locket-bench",
    ],
)];

#[test]
fn no_crate_has_a_dependency_that_it_exists_to_forbid() {
    let edges = Edges::of_this_workspace();
    assert!(
        edges.reached("locket-engine").contains("tokio")
            && edges.reached("locket-providers").contains("reqwest")
    );
    for (from, forbidden, reason) in FORBIDDEN {
        let reached = edges.reached(from);
        assert!(reached.len() > 1, "{from} was looked at");
        for name in *forbidden {
            assert!(!reached.contains(*name), "{from} depends on {name}: {reason}");
        }
    }
}

#[test]
fn docker_and_webhooks_are_reached_through_the_one_http_seam_and_name_no_provider() {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../locket-docker/src");
    let (mut open, mut named) = (vec![std::path::PathBuf::from(sources)], 0);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices("locket_providers::") {
                let rest = &text[at + "locket_providers::".len()..];
                assert!(rest.starts_with("outbound"), "{}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 0, "the seam is used, or nothing was looked at");
}

#[test]
fn system_calls_are_named_by_few() {
    let edges = Edges::of_this_workspace();
    for (name, allowed) in DIRECT {
        for (from, direct) in &edges.normal {
            if from.starts_with("locket") && direct.contains(*name) {
                assert!(allowed.contains(&from.as_str()), "{from} names {name}");
            }
        }
        assert!(!edges.normal["locket-core"].contains(*name));
    }
}

#[test]
fn a_build_without_op_holds_no_webassembly() {
    let built_with = |features: &str| {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--frozen", "--package", "locket", "--no-default-features"])
            .args(["--edges", "normal", "--prefix", "none", "--features", features])
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        String::from_utf8(tree.stdout).unwrap()
    };
    assert!(built_with("op").contains("\nwasmtime v"));
    assert!(!built_with("azkv,bao,bws,connect,exec,infisical,oci,store").contains("wasmtime"));
}

#[test]
fn only_the_binary_knows_everything() {
    let edges = Edges::of_this_workspace();
    let reached = edges.reached("locket");
    for name in ["locket-core", "locket-engine", "locket-providers", "locket-sys"] {
        assert!(reached.contains(name), "the binary holds {name}");
    }
    for (from, direct) in &edges.normal {
        assert!(!direct.contains("locket"), "{from} depends on the binary");
        let is_test = from == "locket-testkit" || from == "locket-bench" || from == "xtask";
        assert!(
            is_test || !direct.contains("locket-testkit"),
            "{from} ships the tests' tools"
        );
    }
}

/// Who depends on whom in a build without tests.
struct Edges {
    normal: BTreeMap<String, BTreeSet<String>>,
}

impl Edges {
    fn of_this_workspace() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .features(CargoOpt::AllFeatures)
            .other_options(["--frozen".to_owned()])
            .exec()
            .unwrap();
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (package.id.clone(), package.name.to_string()))
            .collect();
        let mut normal: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata.resolve.unwrap().nodes {
            let direct = normal.entry(names[&node.id].clone()).or_default();
            for dependency in node.deps {
                let is_normal = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Normal;
                if dependency.dep_kinds.iter().any(is_normal) {
                    direct.insert(names[&dependency.pkg].clone());
                }
            }
        }
        Self { normal }
    }

    /// Everything that is built with `from`, itself included.
    fn reached(&self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(name) = open.pop() {
            if reached.insert(name.clone()) {
                open.extend(self.normal.get(&name).into_iter().flatten().cloned());
            }
        }
        reached
    }
}
