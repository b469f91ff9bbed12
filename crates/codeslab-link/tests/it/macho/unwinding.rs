//! What unwinds through code that was made for Apple's systems, most of which describes its frames in compact form alone.
//!
//! The unwinder and the C++ runtime are the process's; so are the types that are thrown. On x86-64 Clang writes DWARF's form beside the compact
//! one, so tests hide it; on 64-bit Arm it does so only for functions that the compact form has no number for.
#![allow(
    unsafe_code,
    reason = "what was linked is called, and the unwinder asked"
)]

use super::MACHINE;
use crate::support::{address, externals, fact, file, function, has_cpp, link, link_error, memory};
use crate::unwinding::{is_described, load_cpp_runtime};
use codeslab::Address;
use codeslab_link::{Image, LinkOptions};
use codeslab_testing::apple_object;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;

/// How the header of a section begins that holds an unwind table: names of section and segment, of 16 bytes each.
const TABLE: &[u8; 32] = b"__eh_frame\0\0\0\0\0\0__TEXT\0\0\0\0\0\0\0\0\0\0";

/// The object, less an unwind table that only repeats what the compact form says: the section counts as one for debuggers.
fn without_table(mut object: Vec<u8>) -> Vec<u8> {
    if cfg!(target_arch = "aarch64") {
        return object;
    }
    let at = object.windows(32).position(|window| window == TABLE);
    if let Some(at) = at {
        object[at + 16..at + 24].copy_from_slice(b"__DWARF\0");
    }
    object
}

/// The object that Clang makes of a source.
fn made(test: &str, kind: &str, source: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let flags = [&["-fno-stack-protector"], flags].concat();
    apple_object(test, MACHINE, kind, source, &flags)
}

const THROWS: &str = r#"
    struct Counted { int *at; Counted(int *at) : at(at) {} ~Counted() { ++*at; } };
    static int destroyed;
    extern "C" __attribute__((noinline)) int thrower(int n) {
      Counted counted(&destroyed);
      if (n > 3) throw n * 2;
      if (n < 0) throw 2.5;
      return n;
    }
    extern "C" int caught(int n) {
      try { return thrower(n); } catch (int value) { return 100 + value; } catch (double) { return -5; }
    }
    extern "C" int ended() { return destroyed; }
"#;

#[test]
fn cpp_throws_and_catches_where_the_process_has_its_runtime() {
    let test = "cpp_throws_and_catches_where_the_process_has_its_runtime";
    if !has_cpp(test) {
        return;
    }
    load_cpp_runtime();
    for flags in [&["-O0"][..], &["-O2"], &["-O2", "-fomit-frame-pointer"]] {
        let Some(object) = made(test, "cc", THROWS, flags) else {
            return;
        };
        for object in [object.clone(), without_table(object)] {
            let image = link(
                &memory(),
                &[file("throw.o", &object)],
                &LinkOptions::default(),
            );
            let image = image.unwrap_or_else(|error| panic!("{error}"));
            let caught = function!(image, "caught", extern "C" fn(i32) -> i32);
            let results = [2, 4, 21, -1].map(|n| caught(n));
            assert_eq!(results, [2, 108, 142, -5], "{flags:?}");
            let ended = function!(image, "ended", extern "C" fn() -> i32);
            assert_eq!(ended(), 4, "{flags:?}");
            let at = Address::new(address(&image, "caught"));
            assert!(is_described(at));
            image.free();
            assert!(!is_described(at), "what is freed is not described");
        }
    }
}

