//! The page about what was measured.

use std::fmt::Write;
use std::fs;

use super::sections::Section;
use crate::plot::{Bar, Group};

/// What stands above the tables.
const HEAD: &str = "<!-- Written by `cargo xtask peers`, which measures: not by hand. -->

# Beside other tools

locket and other tools doing the same jobs on one machine in one run, in turns; of several turns the middle one counts.
The numbers belong to that machine and day; the ratios are what to look at. `cargo xtask peers` installs the other tools,
measures again and writes this page.

- The servers of OpenBao and Connect are stand-ins on the loopback interface that answer as the real ones do, at once or
  after 20 ms, so that the tools are measured and not the servers. Every tool has the same templates in its own language,
  and its outputs are checked before its times count.
- A template has five references; a thousand templates name 500 secrets. One template with one reference is what a start
  costs. A render is `locket inject`, `bao agent` with `exit_after_auth`, and the one-shot mode of the other locket.
- Edits are made while the tool follows its thousand templates, with 50 ms of debounce where it has one. \"Saved in place\"
  writes the template anew; \"saved by rename\" is what most editors do. A tool that has not written the output after five
  seconds does not follow such edits.
- Memory is what the kernel counts as resident. Of a tool that follows, after it has had nothing to do for twenty seconds.
- A program is `/bin/true`, run with one secret in its environment; what it takes by itself is taken off. A supervisor is
  the process that stays beside a running program; its memory is that of its sixth second.
- `bao agent` waits for two seconds before it starts a program, in case that further secrets arrive. `sops exec-env` runs
  the program through a shell; it is measured with `--same-process`, as locket too replaces itself with the program. Its
  secret stands in a dotenv file for age; locket's in its store, which is a file for age, too.
";

/// The whole page. Tools that are `absent` could not be had, or were not measured yet.
pub(crate) fn page(sections: &[Section], absent: &[&str]) -> String {
    let mut page = HEAD.to_owned();
    let mut versions: Vec<_> = sections
        .iter()
        .flat_map(|section| &section.tools)
        .map(super::tools::Tool::version)
        .collect();
    versions.dedup();
    let (first, rest) = versions.split_first().expect("there are tools");
    let others = rest.iter().filter(|version| *version != first).cloned();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<_> = kernel.split('.').take(2).collect();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let _ = writeln!(
        page,
        "\nThis run: {first} beside {}; Linux {}, {processors} processors.",
        others.collect::<Vec<_>>().join(", "),
        kernel.join(".")
    );
    if !absent.is_empty() {
        let _ = writeln!(page, "\nNot measured in this run: {}.", absent.join(", "));
    }
    let _ = writeln!(page, "\n{}", summary(sections));
    for section in sections {
        let _ = write!(
            page,
            "\n## {}\n\n{}\n![{0}]({})\n",
            section.title,
            table(section),
            section.picture
        );
    }
    page
}

/// Where locket is ahead, and where it is not, of all rows with a ratio.
fn summary(sections: &[Section]) -> String {
    let (mut rows, mut behind) = (0, Vec::new());
    for section in sections {
        for line in &section.lines {
            let Some(ratio) = line.ratio() else { continue };
            rows += 1;
            if ratio < 1.0 {
                behind.push(format!("{} ({})", line.job, section.tools[1].name));
            }
        }
    }
    match behind.as_slice() {
        [] => format!("locket needs less than the other tool in each of the {rows} rows that both can do."),
        _ => format!(
            "locket needs less than the other tool in {} of the {rows} rows that both can do, and more in: {}.",
            rows - behind.len(),
            behind.join("; ")
        ),
    }
}

fn table(section: &Section) -> String {
    let [ours, theirs] = &section.tools;
    let mut table = format!(
        "| job | {} | {} | times as much |\n| --- | --- | --- | --- |\n",
        ours.name, theirs.name
    );
    for line in &section.lines {
        let ratio = line.ratio().map_or(String::new(), |ratio| match ratio {
            ..10.0 => format!("{ratio:.1}"),
            _ => format!("{ratio:.0}"),
        });
        let _ = writeln!(
            table,
            "| {} | {} | {} | {ratio} |",
            line.job,
            line.ours.shown(),
            line.theirs.shown()
        );
    }
    table
}

/// The lines as bars.
pub(crate) fn groups(section: &Section) -> Vec<Group<'_>> {
    let [ours, theirs] = &section.tools;
    let bars = |line: &super::measured::Line| {
        [(ours.name, line.ours, true), (theirs.name, line.theirs, false)]
            .map(|(label, measured, is_ours)| Bar {
                label,
                shown: measured.shown(),
                number: measured.number(),
                is_ours,
            })
            .into()
    };
    section
        .lines
        .iter()
        .map(|line| Group {
            title: &line.job,
            bars: bars(line),
        })
        .collect()
}
