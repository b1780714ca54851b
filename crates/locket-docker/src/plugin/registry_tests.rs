use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::registry::{Host, Registry, Run};
use super::state::State;
use super::wire::{Health, Options};

type Reply<T> = oneshot::Receiver<Result<T, String>>;

/// A machine of which everything can be seen, and that can be made to fail.
#[derive(Clone, Default)]
struct Machine(Rc<RefCell<Inside>>);

#[derive(Default)]
struct Inside {
    attached: BTreeSet<String>,
    running: BTreeMap<Run, String>,
    stopping: Vec<Run>,
    refreshed: Vec<Run>,
    kept: State,
    is_full: bool,
    now: Duration,
    forgotten: Vec<String>,
    starts: Vec<(String, bool)>,
}

impl Host for Machine {
    fn check(&self, options: &Options) -> Result<(), String> {
        match options.contains_key("wrong") {
            true => Err("`wrong` is no option".to_owned()),
            false => Ok(()),
        }
    }

    fn attach(&self, name: &str, options: &Options) -> Result<bool, String> {
        match options.contains_key("unmountable") {
            true => Err("no".to_owned()),
            false => Ok(self.0.borrow_mut().attached.insert(name.to_owned())),
        }
    }

    fn is_attached(&self, name: &str) -> bool {
        self.0.borrow().attached.contains(name)
    }

    fn attached(&self) -> Vec<String> {
        self.0.borrow().attached.iter().cloned().collect()
    }

    fn mountpoint(&self, name: &str) -> PathBuf {
        format!("/volumes/{name}").into()
    }

    fn detach(&self, name: &str) -> Result<(), String> {
        let mut inside = self.0.borrow_mut();
        assert!(
            !inside.running.values().any(|running| running == name),
            "something still writes there"
        );
        inside.attached.remove(name);
        Ok(())
    }

    fn start(&mut self, run: Run, name: &str, _: &Options, is_new: bool) {
        let mut inside = self.0.borrow_mut();
        assert!(
            !inside.running.values().any(|running| running == name),
            "one writer"
        );
        inside.running.insert(run, name.to_owned());
        inside.starts.push((name.to_owned(), is_new));
    }

    fn refresh(&mut self, run: Run) {
        self.0.borrow_mut().refreshed.push(run);
    }

    fn stop(&mut self, run: Run) {
        self.0.borrow_mut().stopping.push(run);
    }

    fn forget(&self, name: &str) {
        self.0.borrow_mut().forgotten.push(name.to_owned());
    }

    async fn save(&self, state: State) -> Result<(), String> {
        let mut inside = self.0.borrow_mut();
        match inside.is_full {
            true => Err("the disk is full".to_owned()),
            false => {
                inside.kept = state;
                Ok(())
            }
        }
    }

    fn now(&self) -> Duration {
        self.0.borrow().now
    }

    fn moment(&self) -> String {
        "then".to_owned()
    }
}

/// A registry on such a machine.
struct World {
    machine: Machine,
    registry: Registry<Machine>,
}

impl World {
    async fn new() -> Self {
        Self::on(Machine::default()).await
    }

    /// After whatever the machine has been through.
    async fn on(machine: Machine) -> Self {
        let kept = machine.0.borrow().kept.clone();
        Self {
            registry: Registry::recover(machine.clone(), kept).await,
            machine,
        }
    }

    /// What is left when the process is killed: mounts, and what was written down.
    async fn killed(self) -> Self {
        self.machine.0.borrow_mut().running.clear();
        Self::on(self.machine).await
    }

    async fn create(&mut self, name: &str, options: &[(&str, &str)]) -> Result<(), String> {
        let options = options
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        self.registry.create(name, options.collect()).await
    }

    async fn mount(&mut self, name: &str, id: &str) -> Reply<PathBuf> {
        let (reply, answer) = oneshot::channel();
        self.registry.mount(name, id.to_owned(), reply).await;
        answer
    }