/// A function whose caller has values in all registers that it may keep there; those between it and the exception save them, each in a frame
/// of its own kind, and overwrite them.
const KEEPS: &str = r#"
    #if __aarch64__
    #define OVERWRITE asm volatile("mov x19, #1\n mov x20, #2\n mov x21, #3\n mov x22, #4\n mov x23, #5\n mov x24, #6\n" \
      "mov x25, #7\n mov x26, #8\n mov x27, #9\n mov x28, #10\n fmov d8, #1.0\n fmov d9, #2.0\n fmov d10, #3.0\n fmov d11, #4.0\n" \
      "fmov d12, #5.0\n fmov d13, #6.0\n fmov d14, #7.0\n fmov d15, #8.0" ::: "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", \
      "x27", "x28", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15")
    #define SOME asm volatile("mov x19, #1\n mov x20, #2\n fmov d8, #1.0\n fmov d9, #2.0" ::: "x19", "x20", "d8", "d9")
    #else
    #define OVERWRITE asm volatile("mov $1, %%rbx\n mov $2, %%r12\n mov $3, %%r13\n mov $4, %%r14\n mov $5, %%r15" \
      ::: "rbx", "r12", "r13", "r14", "r15")
    #define SOME asm volatile("mov $1, %%r14\n mov $2, %%rbx" ::: "r14", "rbx")
    #endif
    extern "C" void visit(int);
    extern "C" __attribute__((noinline)) void last(int n) { visit(n); OVERWRITE; if (n) throw n; }
    extern "C" __attribute__((noinline)) void some(int n) { SOME; last(n); SOME; }
    extern "C" __attribute__((noinline)) void plain(int n) { some(n); visit(-1); }
    extern "C" __attribute__((noinline)) void large(int n) {
      volatile char room[70000]; room[n] = 1; OVERWRITE; plain(n); room[0] = room[n]; OVERWRITE;
    }
    extern "C" __attribute__((noinline)) void all(int n) { OVERWRITE; large(n); OVERWRITE; }
    extern "C" long keeps(long a, long b, long c, double x, double y, int n) {
      long p = a * 3, q = b * 5, r = c * 7, s = a ^ c, t = b + n; double z = x * 2, w = y * 3, v = x - y;
      try { all(n); } catch (int value) { return p + q * 10 + r * 100 + s * 1000 + t * 10000 + value + (long)(z * 2 + w * 4 + v * 8); }
      return p + q + r + s + t + (long)(z + w + v);
    }
"#;

thread_local! {
    /// Where callers of what this thread visited last go on. Other tests may visit at the same time.
    static VISITED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: extern "C" fn(*mut c_void, *mut c_void) -> i32,
        to: *mut c_void,
    ) -> i32;
    fn _Unwind_GetIP(context: *mut c_void) -> u64;
}

/// Notes where a frame goes on; stops after enough of them.
extern "C" fn note(context: *mut c_void, to: *mut c_void) -> i32 {
    // SAFETY: the unwinder passed it, and waits.
    let at = unsafe { _Unwind_GetIP(context) };
    // SAFETY: it is the vector of `visit`, which waits for the unwinder.
    let all = unsafe { &mut *to.cast::<Vec<u64>>() };
    all.push(at);
    if all.len() < 64 { 0 } else { 5 }
}

extern "C" fn visit(n: i32) {
    if n >= 0 {
        let mut all: Vec<u64> = Vec::new();
        // SAFETY: the function takes what it is passed; the vector is there until this returns.
        unsafe { _Unwind_Backtrace(note, (&raw mut all).cast()) };
        VISITED.set(all);
    }
}

fn keeps(object: &[u8]) -> Image {
    let options = externals(&[("visit", visit as *const () as u64)]);
    let image = link(&memory(), &[file("keeps.o", object)], &options);
    image.unwrap_or_else(|error| panic!("{error}"))
}

/// Calls it, and gives where in each function its callee returned to.
fn call(image: &Image) -> BTreeMap<&'static str, u64> {
    let keeps = function!(
        image,
        "keeps",
        extern "C" fn(i64, i64, i64, f64, f64, i32) -> i64
    );
    let expected = 3
        + 20 * 5
        + 300 * 7
        + 2 * 1000
        + 9 * 10_000
        + 7
        + (4.0_f64 * 2.0 + 12.0 * 4.0 - 16.0) as i64;
    // 1 ^ 3 is 2, and 2 + 7 is 9.
    assert_eq!(keeps(1, 2, 3, 2.0, 4.0, 7), expected);
    let visited = VISITED.take();
    let mut names =
        ["last", "some", "plain", "large", "all", "keeps"].map(|name| (address(image, name), name));
    names.sort_unstable();
    let function = |at: u64| {
        let index = names
            .partition_point(|(start, _)| *start < at)
            .checked_sub(1)?;
        let (start, name) = names[index];
        (at - start < 4096).then_some((name, at - start))
    };
    let found: BTreeMap<_, _> = visited.iter().filter_map(|at| function(*at)).collect();
    assert_eq!(found.len(), 6, "{found:?} of {visited:x?}");
    assert!(visited.len() > 8, "unwinding goes on in this program");
    found
}

