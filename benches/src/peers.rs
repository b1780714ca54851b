//! The same jobs by other tools, side by side in one run.
//!
//! Usage: `locket-bench peers DIRECTORY LOCKET BAO OTHER`: where the page and its pictures go, our binary, OpenBao's
//! (for `bao agent`), and the other tool that is named locket (for 1Password Connect). `cargo xtask peers` does it.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use locket_testkit::Server;
use locket_testkit::fakes::connect::{Connect, Item};
use tempfile::TempDir;

use crate::plot::{self, Bar, Group};
use crate::process::{Running, command, median, time};
use crate::server;

const TEMPLATES: usize = 1_000;
const REFERENCES: usize = 5;
const SECRETS: usize = 500;

/// Turns of each job and tool; the middle one counts.
const TURNS: usize = 5;

/// One tool.
struct Tool {
    name: &'static str,
    binary: PathBuf,
    speaks: Speaks,
}

/// How a tool is told what to do.
#[derive(Clone, Copy)]
enum Speaks {
    LocketToBao,
    LocketToConnect,
    BaoAgent,
    OtherToConnect,
}

/// One line of the table.
struct Line {
    job: &'static str,
    tool: &'static str,
    measured: String,
    number: f64,
}

/// What stands above the tables.
const HEAD: &str = "# Beside other tools

locket and two other tools doing the same jobs in one run, on one machine, in turns; the middle of five turns counts.
The numbers are of that machine and day, the ratios are what to look at. `cargo xtask peers` measures again and writes
this page.

Every tool gets the same templates in its own language, the same server on the loopback interface, and every output is
checked before a time counts. The server is a stand-in that answers like the real one after a fixed delay, so that the
tools are measured and not the server. One render is `locket inject`, `bao agent` with `exit_after_auth`, and the other
tool's one-shot mode.
";

/// Measures every tool, writes the page, and prints it.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) {
    let mut path = || {
        PathBuf::from(
            arguments
                .next()
                .expect("a directory and the paths of three binaries"),
        )
    };
    let (directory, locket, bao, other) = (path(), path(), path(), path());
    let tool = |name, binary: &Path, speaks| Tool {
        name,
        binary: binary.to_owned(),
        speaks,
    };
    let on_bao = [
        tool("locket", &locket, Speaks::LocketToBao),
        tool("`bao agent`", &bao, Speaks::BaoAgent),
    ];
    let on_connect = [
        tool("locket", &locket, Speaks::LocketToConnect),
        tool("the other locket", &other, Speaks::OtherToConnect),
    ];
    let mut page = HEAD.to_owned();
    for (tools, title, picture) in [
        (&on_bao, "Secrets in OpenBao", "benchmark-openbao.svg"),
        (
            &on_connect,
            "Secrets in 1Password Connect",
            "benchmark-connect.svg",
        ),
    ] {
        let mut lines = Vec::new();
        start_up(tools, &mut lines);
        round(tools, 0, TEMPLATES, &mut lines);
        round(tools, 20, TEMPLATES, &mut lines);
        idle(tools, &mut lines);
        size(tools, &mut lines);
        let table = table(&lines);
        let _ = write!(page, "\n## {title}\n\n{table}\n![{title}]({picture})\n");
        fs::write(directory.join(picture), plot::svg(&groups(&lines))).expect("the picture can be written");
    }
    fs::write(directory.join("benchmarks.md"), &page).expect("the page can be written");
    println!("{page}");
}

/// From start to end of a program that only says its version.
fn start_up(tools: &[Tool], lines: &mut Vec<Line>) {
    let mut times = vec![Vec::new(); tools.len()];
    for _ in 0..20 {
        for (tool, times) in tools.iter().zip(&mut times) {
            times.push(time(command(&tool.binary).arg("--version")));
        }
    }
    for (tool, times) in tools.iter().zip(times) {
        lines.push(Line::millis("say the version", tool, median(times)));
    }
}

