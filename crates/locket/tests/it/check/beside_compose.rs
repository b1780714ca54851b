//! The model beside Compose: what `docker compose config` makes of a project, the model makes, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use locket_compose::model::{MountKind, Origin};
use locket_compose::{Files, Project, Request, Unreadable, load};
use locket_core::Environment;
use locket_testkit::services::find;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// What both inherit.
const INHERITED: [(&str, &str); 3] = [("INH", "inherited"), ("EMPTY", ""), ("PATH", "/usr/bin:/bin")];

#[test]
fn projects_are_to_us_what_they_are_to_compose() {
    let Some(compose) = find("engine/cli-plugins/docker-compose") else {
        return;
    };
    let mut differences = String::new();
    let mut accepted = 0;
    let projects = written().into_iter().chain(collected());
    for (name, files) in projects {
        let directory = TempDir::with_prefix("project").unwrap();
        let base = directory.path().canonicalize().unwrap();
        for (path, text) in &files {
            let path = base.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let ours = by_locket(&base);
        match (by_compose(&compose, &base), ours) {
            (Ok(theirs), Ok(ours)) => {
                accepted += 1;
                if theirs != ours {
                    let _ = writeln!(
                        differences,
                        "{name}\n  locket:  {}\n  compose: {}",
                        first_difference(&ours, &theirs),
                        first_difference(&theirs, &ours)
                    );
                }
            }
            (Ok(_), Err(wrong)) => {
                let _ = writeln!(differences, "{name}\n  Compose accepts it, locket says: {wrong}");
            }
            // What Compose refuses for reasons of its own need not be seen here.
            (Err(_), _) => {}
        }
    }
    assert!(accepted > 60, "Compose accepts only {accepted} of the projects");
    assert!(differences.is_empty(), "\n{differences}");
}

/// The files of a project, by their paths in it.
pub(crate) type Texts = Vec<(String, String)>;

/// Projects for every rule of Compose.
fn written() -> Vec<(String, Texts)> {
    PROJECTS
        .iter()
        .map(|(name, files)| {
            let files = files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
            ((*name).to_owned(), files.collect())
        })
        .collect()
}

/// The projects that the checks are judged by.
pub(crate) fn collected() -> Vec<(String, Texts)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../locket-compose/tests/corpus");
    let mut projects = Vec::new();
    for part in ["blind", "known"] {
        for entry in fs::read_dir(corpus.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let mut files: Texts = Vec::new();
            for line in text.split_inclusive('\n') {
                let header = line
                    .trim_end()
                    .strip_prefix("-- ")
                    .and_then(|rest| rest.strip_suffix("--"));
                if let Some(header) = header {
                    let name = header.split_whitespace().next().unwrap();
                    files.push((name.to_owned(), String::new()));
                } else if let Some((_, text)) = files.last_mut() {
                    text.push_str(line);
                }
            }
            projects.push((path.file_stem().unwrap().to_string_lossy().into_owned(), files));
        }
    }
    projects
}

