use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::{Map, OutputSettings, Place, Plan, Secret, Source};
use locket_core::schemes::Fragment;
use locket_core::{Locator, Scheme, Schemes};
use tempfile::TempDir;

use super::*;
use crate::instances::{Instance, Instances};
use crate::testing::as_nobody;

fn instances() -> Arc<Instances> {
    let schemes = Schemes::new([Scheme {
        name: "fake".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    let instance = Instance {
        parse: |reference| Ok(Locator::new(reference.locator(), "", ())),
        parse_every: None,
        build: Box::new(|| unreachable!("nothing is asked here")),
        limits: Default::default(),
    };
    Arc::new(Instances::new(schemes, [("fake".into(), instance)]))
}

fn plan(maps: &[(&Path, &Path)]) -> Plan {
    Plan {
        maps: maps
            .iter()
            .map(|(source, destination)| Map {
                source: (*source).into(),
                destination: (*destination).into(),
                settings: OutputSettings::default(),
            })
            .collect(),
        secrets: vec![],
        out: "/nowhere".into(),
        max_file_size: 1000,
        delete_after: Duration::ZERO,
        ..Plan::default()
    }
}

fn scan(plan: &Plan) -> Scan {
    Scanner::new(plan.clone(), instances()).scan()
}

fn names(scan: &Scan) -> Vec<String> {
    scan.found
        .iter()
        .map(|found| found.target.relative.display().to_string())
        .collect()
}

#[test]
fn a_directory_is_mapped_recursively_and_passing_files_are_no_templates() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("sub/..2026")).unwrap();
    for name in ["a", "sub/b", "sub/.env", ".a.swp", ".#a", "sub/..2026/c"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    assert_eq!(
        names(&scan(&plan(&[(dir.path(), Path::new("/out"))]))),
        ["a", "sub/.env", "sub/b"]
    );
}

#[test]
fn links_are_followed_inside_the_source_only_and_the_rest_is_told() {
    let dir = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("shadow"), "x").unwrap();
    fs::create_dir(dir.path().join("..data")).unwrap();
    fs::write(dir.path().join("..data/conf"), "x").unwrap();
    symlink("..data/conf", dir.path().join("conf")).unwrap();
    symlink(outside.path().join("shadow"), dir.path().join("evil")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    symlink(".", dir.path().join("circle")).unwrap();
    let scan = scan(&plan(&[(dir.path(), Path::new("/out"))]));
    assert_eq!(names(&scan), ["conf"]);
    let reasons: Vec<_> = scan
        .trouble
        .iter()
        .map(|trouble| trouble.reason.as_str())
        .collect();
    assert!(
        reasons.iter().any(|reason| reason.contains("out of the source")),
        "{reasons:?}"
    );
    assert!(
        reasons.iter().any(|reason| reason.contains("nowhere")),
        "{reasons:?}"
    );
}

#[test]
fn an_unchanged_content_is_the_same_template() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("a");
    fs::write(&file, "x {{ fake://s }}").unwrap();
    let mut scanner = Scanner::new(plan(&[(dir.path(), Path::new("/out"))]), instances());
    let template = |scanner: &mut Scanner| scanner.scan().found[0].template.clone().unwrap();
    let first = template(&mut scanner);
    assert!(Arc::ptr_eq(&first, &template(&mut scanner)));
    fs::write(dir.path().join("new"), "x {{ fake://s }}").unwrap();
    fs::rename(dir.path().join("new"), &file).unwrap();
    assert!(
        Arc::ptr_eq(&first, &template(&mut scanner)),
        "a rewrite of the same bytes"
    );
    fs::write(&file, "y {{ fake://s }}").unwrap();
    assert!(!Arc::ptr_eq(&first, &template(&mut scanner)), "other bytes");
}

/// What a look at `paths` alone gives of the outputs of their templates: the name of each and what is in it.
fn look_again(scanner: &mut Scanner, before: &Scan, paths: &[&Path]) -> Option<Vec<(String, String)>> {
    let paths = paths.iter().map(|path| path.to_path_buf()).collect();
    let of_paths =
        |found: &&Found| matches!(&found.source, Source::File(path) if BTreeSet::contains(&paths, path));
    let found = before.found.iter().filter(of_paths).cloned().collect();
    Some(scanner.look_again(&paths, found)?.iter().map(content).collect())
}

fn content(found: &Found) -> (String, String) {
    let template = found.template.as_ref().unwrap();
    let text = String::from_utf8(template.template.source().to_vec()).unwrap();
    (found.target.shown(), text)
}

#[test]
fn an_edited_file_is_looked_at_alone_and_found_as_by_a_whole_scan() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    fs::write(&one, "1 {{ fake://s }}").unwrap();
    fs::write(&other, "2").unwrap();
    // Two outputs of one file.
    let plan = plan(&[
        (dir.path(), Path::new("/out")),
        (&one, Path::new("/single/output")),
    ]);
    let mut scanner = Scanner::new(plan, instances());
    let before = scanner.scan();
    fs::write(&one, "edited {{ fake://s }}").unwrap();
    fs::write(&other, "edited, but not told of").unwrap();
    let backup = dir.path().join("one~");
    let looked = look_again(&mut scanner, &before, &[&one, &backup]).unwrap();
    let edited = |name: &str| (name.to_owned(), "edited {{ fake://s }}".to_owned());
    assert_eq!(looked, [edited("/out/one"), edited("/single/output")]);
    let whole: Vec<_> = scanner.scan().found.iter().map(content).collect();
    assert!(looked.iter().all(|one| whole.contains(one)), "{whole:?}");
    assert!(whole.contains(&("/out/other".into(), "edited, but not told of".into())));
}

