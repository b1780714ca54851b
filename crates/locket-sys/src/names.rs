//! Keeps the C library's name service out of static binaries.
//!
//! A static glibc that resolves names loads shared libraries of the very version it was built with, which an image
//! made from scratch does not have. locket resolves names itself (hickory), so the functions that would pull the name
//! service in are replaced by ones that refuse.

use std::ffi::{c_char, c_int, c_void};

/// `EAI_FAIL`: the name cannot be resolved, and asking again will not help.
const EAI_FAIL: c_int = -4;

#[expect(
    unsafe_code,
    reason = "the symbol of the C library is what has to be replaced"
)]
// SAFETY: the signature is the one of POSIX; no argument is read and nothing is handed out that would be freed.
#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    _node: *const c_char,
    _service: *const c_char,
    _hints: *const c_void,
    _found: *mut *mut c_void,
) -> c_int {
    EAI_FAIL
}

#[expect(
    unsafe_code,
    reason = "the symbol of the C library is what has to be replaced"
)]
// SAFETY: `getaddrinfo` above never hands anything out, so there is nothing to free.
#[unsafe(no_mangle)]
extern "C" fn freeaddrinfo(_found: *mut c_void) {}
