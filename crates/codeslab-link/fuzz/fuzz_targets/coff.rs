//! COFF objects whose tables are tables, with anything in them: sections, symbols with auxiliary records, relocations, directives.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codeslab_link_fuzz::coff::run(bytes);
});