#[test]
fn only_a_whole_scan_tells_of_more_than_edits() {
    let dir = TempDir::new().unwrap();
    let [file, new, below, hard, link] =
        ["file", "new", "d/below", "hard", "link"].map(|name| dir.path().join(name));
    let env_file = dir.path().join("e/env");
    for path in [&below, &env_file] {
        fs::create_dir(path.parent().unwrap()).unwrap();
    }
    for path in [&file, &below, &env_file] {
        fs::write(path, "A=1").unwrap();
    }
    let plan = Plan {
        secrets: vec![Secret {
            place: Place::Variable,
            name: "env".into(),
            source: Source::EnvFile(env_file.clone()),
            settings: OutputSettings::default(),
        }],
        ..plan(&[(dir.path(), Path::new("/out"))])
    };
    let mut scanner = Scanner::new(plan, instances());
    let before = scanner.scan();
    let mut told = |path: &Path| look_again(&mut scanner, &before, &[path]).map(|found| found.len());
    assert_eq!(told(&file), Some(1), "an edit");
    assert_eq!(told(&new), Some(0), "what is not there and never was");
    fs::write(&new, "x").unwrap();
    assert_eq!(told(&new), None, "a new file");
    fs::remove_file(&new).unwrap();
    assert_eq!(told(dir.path()), None, "the source itself");
    fs::hard_link(&file, &hard).unwrap();
    assert_eq!(told(&file), None, "a file with two names");
    fs::remove_file(&hard).unwrap();
    fs::remove_dir_all(below.parent().unwrap()).unwrap();
    assert_eq!(told(below.parent().unwrap()), None, "a directory that is gone");
    fs::remove_dir_all(env_file.parent().unwrap()).unwrap();
    assert_eq!(told(env_file.parent().unwrap()), None, "an env file that is gone");
    fs::remove_file(&file).unwrap();
    assert_eq!(told(&file), None, "a template that is gone");
    fs::write(&file, "x").unwrap();
    assert_eq!(told(&file), Some(1), "the template is back");
    symlink("file", &link).unwrap();
    let before = scanner.scan();
    let paths = [file.as_path()];
    assert_eq!(
        look_again(&mut scanner, &before, &paths),
        None,
        "a file that a link leads to"
    );
}

#[test]
fn a_large_template_is_refused_by_name_and_the_others_are_not() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("big"), vec![b'x'; 1001]).unwrap();
    fs::write(dir.path().join("small"), vec![b'x'; 1000]).unwrap();
    let scan = scan(&plan(&[(dir.path(), Path::new("/out"))]));
    assert!(matches!(
        &*scan.found[0].template.clone().unwrap_err(),
        SourceError::TooLarge { size: 1001, .. }
    ));
    assert!(scan.found[1].template.is_ok());
}

#[test]
fn a_vanished_source_is_withheld_from_deletion() {
    let dir = TempDir::new().unwrap();
    let gone = dir.path().join("gone");
    let scan = scan(&plan(&[
        (&gone, Path::new("/out")),
        (dir.path(), Path::new("/empty")),
    ]));
    // What is gone may have been a directory or a file.
    let withheld = ["/", "/out", "/empty"].map(|root| Arc::from(Path::new(root)));
    assert_eq!(scan.withheld, withheld);
}