    async fn unmount(&mut self, name: &str, id: &str) -> Reply<()> {
        let (reply, answer) = oneshot::channel();
        self.registry.unmount(name, id, reply).await;
        answer
    }

    async fn remove(&mut self, name: &str) -> Reply<()> {
        let (reply, answer) = oneshot::channel();
        self.registry.remove(name, reply).await;
        answer
    }

    fn run_of(&self, name: &str) -> Run {
        let inside = self.machine.0.borrow();
        let (run, _) = inside
            .running
            .iter()
            .find(|(_, running)| *running == name)
            .unwrap();
        *run
    }

    /// The values of a volume are there.
    async fn ready(&mut self, name: &str) {
        let run = self.run_of(name);
        self.registry.closed(run, health("ready"), &[]).await;
    }

    /// They are not, and why.
    async fn lacks(&mut self, name: &str, why: &str) {
        let run = self.run_of(name);
        self.registry
            .closed(run, health("failed"), &[why.to_owned()])
            .await;
    }

    /// Whatever was asked to end does.
    async fn let_end(&mut self) {
        loop {
            let stopping = std::mem::take(&mut self.machine.0.borrow_mut().stopping);
            if stopping.is_empty() {
                return;
            }
            for run in stopping {
                self.machine.0.borrow_mut().running.remove(&run);
                self.registry.ended(run, &[]).await;
            }
        }
    }

    fn is_mounted(&self, name: &str) -> bool {
        self.machine.is_attached(name)
    }

    fn ids(&self, name: &str) -> Vec<String> {
        let inside = self.machine.0.borrow();
        inside.kept.volumes[name].mounts.iter().cloned().collect()
    }

    fn pass(&mut self, seconds: u64) {
        self.machine.0.borrow_mut().now += Duration::from_secs(seconds);
    }
}

fn health(state: &str) -> Health {
    Health {
        state: state.to_owned(),
        failing: Vec::new(),
    }
}

fn now<T>(mut reply: Reply<T>) -> Result<T, String> {
    reply.try_recv().expect("it was answered")
}

fn is_open<T>(reply: &mut Reply<T>) -> bool {
    matches!(reply.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

#[tokio::test]
async fn a_container_gets_its_volume_when_the_values_are_there_and_not_before() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let mut first = world.mount("v", "a").await;
    assert!(is_open(&mut first));
    assert_eq!(world.ids("v"), ["a"], "it is written down first");
    assert_eq!(world.registry.get("v").unwrap().health.state, "starting");
    let second = world.mount("v", "b").await;
    world.ready("v").await;
    assert_eq!(now(first).unwrap(), PathBuf::from("/volumes/v"));
    assert!(now(second).is_ok());
    let third = world.mount("v", "c").await;
    assert!(now(third).is_ok(), "it is there already");
    assert_eq!(world.registry.list()[0].mounts, 3);
    assert_eq!(
        world.machine.0.borrow().starts,
        [("v".to_owned(), true)],
        "one run"
    );
}

#[tokio::test]
async fn the_last_unmount_takes_the_files_away_when_nobody_writes_any_more() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let replies = [world.mount("v", "a").await, world.mount("v", "b").await];
    world.ready("v").await;
    for reply in replies {
        now(reply).unwrap();
    }
    assert!(now(world.unmount("v", "a").await).is_ok());
    assert!(
        now(world.unmount("v", "a").await).is_ok(),
        "told twice, and once is enough"
    );
    assert!(world.is_mounted("v"));
    let mut last = world.unmount("v", "b").await;
    assert!(
        is_open(&mut last) && world.is_mounted("v"),
        "it is still written to"
    );
    world.let_end().await;
    assert!(now(last).is_ok() && !world.is_mounted("v"));
    assert_eq!(world.registry.get("v").unwrap().mountpoint, None);
}

#[tokio::test]
async fn the_same_id_again_is_one_mount() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    now(world.mount("v", "a").await).unwrap();
    let last = world.unmount("v", "a").await;
    world.let_end().await;
    assert!(now(last).is_ok() && !world.is_mounted("v"));
}

