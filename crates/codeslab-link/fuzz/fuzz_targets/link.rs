//! Any bytes, linked as an object or archive.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codeslab_link_fuzz::link::run(bytes);
});