/// What kinds of frames there are: with and without a frame pointer, and of a size that does not fit a number.
const FRAMES: [&[&str]; 3] = [&["-O1"], &["-O2", "-fomit-frame-pointer"], &["-O0"]];

#[test]
fn what_callers_keep_in_registers_survives_exceptions_through_every_kind_of_frame() {
    let test = "what_callers_keep_in_registers_survives_exceptions_through_every_kind_of_frame";
    if !has_cpp(test) {
        return;
    }
    load_cpp_runtime();
    for flags in FRAMES {
        let Some(object) = made(test, "cc", KEEPS, flags) else {
            return;
        };
        let image = keeps(&without_table(object));
        call(&image);
    }
}

/// The rules that DWARF's form has for one place in a function: how the caller's stack pointer is found, and which register lies how far from it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Rules {
    base: (u64, u64),
    saved: BTreeMap<u64, i64>,
}

/// Bytes that are read from the front, wherever they lie.
struct Bytes(*const u8);

impl Bytes {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        // SAFETY: it reads no more than the table that the unwinder knows has.
        let bytes = unsafe { self.0.cast::<[u8; N]>().read_unaligned() };
        self.0 = self.0.wrapping_add(N);
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn number(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
}

/// The rules so many bytes into the function that begins there.
fn rules(function: u64, offset: u64) -> Rules {
    unsafe extern "C" {
        fn _Unwind_Find_FDE(code: *const u8, bases: *mut [usize; 3]) -> *const u8;
    }
    let code = std::ptr::without_provenance((function + offset - 1) as usize);
    // SAFETY: the unwinder compares the address and follows it nowhere; the bases have room.
    let description = unsafe { _Unwind_Find_FDE(code, &mut [0; 3]) };
    assert!(!description.is_null(), "it is described");
    let mut record = Bytes(description);
    let end = record.word() as usize;
    let end = record.0.wrapping_add(end);
    let id = record.0;
    let common = id.wrapping_sub(record.word() as usize);
    let mut first = Bytes(common);
    let common_end = first.word() as usize;
    let common_end = first.0.wrapping_add(common_end);
    first.take::<5>();
    while first.byte() != 0 {}
    let code_align = first.number();
    assert_eq!(first.byte(), 0x78, "offsets are in words downwards");
    first.byte();
    let data = first.number() as usize;
    first.0 = first.0.wrapping_add(data);
    record.take::<16>();
    let data = record.number() as usize;
    record.0 = record.0.wrapping_add(data);
    let mut rules = Rules::default();
    follow(&mut first, common_end, (u64::MAX, code_align), &mut rules);
    follow(&mut record, end, (offset, code_align), &mut rules);
    rules
}

/// Follows instructions up to a place.
fn follow(bytes: &mut Bytes, end: *const u8, (until, code_align): (u64, u64), rules: &mut Rules) {
    let mut at = 0;
    let mut kept = Vec::new();
    while bytes.0 < end && at < until {
        let code = bytes.byte();
        let low = u64::from(code & 0x3f);
        match (code >> 6, low) {
            (1, _) => at += low * code_align,
            (2, _) => {
                let words = bytes.number().cast_signed();
                rules.saved.insert(low, -8 * words);
            }
            (3, _) => {
                rules.saved.remove(&low);
            }
            (_, 0) => {}
            (_, 2) => at += u64::from(bytes.byte()) * code_align,
            (_, 3) => at += u64::from(u16::from_le_bytes(bytes.take())) * code_align,
            (_, 4) => at += u64::from(bytes.word()) * code_align,
            (_, 5) => {
                let (register, words) = (bytes.number(), bytes.number().cast_signed());
                rules.saved.insert(register, -8 * words);
            }
            (_, 0x0a) => kept.push(rules.clone()),
            (_, 0x0b) => *rules = kept.pop().expect("one was kept"),
            (_, 0x0c) => rules.base = (bytes.number(), bytes.number()),
            (_, 0x0d) => rules.base.0 = bytes.number(),
            (_, 0x0e) => rules.base.1 = bytes.number(),
            (_, 0x2e) => {
                bytes.number();
            }
            other => panic!("instruction {other:?}"),
        }
    }
}

/// Clang writes DWARF's form for functions that say something more to unwinders. Where calls return, that has the same rules.
#[test]
fn frames_are_described_as_clang_describes_them_where_calls_return() {
    let test = "frames_are_described_as_clang_describes_them_where_calls_return";
    if !has_cpp(test) {
        return;
    }
    load_cpp_runtime();
    let says_more = KEEPS.replace(
        "visit(n); OVERWRITE",
        "asm volatile(\".cfi_escape 0x2e, 0\"); visit(n); OVERWRITE",
    );
    let says_more = [
        "SOME; last(n);",
        "some(n); visit",
        "large(n); OVERWRITE",
        "plain(n); room",
        "try { all(n);",
    ]
    .into_iter()
    .fold(says_more, |source, call| {
        source.replace(
            call,
            &format!("asm volatile(\".cfi_escape 0x2e, 0\"); {call}"),
        )
    });
    for flags in FRAMES {
        let Some(compact) = made(test, "cc", KEEPS, flags) else {
            return;
        };
        let Some(table) = made(test, "cc", &says_more, flags) else {
            return;
        };
        let (ours, clangs) = (keeps(&without_table(compact)), keeps(&table));
        let (returns, same) = (call(&ours), call(&clangs));
        assert_eq!(returns, same, "the code is the same");
        for (name, offset) in returns {
            let [ours, clangs] = [&ours, &clangs].map(|image| rules(address(image, name), offset));
            assert_eq!(ours, clangs, "{name} {flags:?}");
            assert!(!ours.saved.is_empty());
        }
    }
}

#[test]
fn compact_information_that_contradicts_itself_is_refused() {
    let test = "compact_information_that_contradicts_itself_is_refused";
    let source = "int f(int *p) { return *p; }\nint g(int *p) { return f(p) + 1; }\n";
    let Some(object) = made(test, "c", source, &["-O1"]) else {
        return;
    };
    let object = without_table(object);
    let header = b"__compact_unwind__LD\0\0\0\0\0\0\0\0\0\0\0\0";
    let at = object.windows(32).position(|window| window == header);
    let at = at.expect("it has such a section");
    let word = |at: usize| u32::from_le_bytes(*object[at..].first_chunk().expect("it is there"));
    let (entries, relocations) = (word(at + 48) as usize, word(at + 56) as usize);
    let damaged = |place: usize, value: u32| {
        let mut object = object.clone();
        object[place..place + 4].copy_from_slice(&value.to_le_bytes());
        link_error(&[file("f.o", &object)], &LinkOptions::default())
    };
    // A mode that no machine has.
    let error = damaged(entries + 12, 0x0f00_0000);
    assert_eq!(error.code(), "UNSUPPORTED", "{error}");
    assert_eq!(fact(&error, "feature"), "compact-unwind", "{error}");
    for (what, place, value) in [
        ("longer than its section", entries + 8, 1 << 20),
        ("of no function", relocations, 8),
        (
            "of no address",
            relocations + 4,
            word(relocations + 4) & !(3 << 25),
        ),
        ("of no address", relocations, 1 << 20),
        ("ends within an entry", at + 40, word(at + 40) - 8),
    ] {
        let error = damaged(place, value);
        assert_eq!(error.code(), "MALFORMED", "{what}: {error}");
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
}