const PROJECTS: &[(&str, &[(&str, &str)])] = &[
    (
        "environment of both forms",
        &[(
            "compose.yaml",
            "services:\n  a: {image: x, environment: [A=1, B, INH, 'C=a=b', EMPTY, 'D=']}\n  b: {image: x, environment: {A: 1, B: , INH: null, C: true, D: 1.50, E: 0400, F: 1e3, G: 'x', H: \"\", I: 0x1F, J: yes, K: 1_000}}\n",
        )],
    ),
    (
        "interpolation",
        &[
            (
                "compose.yaml",
                "services:\n  a:\n    image: x:${TAG:-1}\n    environment:\n      A: ${INH}\n      B: ${NO:-d}\n      C: ${EMPTY:-e}${EMPTY-f}\n      D: $$x\n      E: ${INH:+yes}${NO:+no}\n      F: ${NO:-${ALSO:-deep}}\n      G: ${NO-${INH}}\n      H: pre-$INH-post\n      I: ${NO:-a}b}\n      J: \"${FILED}\"\n      K: ${INH:?must}\n",
            ),
            (".env", "FILED=from file\nINH=not this\nTAG=7\n"),
        ],
    ),
    (
        "env files",
        &[
            (
                "compose.yaml",
                "services:\n  a:\n    image: x\n    env_file: [one.env, {path: two.env, required: true}, {path: none.env, required: false}]\n    environment: {A: own, P: }\n",
            ),
            ("one.env", "A=1\nB=1\nINH\nC=${INH}\nD=${A}\nE='$A'\n"),
            ("two.env", "B=2\nF=${B}\nG=\"x y\" # c\nH=${P}\n"),
            (".env", "P=project\n"),
        ],
    ),
    (
        "raw env file",
        &[
            (
                "compose.yaml",
                "services: {a: {image: x, env_file: [{path: r.env, format: raw}]}}\n",
            ),
            ("r.env", "A=$INH 'x'\n# no\nB=\"y\"\n"),
        ],
    ),
    (
        "secrets of both forms",
        &[(
            "compose.yaml",
            "services:\n  a:\n    image: x\n    secrets: [s, {source: t, target: other}, {source: u, target: /abs/u, mode: 0400}]\nsecrets:\n  s: {file: ./s.txt}\n  t: {environment: INH}\n  u: {external: true, name: real}\n  v: {file: ../up/v}\n",
        )],
    ),
    (
        "override of everything",
        &[
            (
                "compose.yaml",
                "services:\n  a:\n    image: x\n    command: [one, two]\n    entrypoint: e\n    environment: [A=1, B=2]\n    env_file: a.env\n    secrets: [s]\n    volumes: ['./a:/a', 'v:/b', /anon]\n    depends_on: [b]\n    labels: [l=1]\n  b: {image: y}\nsecrets: {s: {file: one}}\nvolumes: {v: {}}\n",
            ),
            (
                "compose.override.yaml",
                "services:\n  a:\n    command: three\n    environment: {B: 3, C: 4}\n    env_file: [b.env]\n    secrets: [t, {source: s, target: s}]\n    volumes: ['./c:/a:ro', {type: bind, source: ./d, target: /d}]\n    depends_on: {b: {condition: service_healthy}, c: {condition: service_started}}\n    labels: {l: 2, m: 3}\n  c: {image: z}\nsecrets: {s: {file: two}, t: {file: three}}\n",
            ),
            ("a.env", "X=1\nY=1\n"),
            ("b.env", "Y=2\n"),
        ],
    ),
    (
        "reset and override",
        &[
            (
                "compose.yaml",
                "services:\n  a:\n    image: x\n    environment: {A: 1, B: 2}\n    secrets: [s]\n    volumes: ['./a:/a']\n    command: c\n    depends_on: [b]\n  b: {image: y}\nsecrets: {s: {file: s}}\n",
            ),
            (
                "compose.override.yaml",
                "services:\n  a:\n    environment: !override {C: 3}\n    secrets: !reset []\n    command: !reset null\n    volumes: !override ['./z:/z']\n    depends_on: !reset {}\n",
            ),
        ],
    ),
    (
        "extends in one file",
        &[(
            "compose.yaml",
            "services:\n  base: {image: x, environment: {A: 1, B: 1}, secrets: [s], profiles: [never]}\n  a: {extends: base, environment: [B=2, C=3], profiles: []}\n  b: {extends: {service: base}, image: y, profiles: [also]}\n  c: {extends: {service: a}, environment: {D: 4}}\nsecrets: {s: {file: s}}\n",
        )],
    ),
    (
        "extends of another file",
        &[
            (
                "compose.yaml",
                "services:\n  a: {extends: {file: sub/base.yaml, service: b}, environment: {A: own}, volumes: ['./own:/own']}\n",
            ),
            (
                "sub/base.yaml",
                "services:\n  b: {extends: {file: ../other/c.yaml, service: c}, env_file: b.env, volumes: ['./b:/b']}\n",
            ),
            ("sub/b.env", "A=b\nB=b\n"),
            (
                "other/c.yaml",
                "services:\n  c: {image: x, environment: [C=c], volumes: ['./c:/c']}\n",
            ),
        ],
    ),
    (
        "include",
        &[
            (
                "compose.yaml",
                "include:\n  - sub/compose.yaml\n  - path: [two/a.yaml, two/b.yaml]\n    env_file: two.env\nservices:\n  a: {image: x, secrets: [s], depends_on: [b]}\n",
            ),
            (
                "sub/compose.yaml",
                "services:\n  b: {image: 'y:${V:-none}', environment: {V: '${V:-none}'}, volumes: ['./d:/d']}\nsecrets: {s: {file: ./s.txt}}\n",
            ),
            ("sub/.env", "V=sub\n"),
            (
                "two/a.yaml",
                "services: {c: {image: 'z:${W}', environment: {A: 1}}}\n",
            ),
            ("two/b.yaml", "services: {c: {environment: {A: 2}}}\n"),
            ("two.env", "W=two\n"),
        ],
    ),
    (
        "anchors and merge keys",
        &[(
            "compose.yaml",
            "x-env: &env {A: 1, B: 2}\nx-svc: &svc\n  image: x\n  environment: *env\nservices:\n  a: *svc\n  b:\n    <<: *svc\n    environment: {<<: *env, B: 3}\n  c: {<<: [{image: y}, *svc]}\n",
        )],
    ),
    (
        "profiles",
        &[(
            "compose.yaml",
            "services:\n  a: {image: x}\n  b: {image: x, profiles: [p]}\n  c: {image: x, profiles: []}\n",
        )],
    ),
    (
        "name and other file names",
        &[("docker-compose.yml", "name: mine\nservices: {a: {image: x}}\n")],
    ),
    (
        "files by variable",
        &[
            (".env", "COMPOSE_FILE=one.yaml:sub/two.yaml\n"),
            ("one.yaml", "services: {a: {image: x, volumes: ['./a:/a']}}\n"),
            (
                "sub/two.yaml",
                "services: {b: {image: y, volumes: ['./b:/b'], env_file: b.env}}\n",
            ),
            ("b.env", "B=1\n"),
        ],
    ),
    (
        "volumes of both forms",
        &[(
            "compose.yaml",
            "services:\n  a:\n    image: x\n    volumes:\n      - ./rel:/rel\n      - /abs:/abs:ro\n      - named:/named\n      - /anon\n      - {type: volume, source: named, target: /long}\n      - {type: tmpfs, target: /tmp2}\n      - {type: bind, source: ., target: /here, read_only: true}\nvolumes:\n  named: {driver_opts: {type: tmpfs, device: tmpfs}}\n",
        )],
    ),
    (
        "two documents in a file",
        &[(
            "compose.yaml",
            "services: {a: {image: x, environment: {A: 1}}}\n---\nservices: {a: {environment: {B: 2}}, b: {image: y}}\n",
        )],
    ),
];

