//! Rotations on servers that only the scripts of recipes know, with values as people's editors leave them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER;
use locket_compose::images::Recipe;
use locket_compose::rotate::{Inside, Kept, Rotation};
use locket_core::{Environment, SecretBytes};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::project::Answer;
use super::journal::{Journal, Means, Shelf, Step};
use super::keeper::{File, Keeper};
use super::recipe::{self, Shell};
use super::steps::Work;
use crate::clock::SystemClock;
use crate::context::Style;
use crate::report::Failure;

const RECIPES: [Recipe; 3] = [Recipe::Postgres, Recipe::Mysql, Recipe::Redis];

/// A server that lets in who has one of its passwords, exactly.
struct Server {
    recipe: Recipe,
    /// Digests of them; Redis can have several.
    known: RefCell<BTreeSet<String>>,
    /// How many changes it will make; it agrees to more, and makes none.
    changes: Cell<usize>,
}

impl Server {
    fn lets_in(&self, password: &str) -> bool {
        self.known.borrow().contains(&digest(password))
    }

    fn has_only(&self, password: &str) -> bool {
        *self.known.borrow() == BTreeSet::from([digest(password)])
    }

    fn change(&self, how: impl FnOnce(&mut BTreeSet<String>)) {
        let left = self.changes.get();
        if left > 0 {
            self.changes.set(left - 1);
            how(&mut self.known.borrow_mut());
        }
    }

    fn take(&self, password: &str) {
        self.change(|known| *known = BTreeSet::from([digest(password)]));
    }

    /// What `psql` says; its own socket asks for no password. `None` is failure, here and below.
    fn psql(&self, script: &str, input: &str) -> Option<String> {
        let (login, rest) = input.split_once('\n')?;
        let lines: Vec<_> = rest.lines().collect();
        match lines.as_slice() {
            [] if script.contains("select 1") => self.lets_in(login).then(String::new),
            [] => Some(String::new()),
            [r#"\password "app""#, first, again] if first == again => {
                self.take(first);
                Some(String::new())
            }
            _ => None,
        }
    }

    fn mariadb(&self, input: &str) -> Option<String> {
        let (login, rest) = input.split_once('\n')?;
        if !self.lets_in(login) {
            return None;
        }
        if let Some((_, given)) = rest.split_once("SET PASSWORD = PASSWORD('") {
            self.take(given.split_once("');")?.0);
        }
        Some(String::new())
    }

    fn redis_cli(&self, input: &str) -> Option<String> {
        let (password, command) = input.strip_prefix("AUTH \"")?.split_once("\"\n")?;
        if !self.lets_in(password) {
            return Some("WRONGPASS\nNOAUTH".to_owned());
        }
        let command = command.trim_end();
        if command == "PING" {
            return Some("OK\nPONG".to_owned());
        }
        for rule in command.strip_prefix("ACL SETUSER default ")?.split(' ') {
            if let Some(digest) = rule.strip_prefix('#') {
                self.change(|known| _ = known.insert(digest.to_owned()));
            }
            if let Some(digest) = rule.strip_prefix('!') {
                self.change(|known| _ = known.remove(digest));
            }
        }
        Some("OK\nOK".to_owned())
    }
}

impl Shell for Server {
    fn shell(&self, _: &str, script: &str, _: &[&str], input: &SecretBytes) -> Result<Answer, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the server reads what it is told")]
        let input = String::from_utf8(input.expose().to_vec()).unwrap();
        let said = match self.recipe {
            Recipe::Postgres => self.psql(script, &input),
            Recipe::Mysql => self.mariadb(&input),
            Recipe::Redis => self.redis_cli(&input),
        };
        Ok(Answer {
            is_good: said.is_some(),
            stdout: said.unwrap_or_default().into_bytes(),
            stderr: String::new(),
        })
    }

    fn reach(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }
}

/// A secret file that refuses one value, as a full disk would: the rotation has to go back.
struct Unwilling<'a> {
    file: File<'a>,
    refused: Option<&'a str>,
}