/// Every template rendered once, and the requests that it took.
fn round(tools: &[Tool], delay: u64, templates: usize, lines: &mut Vec<Line>) {
    let mut times = vec![Vec::new(); tools.len()];
    let mut requests = vec![0; tools.len()];
    for turn in 0..TURNS {
        for (index, tool) in tools.iter().enumerate() {
            let scene = Scene::new(tool, Duration::from_millis(delay), templates);
            times[index].push(time(&mut scene.once(tool)));
            requests[index] = scene.server.request_count();
            if turn == 0 {
                scene.check(tool);
            }
        }
    }
    let (job, asked) = match delay {
        0 => (
            "1,000 templates, 500 secrets, server at 0 ms",
            "requests of that, at 0 ms",
        ),
        _ => (
            "1,000 templates, 500 secrets, server at 20 ms",
            "requests of that, at 20 ms",
        ),
    };
    for (index, tool) in tools.iter().enumerate() {
        lines.push(Line::millis(job, tool, median(std::mem::take(&mut times[index]))));
    }
    for (tool, requests) in tools.iter().zip(requests) {
        lines.push(Line::count(asked, tool, requests));
    }
}

/// What an agent holds while it follows a thousand templates and nothing happens.
fn idle(tools: &[Tool], lines: &mut Vec<Line>) {
    for tool in tools {
        let scene = Scene::new(tool, Duration::ZERO, TEMPLATES);
        let agent = Running(scene.follow(tool).spawn().expect("the tool starts"));
        scene.await_outputs();
        std::thread::sleep(Duration::from_secs(15));
        let kib = agent.number("VmRSS");
        lines.push(Line {
            job: "memory, following 1,000 templates",
            tool: tool.name,
            measured: format!("{:.1} MiB", kib as f64 / 1024.0),
            number: kib as f64,
        });
    }
}

fn size(tools: &[Tool], lines: &mut Vec<Line>) {
    for tool in tools {
        let bytes = fs::metadata(&tool.binary).expect("the binary is there").len();
        lines.push(Line {
            job: "size of the program",
            tool: tool.name,
            measured: format!("{:.1} MB", bytes as f64 / 1e6),
            number: bytes as f64,
        });
    }
}

fn table(lines: &[Line]) -> String {
    let mut table = "| job | tool | measured | beside locket |\n| --- | --- | --- | --- |\n".to_owned();
    for line in lines {
        let ours = lines
            .iter()
            .find(|other| other.job == line.job && other.tool == "locket")
            .expect("locket is measured in every job");
        let ratio = if line.tool == "locket" {
            String::new()
        } else {
            format!("x {:.1}", line.number / ours.number)
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {ratio} |",
            line.job, line.tool, line.measured
        );
    }
    table
}

/// The lines by job.
fn groups(lines: &[Line]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for line in lines {
        let bar = Bar {
            label: line.tool,
            shown: &line.measured,
            number: line.number,
            is_ours: line.tool == "locket",
        };
        match groups.iter_mut().find(|group| group.title == line.job) {
            Some(group) => group.bars.push(bar),
            None => groups.push(Group {
                title: line.job,
                bars: vec![bar],
            }),
        }
    }
    groups
}

impl Line {
    fn millis(job: &'static str, tool: &Tool, time: Duration) -> Self {
        Self {
            job,
            tool: tool.name,
            measured: format!("{:.1} ms", time.as_secs_f64() * 1e3),
            number: time.as_secs_f64(),
        }
    }

    fn count(job: &'static str, tool: &Tool, count: usize) -> Self {
        Self {
            job,
            tool: tool.name,
            measured: count.to_string(),
            number: count as f64,
        }
    }
}

/// A server, and templates in the language of one tool.
struct Scene {
    server: Server,
    directory: TempDir,
    templates: usize,
    token: String,
}

