//! What is asked of two tools, and measured. They take turns, so that what disturbs the machine disturbs both.

use std::fs;
use std::time::{Duration, Instant};

use super::measured::{Line, Measured};
use super::scene::{Scene, Size};
use super::tools::Tool;
use crate::process::{Running, command, median, time};

/// Turns of what takes long; the middle one counts.
const TURNS: usize = 5;
/// Turns of what does not.
const MANY_TURNS: usize = 11;
/// A tool that has been at a job for this long gets no more than three turns.
const ENOUGH: Duration = Duration::from_secs(45);

/// An edit that has not arrived after this time does not arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// One template with one reference, from nothing.
pub(crate) fn start(tools: &[Tool; 2]) -> Line {
    let scenes = tools
        .each_ref()
        .map(|tool| Scene::new(tool, Duration::ZERO, Size::ONE));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..MANY_TURNS {
        for index in 0..2 {
            let _ = fs::remove_file(scenes[index].path("out/0"));
            times[index].push(time(&mut tools[index].once(&scenes[index])));
            scenes[index].check(&tools[index]);
        }
    }
    Line::new(
        "one template with one reference",
        times.map(|times| Measured::Time(median(times))),
    )
}

/// A thousand templates, and the requests that they took.
pub(crate) fn round(tools: &[Tool; 2], delay: u64) -> [Line; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut requests = [0; 2];
    for turn in 0..TURNS {
        for index in 0..2 {
            let spent: Duration = times[index].iter().sum();
            if turn >= 3 && spent > ENOUGH {
                continue;
            }
            let scene = Scene::new(&tools[index], Duration::from_millis(delay), Size::MANY);
            times[index].push(time(&mut tools[index].once(&scene)));
            requests[index] = scene.requests();
            scene.check(&tools[index]);
        }
    }
    [
        Line::new(
            format!("1,000 templates, 500 secrets, server at {delay} ms"),
            times.map(|times| Measured::Time(median(times))),
        ),
        Line::new(
            format!("requests of that, server at {delay} ms"),
            requests.map(Measured::Count),
        ),
    ]
}

/// Following a thousand templates: memory while nothing happens, and how fast an edit arrives.
pub(crate) fn follow(tools: &[Tool; 2]) -> Vec<Line> {
    let mut resident = [Vec::new(), Vec::new()];
    let mut peaks = [Vec::new(), Vec::new()];
    let mut edits = [[Measured::Never(""); 2]; 2];
    const FOLLOWING: usize = 3;
    for turn in 0..FOLLOWING {
        let agents = tools.each_ref().map(|tool| {
            let scene = Scene::new(tool, Duration::ZERO, Size::MANY);
            let agent = Running(tool.follow(&scene).spawn().expect("the tool starts"));
            scene.await_outputs();
            (scene, agent)
        });
        std::thread::sleep(Duration::from_secs(20));
        for (index, (_, agent)) in agents.iter().enumerate() {
            resident[index].push(agent.number("VmRSS") * 1024);
            peaks[index].push(agent.number("VmHWM") * 1024);
        }
        if turn + 1 == FOLLOWING {
            for (index, (scene, _)) in agents.iter().enumerate() {
                edits[0][index] = edit(scene, Save::InPlace);
                edits[1][index] = edit(scene, Save::ByRename);
            }
        }
    }
    let [in_place, by_rename] = edits;
    vec![
        Line::new("from an edit, saved in place, to the output", in_place),
        Line::new("from an edit, saved by rename, to the output", by_rename),
        Line::new("memory, following 1,000 templates", resident.map(middle)),
        Line::new("the most memory before that", peaks.map(middle)),
    ]
}

/// How an editor saves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Save {
    InPlace,
    ByRename,
}

/// From a save to its output, of a template in the middle.
fn edit(scene: &Scene, save: Save) -> Measured {
    let (template, output) = (scene.path("in/500"), scene.path("out/500"));
    let mut times = Vec::new();
    for turn in 0..MANY_TURNS {
        let text = format!("edit {turn}, saved {}\n", save as u8);
        let start = match save {
            Save::InPlace => {
                let start = Instant::now();
                fs::write(&template, &text).expect("the template can be written");
                start
            }
            Save::ByRename => {
                scene.write("next", &text);
                let start = Instant::now();
                fs::rename(scene.path("next"), &template).expect("the template can be renamed");
                start
            }
        };
        while fs::read(&output).ok().as_deref() != Some(text.as_bytes()) {
            if start.elapsed() > ARRIVAL {
                return Measured::Never("not after 5 s");
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        times.push(start.elapsed());
    }
    Measured::Time(median(times))
}

/// What a program with a secret costs beside the program alone, and what stays beside it.
pub(crate) fn exec(tools: &[Tool; 2]) -> [Line; 2] {
    let scenes = tools
        .each_ref()
        .map(|tool| Scene::new(tool, Duration::ZERO, Size::NOTHING));
    for (tool, scene) in tools.iter().zip(&scenes) {
        time(&mut tool.exec(scene, &["/bin/sh", "-c", "printf %s \"$A\" > seen"]));
        let seen = fs::read_to_string(scene.path("seen")).expect("the program ran");
        assert_eq!(seen, "value-of-s0", "{}", tool.name);
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..MANY_TURNS {
        for index in 0..2 {
            let with = time(&mut tools[index].exec(&scenes[index], &["/bin/true"]));
            let alone = time(&mut command("/bin/true".as_ref()));
            times[index].push(with.saturating_sub(alone));
        }
    }
    let mut resident = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        let supervisors = [0, 1].map(|index| {
            let up = scenes[index].path("up");
            let _ = fs::remove_file(&up);
            let program = ["/bin/sh", "-c", "echo > up; exec sleep 20"];
            let mut supervisor = tools[index].supervise(&scenes[index], &program);
            let supervisor = Running(supervisor.spawn().expect("the tool starts"));
            while !up.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            supervisor
        });
        std::thread::sleep(Duration::from_secs(5));
        for (resident, supervisor) in resident.iter_mut().zip(&supervisors) {
            resident.push(supervisor.number("VmRSS") * 1024);
        }
    }
    [
        Line::new(
            "a program with one secret, over the program alone",
            times.map(|times| Measured::Time(median(times))),
        ),
        Line::new("memory of a program's supervisor", resident.map(middle)),
    ]
}

pub(crate) fn size(tools: &[Tool; 2]) -> Line {
    let bytes = tools.each_ref().map(|tool| {
        let file = fs::metadata(&tool.binary).expect("the binary is there");
        Measured::Bytes(file.len())
    });
    Line::new("size of the program", bytes)
}

fn middle(mut bytes: Vec<u64>) -> Measured {
    bytes.sort_unstable();
    Measured::Bytes(bytes[bytes.len() / 2])
}