impl Keeper for Unwilling<'_> {
    fn value(&self) -> Result<SecretBytes, Failure> {
        self.file.value()
    }

    fn keep(&self, value: &SecretBytes) -> Result<(), Failure> {
        match self.refused {
            Some(refused) if value.matches(refused.as_bytes()) => Err(Failure::work("the disk is full")),
            _ => self.file.keep(value),
        }
    }

    fn shelf(&self) -> &dyn Shelf {
        self.file.shelf()
    }

    fn rehearse(&self) -> Result<Vec<String>, Failure> {
        self.file.rehearse()
    }
}

/// A server with its secret file.
struct World {
    directory: TempDir,
    server: Server,
    refused: Option<&'static str>,
    /// The program that changes the value inside, in words of the shell.
    exec: Option<&'static str>,
    limit: Duration,
}

impl World {
    fn new(recipe: Recipe, kept: &str, in_force: &str) -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            server: Server {
                recipe,
                known: RefCell::new(BTreeSet::from([digest(in_force)])),
                changes: Cell::new(usize::MAX),
            },
            refused: None,
            exec: None,
            limit: Duration::from_secs(60),
        };
        fs::write(world.path(), kept).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("pw.txt")
    }

    fn kept(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn leftovers(&self) -> usize {
        fs::read_dir(self.directory.path()).unwrap().count() - 1
    }

    /// What `deed` does to both.
    fn work<T>(&self, deed: impl FnOnce(&Work<'_>) -> T) -> T {
        let (path, clock, environment) = (self.path(), SystemClock::start(), Environment::default());
        let keeper = Unwilling {
            file: File::new(&path, &[], self.directory.path(), &clock),
            refused: self.refused,
        };
        let plan = Rotation {
            secret: "pw".to_owned(),
            kept: Kept::File(path.clone()),
            inside: vec![inside(self.server.recipe)],
            exec: None,
            derived: Vec::new(),
            dependents: Vec::new(),
        };
        deed(&Work {
            plan: &plan,
            keeper: &keeper,
            shell: &self.server,
            compose: None,
            variables: &|| Ok(None),
            clock: &clock,
            environment: &environment,
            directory: self.directory.path(),
            exec: self.exec,
            means: match self.exec {
                Some(_) => Means::Given,
                None => Means::Recipe,
            },
            limit: self.limit,
        })
    }

    fn rotate(&self, new: &str) -> Result<(), Failure> {
        self.work(|work| work.rotate(&secret(new)))
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is of one lifetime alone"
    )]
    fn finish(&self) -> Result<(), Failure> {
        self.work(|work| work.finish())
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is of one lifetime alone"
    )]
    fn undo(&self) -> Result<(), Failure> {
        self.work(|work| work.undo())
    }

    /// Leaves what a rotation leaves that was killed while it changed the value inside.
    fn interrupt(&self, old: &str, new: &str) {
        self.work(|work| {
            let journal = Journal(work.keeper.shelf());
            journal.begin(&secret(old), &secret(new), work.means).unwrap();
            journal.reach(Step::Inside, work.means).unwrap();
        });
    }
}

fn inside(recipe: Recipe) -> Inside {
    Inside {
        service: "db".to_owned(),
        recipe,
        user: "app".to_owned(),
        database: "app".to_owned(),
    }
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes())
}

fn digest(password: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(password.as_bytes()))
}

fn told(outcome: Result<(), Failure>) -> String {
    outcome.unwrap_err().draw(Style::Plain)
}

#[test]
fn a_value_that_ends_in_a_newline_is_in_force_without_it_and_kept_with_it() {
    for recipe in RECIPES {
        let mut world = World::new(recipe, "pw\n", "pw");
        world.refused = Some("new\n");
        let failure = told(world.rotate("new\n"));
        assert!(
            failure.contains("The old value is in force again."),
            "{recipe:?}: {failure}"
        );
        assert!(world.server.has_only("pw"), "{recipe:?}");
        assert_eq!(world.kept(), "pw\n", "{recipe:?}");
        assert_eq!(world.leftovers(), 0, "{recipe:?}");

        world.refused = None;
        world.rotate("new\n").unwrap();
        assert!(world.server.has_only("new"), "{recipe:?}");
        assert_eq!(world.kept(), "new\n", "{recipe:?}");
        assert_eq!(world.leftovers(), 0, "{recipe:?}");
    }
}