#[tokio::test]
async fn missing_values_fail_the_mount_by_name_and_leave_nothing_mounted() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.lacks("v", "db: file:///x does not exist").await;
    let reason = now(first).unwrap_err();
    assert!(reason.contains("v has no values: db: file:///x"), "{reason}");
    world.let_end().await;
    assert!(!world.is_mounted("v") && world.ids("v").is_empty());
    let again = world.mount("v", "b").await;
    world.ready("v").await;
    assert!(now(again).is_ok(), "the next try begins anew");
}

#[tokio::test]
async fn a_mount_that_lacks_a_value_does_not_end_the_run_of_those_who_have_theirs() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    world.lacks("v", "new: nothing is there").await;
    let run = world.run_of("v");
    let second = world.mount("v", "b").await;
    assert!(world.machine.0.borrow().stopping.is_empty(), "its leases go on");
    assert_eq!(world.machine.0.borrow().refreshed, [run]);
    world.lacks("v", "new: still nothing").await;
    assert!(now(second).unwrap_err().contains("still nothing"));
    assert_eq!(world.ids("v"), ["a"]);
    let third = world.mount("v", "c").await;
    world.ready("v").await;
    assert!(now(third).is_ok());
    assert!(world.machine.0.borrow().stopping.is_empty());
}

#[tokio::test]
async fn a_run_that_ends_by_itself_says_why_and_the_next_mount_begins_another() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    let run = world.run_of("v");
    world.machine.0.borrow_mut().running.clear();
    world.registry.ended(run, &["no token".to_owned()]).await;
    assert!(now(first).unwrap_err().contains("no token"));
    assert!(!world.is_mounted("v"));
    let second = world.mount("v", "b").await;
    world.ready("v").await;
    assert!(now(second).is_ok());
}

#[tokio::test]
async fn a_run_that_ends_below_containers_is_begun_anew_with_pauses() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    let starts = |world: &World| world.machine.0.borrow().starts.len();
    for (pause, before) in [(30, 1), (60, 2), (120, 3), (240, 4), (480, 5), (600, 6), (600, 7)] {
        let run = world.run_of("v");
        world.machine.0.borrow_mut().running.clear();
        world.registry.ended(run, &["no answer".to_owned()]).await;
        assert!(world.is_mounted("v"), "its files stay");
        world.pass(pause - 1);
        world.registry.tick().await;
        assert_eq!(starts(&world), before, "not before {pause} s");
        world.pass(1);
        world.registry.tick().await;
        assert_eq!(starts(&world), before + 1, "after {pause} s");
    }
    world.ready("v").await;
    assert_eq!(world.registry.next_try(), None);

    let run = world.run_of("v");
    world.machine.0.borrow_mut().running.clear();
    world.registry.ended(run, &["no answer".to_owned()]).await;
    world.registry.try_again();
    world.registry.tick().await;
    assert_eq!(starts(&world), 9, "a reload waits for no pause");
    world.ready("v").await;
    world.unmount("v", "a").await;
    world.let_end().await;
    assert!(!world.is_mounted("v"));
    assert_eq!(world.registry.next_try(), None, "nobody uses it");
}

#[tokio::test]
async fn a_volume_that_is_being_removed_is_not_made_again_before_that_is_done() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    let _unmounted = world.unmount("v", "a").await;
    let _removed = world.remove("v").await;
    let refused = world.create("v", &[]).await.unwrap_err();
    assert!(refused.contains("just being removed"), "{refused}");
    world.let_end().await;
    world.create("v", &[]).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_did_not_wait_leaves_no_mount_behind() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    drop(world.mount("v", "a").await);
    world.ready("v").await;
    world.let_end().await;
    assert!(!world.is_mounted("v") && world.ids("v").is_empty());
}

#[tokio::test]
async fn a_volume_that_is_wanted_again_while_it_is_taken_away_is_mounted_afterwards() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    let ended = world.unmount("v", "a").await;
    let mut again = world.mount("v", "b").await;
    assert!(is_open(&mut again));
    world.let_end().await;
    assert!(now(ended).is_ok());
    world.ready("v").await;
    assert!(now(again).is_ok() && world.is_mounted("v"));
    assert_eq!(world.ids("v"), ["b"]);
}

