//! What the kernel says about the memory of secrets: it is locked, not dumped, and past the limit used unlocked.
//!
//! One test in a process of its own, since it takes a capability and a limit away.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this whole file is a test")]

use locket_sys::arena::{LockedBytes, Status, status};
use rustix::process::{Resource, Rlimit};
use rustix::thread::CapabilitySet;

#[test]
fn secrets_are_locked_up_to_the_limit_and_kept_past_it() {
    limit_locked_memory(256 << 10);
    assert_eq!(
        status(),
        Status::default(),
        "nothing is reserved before the first secret"
    );

    let first = LockedBytes::copy_from(b"a common secret");
    assert_eq!(status().locked_bytes, 128 << 10);
    let flags = flags_of(first.as_slice());
    assert!(flags.contains("lo"), "locked: {flags}");
    assert!(flags.contains("dd"), "not dumped: {flags}");
    assert!(flags.contains("wf"), "wiped in a fork: {flags}");
    let heap = String::from("not a secret");
    assert!(
        !flags_of(heap.as_bytes()).contains("dd"),
        "the heap is the control"
    );

    let held: Vec<_> = (0..100_u8).map(|n| LockedBytes::copy_from(&[n; 8192])).collect();
    let past = status();
    assert_eq!(past.locked_bytes, 256 << 10);
    assert!(past.unlocked_bytes >= 100 * 8192 - (256 << 10), "{past:?}");
    assert!(past.overflowed);
    assert!(
        (0..100_u8)
            .zip(&held)
            .all(|(n, bytes)| bytes.as_slice() == [n; 8192])
    );
    let flags = flags_of(held[99].as_slice());
    assert!(!flags.contains("lo") && flags.contains("dd"), "{flags}");

    drop(held);
    let after = status();
    assert!(
        after.locked_bytes + after.unlocked_bytes <= 256 << 10,
        "{after:?}"
    );
    assert!(after.overflowed, "the warning is still due");
    assert_eq!(first.as_slice(), b"a common secret");
}

/// Root is above the limit as long as it has the capability to be.
fn limit_locked_memory(bytes: u64) {
    let mut capabilities = rustix::thread::capabilities(None).unwrap();
    capabilities.effective -= CapabilitySet::IPC_LOCK;
    rustix::thread::set_capabilities(None, capabilities).unwrap();
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    rustix::process::setrlimit(Resource::Memlock, limit).unwrap();
}

/// The `VmFlags` line of the mapping that holds `bytes`, from `/proc/self/smaps` (proc(5)).
fn flags_of(bytes: &[u8]) -> String {
    let address = bytes.as_ptr().addr();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let ends = range.and_then(|(start, end)| {
            Some((
                usize::from_str_radix(start, 16).ok()?,
                usize::from_str_radix(end, 16).ok()?,
            ))
        });
        if let Some((start, end)) = ends {
            inside = (start..end).contains(&address);
        } else if inside && line.starts_with("VmFlags:") {
            return line.to_owned();
        }
    }
    panic!("{address:x} is not mapped");
}