#[test]
fn an_interrupted_rotation_of_a_value_that_ends_in_a_newline_is_finished_or_undone() {
    for recipe in RECIPES {
        for in_force in ["pw", "new"] {
            let undone = World::new(recipe, "pw\n", in_force);
            undone.interrupt("pw\n", "new");
            undone.undo().unwrap();
            assert!(undone.server.has_only("pw"), "{recipe:?}");
            assert_eq!(undone.kept(), "pw\n", "{recipe:?}");
            assert_eq!(undone.leftovers(), 0, "{recipe:?}");

            let finished = World::new(recipe, "pw\n", in_force);
            finished.interrupt("pw\n", "new");
            finished.finish().unwrap();
            assert!(finished.server.has_only("new"), "{recipe:?}");
            assert_eq!(finished.kept(), "new", "{recipe:?}");
            assert_eq!(finished.leftovers(), 0, "{recipe:?}");
        }
    }
}

#[test]
fn a_value_of_several_lines_is_refused_before_anything_changes() {
    for recipe in RECIPES {
        for (old, new) in [("one\ntwo\n", "new"), ("pw", "one\ntwo")] {
            let world = World::new(recipe, old, "pw");
            let refused = told(world.rotate(new));
            assert!(
                refused.contains("the value has more than one line") && refused.contains("--exec"),
                "{recipe:?}: {refused}"
            );
            assert!(world.server.has_only("pw"), "{recipe:?}");
            assert_eq!(world.kept(), old, "{recipe:?}");
            assert_eq!(world.leftovers(), 0, "{recipe:?}");
        }
    }
}

#[test]
fn a_rotation_that_the_old_value_lets_nobody_begin_leaves_no_record() {
    for recipe in [Recipe::Mysql, Recipe::Redis] {
        let world = World::new(recipe, "of-another-day", "pw");
        let refused = told(world.rotate("new"));
        assert!(refused.contains("nothing is changed"), "{recipe:?}: {refused}");
        assert!(world.server.has_only("pw"), "{recipe:?}");
        assert_eq!(world.kept(), "of-another-day", "{recipe:?}");
        assert_eq!(world.leftovers(), 0, "{recipe:?}");
    }
    // Its own socket asks for no password, so the new one mends what is kept.
    let world = World::new(Recipe::Postgres, "of-another-day", "pw");
    world.rotate("new").unwrap();
    assert!(world.server.has_only("new"));
    assert_eq!(world.kept(), "new");
}

#[test]
fn the_old_value_is_said_to_be_in_force_only_where_it_opens_the_service() {
    for recipe in [Recipe::Postgres, Recipe::Mysql] {
        let mut world = World::new(recipe, "pw", "pw");
        world.refused = Some("new");
        world.server.changes.set(1);
        let failure = told(world.rotate("new"));
        assert!(!failure.contains("in force again"), "{recipe:?}: {failure}");
        assert!(failure.contains("`locket rotate pw --finish`"), "{failure}");
        let stuck = told(world.undo());
        assert!(
            stuck.contains("the new one is in force there") && stuck.contains("`locket rotate pw --finish`"),
            "{recipe:?}: {stuck}"
        );
        assert_eq!(world.leftovers(), 3, "{recipe:?}");
        // As it says, the other way is open.
        world.refused = None;
        world.finish().unwrap();
        assert!(world.server.has_only("new"), "{recipe:?}");
        assert_eq!(world.kept(), "new", "{recipe:?}");
        assert_eq!(world.leftovers(), 0, "{recipe:?}");
    }
}

