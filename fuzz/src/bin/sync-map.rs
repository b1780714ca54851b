#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| locket_core::properties::sync_map(data));
