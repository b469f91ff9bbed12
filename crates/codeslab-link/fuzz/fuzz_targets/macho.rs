//! Mach-O objects whose tables are tables, with anything in them: sections, symbols, relocations in pairs and alone, and files for several
//! machines.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codeslab_link_fuzz::macho::run(bytes);
});
