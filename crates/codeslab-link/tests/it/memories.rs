//! The same objects in every kind of memory: whatever writer, block size and thread, the code computes the same.

use crate::support::{Workshop, file, function, link, link_files, zlib};
use codeslab::{CodeMemory, Options};
use codeslab_link::LinkOptions;

type Checksum = extern "C" fn(u64, *const u8, u32) -> u64;

#[test]
fn every_writer_that_works_here_links_zlib() {
    let bytes = zlib();
    let capabilities = codeslab::capabilities().expect("this platform is supported");
    let writers = capabilities.writers.iter();
    let working: Vec<_> = writers
        .filter(|status| status.unavailable.is_none())
        .collect();
    assert!(!working.is_empty());
    for status in working {
        let options = Options {
            writer: Some(status.writer),
            ..Options::default()
        };
        let memory = CodeMemory::new(options).expect("its probe succeeded");
        for _ in 0..3 {
            let image = link_files(&memory, &[("libz.a", &bytes)]);
            let crc32 = function!(image, "crc32", Checksum);
            assert_eq!(
                crc32(0, b"123456789".as_ptr(), 9),
                0xcbf4_3926,
                "{}",
                status.writer
            );
        }
        assert_eq!(memory.stats().used_bytes, 0, "{}", status.writer);
    }
}

#[test]
fn an_archive_larger_than_a_block_is_linked() {
    let bytes = zlib();
    let options = Options {
        block_size: Some(16 << 10),
        ..Options::default()
    };
    let memory = CodeMemory::new(options).expect("four pages are enough");
    let image = link_files(&memory, &[("libz.a", &bytes)]);
    let crc32 = function!(image, "crc32", Checksum);
    assert_eq!(crc32(0, b"123456789".as_ptr(), 9), 0xcbf4_3926);
}

#[test]
fn threads_link_call_and_free_in_one_memory() {
    const SOURCE: &str =
        "static int state = 5; extern int other(int); int f(int n) { return other(n) + state++; }";
    let workshop = Workshop::new();
    let one = workshop.compile("one", SOURCE, &["-O2", "-fPIC"]);
    let two = workshop.compile("two", "int other(int n) { return n * 3; }", &["-O2"]);
    let memory = crate::support::memory();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (memory, one, two) = (&memory, &one, &two);
            scope.spawn(move || {
                for round in 0..200 {
                    let image = link_files(memory, &[("one.o", one), ("two.o", two)]);
                    let f = function!(image, "f", extern "C" fn(i32) -> i32);
                    let n = thread * 1000 + round;
                    assert_eq!((f(n), f(n)), (n * 3 + 5, n * 3 + 6));
                }
            });
        }
    });
    let stats = memory.stats();
    assert_eq!((stats.live, stats.in_flight, stats.used_bytes), (0, 0, 0));
}

#[test]
fn bytes_may_lie_at_any_address() {
    let object = Workshop::new().compile("one", "int f(void) { return 6; }", &["-O2"]);
    let memory = crate::support::memory();
    for shift in 0..8 {
        let shifted = [vec![0; shift], object.clone()].concat();
        let inputs = [file("one.o", &shifted[shift..])];
        let image = link(&memory, &inputs, &LinkOptions::default()).expect("it links");
        assert_eq!(
            function!(image, "f", extern "C" fn() -> i32)(),
            6,
            "{shift}"
        );
    }
}

#[test]
fn objects_may_have_more_sections_than_16_bits_count() {
    const COUNT: usize = 66_000;
    let functions =
        (0..COUNT).map(|n| format!(".section .text.f{n}, \"ax\"\nmov ${n}, %eax\nret\n"));
    let source = functions.collect::<String>() + ".globl last\nlast: jmp .text.f65999\n";
    let object = Workshop::new().assemble("many", &source);
    let image = link_files(&crate::support::memory(), &[("many.o", &object)]);
    assert_eq!(
        function!(image, "last", extern "C" fn() -> usize)(),
        COUNT - 1
    );
}
