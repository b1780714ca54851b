use std::path::Path;

use proptest::prelude::*;

use super::*;

fn map(text: &str) -> MapSpec {
    MapSpec::parse(text).unwrap_or_else(|found| panic!("{text}: {found:?}"))
}

#[track_caller]
fn divides(text: &str, source: &str, destination: &str) {
    let spec = map(text);
    assert_eq!(
        (spec.source.as_path(), spec.destination.as_path()),
        (Path::new(source), Path::new(destination))
    );
}

/// What is wrong with `text`, each with what its caret stands under.
fn wrong<T: std::fmt::Debug>(result: Result<T, Vec<Diagnostic>>, text: &str) -> Vec<(String, &str)> {
    let found = result.expect_err(text);
    assert!(
        found.iter().all(|diagnostic| diagnostic.help.is_some()),
        "{found:?} say what to do"
    );
    found
        .into_iter()
        .map(|diagnostic| {
            (
                diagnostic.message,
                &text[diagnostic.span.start..diagnostic.span.end],
            )
        })
        .collect()
}

#[track_caller]
fn map_refuses(text: &str, expected: &[(&str, &str)]) {
    let found = wrong(MapSpec::parse(text), text);
    assert_eq!(
        found
            .iter()
            .map(|(message, place)| (message.as_str(), *place))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_map_divides_at_the_first_colon_else_at_the_equals_sign() {
    divides("/templates:/run/secrets", "/templates", "/run/secrets");
    divides("a=b:c", "a=b", "c");
    divides("a=b", "a", "b");
    divides("a=b=c", "a", "b=c");
    divides("./a b:c d", "./a b", "c d");
}

#[test]
fn a_backslash_makes_a_mark_part_of_a_path() {
    divides(r"C\:/x:/y", "C:/x", "/y");
    divides(r"a:b\:c", "a", "b:c");
    divides(r"a\=b=c", "a=b", "c");
    divides(r"a\\:b\c", r"a\", r"b\c");
    divides(r"a:mode\=x", "a", "mode=x");
}

#[test]
fn options_follow_a_further_colon() {
    let spec = map("/a:/b:mode=0440,user=1000:1001, dir-mode=2750,on-error=ignore,notify=pid:/run/x.pid:HUP");
    assert_eq!(
        spec.overrides,
        Overrides {
            file_mode: Some(0o440),
            dir_mode: Some(0o2750),
            owner: Some(Owner {
                uid: 1000,
                gid: Some(1001)
            }),
            on_error: Some(OnError::Ignore),
            notify: vec![Action::parse("pid:/run/x.pid:HUP").unwrap()],
            ..Overrides::default()
        }
    );
    assert_eq!(map("/a:/b:").overrides, Overrides::default());
    let spec = map(r"/a:/b:notify=exec:echo a\,b,notify=exec:true");
    assert_eq!(
        spec.overrides.notify,
        [
            Action::parse("exec:echo a,b").unwrap(),
            Action::parse("exec:true").unwrap()
        ]
    );
}

#[test]
fn a_map_says_which_templates_count_and_how_they_are_put_in_place() {
    let settings = map(r"a:b:include=*.tmpl,include=tls/**,exclude={a\,b}.tmpl,atomic=true,render=false")
        .settle(&OutputSettings::default())
        .settings;
    assert!(settings.atomic && settings.template.verbatim);
    for (path, taken) in [
        ("x.tmpl", true),
        ("tls/key", true),
        ("a.tmpl", false),
        ("x", false),
    ] {
        assert_eq!(settings.select.takes(path), taken, "{path}");
    }
    map_refuses("a:b:atomic=yes", &[("`yes` is neither true nor false", "yes")]);
    map_refuses(
        "a:b:atomic=true,atomic=true",
        &[("`atomic` is given twice", "atomic=true")],
    );
    assert_eq!(
        wrong(MapSpec::parse("a:b:include=[x"), "a:b:include=[x")[0].1,
        "[x"
    );
}

#[test]
fn only_a_reference_with_a_star_asks_for_every_key() {
    assert!(every("store://app/*").is_ok() && every(" bao://kv/app#*").is_ok());
    for text in ["", "*", "store://app", "NAME=store://app"] {
        assert!(!wrong(every(text), text).is_empty(), "{text}");
    }
    let list = every_list("store://a/*;bao://kv/b/*").unwrap();
    assert_eq!(list.len(), 2);
}

#[test]
fn what_a_map_leaves_open_comes_from_the_run() {
    let defaults = OutputSettings {
        access: Access {
            file_mode: 0o400,
            dir_mode: 0o755,
            owner: Some(Owner { uid: 7, gid: None }),
        },
        on_error: OnError::Error,
        notify: vec![Action::parse("exec:true").unwrap()],
        ..OutputSettings::default()
    };
    assert_eq!(map("a:b").settle(&defaults).settings, defaults);
    let settled = map("a:b:mode=0440,on-error=keep,notify=exec:false")
        .settle(&defaults)
        .settings;
    assert_eq!(
        settled.access,
        Access {
            file_mode: 0o440,
            ..defaults.access
        }
    );
    assert_eq!(settled.on_error, OnError::Keep);
    assert_eq!(settled.notify.len(), 2);
}

#[test]
fn every_mistake_in_a_map_is_shown_at_its_place() {
    map_refuses("/templates", &[("this map has no destination", "/templates")]);
    map_refuses("", &[("this map has no destination", "")]);
    map_refuses(":/b", &[("this map has an empty source", ":")]);
    map_refuses("/a:", &[("this map has an empty destination", ":")]);
    map_refuses(
        "/a:mode=0440",
        &[("an option stands where the destination belongs", "mode=0440")],
    );
    map_refuses(
        "/a=/b:mode=0440",
        &[("an option stands where the destination belongs", "mode=0440")],
    );
    map_refuses("/a:/b:ro", &[("a map has no option `ro`", "ro")]);
    map_refuses("/a:/b:mode", &[("the option `mode` has no value", "mode")]);
    map_refuses(
        "/a:/b:mod=0440,user=ann,user=1:x",
        &[
            ("a map has no option `mod`", "mod=0440"),
            ("`ann` is not the number of a user", "ann"),
            ("`user` is given twice", "user=1:x"),
            ("`x` is not the number of a group", "x"),
        ],
    );
    let [found] = MapSpec::parse("/a:/b:mod=0440").unwrap_err().try_into().unwrap();
    assert_eq!(found.help.as_deref(), Some("Did you mean `mode`?"));
}

#[test]
fn lists_of_maps_keep_the_options_of_each() {
    for list in [
        "/a:/b:mode=0440,user=1:1,/c:/d",
        "/a:/b:mode=0440,user=1:1;/c:/d",
        "/a:/b:mode=0440,user=1:1\n/c:/d\n",
    ] {
        assert_eq!(
            MapSpec::parse_list(list).unwrap(),
            [map("/a:/b:mode=0440,user=1:1"), map("/c:/d")],
            "{list}"
        );
    }
    let list = "/a:/b:mode=9;/c;/d:/e";
    assert_eq!(
        wrong(MapSpec::parse_list(list), list),
        [
            ("`9` is not a mode".to_owned(), "9"),
            ("this map has no destination".to_owned(), "/c"),
        ]
    );
}

#[test]
fn a_secret_is_a_name_and_a_template_or_file() {
    let spec = SecretSpec::parse("db_pass={{op://vault/db?x=y}}").unwrap();
    assert_eq!(spec.name, "db_pass");
    assert_eq!(
        spec.source,
        Source::Inline {
            name: "db_pass".into(),
            text: "{{op://vault/db?x=y}}".into()
        }
    );
    assert_eq!(spec.source_span, Span::new(8, 29));

    let spec = SecretSpec::parse(" api.conf =@/etc/api.tmpl").unwrap();
    assert_eq!(
        (spec.name.as_str(), spec.source),
        ("api.conf", Source::File("/etc/api.tmpl".into()))
    );

    for (text, template) in [
        (r"a=\@x", "@x"),
        (r"a=\x", r"\x"),
        ("a= x ", " x "),
        (r"a=\\@x", r"\\@x"),
    ] {
        let spec = SecretSpec::parse(text).unwrap();
        assert_eq!(
            spec.source,
            Source::Inline {
                name: "a".into(),
                text: template.into()
            },
            "{text}"
        );
        assert_eq!(spec.source_span.of(text.as_bytes()), template.as_bytes());
    }
}

#[test]
fn the_list_of_the_quick_start_is_read() {
    let list = "db_pass={{op://vaults/db_pass}};db_host={{op://vaults/db_host}}";
    let specs = SecretSpec::parse_list(list).unwrap();
    assert_eq!(
        specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(),
        ["db_pass", "db_host"]
    );
    assert_eq!(
        specs[1].source,
        Source::Inline {
            name: "db_host".into(),
            text: "{{op://vaults/db_host}}".into()
        }
    );
}

#[test]
fn a_secret_stays_in_its_directory() {
    let long = "x".repeat(256);
    for (name, reason) in [
        ("", "this secret has no name"),
        ("a/b", "the name of a secret holds no `/`"),
        ("..", "this is the name of a directory"),
        (".", "this is the name of a directory"),
        (
            ".locket-x",
            "names that begin with `.locket-` are kept for temporary files",
        ),
        ("a\0", "the name of a secret holds no control characters"),
        (
            long.as_str(),
            "this name is longer than the 255 bytes of a file's name",
        ),
    ] {
        let text = format!("{name}=x");
        assert_eq!(
            wrong(SecretSpec::parse(&text), &text),
            [(reason.to_owned(), name)]
        );
    }
    for name in ["a", ".env", "...", "tls.crt", "\u{e9}", "a b", "-x"] {
        assert_eq!(SecretSpec::parse(&format!("{name}=x")).unwrap().name, name);
    }
}

#[test]
fn an_empty_secret_is_a_mistake() {
    for (text, reason) in [
        ("a=", "this secret has an empty template"),
        ("a=@", "this secret has no file behind its `@`"),
    ] {
        assert_eq!(
            wrong(SecretSpec::parse(text), text),
            [(reason.to_owned(), &text[1..])]
        );
    }
    assert_eq!(
        wrong(SecretSpec::parse("a"), "a"),
        [("this secret has no template".to_owned(), "a")]
    );
}

#[test]
fn modes_are_octal() {
    for (text, mode) in [
        ("0440", 0o440),
        ("640", 0o640),
        ("0o640", 0o640),
        ("0o0600", 0o600),
        ("000", 0),
    ] {
        assert_eq!(file_mode(text).unwrap(), mode);
    }
    assert_eq!(dir_mode("2750").unwrap(), 0o2750);
    for text in [
        "", "44", "04400", "0o", "888", "+440", "0x1a0", "rw-", "-440", "0O640",
    ] {
        assert_eq!(
            file_mode(text).unwrap_err().message,
            format!("`{text}` is not a mode")
        );
    }
    assert_eq!(
        file_mode("4755").unwrap_err().message,
        "a secret file cannot be set-user-id, set-group-id or sticky"
    );
}

#[test]
fn owners_are_numbers() {
    assert_eq!(
        owner("65532").unwrap(),
        Owner {
            uid: 65532,
            gid: None
        }
    );
    assert_eq!(
        owner("0:4294967294").unwrap(),
        Owner {
            uid: 0,
            gid: Some(u32::MAX - 1)
        }
    );
    for (text, message, place) in [
        ("postgres", "`postgres` is not the number of a user", 0..8),
        ("1:", "`` is not the number of a group", 2..2),
        (":1", "`` is not the number of a user", 0..0),
        ("4294967295", "`4294967295` is not the number of a user", 0..10),
        ("+1", "`+1` is not the number of a user", 0..2),
        ("1:2:3", "`2:3` is not the number of a group", 2..5),
    ] {
        let found = owner(text).unwrap_err();
        assert_eq!((found.message.as_str(), found.span), (message, place.into()));
    }
}

#[test]
fn a_mistake_behind_escapes_is_shown_where_it_is_written() {
    map_refuses(
        r"a:b:user=1\:x\,é",
        &[("`x,é` is not the number of a group", r"x\,é")],
    );
}

#[test]
fn policies_go_by_their_names() {
    for (name, policy) in OnError::ALL {
        assert_eq!(on_error(name).unwrap(), policy);
    }
    assert_eq!(
        on_error("pasthrough").unwrap_err().help.as_deref(),
        Some("Did you mean `passthrough`?")
    );
}

proptest! {
    #[test]
    fn any_two_paths_come_back_when_their_marks_are_escaped(
        source in "[^\0]{1,12}", destination in "[^\0]{1,12}", mark in "[:=]", options in any::<bool>()
    ) {
        let escape = |path: &str| path.chars().fold(String::new(), |mut escaped, char| {
            if matches!(char, ':' | '=' | '\\') {
                escaped.push('\\');
            }
            escaped.push(char);
            escaped
        });
        let mut text = format!("{}{mark}{}", escape(&source), escape(&destination));
        if options && mark == ":" {
            text.push_str(":mode=0440");
        }
        let spec = map(&text);
        prop_assert_eq!((spec.source.as_path(), spec.destination.as_path()), (Path::new(&source), Path::new(&destination)));
    }

    #[test]
    fn no_text_makes_it_panic_and_every_span_lies_inside(text in r#"(.|[:=,@\\/]|mode|user){0,20}"#) {
        let found = MapSpec::parse(&text).err().into_iter()
            .chain(SecretSpec::parse(&text).err())
            .chain(MapSpec::parse_list(&text).err())
            .chain(SecretSpec::parse_list(&text).err())
            .flatten();
        for diagnostic in found {
            prop_assert!(diagnostic.span.start <= diagnostic.span.end && diagnostic.span.end <= text.len());
        }
    }
}