#[test]
fn what_cannot_be_looked_at_is_told_apart_from_what_is_gone() {
    as_nobody(|| {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["shut", "blind"] {
            fs::create_dir_all(at(name).join("deep")).unwrap();
            fs::write(at(name).join("deep/b"), "x").unwrap();
        }
        fs::write(at("a"), "x").unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let whole = scan(&plan(&[(dir.path(), Path::new("/out"))]));
        assert_eq!(names(&whole), ["a", "blind/deep/b", "shut/deep/b"]);
        let mode = |name: &str, mode| fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        mode("shut", 0);
        // Its names are to be had, and nothing else of them.
        mode("blind", 0o400);
        let part = scan(&plan(&[(dir.path(), Path::new("/out"))]));
        mode("shut", 0o700);
        mode("blind", 0o700);
        assert_eq!(names(&part), ["a"]);
        let mut unseen: Vec<_> = part.unseen.iter().map(|unseen| unseen.path.clone()).collect();
        unseen.sort();
        assert_eq!(unseen, ["blind/deep", "circle", "shut"].map(at));
        let left_out: Vec<_> = part.trouble.iter().map(|trouble| trouble.path.clone()).collect();
        assert_eq!(left_out, [at("dangling")], "that is gone");
    });
}

#[test]
fn a_directory_that_two_ways_lead_to_is_listed_under_both() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("m")).unwrap();
    fs::write(dir.path().join("m/conf"), "x").unwrap();
    // On either side of it, in whichever order the file system lists them.
    symlink("m", dir.path().join("a")).unwrap();
    symlink("m", dir.path().join("z")).unwrap();
    let scan = scan(&plan(&[(dir.path(), Path::new("/out"))]));
    assert_eq!(names(&scan), ["a/conf", "m/conf", "z/conf"]);
}

#[test]
fn inline_secrets_and_secret_files_go_to_the_output_directory() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("tpl"), "{{ fake://file }}").unwrap();
    let secret = |name: &str, source| Secret {
        place: Place::File,
        name: name.into(),
        source,
        settings: OutputSettings::default(),
    };
    let plan = Plan {
        secrets: vec![
            secret(
                "inline",
                Source::Inline {
                    name: "inline".into(),
                    text: "fake://x".into(),
                },
            ),
            secret("from-file", Source::File(dir.path().join("tpl"))),
            secret(
                "broken",
                Source::Inline {
                    name: "broken".into(),
                    text: "{{ fkae://x }}".into(),
                },
            ),
        ],
        out: "/out".into(),
        ..plan(&[])
    };
    let scan = scan(&plan);
    assert_eq!(names(&scan), ["inline", "broken", "from-file"]);
    assert_eq!(scan.found[0].template.as_ref().unwrap().keys.len(), 1);
    assert!(
        matches!(&**scan.found[1].template.as_ref().unwrap_err(), SourceError::Template { found, .. }
        if found[0].help.as_deref() == Some("Did you mean `fake`?"))
    );
}

#[test]
fn a_plan_that_would_lose_something_is_refused() {
    let dir = TempDir::new().unwrap();
    let (source, other) = (dir.path().join("src"), dir.path().join("other"));
    for dir in [&source, &other] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("a"), "x").unwrap();
    }
    fs::write(dir.path().join("file"), "x").unwrap();
    let out = dir.path().join("out");
    let check = |maps: &[(&Path, &Path)]| check(&plan(maps), &scan(&plan(maps)));
    assert_eq!(check(&[(&source, &out)]), []);
    assert!(matches!(
        &check(&[(&source, &out), (&other, &out)])[..],
        [PlanError::SameTarget { .. }]
    ));
    assert!(matches!(
        &check(&[(&source, &source.join("out"))])[..],
        [PlanError::InsideSource { .. }]
    ));
    let link = dir.path().join("link");
    symlink(&source, &link).unwrap();
    assert!(matches!(
        &check(&[(&source, &link.join("out"))])[..],
        [PlanError::InsideSource { .. }]
    ));
    assert!(matches!(
        &check(&[(&dir.path().join("none"), &out)])[..],
        [PlanError::NoSource { .. }]
    ));
    assert!(matches!(
        &check(&[(&source, &dir.path().join("file/out"))])[..],
        [PlanError::NotWritable { .. }]
    ));
}

