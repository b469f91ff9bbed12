//! Archives whose parts are all there and say what the fuzzer wants.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codeslab_link_fuzz::archive::run(bytes);
});
