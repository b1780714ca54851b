//! Giving memory back while there is nothing to do. It frees nothing that is in use and changes no content.

use std::ffi::c_void;

use rustix::mm::{Advice, madvise};

/// Hands unused heap pages back to the kernel, and lets go of the program's own code pages.
///
/// A round touches most of the program once; idle, a few pages of it are in use. The pages are clean copies of the
/// program's file: the kernel maps those that are needed again at a cost of microseconds.
pub fn give_back() {
    trim_heap();
    release_code();
}

#[expect(
    unsafe_code,
    reason = "malloc_trim(3), and the two symbols that linkers put around a program's code"
)]
unsafe extern "C" {
    #[cfg(target_env = "gnu")]
    fn malloc_trim(pad: usize) -> i32;
    /// The first byte of the program.
    safe static __executable_start: u8;
    /// The first byte after its code.
    safe static etext: u8;
}

#[cfg(target_env = "gnu")]
fn trim_heap() {
    // SAFETY: malloc_trim(3) takes the allocator's own locks and touches free memory only.
    #[expect(unsafe_code, reason = "the C library's own way to give free pages back")]
    let _ = unsafe { malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim_heap() {}

fn release_code() {
    let start = &raw const __executable_start;
    let page = rustix::param::page_size();
    let length = (&raw const etext as usize).saturating_sub(start as usize) / page * page;
    if !(start as usize).is_multiple_of(page) {
        return;
    }
    // SAFETY: headers, constants and code are mapped privately from the program's file, stand in front of everything
    // that is ever written (relocated data comes after them), and are read from the file again at the next access.
    #[expect(unsafe_code, reason = "advice about the program's own read-only pages")]
    let _ = unsafe { madvise(start.cast_mut().cast::<c_void>(), length, Advice::LinuxDontNeed) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn freed_memory_goes_back_and_the_program_goes_on() {
        let before = resident();
        let many: Vec<Vec<u8>> = (0..4096).map(|index| vec![index as u8; 4096]).collect();
        let keep = vec![7_u8; 100];
        let full = resident();
        assert!(full > before + 8 * 1024, "{before} to {full} kB");
        drop(many);
        give_back();
        assert!(resident() < full - 8 * 1024, "{full} to {} kB", resident());
        assert_eq!(keep, vec![7_u8; 100]);
    }
}
