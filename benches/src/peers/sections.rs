//! Which tools are held beside each other, in which jobs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::jobs;
use super::measured::Line;
use super::page;
use super::tools::{Speaks, Tool};
use crate::plot;

/// Two tools that can do the same with the same secrets, and what they did. Ours comes first.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) tools: [Tool; 2],
    pub(crate) lines: Vec<Line>,
    /// The file of its picture.
    pub(crate) picture: &'static str,
}

/// What a section is about.
enum About {
    TemplatesAndPrograms,
    Programs,
}

/// Measures every tool, writes the page, and prints it.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) {
    let mut path = || {
        let path = arguments.next();
        PathBuf::from(path.expect("a directory and the paths of four binaries"))
    };
    let (directory, locket, bao, other, sops) = (path(), path(), path(), path(), path());
    let ours = |speaks| tool("locket", &locket, speaks);
    let pairs = [
        (
            "Secrets in OpenBao",
            "peers-openbao.svg",
            [
                ours(Speaks::LocketToBao),
                tool("`bao agent`", &bao, Speaks::BaoAgent),
            ],
            About::TemplatesAndPrograms,
        ),
        (
            "Secrets in a file that age encrypts",
            "peers-file.svg",
            [
                ours(Speaks::LocketToStore),
                tool("`sops exec-env`", &sops, Speaks::Sops),
            ],
            About::Programs,
        ),
        (
            "Secrets in 1Password Connect",
            "peers-connect.svg",
            [
                ours(Speaks::LocketToConnect),
                tool("the other locket", &other, Speaks::OtherToConnect),
            ],
            About::TemplatesAndPrograms,
        ),
    ];
    let mut absent: Vec<_> = pairs.iter().map(|(_, _, tools, _)| tools[1].name).collect();
    let (mut sections, mut page) = (Vec::new(), String::new());
    for (title, picture, tools, about) in pairs {
        if !tools[1].binary.exists() {
            continue;
        }
        eprintln!("{title}");
        let mut lines = Vec::new();
        let mut note = |done: Vec<Line>| {
            done.iter().for_each(|line| eprintln!("  {line}"));
            lines.extend(done);
        };
        if let About::TemplatesAndPrograms = about {
            note(vec![jobs::start(&tools)]);
            note(jobs::round(&tools, 0).into());
            note(jobs::round(&tools, 20).into());
            note(jobs::follow(&tools));
        }
        note(jobs::exec(&tools).into());
        note(vec![jobs::size(&tools)]);
        absent.retain(|name| *name != tools[1].name);
        let section = Section {
            title,
            tools,
            lines,
            picture,
        };
        let drawn = plot::svg(&page::groups(&section));
        fs::write(directory.join(picture), drawn).expect("the picture can be written");
        sections.push(section);
        // After each section: what was measured stays, whatever becomes of the next.
        page = page::page(&sections, &absent);
        fs::write(directory.join("peers.md"), &page).expect("the page can be written");
    }
    println!("{page}");
}

fn tool(name: &'static str, binary: &Path, speaks: Speaks) -> Tool {
    Tool {
        name,
        binary: binary.to_owned(),
        speaks,
    }
}
