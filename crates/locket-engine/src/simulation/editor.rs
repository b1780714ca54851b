//! People and programs at the files: editors with their ways of saving, and others at the destinations.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dice::Dice;
use super::drill::SIZE_LIMIT;
use super::schedule::{pause, unblock};
use super::text::{Absence, ItemName, Mention};
use super::vault::{INSTANCES, ITEMS, PARTS};
use super::world::{Shared, World, lock};

/// More events than this in a row are not worth their time.
const MOST_EVENTS: usize = 1 << 16;

/// Whoever writes templates.
#[derive(Debug, Default)]
pub(super) struct Editor {
    /// Numbers the texts, so that no two are alike.
    edition: u64,
    /// Source directories that were moved away, and where to.
    away: Vec<(PathBuf, PathBuf)>,
}

impl Editor {
    /// A new text.
    pub(super) fn text(&mut self, dice: &mut Dice) -> String {
        self.edition += 1;
        let edition = self.edition;
        let mut lines = vec![format!("# edition {edition}")];
        for line in 0..=dice.below(3) {
            let mention = mention(dice);
            if dice.chance(40) {
                for part in PARTS {
                    let mention = Mention {
                        part: part.to_owned(),
                        ..mention.clone()
                    };
                    lines.push(format!("{line}.{part}={}", mention.write()));
                }
            } else {
                lines.push(format!("{line}={}", mention.write()));
            }
        }
        match dice.below(100) {
            // Not served by anybody.
            0..5 => lines.push("x={{ alhpa://i0/user }}".to_owned()),
            5..8 => lines.push("x".repeat(SIZE_LIMIT)),
            // The value alone.
            8..14 => return mention(dice).write(),
            _ => {}
        }
        lines.push(format!("# end {edition}"));
        lines.join("\n")
    }

    /// One edit of the templates, and what it was.
    pub(super) async fn edit(&mut self, dice: &mut Dice, world: &Shared) -> String {
        let (root, templates, directories) = {
            let world = lock(world);
            (world.root.clone(), templates(&world), directories(&world))
        };
        let file = dice.pick(&templates).clone();
        let directory = dice.pick(&directories).clone();
        let fresh = directory.join(format!("f{}", dice.below(6)));
        let shown = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
        let text = self.text(dice);
        let what = match dice.below(100) {
            0..16 => {
                fs::write(&file, text).unwrap();
                format!("wrote {}", shown(&file))
            }
            16..30 => {
                let beside = file.with_extension("new");
                fs::write(&beside, text).unwrap();
                if dice.chance(30) {
                    lock(world).disturb();
                    pause(world, dice.between(Duration::ZERO, Duration::from_secs(6))).await;
                }
                let _ = fs::rename(&beside, &file);
                format!("saved {} by renaming", shown(&file))
            }
            30..42 => {
                let whole = if dice.chance(50) {
                    0
                } else {
                    text.find('\n').map_or(0, |at| at + 1)
                };
                fs::write(&file, &text[..whole]).unwrap();
                lock(world).disturb();
                pause(world, dice.between(Duration::ZERO, Duration::from_secs(4))).await;
                let _ = fs::write(&file, text);
                format!("wrote {} in two goes", shown(&file))
            }
            42..46 => {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
                let same = fs::read(&file).unwrap();
                fs::write(&file, same).unwrap();
                format!("wrote {} as it was", shown(&file))
            }
            46..56 => {
                let _ = fs::write(&fresh, text);
                format!("made {}", shown(&fresh))
            }
            56..64 => {
                let _ = fs::remove_file(&file);
                format!("removed {}", shown(&file))
            }
            64..68 => {
                let _ = fs::remove_file(&file);
                lock(world).disturb();
                pause(world, dice.between(Duration::ZERO, Duration::from_secs(8))).await;
                let _ = fs::write(&file, text);
                format!("removed {} and made it again", shown(&file))
            }
            68..72 => {
                let _ = fs::rename(&file, &fresh);
                format!("moved {} to {}", shown(&file), shown(&fresh))
            }
            72..80 => {
                let new = directory.join(format!("d{}", dice.below(4)));
                let _ = fs::create_dir(&new);
                if dice.chance(40) {
                    lock(world).disturb();
                    pause(world, dice.between(Duration::ZERO, Duration::from_secs(20))).await;
                }
                let _ = fs::write(new.join("f0"), text);
                format!("made {} with a template", shown(&new))
            }
            80..84 => {
                let to = root
                    .join("in")
                    .join(dice.pick(&["a", "b"]))
                    .join(format!("d{}", dice.below(4)));
                let is_root = directory.parent() == Some(&root.join("in"));
                let moved = !is_root && !to.starts_with(&directory) && fs::rename(&directory, &to).is_ok();
                format!("moved {} to {}: {moved}", shown(&directory), shown(&to))
            }
            84..86 => {
                if directory.parent() != Some(&root.join("in")) {
                    let _ = fs::remove_dir_all(&directory);
                }
                format!("removed {} with all in it", shown(&directory))
            }
            86..91 => {
                let to = match dice.below(4) {
                    0 => root.join("outside/victim"),
                    1 => directory.join("nowhere"),
                    2 => dice.pick(&directories).clone(),
                    _ => file.clone(),
                };
                let link = directory.join(format!("l{}", dice.below(2)));
                let _ = fs::remove_file(&link);
                let _ = symlink(&to, &link);
                format!("linked {} to {}", shown(&link), shown(&to))
            }
            91..93 => {
                let version = directory.join(format!("..v{}", self.edition));
                fs::create_dir(&version).unwrap();
                fs::write(version.join("k"), text).unwrap();
                let data = directory.join("..data");
                let next = directory.join("..next");
                let before = fs::read_link(&data).ok();
                let _ = symlink(version.file_name().unwrap(), &next);
                fs::rename(&next, &data).unwrap();
                let _ = symlink("..data/k", directory.join("k"));
                if let Some(before) = before {
                    let _ = fs::remove_dir_all(directory.join(before));
                }
                format!("switched the volume {}", shown(&directory))
            }
            93..95 => {
                for file in templates
                    .iter()
                    .filter(|file| file.starts_with(root.join("in/b")))
                {
                    let _ = fs::remove_file(file);
                }
                "removed every template of b".to_owned()
            }
            95..97 => {
                let name = *dice.pick(&["in/a", "in/b", "in/one"]);
                let (at, aside) = (root.join(name), root.join(format!("{name}.away")));
                if fs::rename(&at, &aside).is_ok() {
                    self.away.push((at, aside));
                }
                format!("moved {name} away")
            }
            97..99 => {
                let what = storm(&file, &directory, &text);
                lock(world).disturb();
                pause(
                    world,
                    dice.between(Duration::from_secs(5), Duration::from_secs(20)),
                )
                .await;
                // Only whoever noticed the directory hears of this.
                let later = self.text(dice);
                let _ = fs::write(directory.join("storm/f0"), later);
                what
            }
            _ => {
                self.put_roots_back(&mut lock(world));
                "put every source back".to_owned()
            }
        };
        lock(world).disturb();
        what
    }