#[tokio::test]
async fn a_killed_plugin_goes_on_where_it_was() {
    let mut world = World::new().await;
    world.create("v", &[("size", "1M")]).await.unwrap();
    world.create("idle", &[]).await.unwrap();
    let replies = [world.mount("v", "a").await, world.mount("v", "b").await];
    world.ready("v").await;
    for reply in replies {
        now(reply).unwrap();
    }
    let mut world = world.killed().await;
    assert_eq!(
        world.machine.0.borrow().starts.last(),
        Some(&("v".to_owned(), false))
    );
    let mut third = world.mount("v", "c").await;
    assert!(
        is_open(&mut third),
        "whether everything is there is not known yet"
    );
    world.ready("v").await;
    now(third).unwrap();
    for id in ["a", "b"] {
        now(world.unmount("v", id).await).unwrap();
    }
    assert!(world.is_mounted("v"), "others use it");
    let last = world.unmount("v", "c").await;
    world.let_end().await;
    assert!(now(last).is_ok() && !world.is_mounted("v"));
    assert_eq!(world.registry.list().len(), 2);
}

#[tokio::test]
async fn values_that_could_not_be_confirmed_after_a_kill_hold_no_running_container_up() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    let mut world = world.killed().await;
    let second = world.mount("v", "b").await;
    world.lacks("v", "gone").await;
    assert!(now(second).is_err());
    assert!(world.is_mounted("v"), "the first container still runs");
    // Whoever comes next makes a run that asks anew.
    let third = world.mount("v", "c").await;
    world.let_end().await;
    world.ready("v").await;
    assert!(now(third).is_ok());
    assert_eq!(world.ids("v"), ["a", "c"]);
}

#[tokio::test]
async fn after_a_start_of_the_machine_nothing_counts_as_mounted() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    world.machine.0.borrow_mut().attached.clear();
    let world = world.killed().await;
    assert!(world.ids("v").is_empty());
    assert_eq!(world.registry.get("v").unwrap().health.state, "idle");
}

#[tokio::test]
async fn containers_whose_mount_went_away_below_them_are_told_of_until_they_start_again() {
    let mut world = World::new().await;
    for name in ["gone", "used"] {
        world.create(name, &[]).await.unwrap();
        let reply = world.mount(name, "a").await;
        world.ready(name).await;
        now(reply).unwrap();
    }
    world.machine.0.borrow_mut().attached.clear();
    let mut world = world.killed().await;
    assert!(world.registry.is_in_doubt(), "the engine knows who runs");
    let in_use: BTreeSet<_> = ["used".to_owned()].into();
    world.registry.in_use(&in_use).await;
    assert_eq!(world.registry.get("gone").unwrap().health, health("idle"));
    let told = world.registry.get("used").unwrap().health;
    assert_eq!(told.state, "stale");
    assert!(told.failing[0].contains("start them again"), "{told:?}");

    now(world.unmount("used", "a").await).unwrap();
    assert_eq!(world.registry.get("used").unwrap().health.state, "idle");
    world.registry.in_use(&in_use).await;
    assert_eq!(
        world.registry.get("used").unwrap().health.state,
        "stale",
        "another one runs"
    );
    let again = world.mount("used", "b").await;
    world.ready("used").await;
    now(again).unwrap();
    assert_eq!(world.registry.get("used").unwrap().health, health("ready"));
    assert!(!world.registry.is_in_doubt());
}

#[tokio::test]
async fn what_a_killed_plugin_had_not_taken_away_yet_is_taken_away() {
    let machine = Machine::default();
    machine.0.borrow_mut().attached.insert("orphan".to_owned());
    let mut world = World::on(machine).await;
    assert!(!world.is_mounted("orphan"));
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    drop(world.unmount("v", "a").await);
    let world = world.killed().await;
    assert!(!world.is_mounted("v"));
}

