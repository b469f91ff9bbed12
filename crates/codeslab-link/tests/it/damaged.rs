//! Objects and archives that were damaged: an image or a typed error, never a panic, and nothing is left behind.

use crate::support::{Workshop, file, memory};
use codeslab::CodeMemory;
use codeslab_link::{LinkOptions, link};
use proptest::prelude::*;
use std::sync::LazyLock;

const SOURCE: &str = "
    .section .text.shared, \"axG\", @progbits, shared, comdat
    .weak shared
    shared: .cfi_startproc
            ret
            .cfi_endproc
    .text
    .globl f
    f:  jmp *it@GOTPCREL(%rip)
        mov it@GOTPCREL(%rip), %r13
        call shared
        mov $it, %eax
    .data
    .globl it
    it: .quad f - .
        .2byte it - .
        .quad _GLOBAL_OFFSET_TABLE_ - .
    .comm pool, 64, 32
    .weak nobody
    .quad nobody
";

/// An object with most kinds of sections, symbols and relocations, and an archive of it.
static SEEDS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let workshop = Workshop::new();
    let object = workshop.assemble("object", SOURCE);
    workshop.assemble("user", ".data\n.globl user\nuser: .quad f\n");
    workshop.run("ar", &["rc", "archive.a", "object.o", "user.o"]);
    [object, workshop.read("archive.a")]
});

thread_local! {
    /// One for each test, because each counts what is left in it and tests may run side by side.
    static MEMORY: CodeMemory = memory();
}

/// Links in both ways in which an input can be used, and looks at what stays.
pub(crate) fn survive(bytes: &[u8]) {
    let inputs = [file("damaged", bytes)];
    let by_need = LinkOptions {
        roots: vec!["user".to_owned(), "f".to_owned()],
        ..LinkOptions::default()
    };
    let memory = MEMORY.with(CodeMemory::clone);
    for options in [&LinkOptions::default(), &by_need] {
        match link(&memory, &inputs, options) {
            Ok(image) => drop(image),
            Err(error) => assert!(!error.to_string().is_empty() && error.facts().len() < 16),
        }
        let stats = memory.stats();
        assert_eq!((stats.live, stats.in_flight, stats.used_bytes), (0, 0, 0));
    }
}

#[test]
fn the_seeds_are_sound() {
    for seed in &*SEEDS {
        let inputs = [file("seed", seed)];
        link(&memory(), &inputs, &LinkOptions::default()).expect("it links");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_may_be_anything(
        which in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = SEEDS[which].clone();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        survive(&bytes);
    }

    #[test]
    fn fields_may_be_extreme(
        which in 0..2_usize,
        at in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![0, 1, 0x7fff_ffff, 0x8000_0000, u64::MAX, u64::MAX - 7, 1 << 47]),
        size in prop::sample::select(vec![2_usize, 4, 8]),
    ) {
        let mut bytes = SEEDS[which].clone();
        let at = at.index(bytes.len() / size) * size;
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        survive(&bytes);
    }

    #[test]
    fn files_may_end_anywhere(which in 0..2_usize, end in any::<prop::sample::Index>()) {
        let bytes = &SEEDS[which];
        survive(&bytes[..end.index(bytes.len())]);
    }

    #[test]
    fn files_may_be_noise(which in 0..3_usize, noise in prop::collection::vec(any::<u8>(), 0..512)) {
        let magic: &[u8] = [&b""[..], b"\x7fELF\x02\x01\x01", b"!<arch>\n"][which];
        survive(&[magic, &noise].concat());
    }
}
