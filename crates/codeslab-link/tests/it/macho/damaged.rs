//! Mach-O objects, archives and files for several machines that were damaged: an image or a typed error, never a panic, and nothing is left.

use super::archives::{archive, universal};
use super::assembled;
use crate::damaged::survive;
use crate::support::{file, memory};
use codeslab_link::{LinkOptions, link};
use proptest::prelude::*;
use std::sync::LazyLock;

const SOURCE: &str = "
    .text
    .globl _f
    _f: .cfi_startproc
        .cfi_def_cfa_offset 16
        jmp *_it@GOTPCREL(%rip)
        movq _it@GOTPCREL(%rip), %r13
        movl $7, _it(%rip)
        callq _f
        .cfi_endproc
    .globl _shared
    .weak_definition _shared
    _shared: ret
    .data
    .globl _it
    _it: .quad _f - .
        .quad _f - _pool_size
        .long _it - _f
        .quad l_there
    .section __TEXT,__const
    _pool_size: .quad 64
    l_there: .quad 5
    .section __LD,__compact_unwind,regular,debug
        .p2align 3
        .quad _shared
        .long 1, 0x42010000
        .quad _shared, l_there
    .section __DATA,__mod_init_func,mod_init_funcs
    .zerofill __DATA,__bss,_zeros,64,4
    .comm _pool, 64, 5
    .weak_reference _nobody
    .data
    .quad _nobody
";

/// An object with most kinds of sections, symbols and relocations, an archive of it, and a file in which it is for one machine of two.
static SEEDS: LazyLock<Option<[Vec<u8>; 3]>> = LazyLock::new(|| {
    let test = "bytes_may_be_anything";
    let object = assembled(test, SOURCE)?;
    let user = assembled(test, ".data\n.globl _user\n_user: .quad _f\n")?;
    let members: [(&str, &[u8], &[&str]); 2] = [
        ("object.o", &object, &["_f"]),
        ("user.o", &user, &["_user"]),
    ];
    let archive = archive(&members);
    let universal = universal(&[(0x0100_000c, 0, &user), (0x0100_0007, 3, &object)]);
    Some([object, archive, universal])
});

#[test]
fn the_seeds_are_sound() {
    for seed in SEEDS.iter().flatten() {
        let inputs = [file("seed", seed)];
        link(&memory(), &inputs, &LinkOptions::default()).expect("it links");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_may_be_anything(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for seeds in SEEDS.iter() {
            let mut bytes = seeds[which].clone();
            for (index, value) in &changes {
                let at = index.index(bytes.len());
                bytes[at] = *value;
            }
            survive(&bytes);
        }
    }

    #[test]
    fn fields_may_be_extreme(
        which in 0..3_usize,
        at in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![0, 1, 0x7fff_ffff, 0x8000_0000, u64::MAX, u64::MAX - 7, 1 << 47]),
        size in prop::sample::select(vec![2_usize, 4, 8]),
    ) {
        for seeds in SEEDS.iter() {
            let mut bytes = seeds[which].clone();
            let at = at.index(bytes.len() / size) * size;
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
            survive(&bytes);
        }
    }

    #[test]
    fn files_may_end_anywhere(which in 0..3_usize, end in any::<prop::sample::Index>()) {
        for seeds in SEEDS.iter() {
            let bytes = &seeds[which];
            survive(&bytes[..end.index(bytes.len())]);
        }
    }

    #[test]
    fn files_may_be_noise(which in 0..3_usize, noise in prop::collection::vec(any::<u8>(), 0..512)) {
        let starts: [&[u8]; 3] = [
            b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x01\0\0\0",
            b"\xca\xfe\xba\xbe\0\0\0\x02",
            b"\xca\xfe\xba\xbf\0\0\0\x02",
        ];
        survive(&[starts[which], &noise].concat());
    }
}
