#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| locket_providers::properties::store_file(data));
