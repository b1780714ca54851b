//! Killed writers, writers at once, and a disk that is full.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Ran, User};

/// Runs a shell script whose mounts nobody else sees, and which end with it.
fn with_own_mounts(user: &User, script: &str) -> Ran {
    let mut unshare = Command::new("unshare");
    if rustix::process::geteuid().is_root() {
        unshare.arg("--mount");
    } else {
        unshare.args(["--user", "--map-root-user", "--mount"]);
    }
    unshare
        .args(["sh", "-c", script])
        .env("LOCKET", env!("CARGO_BIN_EXE_locket"))
        .env("HOME", user.home())
        .current_dir(user.project());
    Ran(unshare.output().unwrap())
}

#[test]
fn eight_processes_that_set_at_once_lose_nothing() {
    let user = User::with_store();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let user = &user;
            scope.spawn(move || {
                for turn in 0..4 {
                    user.set(
                        &format!("w{writer}/t{turn}"),
                        format!("{writer}.{turn}").as_bytes(),
                    );
                }
            });
        }
    });
    assert_eq!(user.store(["list"]).succeeds().stdout().lines().count(), 32);
    for writer in 0..8 {
        assert_eq!(
            user.get(&format!("w{writer}/t3")),
            format!("{writer}.3").as_bytes()
        );
    }
    assert_eq!(user.files(), ["locket.store"]);
}

#[test]
fn a_killed_set_leaves_the_old_value_or_the_new_one() {
    let user = User::with_store();
    // Large, so that encrypting and writing take a while.
    let value = |turn: usize| vec![b'a' + u8::try_from(turn % 26).unwrap(); 1 << 20];
    user.set("kept", b"kept");
    #[expect(
        clippy::disallowed_methods,
        reason = "the kills are spread over what a whole run takes here"
    )]
    let started = Instant::now();
    user.set("a", &value(0));
    let whole = started.elapsed();
    let (mut present, mut killed, mut left) = (0, 0, 0);
    for turn in 1..=60_u32 {
        let mut child = user
            .command(["set", "a"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let fed = child.stdin.take().unwrap().write_all(&value(turn as usize));
        if turn % 2 == 0 {
            // While the new file is written, or just after.
            while child.try_wait().unwrap().is_none() && user.files().len() == 1 {}
        } else {
            // Anywhere from the start to after the end.
            std::thread::sleep(whole * turn / 50);
        }
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        killed += usize::from(!finished);
        left += usize::from(user.files().len() > 1);
        let (got, turn) = (user.get("a"), turn as usize);
        assert!(
            got == value(present) || got == value(turn),
            "turn {turn} tore the value"
        );
        assert!(
            !finished || fed.is_err() || got == value(turn),
            "turn {turn} was lost"
        );
        if got == value(turn) {
            present = turn;
        }
        assert_eq!(user.get("kept"), b"kept");
    }
    println!("{killed} of 60 were killed, {left} of them while the new file was there beside the old one");
    assert!(
        killed > 0 && left > 0,
        "no kill came in time, so that nothing was shown"
    );
    user.set("a", b"after");
    assert_eq!(
        user.files(),
        ["locket.store"],
        "the next writer clears what they left"
    );
}

#[test]
fn a_full_disk_is_an_error_and_the_old_store_stays() {
    let script = r#"
        set -eu
        mkdir small && mount -t tmpfs -o size=32k none small && cd small
        "$LOCKET" store init --identity-file key
        printf %s before | "$LOCKET" store set --identity-file key a
        code=0
        head -c 200000 /dev/zero | "$LOCKET" store set --identity-file key big || code=$?
        echo "code=$code"
        ls -A
        "$LOCKET" store get --identity-file key a
        printf %s after | "$LOCKET" store set --identity-file key a
        "$LOCKET" store get --identity-file key a
    "#;
    let user = User::new();
    let ran = with_own_mounts(&user, script).succeeds();
    assert!(
        ran.stdout().ends_with("code=1\nkey\nlocket.store\nbeforeafter"),
        "{}",
        ran.stdout()
    );
    assert!(
        ran.stderr().contains("No space left on device"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_directory_that_may_not_be_written_keeps_the_store_and_says_so() {
    let user = User::with_store();
    user.set("a", b"before");
    let script =
        r#"mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && printf x | "$LOCKET" store set a"#;
    let ran = with_own_mounts(&user, script).fails_with(1);
    assert!(ran.stderr().contains("Read-only file system"), "{}", ran.stderr());
    assert_eq!(user.get("a"), b"before");
    assert_eq!(user.files(), ["locket.store"]);
}
