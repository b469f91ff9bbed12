//! What JavaScript hands over: graphs in the format of the Node module, and names of types for signatures.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codeslab_link_fuzz::encoders::run(bytes);
});