impl Scene {
    fn new(tool: &Tool, delay: Duration, templates: usize) -> Self {
        let (server, token) = match tool.speaks {
            Speaks::LocketToBao | Speaks::BaoAgent => (server::start(delay), "t".to_owned()),
            Speaks::LocketToConnect | Speaks::OtherToConnect => connect(delay),
        };
        let directory = TempDir::new_in("/dev/shm").expect("there is a /dev/shm");
        let scene = Self {
            server,
            directory,
            templates,
            token,
        };
        fs::create_dir(scene.path("in")).expect("a directory");
        fs::create_dir(scene.path("out")).expect("a directory");
        fs::write(scene.path("token"), &scene.token).expect("a file");
        for template in 0..templates {
            let text: String = (0..REFERENCES)
                .map(|index| scene.line(tool, template, index))
                .collect();
            fs::write(scene.path("in").join(template.to_string()), text).expect("a file");
        }
        if matches!(tool.speaks, Speaks::BaoAgent) {
            scene.write_agent_files();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn line(&self, tool: &Tool, template: usize, index: usize) -> String {
        let secret = (template * REFERENCES + index) % SECRETS;
        match tool.speaks {
            Speaks::LocketToBao => format!("key{index} = {{{{ bao://kv/s{secret}/value }}}}\n"),
            Speaks::LocketToConnect | Speaks::OtherToConnect => {
                format!("key{index} = {{{{ op://bench/s{secret}/password }}}}\n")
            }
            Speaks::BaoAgent => format!(
                "key{index} = {{{{ with secret \"kv/data/s{secret}\" }}}}{{{{ .Data.data.value }}}}{{{{ end }}}}\n"
            ),
        }
    }

    /// The configuration that renders once and ends, and the one that stays.
    fn write_agent_files(&self) {
        let templates: String = (0..self.templates)
            .map(|template| {
                format!("template {{\n  source = \"in/{template}\"\n  destination = \"out/{template}\"\n}}\n")
            })
            .collect();
        for (name, ends) in [("once.hcl", "true"), ("stay.hcl", "false")] {
            let text = format!(
                "exit_after_auth = {ends}\nvault {{\n  address = \"{}\"\n}}\nauto_auth {{\n  method {{\n    type = \
                 \"token_file\"\n    config = {{\n      token_file_path = \"token\"\n    }}\n  }}\n}}\n{templates}",
                self.server.url()
            );
            fs::write(self.path(name), text).expect("a file");
        }
    }

    /// The job done once.
    fn once(&self, tool: &Tool) -> Command {
        self.command(tool, "inject", "once.hcl")
    }

    /// The job done and followed.
    fn follow(&self, tool: &Tool) -> Command {
        self.command(tool, "run", "stay.hcl")
    }

    fn command(&self, tool: &Tool, verb: &str, file: &str) -> Command {
        let mut command = command(&tool.binary);
        command.current_dir(self.directory.path());
        match tool.speaks {
            Speaks::LocketToBao => command
                .args([verb, "--map", "in:out"])
                .env("BAO_ADDR", self.server.url())
                .env("BAO_TOKEN", &self.token),
            Speaks::LocketToConnect => command
                .args([verb, "--map", "in:out"])
                .env("OP_CONNECT_HOST", self.server.url())
                .env("OP_CONNECT_TOKEN", &self.token),
            Speaks::BaoAgent => command
                .args(["agent", "-config", file])
                .env("HOME", self.directory.path()),
            Speaks::OtherToConnect => command
                .args(["inject", "--provider", "op-connect", "--map", "in:out"])
                .args(["--mode", if verb == "run" { "watch" } else { "one-shot" }])
                .args([
                    "--connect.host",
                    &self.server.url(),
                    "--connect.token-file",
                    "token",
                ]),
        };
        command
    }

    fn await_outputs(&self) {
        while fs::read_dir(self.path("out")).map_or(0, Iterator::count) < self.templates {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every output holds its values: what does less is not faster.
    fn check(&self, tool: &Tool) {
        for template in 0..self.templates {
            let path = self.path("out").join(template.to_string());
            let text = fs::read_to_string(&path).expect("the output is there");
            for index in 0..REFERENCES {
                let value = format!("value-of-s{}", (template * REFERENCES + index) % SECRETS);
                assert!(
                    text.contains(&value),
                    "{}: {} lacks {value}",
                    tool.name,
                    path.display()
                );
            }
        }
    }
}

/// A Connect server with as many items as there are secrets.
fn connect(delay: Duration) -> (Server, String) {
    let account = Connect::new();
    let vault = account.add_vault("bench");
    for secret in 0..SECRETS {
        account.add_item(
            &vault,
            Item::login(&format!("s{secret}"), &format!("value-of-s{secret}")),
        );
    }
    let token = account.token(&[&vault]);
    let server = Server::start_async(move |request| {
        let account = account.clone();
        async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            account.answer(&request)
        }
    });
    (server, token)
}
