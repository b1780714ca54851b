//! Which part of which arena is taken. It hands out addresses and never reads or writes what is kept there.
//!
//! An arena is 128 KiB of 4 KiB blocks. A block holds slots of one size class; values of 2 to 32 KiB take a run of
//! whole blocks. Pages that were never touched cost no memory, and all but one empty arena are given back.

use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io;

use super::mapping::Mapping;

/// The longest value that shares an arena with others, in bytes.
pub(super) const LARGEST_SHARED: usize = 8 * BLOCK;

const BLOCK: usize = 4096;
const BLOCKS: usize = u32::BITS as usize;
const ALL_FREE: u32 = u32::MAX;

/// Slot sizes in bytes, at most a quarter apart where secrets are common. The smallest gives 256 slots a block.
const CLASSES: [usize; 14] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1360, 2048];

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// How much memory holds secrets, and how much of it is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes in mappings that the system agreed to keep out of swap.
    pub locked_bytes: usize,
    /// Bytes that it did not: `RLIMIT_MEMLOCK` was reached.
    pub unlocked_bytes: usize,
    /// Whether any secret of this process ever had to live in unlocked memory.
    pub overflowed: bool,
}

/// The present figures.
pub fn status() -> Status {
    pool().status
}

/// The one pool of the process.
pub(super) fn pool() -> MutexGuard<'static, Pool> {
    // Nothing in here can panic between two changes that belong together.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a shared value lives. Held by exactly one owner, who gives it back once.
#[derive(Debug)]
pub(super) struct Place {
    arena: usize,
    block: usize,
    extent: Extent,
}

/// How much of the arena a [`Place`] covers.
#[derive(Debug)]
enum Extent {
    Slot { index: usize },
    Run { blocks: usize },
}

/// All arenas.
pub(super) struct Pool {
    arenas: Vec<Option<Arena>>,
    /// For each class the blocks with a free slot.
    open: [Vec<(usize, usize)>; CLASSES.len()],
    empty_arenas: usize,
    status: Status,
}

struct Arena {
    mapping: Mapping,
    /// One bit for each block that nobody has.
    free: u32,
    slots: [Slots; BLOCKS],
}

/// The slots of a block that is cut up; of no meaning for others.
#[derive(Clone, Copy)]
struct Slots {
    class: usize,
    used: usize,
    taken: [u64; 4],
}

impl Pool {
    const fn new() -> Self {
        Self {
            arenas: Vec::new(),
            open: [const { Vec::new() }; CLASSES.len()],
            empty_arenas: 0,
            status: Status {
                locked_bytes: 0,
                unlocked_bytes: 0,
                overflowed: false,
            },
        }
    }

    /// Room for `length` bytes, which must be between 1 and [`LARGEST_SHARED`].
    ///
    /// # Errors
    /// No arena has room and the system gives no further one.
    pub(super) fn take(&mut self, length: usize) -> io::Result<(Place, NonNull<u8>)> {
        match CLASSES.iter().position(|&size| size >= length) {
            Some(class) => self.take_slot(class),
            None => {
                let blocks = length.div_ceil(BLOCK);
                let (arena, block) = self.take_run(blocks)?;
                let place = Place {
                    arena,
                    block,
                    extent: Extent::Run { blocks },
                };
                let address = self.address(&place)?;
                Ok((place, address))
            }
        }
    }

    /// Takes back what [`Self::take`] gave. The caller has wiped it and keeps no address into it.
    pub(super) fn give_back(&mut self, place: &Place) {
        let Some(arena) = self.arenas.get_mut(place.arena).and_then(Option::as_mut) else {
            return;
        };
        match place.extent {
            Extent::Run { blocks } => self.free_run(place.arena, place.block, blocks),
            Extent::Slot { index } => {
                let slots = &mut arena.slots[place.block];
                let was_full = slots.used == slots.count();
                slots.release(index);
                let (class, now_empty) = (slots.class, slots.used == 0);
                let open = &mut self.open[class];
                let id = (place.arena, place.block);
                if now_empty {
                    // A freed block is nearly always one of the last opened.
                    if let Some(at) = open.iter().rposition(|&candidate| candidate == id) {
                        open.swap_remove(at);
                    }
                    self.free_run(place.arena, place.block, 1);
                } else if was_full {
                    open.push(id);
                }
            }
        }
    }

