//! Inputs that are parsed once and linked again and again.

use crate::support::{Workshop, address, file, function, link, link_error, memory, peek_u64, zlib};
use codeslab_link::{Image, Input, LinkOptions, ParsedFile};

type Checksum = unsafe extern "C" fn(u64, *const u8, u32) -> u64;

fn parts(workshop: &Workshop) -> Vec<u8> {
    for (name, source) in [
        ("one", ".data\n.globl one\none: .quad 1, two\n"),
        ("two", ".data\n.globl two\ntwo: .quad 2\n"),
        ("other", ".data\n.globl other\nother: .quad 3\n"),
    ] {
        workshop.assemble(name, source);
    }
    workshop.run("ar", &["rcs", "parts.a", "one.o", "two.o", "other.o"]);
    workshop.read("parts.a")
}

fn names(image: &Image) -> Vec<&str> {
    image.symbols().map(|symbol| symbol.name.as_str()).collect()
}

#[test]
fn what_was_parsed_outlives_its_bytes_and_links_as_they_do() {
    let bytes = zlib();
    let parsed = ParsedFile::parse("libz.a", &bytes).expect("zlib is an archive");
    let memory = memory();
    let options = LinkOptions::default();
    let whole = link(&memory, &[file("libz.a", &bytes)], &options).expect("zlib links");
    drop(bytes);
    for _ in 0..3 {
        let image = link(&memory, &[Input::Parsed(&parsed)], &options).expect("zlib links");
        assert_eq!(names(&image), names(&whole));
        let crc32 = function!(image, "crc32", Checksum);
        #[allow(unsafe_code, reason = "calling what was linked is the point")]
        // SAFETY: the bytes are nine, and zlib reads no more.
        let sum = unsafe { crc32(0, b"123456789".as_ptr(), 9) };
        assert_eq!(sum, 0xcbf4_3926);
    }
}

#[test]
fn a_parsed_archive_gives_roots_and_others_what_they_need_with_an_index_and_without() {
    let workshop = Workshop::new();
    let indexed = parts(&workshop);
    workshop.run("ar", &["rcS", "bare.a", "one.o", "two.o", "other.o"]);
    let user = workshop.assemble("user", ".data\n.globl p\np: .quad one\n");
    for bytes in [indexed, workshop.read("bare.a")] {
        let parsed = ParsedFile::parse("parts.a", &bytes).expect("it is an archive");
        let rooted = LinkOptions {
            roots: vec!["one".to_owned()],
            ..LinkOptions::default()
        };
        let image = link(&memory(), &[Input::Parsed(&parsed)], &rooted).expect("it is there");
        assert_eq!(names(&image), ["one", "two"]);
        let library = LinkOptions {
            libraries: vec![Input::Parsed(&parsed)],
            ..LinkOptions::default()
        };
        let image = link(&memory(), &[file("user.o", &user)], &library).expect("it is there");
        assert_eq!(names(&image), ["one", "p", "two"]);
        assert_eq!(peek_u64(peek_u64(address(&image, "p"))), 1);
    }
}

#[test]
fn a_parsed_object_is_an_input_and_a_library() {
    let object = Workshop::new().assemble("it", ".data\n.globl it\nit: .quad 7\n");
    let parsed = ParsedFile::parse("it.o", &object).expect("it is an object");
    assert_eq!(parsed.size(), (object.len() + 4) as u64);
    let image = link(
        &memory(),
        &[Input::Parsed(&parsed)],
        &LinkOptions::default(),
    );
    let image = image.expect("it links");
    assert_eq!(peek_u64(address(&image, "it")), 7);
    assert_eq!(&*image.symbol("it").expect("it").object, "it.o");
}

#[test]
fn a_member_that_cannot_be_read_is_an_error_of_the_links_that_take_it() {
    let workshop = Workshop::new();
    parts(&workshop);
    std::fs::write(workshop.path("text"), "no object").expect("the folder is writable");
    workshop.run("ar", &["rcs", "mixed.a", "two.o", "text"]);
    let parsed = ParsedFile::parse("mixed.a", &workshop.read("mixed.a")).expect("an archive");
    let rooted = LinkOptions {
        roots: vec!["two".to_owned()],
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[Input::Parsed(&parsed)], &rooted).expect("text is not needed");
    assert_eq!(names(&image), ["two"]);
    let error = link_error(&[Input::Parsed(&parsed)], &LinkOptions::default());
    assert!(error.to_string().contains("neither an object"), "{error}");
}