#[tokio::test]
async fn an_unmount_that_was_lost_is_found_when_no_container_is_seen_twice() {
    let mut world = World::new().await;
    for name in ["lost", "used"] {
        world.create(name, &[]).await.unwrap();
        let reply = world.mount(name, "a").await;
        world.ready(name).await;
        now(reply).unwrap();
    }
    let in_use: BTreeSet<_> = ["used".to_owned()].into();
    assert!(!world.registry.is_in_doubt(), "a container may be about to start");
    world.registry.in_use(&in_use).await;
    world.registry.in_use(&in_use).await;
    assert!(world.is_mounted("lost"));
    world.pass(31);
    assert!(world.registry.is_in_doubt());
    world.registry.in_use(&in_use).await;
    assert!(world.is_mounted("lost"), "one look is not enough");
    let started = world.mount("lost", "b").await;
    now(started).unwrap();
    world.pass(31);
    world.registry.in_use(&in_use).await;
    assert!(world.is_mounted("lost"), "a mount begins the count anew");
    world.registry.in_use(&in_use).await;
    world.let_end().await;
    assert!(!world.is_mounted("lost") && world.ids("lost").is_empty());
    assert!(world.is_mounted("used"));
}

#[tokio::test]
async fn remove_takes_away_whatever_is_said_to_be_mounted() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    now(first).unwrap();
    let mut removed = world.remove("v").await;
    assert!(is_open(&mut removed));
    assert!(now(world.mount("v", "b").await).is_err(), "it is going");
    world.let_end().await;
    assert!(now(removed).is_ok() && !world.is_mounted("v"));
    assert!(world.registry.get("v").is_err());
    assert_eq!(world.machine.0.borrow().forgotten, ["v"]);
    assert!(now(world.remove("v").await).is_err());
}

#[tokio::test]
async fn a_volume_is_made_once_with_good_options_and_a_name_that_is_one() {
    let mut world = World::new().await;
    assert!(world.create("v", &[("wrong", "")]).await.is_err());
    assert!(world.registry.list().is_empty());
    world.create("v", &[("size", "1M")]).await.unwrap();
    world.create("v", &[("size", "1M")]).await.unwrap();
    let reason = world.create("v", &[("size", "2M")]).await.unwrap_err();
    assert!(reason.contains("docker volume rm v"), "{reason}");
    for name in ["", ".", "..", "a/b", "-a", "_a", &"a".repeat(256)] {
        assert!(world.create(name, &[]).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_begin() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    world.machine.0.borrow_mut().is_full = true;
    assert!(world.create("w", &[]).await.is_err());
    assert!(world.registry.get("w").is_err());
    assert!(
        now(world.mount("v", "a").await)
            .unwrap_err()
            .contains("disk is full")
    );
    assert!(!world.is_mounted("v"));
    assert!(now(world.remove("v").await).is_err());
    assert!(
        world.registry.get("v").is_ok(),
        "it would come back with the next start"
    );
    world.machine.0.borrow_mut().is_full = false;
    let first = world.mount("v", "a").await;
    world.ready("v").await;
    assert!(now(first).is_ok());
}

#[tokio::test]
async fn a_volume_that_cannot_be_mounted_says_so_at_once() {
    let mut world = World::new().await;
    world.create("v", &[("unmountable", "")]).await.unwrap();
    let reason = now(world.mount("v", "a").await).unwrap_err();
    assert!(reason.contains("cannot be mounted: no"), "{reason}");
    assert!(world.ids("v").is_empty());
}

#[tokio::test]
async fn nobody_waits_longer_than_the_limit_whatever_hangs() {
    let mut world = World::new().await;
    world.create("v", &[]).await.unwrap();
    let mut first = world.mount("v", "a").await;
    world.pass(20);
    world.registry.tick().await;
    assert!(is_open(&mut first));
    world.pass(6);
    world.registry.tick().await;
    assert!(now(first).unwrap_err().contains("in time"));
    world.let_end().await;
    assert!(!world.is_mounted("v"));
}