    /// Counts memory that is held outside the arenas.
    pub(super) fn count(&mut self, length: usize, locked: bool) {
        if locked {
            self.status.locked_bytes += length;
        } else {
            self.status.unlocked_bytes += length;
            self.status.overflowed = true;
        }
    }

    /// The reverse of [`Self::count`].
    pub(super) fn discount(&mut self, length: usize, locked: bool) {
        let total = if locked {
            &mut self.status.locked_bytes
        } else {
            &mut self.status.unlocked_bytes
        };
        *total = total.saturating_sub(length);
    }

    fn take_slot(&mut self, class: usize) -> io::Result<(Place, NonNull<u8>)> {
        let (arena, block) = match self.open[class].last() {
            Some(&id) => id,
            None => {
                let id = self.take_run(1)?;
                self.slots(id)?.cut(class);
                self.open[class].push(id);
                id
            }
        };
        let slots = self.slots((arena, block))?;
        let index = slots.claim().ok_or(io::Errno::NOMEM)?;
        if slots.used == slots.count() {
            self.open[class].pop();
        }
        let place = Place {
            arena,
            block,
            extent: Extent::Slot { index },
        };
        let address = self.address(&place)?;
        Ok((place, address))
    }

    /// The first run of free blocks in the lowest arena, so that the highest empty first.
    fn take_run(&mut self, blocks: usize) -> io::Result<(usize, usize)> {
        let found = self.arenas.iter().enumerate().find_map(|(index, arena)| {
            let arena = arena.as_ref()?;
            Some((index, first_run(arena.free, blocks)?))
        });
        let (index, first) = match found {
            Some(found) => found,
            None => (self.add_arena()?, 0),
        };
        let arena = self.arenas[index].as_mut().ok_or(io::Errno::NOMEM)?;
        if arena.free == ALL_FREE {
            self.empty_arenas -= 1;
        }
        arena.free &= !run_mask(first, blocks);
        Ok((index, first))
    }

    fn free_run(&mut self, index: usize, first: usize, blocks: usize) {
        let Some(arena) = self.arenas[index].as_mut() else {
            return;
        };
        arena.free |= run_mask(first, blocks);
        if arena.free != ALL_FREE {
            return;
        }
        // One stays, so that a value that comes and goes does not map and unmap each time.
        if self.empty_arenas == 0 {
            self.empty_arenas = 1;
        } else if let Some(arena) = self.arenas[index].take() {
            self.discount(arena.mapping.length(), arena.mapping.is_locked());
        }
    }

    fn add_arena(&mut self) -> io::Result<usize> {
        let mapping = Mapping::new(BLOCK * BLOCKS)?;
        self.count(mapping.length(), mapping.is_locked());
        self.empty_arenas += 1;
        let arena = Some(Arena {
            mapping,
            free: ALL_FREE,
            slots: [Slots::NONE; BLOCKS],
        });
        let index = self
            .arenas
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.arenas.len());
        if index == self.arenas.len() {
            self.arenas.push(arena);
        } else {
            self.arenas[index] = arena;
        }
        Ok(index)
    }

    fn slots(&mut self, (arena, block): (usize, usize)) -> io::Result<&mut Slots> {
        let arena = self.arenas[arena].as_mut().ok_or(io::Errno::NOMEM)?;
        Ok(&mut arena.slots[block])
    }

    fn address(&self, place: &Place) -> io::Result<NonNull<u8>> {
        let arena = self.arenas[place.arena].as_ref().ok_or(io::Errno::NOMEM)?;
        let within = match place.extent {
            Extent::Run { .. } => 0,
            Extent::Slot { index } => index * CLASSES[arena.slots[place.block].class],
        };
        #[expect(
            unsafe_code,
            reason = "an address inside the arena, with the arena's provenance"
        )]
        // SAFETY: blocks and slots lie inside the mapping: `block < BLOCKS` and `index < BLOCK / size`.
        Ok(unsafe { arena.mapping.base().add(place.block * BLOCK + within) })
    }
}

