//! Archives: whole, by need, in each format.

use crate::support::{function, link_files, memory, system_archive};

type Checksum = extern "C" fn(u64, *const u8, u32) -> u64;

#[test]
fn zlib_is_linked_whole_and_computes() {
    let bytes = system_archive("libz.a", "zlib1g-dev");
    let memory = memory();
    let image = link_files(&memory, &[("libz.a", &bytes)]);
    let crc32 = function!(image, "crc32", Checksum);
    let adler32 = function!(image, "adler32", Checksum);
    assert_eq!(crc32(0, b"123456789".as_ptr(), 9), 0xcbf4_3926);
    assert_eq!(adler32(1, b"Wikipedia".as_ptr(), 9), 0x11e6_0398);
}