#[test]
fn a_service_that_neither_value_opens_is_told_with_what_to_do() {
    for recipe in [Recipe::Mysql, Recipe::Redis] {
        let world = World::new(recipe, "pw", "of-somebody-else");
        world.interrupt("pw", "new");
        let stuck = told(world.undo());
        assert!(
            stuck.contains("opens neither with the old value of pw nor with the new one")
                && stuck.contains(&*world.directory.path().to_string_lossy()),
            "{recipe:?}: {stuck}"
        );
        assert_eq!(world.leftovers(), 3, "{recipe:?}: both values are kept");
        world.server.take("pw");
        world.undo().unwrap();
        assert_eq!(world.leftovers(), 0, "{recipe:?}");
    }
}

#[test]
fn a_password_is_not_taken_away_for_a_line_end_that_it_lost() {
    let world = World::new(Recipe::Redis, "pw\n", "pw");
    world.rotate("pw").unwrap();
    assert!(world.server.has_only("pw"));
    assert_eq!(world.kept(), "pw");
}

#[test]
fn what_is_in_force_is_what_images_read_of_a_file() {
    for (recipe, kept, in_force) in [
        (Recipe::Mysql, "pw", "pw"),
        (Recipe::Mysql, " p w \n\n", " p w "),
        (Recipe::Mysql, "pw\r\n", "pw\r"),
        (Recipe::Redis, "pw\r\n", "pw\r"),
        (Recipe::Postgres, "pw\r\n", "pw"),
        (Recipe::Postgres, "p\rw\r\n\r\n", "p\rw"),
        (Recipe::Postgres, "\n", ""),
    ] {
        let password = recipe::in_force(&inside(recipe), &secret(kept)).unwrap();
        assert!(password.matches(in_force.as_bytes()), "{recipe:?}: {kept:?}");
    }
}

/// Notes what it is told in a file beside the directory's others.
const NOTES: &str = "/bin/sh -c '/bin/cat >>told'";

#[test]
fn a_program_that_began_a_rotation_is_asked_for_to_end_it_and_is_run() {
    for way in [World::finish, World::undo] {
        let mut world = World::new(Recipe::Postgres, "pw", "pw");
        world.exec = Some(NOTES);
        world.interrupt("pw", "new");
        world.exec = None;
        let refused = told(way(&world));
        assert!(
            refused.contains("a program changes pw inside")
                && refused.contains("`locket rotate pw --undo --exec COMMAND`"),
            "{refused}"
        );
        assert!(world.server.has_only("pw") && world.kept() == "pw");
        assert_eq!(world.leftovers(), 3, "both values are kept");
        world.exec = Some(NOTES);
        way(&world).unwrap();
        let told = fs::read_to_string(world.directory.path().join("told")).unwrap();
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains(&format!("\"new\":\"{}\"", world.kept())), "{told}");
        assert_eq!(world.leftovers(), 1, "what it was told");
    }
    // It was not run yet.
    let mut world = World::new(Recipe::Postgres, "pw", "pw");
    world.exec = Some(NOTES);
    world.work(|work| {
        let journal = Journal(work.keeper.shelf());
        journal.begin(&secret("pw"), &secret("new"), work.means).unwrap();
    });
    world.exec = None;
    world.undo().unwrap();
    assert_eq!(world.leftovers(), 0);
}

#[test]
fn a_program_that_does_not_end_is_waited_for_no_longer_than_is_said() {
    let mut world = World::new(Recipe::Postgres, "pw", "pw");
    world.exec = Some("/bin/sh -c 'exec /usr/bin/tail -f /dev/null'");
    world.limit = Duration::from_millis(50);
    let failure = told(world.rotate("new"));
    assert!(
        failure.contains("/bin/sh did not end within 50ms and was killed")
            && failure.contains("`locket rotate pw --undo --exec COMMAND`"),
        "{failure}"
    );
    assert_eq!(world.kept(), "pw");
    assert_eq!(world.leftovers(), 3, "both values are kept");
}
