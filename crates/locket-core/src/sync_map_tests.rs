use proptest::prelude::*;

use super::*;

fn rows(text: &str) -> Vec<Row> {
    let map = parse(text.as_bytes()).unwrap();
    assert_eq!(map.warnings, []);
    map.rows
}

/// The mistakes of a map with one good line in front, as `LINE:COLUMN MESSAGE`.
fn mistakes(line: &str) -> Vec<String> {
    let text = format!("env://GOOD,/run/good\n{line}");
    let found = parse(text.as_bytes()).unwrap_err().found;
    let told = found.iter().map(|finding| {
        let (line, column) = finding.span.line_column(text.as_bytes());
        assert!(finding.help.is_some(), "{finding:?} comes with advice");
        format!("{line}:{column} {}", finding.message)
    });
    told.collect()
}

#[test]
fn the_map_of_the_seed_is_read_as_it_stands() {
    let text = "# ocid,path,mode,container,signal\n\
        ocid1.vaultsecret.oc1..aaaa...dbpass,/run/secrets/db_password,0600,myapp,HUP\n\
        ocid1.vaultsecret.oc1..bbbb...smtpcred,/run/secrets/smtp_password,0600,mailrelay,USR1\n\
        ocid1.vaultsecret.oc1..cccc...apikey,/run/secrets/my_api_key,0400,,\n";
    let rows = rows(text);
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let action = row.action.as_ref().map(ToString::to_string).unwrap_or_default();
            format!(
                "{} {} {:04o} {action}",
                row.reference,
                row.path.display(),
                row.mode
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "ocid1.vaultsecret.oc1..aaaa...dbpass /run/secrets/db_password 0600 container:myapp:SIGHUP",
            "ocid1.vaultsecret.oc1..bbbb...smtpcred /run/secrets/smtp_password 0600 container:mailrelay:SIGUSR1",
            "ocid1.vaultsecret.oc1..cccc...apikey /run/secrets/my_api_key 0400 ",
        ]
    );
}

#[test]
fn headers_comments_blank_lines_and_white_space_do_not_count() {
    let text = "ocid,path,mode,container,signal\n\n   \n  # a comment, with commas\n\
                 \t env://A\t, /run/a ,  0440 , web , sighup \n env://B , /run/b\nenv://C,/run/c,,,\nenv://D,/run/d,";
    let found = rows(text);
    assert_eq!(found.len(), 4);
    assert_eq!((found[0].reference.as_str(), found[0].mode), ("env://A", 0o440));
    assert_eq!(found[0].path, Path::new("/run/a"));
    assert!(found[0].action.is_some() && found[1].action.is_none());
    assert!(found[1..].iter().all(|row| row.mode == 0o600));
    assert_eq!(rows(" Reference , PATH\nenv://A,/run/a").len(), 1);
    assert_eq!(
        rows("ocid,/run/a").len(),
        1,
        "only a line that names two columns is a header"
    );
}

#[test]
fn a_cell_in_quotes_holds_commas_quotes_and_line_breaks() {
    let text = "\"{{ op://v/i/f | replace \"\",\"\" \"\"\n\"\" }}\" , \"/run/a, b\",\"0400\"\n\
                {{ \"op://v/a b/f\" }},/run/c";
    let rows = rows(text);
    assert_eq!(rows[0].reference, "{{ op://v/i/f | replace \",\" \"\n\" }}");
    assert_eq!(
        (rows[0].path.as_path(), rows[0].mode),
        (Path::new("/run/a, b"), 0o400)
    );
    assert_eq!(
        rows[1].reference, "{{ \"op://v/a b/f\" }}",
        "quotes inside of a bare cell are its own"
    );
    assert_eq!(
        mistakes("\"env://A,/run/a"),
        ["2:1 this quote is never closed", "2:16 this line has no path"]
    );
    assert_eq!(
        mistakes("\"env://A\" x,/run/a"),
        ["2:11 text follows the closing quote"]
    );
}

#[test]
fn every_mistake_of_every_line_is_told_with_its_place() {
    let found = mistakes(
        "env://A,run/a,0600\nenv://B,/run/b,0999\nenv://C,/run/c,,web,HPU\n,/run/d\nenv://E\n\
         env://F,/run/../f\nenv://G,/run/good\nenv://H,/run//./good\nenv://I,/run/dir/\nenv://J,/run/j,0600,web,HUP,x\n\
         env://K,/run/.locket-k\nenv://L,/run/l,4755\nenv://M,/run/m,,we b,HUP\n\
         env://N,/run/n,,web,\u{c}HPU",
    );
    assert_eq!(
        found,
        [
            "2:9 `run/a` is a relative path",
            "3:16 `0999` is not a mode",
            "4:21 `HPU` is no signal",
            "5:1 this line has no reference",
            "6:8 this line has no path",
            "7:9 this path goes up again (`..`)",
            "8:9 line 1 writes to /run/good too",
            "9:9 line 8 writes to /run/good too",
            "10:9 this path names a directory",
            "11:29 this line has 6 cells and a map has 5",
            "12:9 names that begin with `.locket-` are kept for temporary files",
            "13:16 a secret file cannot be set-user-id, set-group-id or sticky",
            "14:17 `we b` is not the name of a container",
            "15:22 `HPU` is no signal",
        ]
    );
}

