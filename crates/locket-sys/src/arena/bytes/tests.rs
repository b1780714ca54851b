use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::status;
use super::LockedBytes;

/// These tests look at places that were given back, so no other may take them meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What memory holds after its owner is gone. The caller keeps the arena mapped through another value.
fn peek(address: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|offset| {
            #[expect(
                unsafe_code,
                reason = "only so can a test see what a dropped secret left behind"
            )]
            // SAFETY: the arena is mapped and readable; a neighbour in it is alive.
            unsafe {
                std::ptr::with_exposed_provenance::<u8>(address + offset).read_volatile()
            }
        })
        .collect()
}

fn address(bytes: &LockedBytes) -> usize {
    bytes.as_slice().as_ptr().expose_provenance()
}

#[test]
fn values_of_every_length_come_back_as_they_went_in() {
    let _alone = alone();
    for length in [
        0,
        1,
        15,
        16,
        17,
        255,
        2048,
        2049,
        32 << 10,
        (32 << 10) + 1,
        3 << 20,
    ] {
        let plain: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
        assert!(
            LockedBytes::copy_from(&plain).as_slice() == plain,
            "length {length}"
        );
    }
}

#[test]
fn neighbours_never_touch_each_other() {
    let _alone = alone();
    let held: Vec<_> = (0..2000_usize)
        .map(|n| (n, LockedBytes::copy_from(&vec![(n % 255) as u8 + 1; n % 300 + 1])))
        .collect();
    for (n, bytes) in held.iter().step_by(2) {
        assert!(bytes.as_slice().iter().all(|&b| b == (n % 255) as u8 + 1));
    }
    let (kept, dropped): (Vec<_>, Vec<_>) = held.into_iter().partition(|(n, _)| n % 3 == 0);
    drop(dropped);
    let _more: Vec<_> = (0..500).map(|_| LockedBytes::copy_from(&[0; 64])).collect();
    for (n, bytes) in &kept {
        assert_eq!(bytes.as_slice().len(), n % 300 + 1);
        assert!(bytes.as_slice().iter().all(|&b| b == (n % 255) as u8 + 1));
    }
}

#[test]
fn a_dropped_value_is_wiped_and_its_place_used_again() {
    let _alone = alone();
    for length in [21, 900, 20_000] {
        let neighbour = LockedBytes::copy_from(&vec![1; length]);
        let secret = LockedBytes::copy_from(&vec![0xAA; length]);
        let at = address(&secret);
        assert_eq!(peek(at, length), vec![0xAA; length], "the hook sees a live value");
        drop(secret);
        assert_eq!(
            peek(at, length),
            vec![0; length],
            "nothing is left of a dropped one"
        );
        let next = LockedBytes::copy_from(&vec![2; length]);
        assert_eq!(address(&next), at);
        assert_eq!(neighbour.as_slice(), vec![1; length]);
    }
}

#[test]
fn memory_follows_what_is_held() {
    let _alone = alone();
    let total = || status().locked_bytes + status().unlocked_bytes;
    let before = total();
    let held: Vec<_> = (0..300).map(|_| LockedBytes::copy_from(&[7; 4096])).collect();
    let large = LockedBytes::copy_from(&vec![7; 1 << 20]);
    assert!(total() >= before + 300 * 4096 + (1 << 20) - (128 << 10));
    drop((held, large));
    assert!(
        total() <= before.max(128 << 10),
        "{} bytes are still mapped",
        total()
    );
}

#[test]
fn threads_share_the_arenas() {
    let _alone = alone();
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..3000_usize {
                    let length = (round * usize::from(thread) * 37) % 700 + 1;
                    held.push(LockedBytes::copy_from(&vec![thread; length]));
                    if held.len() > 50 {
                        held.swap_remove(round % 50);
                    }
                }
                assert!(
                    held.iter()
                        .all(|bytes| bytes.as_slice().iter().all(|&b| b == thread))
                );
            });
        }
    });
}
