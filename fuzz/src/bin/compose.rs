#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| locket_compose::properties::compose(data));
