//! Archives: whole, by need, in each format.

use crate::support::{
    Workshop, address, built, debian_archive, externals, fact, file, function, link, link_error,
    link_files, memory, peek_u64, zlib,
};
use codeslab_link::{Image, LinkOptions};
use codeslab_testing::{Compiler, Library};

type Checksum = extern "C" fn(u64, *const u8, u32) -> u64;

fn check_crc32(image: &Image) {
    let crc32 = function!(image, "crc32", Checksum);
    assert_eq!(crc32(0, b"123456789".as_ptr(), 9), 0xcbf4_3926);
}

/// Checksums, and a mebibyte through `compress` and back.
fn use_zlib(image: &Image) {
    type Transform = extern "C" fn(*mut u8, *mut u64, *const u8, u64) -> i32;
    check_crc32(image);
    let adler32 = function!(image, "adler32", Checksum);
    assert_eq!(adler32(1, b"Wikipedia".as_ptr(), 9), 0x11e6_0398);
    let original: Vec<u8> = (0..1 << 20)
        .map(|i: u32| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let mut packed = vec![0; original.len() + 4096];
    let mut packed_size = packed.len() as u64;
    let compress = function!(image, "compress", Transform);
    let status = compress(
        packed.as_mut_ptr(),
        &raw mut packed_size,
        original.as_ptr(),
        original.len() as u64,
    );
    assert_eq!(status, 0);
    assert!(packed_size < original.len() as u64);
    let mut unpacked = vec![0; original.len()];
    let mut unpacked_size = unpacked.len() as u64;
    let uncompress = function!(image, "uncompress", Transform);
    let status = uncompress(
        unpacked.as_mut_ptr(),
        &raw mut unpacked_size,
        packed.as_ptr(),
        packed_size,
    );
    assert_eq!((status, unpacked_size), (0, original.len() as u64));
    assert!(unpacked == original);
}

/// A hundred kilobytes through `ZSTD_compress` and back.
fn use_zstd(image: &Image) {
    let compress = function!(
        image,
        "ZSTD_compress",
        extern "C" fn(*mut u8, usize, *const u8, usize, i32) -> usize
    );
    let decompress = function!(
        image,
        "ZSTD_decompress",
        extern "C" fn(*mut u8, usize, *const u8, usize) -> usize
    );
    let original: Vec<u8> = (0..100_000_u32).map(|i| (i / 300) as u8).collect();
    let mut packed = vec![0; original.len() + 4096];
    let size = compress(
        packed.as_mut_ptr(),
        packed.len(),
        original.as_ptr(),
        original.len(),
        3,
    );
    assert!(size < original.len() / 10, "{size}");
    let mut unpacked = vec![0; original.len()];
    let count = decompress(unpacked.as_mut_ptr(), unpacked.len(), packed.as_ptr(), size);
    assert!(count == original.len() && unpacked == original);
}

#[test]
fn zlib_is_linked_whole_and_round_trips() {
    use_zlib(&link_files(&memory(), &[("libz.a", &zlib())]));
}

#[test]
fn zlib_computes_the_same_whichever_executable_it_was_compiled_for() {
    for flags in [["-O1", "-fPIC"], ["-O1", "-fno-pic"]] {
        let bytes = built(Library::Zlib, &Compiler::new("cc", &flags));
        use_zlib(&link_files(&memory(), &[("libz.a", &bytes)]));
    }
}

#[test]
fn zlib_as_debian_builds_it_is_linked_whole_and_round_trips() {
    const NAME: &str = "archives::zlib_as_debian_builds_it_is_linked_whole_and_round_trips";
    if let Some(bytes) = debian_archive(NAME, "libz.a", "zlib1g-dev") {
        use_zlib(&link_files(&memory(), &[("libz.a", &bytes)]));
    }
}

#[test]
fn roots_take_only_the_members_that_they_need() {
    let bytes = zlib();
    let memory = memory();
    let inputs = [file("libz.a", &bytes)];
    let options = LinkOptions {
        roots: vec!["crc32".to_owned()],
        ..LinkOptions::default()
    };
    let image = link(&memory, &inputs, &options).expect("it links");
    check_crc32(&image);
    assert_eq!(image.address("deflate"), None);
    let objects = image.symbols().map(|symbol| &*symbol.object);
    assert!(
        objects
            .into_iter()
            .all(|object| object == "libz.a(crc32.o)")
    );
}

#[test]
fn gmp_is_linked_whole_and_multiplies() {
    type Multiply = extern "C" fn(*mut u64, *const u64, *const u64, i64);
    const NAME: &str = "archives::gmp_is_linked_whole_and_multiplies";
    // Most of it is written in assembler, and its build takes more than a C compiler.
    let Some(bytes) = debian_archive(NAME, "libgmp.a", "libgmp-dev") else {
        return;
    };
    let image = link_files(&memory(), &[("libgmp.a", &bytes)]);
    let multiply = function!(image, "__gmpn_mul_n", Multiply);
    let mut product = [0; 4];
    multiply(
        product.as_mut_ptr(),
        [u64::MAX, 1].as_ptr(),
        [3, 0].as_ptr(),
        2,
    );
    assert_eq!(product, [u64::MAX - 2, 5, 0, 0]);
}

#[test]
fn zstd_is_linked_whole_and_round_trips() {
    let bytes = built(Library::Zstd, &Compiler::host());
    use_zstd(&link_files(&memory(), &[("libzstd.a", &bytes)]));
}

#[test]
fn zstd_as_debian_builds_it_is_linked_whole_and_round_trips() {
    const NAME: &str = "archives::zstd_as_debian_builds_it_is_linked_whole_and_round_trips";
    if let Some(bytes) = debian_archive(NAME, "libzstd.a", "libzstd-dev") {
        use_zstd(&link_files(&memory(), &[("libzstd.a", &bytes)]));
    }
}

/// `top` needs `middle`, which needs `bottom`; `unused` needs something that does not exist.
fn chain(workshop: &Workshop) {
    let pointer = |name: &str, to: &str| format!(".data\n.globl {name}\n{name}: .quad {to}\n");
    workshop.assemble("top", &pointer("top", "middle"));
    workshop.assemble(
        "middle_member_with_a_long_name",
        &pointer("middle", "bottom"),
    );
    workshop.assemble("bottom", &pointer("bottom", "bottom"));
    workshop.assemble("unused", &pointer("unused", "missing"));
}

const MEMBERS: [&str; 3] = ["middle_member_with_a_long_name.o", "bottom.o", "unused.o"];

#[test]
fn libraries_are_pulled_in_on_demand_through_each_format() {
    let workshop = Workshop::new();
    chain(&workshop);
    workshop.run("ar", &[&["rc", "gnu.a"], &MEMBERS[..]].concat());
    workshop.run("ar", &[&["rcS", "bare.a"], &MEMBERS[..]].concat());
    let bsd = bsd_archive(&workshop);
    let top = workshop.read("top.o");
    for (name, bytes) in [
        ("gnu.a", workshop.read("gnu.a")),
        ("bare.a", workshop.read("bare.a")),
        ("bsd.a", bsd),
    ] {
        let options = LinkOptions {
            libraries: vec![file(name, &bytes)],
            ..LinkOptions::default()
        };
        let memory = memory();
        let image = link(&memory, &[file("top.o", &top)], &options)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let at = |symbol| address(&image, symbol);
        assert_eq!(peek_u64(at("top")), at("middle"), "{name}");
        assert_eq!(peek_u64(at("middle")), at("bottom"), "{name}");
        assert_eq!(image.address("unused"), None, "{name}");
        let object = &image.symbol("middle").expect("middle").object;
        assert_eq!(**object, format!("{name}({})", MEMBERS[0]));
    }
}

#[test]
fn an_archive_given_as_input_is_linked_whole() {
    let workshop = Workshop::new();
    chain(&workshop);
    workshop.run("ar", &[&["rc", "all.a"], &MEMBERS[..]].concat());
    let bytes = workshop.read("all.a");
    let inputs = [file("all.a", &bytes)];
    let error = link_error(&inputs, &LinkOptions::default());
    assert_eq!(
        (error.code(), fact(&error, "symbol").as_str()),
        ("UNDEFINED_SYMBOL", "missing")
    );
    assert_eq!(fact(&error, "object"), "all.a(unused.o)");
    let memory = memory();
    let image = link(&memory, &inputs, &externals(&[("missing", 9)])).expect("it links");
    assert_eq!(peek_u64(address(&image, "unused")), 9);
}

#[test]
fn a_symbol_of_the_embedder_pulls_no_member_in() {
    let workshop = Workshop::new();
    chain(&workshop);
    workshop.run("ar", &[&["rc", "all.a"], &MEMBERS[..]].concat());
    let (top, bytes) = (workshop.read("top.o"), workshop.read("all.a"));
    let options = LinkOptions {
        libraries: vec![file("all.a", &bytes)],
        ..externals(&[("middle", 77)])
    };
    let memory = memory();
    let image = link(&memory, &[file("top.o", &top)], &options).expect("it links");
    assert_eq!(peek_u64(address(&image, "top")), 77);
    assert_eq!(image.address("bottom"), None);
}

#[test]
fn a_root_without_a_definition_is_an_error() {
    let workshop = Workshop::new();
    chain(&workshop);
    workshop.run("ar", &["rc", "all.a", "bottom.o"]);
    let bytes = workshop.read("all.a");
    let options = LinkOptions {
        roots: vec![
            "bottom".to_owned(),
            "nobody".to_owned(),
            "strlen".to_owned(),
        ],
        ..LinkOptions::default()
    };
    let error = link_error(&[file("all.a", &bytes)], &options);
    assert_eq!(
        error.to_string(),
        "undefined symbol nobody (and 1 more: strlen)"
    );
}

#[test]
fn a_member_that_is_no_object_is_named() {
    let workshop = Workshop::new();
    std::fs::write(workshop.path("notes.txt"), "hello").expect("writable");
    workshop.run("ar", &["rc", "odd.a", "notes.txt"]);
    let bytes = workshop.read("odd.a");
    let error = link_error(&[file("odd.a", &bytes)], &LinkOptions::default());
    assert_eq!(
        (error.code(), fact(&error, "object").as_str()),
        ("UNKNOWN_FORMAT", "odd.a(notes.txt)")
    );
}

#[test]
fn an_index_that_points_nowhere_is_malformed() {
    let workshop = Workshop::new();
    chain(&workshop);
    workshop.run("ar", &["rc", "all.a", "bottom.o"]);
    let mut bytes = workshop.read("all.a");
    // Magic, a member header, the count; then the big-endian offset of the first symbol's member.
    bytes[8 + 60 + 4..][..4].copy_from_slice(&0x7fff_fff0_u32.to_be_bytes());
    let options = LinkOptions {
        roots: vec!["bottom".to_owned()],
        ..LinkOptions::default()
    };
    let error = link_error(&[file("all.a", &bytes)], &options);
    assert_eq!(
        (error.code(), fact(&error, "object").as_str()),
        ("MALFORMED", "all.a")
    );
}

/// An archive as BSD's `ar` writes it, which Debian's does not: names before the contents, and an index of its own.
fn bsd_archive(workshop: &Workshop) -> Vec<u8> {
    let symbols = ["middle", "bottom", "unused"];
    let mut names = Vec::new();
    let mut ranges = Vec::new();
    let index_size =
        4 + 8 * symbols.len() + 4 + symbols.iter().map(|name| name.len() + 1).sum::<usize>();
    let mut offset = 8 + 60 + 20 + index_size.next_multiple_of(2);
    let mut members = Vec::new();
    for (symbol, file) in symbols.iter().zip(MEMBERS) {
        ranges.extend(
            [names.len() as u32, offset as u32]
                .map(u32::to_le_bytes)
                .concat(),
        );
        names.extend(symbol.bytes().chain([0]));
        let member = bsd_member(file, &workshop.read(file));
        offset += member.len();
        members.extend(member);
    }
    let sized = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
    let index = [sized(&ranges), sized(&names)].concat();
    [
        b"!<arch>\n".to_vec(),
        bsd_member("__.SYMDEF", &index),
        members,
    ]
    .concat()
}

fn bsd_member(name: &str, content: &[u8]) -> Vec<u8> {
    let name_size = name.len().next_multiple_of(4).max(20);
    let size = name_size + content.len();
    let header = format!(
        "{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
        format!("#1/{name_size}"),
        0,
        0,
        0,
        644
    );
    let mut member = header.into_bytes();
    member.extend(name.bytes().chain(std::iter::repeat(0)).take(name_size));
    member.extend(content);
    member.resize(member.len().next_multiple_of(2), b'\n');
    member
}