#[test]
fn no_template_is_overwritten_with_what_is_made_of_it() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["t", "other", "env"] {
        fs::write(at(name), "A=1").unwrap();
    }
    fs::create_dir(at("d")).unwrap();
    symlink("t", at("link")).unwrap();
    symlink("link", at("chain")).unwrap();
    symlink(dir.path(), at("way")).unwrap();
    let refused = |plan: &Plan| {
        let found = check(plan, &scan(plan));
        match &found[..] {
            [] => false,
            [PlanError::OverSource { .. }] => true,
            _ => panic!("{found:?}"),
        }
    };
    for (source, destination, is_refused) in [
        ("t", "t", true),
        ("t", "d/../t", true),
        ("t", "way/t", true),
        ("way/t", "t", true),
        ("link", "t", true),
        ("link", "link", true),
        ("chain", "link", true),
        ("t", "new", false),
        ("t", "d/t", false),
        ("link", "other", false),
    ] {
        let plan = plan(&[(&at(source), &at(destination))]);
        assert_eq!(refused(&plan), is_refused, "{source}:{destination}");
    }
    let crossed = plan(&[(&at("t"), &at("other")), (&at("other"), &at("new"))]);
    assert!(refused(&crossed), "the template of another map");
    let secret = |place, source, name: &str| Secret {
        place,
        name: name.into(),
        source,
        settings: OutputSettings::default(),
    };
    let of_file = |name: &str| Plan {
        secrets: vec![secret(Place::File, Source::File(at("t")), name)],
        out: dir.path().into(),
        ..plan(&[])
    };
    assert!(refused(&of_file("t")));
    assert!(!refused(&of_file("u")));
    let beside_env_file = |name: &str| Plan {
        secrets: vec![secret(Place::Variable, Source::EnvFile(at("env")), "")],
        ..plan(&[(&at("t"), &at(name))])
    };
    assert!(refused(&beside_env_file("env")));
    assert!(!refused(&beside_env_file("new")));
}

fn fifo(dir: &TempDir) -> std::path::PathBuf {
    let path = dir.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    path
}

fn of_env_file(path: &Path) -> Plan {
    Plan {
        secrets: vec![Secret {
            place: Place::Variable,
            name: String::new(),
            source: Source::EnvFile(path.into()),
            settings: OutputSettings::default(),
        }],
        ..plan(&[])
    }
}

#[test]
fn a_pipe_that_takes_the_place_of_a_template_is_no_empty_template() {
    let dir = TempDir::new().unwrap();
    let fifo = fifo(&dir);
    for plan in [plan(&[(&fifo, Path::new("/out/x"))]), of_env_file(&fifo)] {
        let scan = scan(&plan);
        let error = scan.found[0].template.clone().unwrap_err();
        assert!(
            matches!(&*error, SourceError::NotRegular { what: "a FIFO", .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("/fifo is a FIFO, not a regular file"),
            "{error}"
        );
    }
    let device = scan(&plan(&[(Path::new("/dev/null"), Path::new("/out/x"))]));
    assert!(device.found[0].template.is_err());
    assert!(scan(&of_env_file(Path::new("/dev/null"))).found.is_empty());
}

#[tokio::test]
async fn an_env_file_that_is_a_pipe_is_awaited_and_read_once() {
    let dir = TempDir::new().unwrap();
    let fifo = fifo(&dir);
    let mut plan = of_env_file(&fifo);
    let written = async {
        let writer = tokio::net::unix::pipe::OpenOptions::new();
        let mut writer = loop {
            // As long as nobody reads, it cannot be opened.
            match writer.open_sender(&fifo) {
                Ok(writer) => break writer,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        for part in ["A=", "1\nB=2\n"] {
            tokio::io::AsyncWriteExt::write_all(&mut writer, part.as_bytes())
                .await
                .unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (drained, ()) = tokio::join!(drain(&mut plan, Duration::from_secs(60)), written);
    drained.unwrap();
    let mut scanner = Scanner::new(plan, instances());
    for _ in 0..2 {
        assert_eq!(names(&scanner.scan()), ["A", "B"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipe_that_nobody_ends_is_an_error_in_time_and_names_it() {
    let dir = TempDir::new().unwrap();
    let mut plan = of_env_file(&fifo(&dir));
    let error = drain(&mut plan, Duration::from_secs(60)).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Unwritten { path } if path.ends_with("fifo")),
        "{error}"
    );
}