/// The project as Compose prints it, cut down to what the model holds.
fn by_compose(compose: &Path, base: &Path) -> Result<Value, String> {
    let output = Command::new(compose)
        .args(["config", "--format", "json"])
        .env_clear()
        .env("HOME", base)
        .envs(INHERITED)
        .current_dir(base)
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut services = Map::new();
    for (name, service) in config["services"].as_object().unwrap() {
        let list = |field: &str| service[field].as_array().cloned().unwrap_or_default();
        let plain = |value: &Value| match value {
            Value::String(text) => json!(text.replace("$$", "$")),
            other => other.clone(),
        };
        let environment: BTreeMap<_, _> = service["environment"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect();
        let secrets: Vec<_> = list("secrets")
            .iter()
            .map(|grant| {
                let source = grant["source"].as_str().unwrap();
                let target = grant["target"].as_str().unwrap_or(source);
                let path = if target.starts_with('/') {
                    target.to_owned()
                } else {
                    format!("/run/secrets/{target}")
                };
                json!([source, path])
            })
            .collect();
        let mut volumes: Vec<_> = list("volumes")
            .iter()
            .map(|mount| json!([mount["type"], mount["source"], mount["target"]]).to_string())
            .collect();
        volumes.sort();
        let depends: BTreeMap<_, _> = service["depends_on"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, on)| (name.clone(), on["condition"].clone()))
            .collect();
        services.insert(
            name.clone(),
            json!({
                "image": plain(&service["image"]),
                "environment": environment,
                "secrets": secrets,
                "volumes": volumes,
                "depends_on": depends,
            }),
        );
    }
    let secrets: BTreeMap<_, _> = config["secrets"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, secret)| {
            let origin = json!([secret["file"], secret["environment"], secret["external"] == true]);
            (name.clone(), origin)
        })
        .collect();
    Ok(json!({ "name": config["name"], "services": services, "secrets": secrets }))
}

