//! Any bytes, linked as an object or archive.
#![no_main]

use codeslab_link_fuzz::check_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_file(bytes));