impl Slots {
    const NONE: Self = Self {
        class: 0,
        used: 0,
        taken: [0; 4],
    };

    fn cut(&mut self, class: usize) {
        *self = Self { class, ..Self::NONE };
    }

    fn count(&self) -> usize {
        BLOCK / CLASSES[self.class]
    }

    fn claim(&mut self) -> Option<usize> {
        let word = self.taken.iter().position(|&word| word != u64::MAX)?;
        let bit = self.taken[word].trailing_ones() as usize;
        let index = word * 64 + bit;
        if index >= self.count() {
            return None;
        }
        self.taken[word] |= 1 << bit;
        self.used += 1;
        Some(index)
    }

    fn release(&mut self, index: usize) {
        self.taken[index / 64] &= !(1 << (index % 64));
        self.used -= 1;
    }
}

fn first_run(free: u32, blocks: usize) -> Option<usize> {
    let starts = (1..blocks).fold(free, |starts, offset| starts & (free >> offset));
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

fn run_mask(first: usize, blocks: usize) -> u32 {
    (((1u64 << blocks) - 1) << first) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_between_taken_blocks() {
        assert_eq!(first_run(ALL_FREE, 8), Some(0));
        assert_eq!(first_run(0b0111_0110, 3), Some(4));
        assert_eq!(first_run(0b0111_0110, 4), None);
        assert_eq!(first_run(1 << 31, 1), Some(31));
        assert_eq!(first_run(1 << 31, 2), None);
    }

    #[test]
    fn every_slot_of_every_class_lies_in_its_block() {
        for (class, size) in CLASSES.into_iter().enumerate() {
            let mut slots = Slots::NONE;
            slots.cut(class);
            let mut claimed = Vec::new();
            while let Some(index) = slots.claim() {
                claimed.push(index);
            }
            assert_eq!(claimed, (0..BLOCK / size).collect::<Vec<_>>());
            slots.release(0);
            assert_eq!(slots.claim(), Some(0), "a released slot is taken again");
        }
    }

    #[test]
    fn no_two_places_overlap_and_all_but_one_arena_are_given_back() {
        let mut pool = Pool::new();
        let lengths = [1, 16, 17, 33, 100, 1000, 1361, 2049, 4096, 9000, LARGEST_SHARED];
        let mut held = Vec::new();
        for round in 0..400 {
            let length = lengths[round * 7 % lengths.len()];
            let (place, address) = pool.take(length).unwrap();
            held.push((address.as_ptr() as usize, length, place));
            if round % 3 == 2 {
                let (_, _, place) = held.swap_remove(round * 5 % held.len());
                pool.give_back(&place);
            }
        }
        let mut ranges: Vec<_> = held.iter().map(|(at, length, _)| (*at, at + length)).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        assert!(pool.status.locked_bytes + pool.status.unlocked_bytes > BLOCK * BLOCKS);
        for (_, _, place) in &held {
            pool.give_back(place);
        }
        assert_eq!(
            pool.status.locked_bytes + pool.status.unlocked_bytes,
            BLOCK * BLOCKS
        );
        assert!(pool.open.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_thousand_common_secrets_fit_one_arena() {
        let mut pool = Pool::new();
        let held: Vec<_> = (0..1000).map(|_| pool.take(32).unwrap()).collect();
        assert_eq!(
            pool.status.locked_bytes + pool.status.unlocked_bytes,
            BLOCK * BLOCKS
        );
        assert_eq!(held.len(), 1000);
    }
}
