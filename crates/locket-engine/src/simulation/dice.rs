//! Chance that repeats: everything random in a simulation comes from its seed.

use std::cell::RefCell;
use std::time::Duration;

thread_local! {
    /// What the engine draws while a simulation is under way on this thread.
    static ENGINE: RefCell<Option<Dice>> = const { RefCell::new(None) };
}

/// A row of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

/// While it lives, the engine's draws on this thread come from a seed and its work stays on this thread.
pub(super) struct Loaded(());

/// The engine's next draw, where a simulation decides it.
pub(crate) fn draw() -> Option<f64> {
    // Pauses of whole milliseconds: where in one of tokio's ticks the runtime was made is chance of another kind.
    ENGINE.with_borrow_mut(|dice| Some(dice.as_mut()?.below(500) as f64 / 500.0))
}

/// Whether this thread runs a simulation.
pub(crate) fn is_under_way() -> bool {
    ENGINE.with_borrow(Option::is_some)
}

impl Dice {
    /// The row number `salt` of a seed.
    pub(super) fn new(seed: u64, salt: u64) -> Self {
        let mut dice = Self(seed ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.next();
        dice
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A time between the two, in whole milliseconds.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (least.as_millis() as usize, most.as_millis() as usize);
        Duration::from_millis((least + self.below(most - least + 1)) as u64)
    }
}

impl Loaded {
    pub(super) fn new(seed: u64) -> Self {
        ENGINE.set(Some(Dice::new(seed, 0xe2)));
        Self(())
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        ENGINE.set(None);
    }
}
