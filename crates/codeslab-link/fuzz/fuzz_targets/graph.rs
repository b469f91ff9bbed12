//! Graphs as an assembler could build them, right or wrong, one or two to a link.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codeslab_link_fuzz::graph::run(bytes);
});
