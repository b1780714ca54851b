//! The process `locket`: its allocator, and nothing else that the library could hold.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Wipes what it frees: the buffers of HTTP and TLS libraries hold secrets that no type of ours can wrap.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    locket::main()
}