/// The same of the model.
fn by_locket(base: &Path) -> Result<Value, String> {
    let request = Request {
        directory: base.to_owned(),
        ..Request::default()
    };
    let mut environment: Vec<(String, String)> = INHERITED
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    environment.push(("HOME".to_owned(), base.display().to_string()));
    let environment: Environment = environment.into_iter().collect();
    let project = load(&request, &Disk, &environment).map_err(|error| error.to_string())?;
    let wrong: Vec<_> = project
        .mistakes
        .iter()
        .map(|mistake| mistake.diagnostic.message.clone())
        .collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    Ok(shape(&project))
}

fn shape(project: &Project) -> Value {
    let mut services = Map::new();
    for service in project.services.iter().filter(|service| service.is_active(&[])) {
        let environment: BTreeMap<_, _> = service
            .resolved
            .iter()
            .map(|variable| {
                let value = variable.value.as_ref().map(|text| text.value.clone());
                (variable.name.clone(), value)
            })
            .collect();
        let secrets: Vec<_> = service
            .secrets
            .iter()
            .map(|grant| json!([grant.source, grant.secret_path()]))
            .collect();
        let mut volumes: Vec<_> = service
            .volumes
            .iter()
            .map(|mount| {
                let (kind, source) = match &mount.kind {
                    MountKind::Bind { path, .. } => ("bind", Some(path.display().to_string())),
                    MountKind::Volume(name) => ("volume", Some(name.clone())),
                    MountKind::Anonymous => ("volume", None),
                    MountKind::Tmpfs => ("tmpfs", None),
                    MountKind::Other => ("other", None),
                };
                json!([kind, source, mount.target]).to_string()
            })
            .collect();
        volumes.sort();
        let depends: BTreeMap<_, _> = service
            .depends_on
            .iter()
            .map(|on| {
                let condition = on.condition_text.as_ref().map(|text| text.value.clone());
                (
                    on.service.clone(),
                    condition.unwrap_or("service_started".to_owned()),
                )
            })
            .collect();
        services.insert(
            service.name.clone(),
            json!({
                "image": service.image.as_ref().map(|image| image.value.clone()),
                "environment": environment,
                "secrets": secrets,
                "volumes": volumes,
                "depends_on": depends,
            }),
        );
    }
    let secrets: BTreeMap<_, _> = project
        .secrets
        .iter()
        // Compose prints those that somebody gets.
        .filter(|secret| {
            let is_built = |service: &locket_compose::model::Service| {
                let build = service.build.iter().flat_map(|build| &build.secrets);
                build.into_iter().any(|grant| grant.source == secret.name)
            };
            let active = project.services.iter().filter(|service| service.is_active(&[]));
            active
                .into_iter()
                .any(|service| service.is_granted(secret) || is_built(service))
        })
        .map(|secret| {
            let origin = match &secret.origin {
                Origin::File { path, .. } => json!([path, null, false]),
                Origin::Environment(text) => json!([null, text.value, false]),
                Origin::External(_) => json!([null, null, true]),
                _ => json!([null, null, false]),
            };
            (secret.name.clone(), origin)
        })
        .collect();
    json!({ "name": project.name, "services": services, "secrets": secrets })
}

/// The part of `one` that `other` does not have.
fn first_difference(one: &Value, other: &Value) -> String {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            for (key, value) in ones {
                let theirs = others.get(key).unwrap_or(&Value::Null);
                if value != theirs {
                    return format!("{key}: {}", first_difference(value, theirs));
                }
            }
            "(fewer)".to_owned()
        }
        (one, _) => one.to_string(),
    }
}

struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Unreadable::Missing,
            _ => Unreadable::Refused(error.to_string()),
        })
    }

    fn exists(&self, path: &Path) -> bool {
        PathBuf::from(path).exists()
    }
}