#[test]
fn marks_of_other_systems_are_named_once() {
    assert_eq!(
        mistakes("env://A,/run/a\r\nenv://B,/run/b\r\n"),
        ["2:15 this file has the line ends of another system (CR LF)"]
    );
    let found = parse(b"\xef\xbb\xbfenv://A,/run/a\n").unwrap_err().found;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("byte order mark"));
    let found = parse(b"env://A,/run/\xff\n").unwrap_err().found;
    assert!(
        found.iter().any(|finding| finding.message.contains("UTF-8")),
        "{found:?}"
    );
}

#[test]
fn a_container_is_told_by_signal_restart_or_what_its_image_wants() {
    let action = |cells: &str| {
        rows(&format!("env://A,/run/a,,{cells}"))
            .remove(0)
            .action
            .unwrap()
            .to_string()
    };
    for signal in ["HUP", "SIGHUP", "1", "hup"] {
        assert_eq!(action(&format!("web,{signal}")), "container:web:SIGHUP");
    }
    assert_eq!(action("web,restart"), "container:web:restart");
    assert_eq!(action("web,auto"), "auto:web");
    assert_eq!(action("compose:shop/web,USR1"), "compose:shop/web:SIGUSR1");
    assert_eq!(action("unit:nginx.service,reload"), "unit:nginx.service:reload");
    assert_eq!(action("service:shop_web,"), "service:shop_web");
}

#[test]
fn half_of_a_container_and_signal_is_said_and_does_nothing() {
    for cells in ["web,", "web", ",HUP"] {
        let map = parse(format!("env://A,/run/a,,{cells}\n").as_bytes()).unwrap();
        assert_eq!(
            (map.rows[0].action.clone(), map.warnings.len()),
            (None, 1),
            "{cells}"
        );
    }
}

#[test]
fn nobody_is_signalled_where_container_and_signal_are_empty() {
    let told = |cells: &str| {
        let map = parse(format!("env://A,/run/a,{cells}\n").as_bytes()).unwrap();
        (map.rows[0].action.is_some(), map.warnings.len())
    };
    for cells in ["", "0400", "0400,,", "0400, , ", "0400,\"\",\"\"", ",,"] {
        assert_eq!(told(cells), (false, 0), "{cells}");
    }
    assert_eq!(told("0400,web,HUP"), (true, 0));
}

#[test]
fn a_finding_in_a_reference_gets_its_place_in_the_map() {
    let text = b"a://x,/run/a\n \"b://y\" ,/run/b\n\"c://\"\"z\",/run/c\n";
    let rows = parse(text).unwrap().rows;
    let placed = |row: usize| rows[row].place(Diagnostic::error(0..4, "x"), text).span;
    assert_eq!(placed(0).of(text), b"a://");
    assert_eq!(placed(1).of(text), b"b://");
    assert_eq!(
        placed(2).of(text),
        b"\"c://\"\"z\"",
        "an escaped cell is shown whole"
    );
}

proptest! {
    #[test]
    fn any_cell_comes_back_through_its_quoted_form(
        cells in prop::collection::vec(("[ -~éµ\n]{0,12}x", "[a-z ,\"é#]{1,12}x"), 1..6),
    ) {
        let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let text: String = cells
            .iter()
            .enumerate()
            .map(|(index, (reference, name))| format!("{},{}\n", quote(reference), quote(&format!("/run/{index}{name}"))))
            .collect();
        let rows = parse(text.as_bytes()).unwrap().rows;
        prop_assert_eq!(rows.len(), cells.len());
        for (index, (row, (reference, name))) in rows.iter().zip(&cells).enumerate() {
            prop_assert_eq!(&row.reference, reference);
            prop_assert_eq!(row.path.to_str().unwrap(), format!("/run/{index}{name}"));
        }
    }

    #[test]
    fn no_text_makes_the_map_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
        crate::properties::sync_map(&text);
    }

    #[test]
    fn nothing_that_looks_like_a_map_does(text in "([a-z/:.#\", \n\r]|env://A|/run/a|0600|HUP|\"\"){0,40}") {
        crate::properties::sync_map(text.as_bytes());
    }
}

#[test]
fn the_lines_that_could_be_read_come_with_the_mistakes_of_the_others() {
    let mistaken = parse(b"env://A,run/a\nenv://B,/run/b\nenv://C,/run/c,9\nnothing,/run/d\n").unwrap_err();
    assert_eq!(mistaken.found.len(), 2);
    let read: Vec<_> = mistaken.rows.iter().map(|row| row.reference.as_str()).collect();
    assert_eq!(read, ["env://B", "nothing"]);
}