    pub(super) fn put_roots_back(&mut self, world: &mut World) {
        for (at, aside) in self.away.drain(..) {
            if !at.exists() {
                fs::rename(aside, at).unwrap();
            }
        }
        world.disturb();
    }

    /// Somebody else at the destinations, and what was done.
    pub(super) fn meddle(&mut self, dice: &mut Dice, world: &mut World) -> String {
        self.edition += 1;
        let now = world.now();
        let files: Vec<_> = world
            .destinations
            .table
            .iter()
            .filter(|(path, held)| held.is_blocked || held.content.is_some() && path.is_file())
            .map(|(path, _)| path.clone())
            .collect();
        let foreign = world.root.join("out/a").join(format!("foreign{}", dice.below(3)));
        if files.is_empty() || dice.chance(15) {
            if fs::write(&foreign, format!("foreign {}", self.edition)).is_ok() {
                world.destinations.meddle(&foreign, now);
            }
            return "put a foreign file into out/a".to_owned();
        }
        let path = dice.pick(&files).clone();
        let shown = path
            .strip_prefix(&world.root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if world.destinations.held(&path).is_blocked {
            unblock(world, &path);
            return format!("unblocked {shown}");
        }
        let what = match dice.below(5) {
            0 => {
                fs::write(&path, format!("foreign {}", self.edition)).unwrap();
                let below = path.strip_prefix(world.root.join("out")).unwrap_or(&path);
                let template = world.root.join("in").join(below);
                if dice.chance(40) && below.components().count() > 1 && fs::remove_file(template).is_ok() {
                    world.disturb();
                    "removed the template of, and wrote over"
                } else {
                    "wrote over"
                }
            }
            1 => {
                fs::remove_file(&path).unwrap();
                "removed"
            }
            2 => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                let held = world.destinations.held(&path);
                held.foreign_at = now;
                return format!("somebody opened {shown} to all");
            }
            3 => {
                fs::remove_file(&path).unwrap();
                symlink(world.root.join("outside/victim"), &path).unwrap();
                "put a link in the place of"
            }
            _ => {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
                world.destinations.held(&path).is_blocked = true;
                "blocked"
            }
        };
        world.consumers.excuse(&path);
        world.destinations.meddle(&path, now);
        format!("somebody {what} {shown}")
    }
}

fn mention(dice: &mut Dice) -> Mention {
    Mention {
        item: ItemName {
            instance: dice.pick::<&str>(&INSTANCES),
            item: format!("i{}", dice.below(ITEMS)),
        },
        part: (*dice.pick(&PARTS)).to_owned(),
        absence: match dice.below(100) {
            0..12 => Absence::Empty,
            12..20 => Absence::StandIn,
            _ => Absence::Fails,
        },
    }
}

/// So many events that the kernel drops some, those of a new directory among them.
fn storm(file: &Path, directory: &Path, text: &str) -> String {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    let limit = limit.trim().parse().unwrap_or(usize::MAX);
    if limit > MOST_EVENTS {
        return "no storm: the kernel's queue is too long".to_owned();
    }
    // Equal events in a row are one, so two files take turns.
    let other = file.with_extension("storm");
    fs::write(&other, text).unwrap();
    for count in 0..limit + 2 {
        let file = if count % 2 == 0 { file } else { other.as_path() };
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let new = directory.join("storm");
    let _ = fs::create_dir(&new);
    let _ = fs::write(new.join("f0"), text);
    "a storm of events, and a new directory in it".to_owned()
}

/// The templates that are files of their own.
fn templates(world: &World) -> Vec<PathBuf> {
    let files = world.sources.files.keys();
    let own = files.filter(|path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()));
    let mut own: Vec<_> = own.cloned().collect();
    if own.is_empty() {
        // Somewhere an edit must go.
        own.push(world.root.join("in/unused"));
        fs::write(world.root.join("in/unused"), "").unwrap();
    }
    own
}

/// The directories of templates, the roots among them.
fn directories(world: &World) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = world.drill.source_directories();
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        found.push(directory);
        for entry in entries.flatten() {
            if entry.file_type().unwrap().is_dir() && !entry.file_name().to_string_lossy().starts_with("..") {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    if found.is_empty() {
        found.push(world.root.join("in"));
    }
    found
}
