//! Weak externals with every kind of search, and names that stand for others.

use super::{CLANG, assembled, compiled};
use crate::support::{address, file, function, link, memory, peek_u64};
use codeslab_link::{Error, Image, Input, LinkOptions, ParsedFile};

/// Searches no library, a library, and is an alias: `IMAGE_WEAK_EXTERN_SEARCH_…`.
const SEARCHES: [u32; 3] = [1, 2, 3];

/// An object whose weak external stands for `default`, with a kind of search.
fn weak(test: &str, default: &str, search: u32) -> Option<Vec<u8>> {
    let source =
        format!(".data\n.globl pointer\npointer: .quad chosen\n.weak chosen\nchosen = {default}\n");
    let mut object = assembled(test, &source)?;
    let mut entries = object.windows(36);
    let found = entries.position(|entry| entry[16] == 0x69 && entry[17] == 1);
    let symbol = found.expect("a weak external");
    // The record behind it has the number of the default and then the kind, which is 3 in what LLVM's assembler writes.
    let kind = symbol + 18 + 4;
    assert_eq!(object[kind], 3);
    object[kind..kind + 4].copy_from_slice(&search.to_le_bytes());
    // It also lets a field refer to the default at once. It shall refer to the weak external.
    let table = u32::from_le_bytes(*object[8..].first_chunk().expect("a header"));
    let number = ((symbol as u32) - table) / 18;
    let mut entries = object.windows(10);
    let field = entries.position(|entry| entry[..4] == [0; 4] && entry[8..] == [1, 0]);
    let field = field.expect("there is one relocation") + 4;
    object[field..field + 4].copy_from_slice(&number.to_le_bytes());
    Some(object)
}

fn linked(inputs: &[(&str, &[u8])], libraries: &[Input<'_>]) -> Result<Image, Error> {
    let inputs: Vec<Input<'_>> = inputs
        .iter()
        .map(|(name, bytes)| file(name, bytes))
        .collect();
    let options = LinkOptions {
        libraries: libraries.to_vec(),
        ..LinkOptions::default()
    };
    link(&memory(), &inputs, &options)
}

fn pointer(image: &Image) -> u64 {
    peek_u64(address(image, "pointer"))
}

#[test]
fn a_weak_external_stands_for_its_default_until_something_defines_it() {
    let test = "a_weak_external_stands_for_its_default_until_something_defines_it";
    let definition =
        ".data\n.globl default_one, chosen_one\ndefault_one: .quad 1\nchosen_one: .quad 2\n";
    let Some(definition) = assembled(test, definition) else {
        return;
    };
    let Some(strong) = assembled(test, ".data\n.globl chosen\n.quad 0\nchosen: .quad 3\n") else {
        return;
    };
    for search in SEARCHES {
        let Some(weak) = weak(test, "default_one", search) else {
            return;
        };
        let image = linked(&[("w.obj", &weak), ("d.obj", &definition)], &[]).expect("it links");
        assert_eq!(pointer(&image), address(&image, "default_one"), "{search}");
        let all = [
            ("w.obj", &*weak),
            ("d.obj", &definition),
            ("s.obj", &strong),
        ];
        let image = linked(&all, &[]).expect("it links");
        assert_eq!(pointer(&image), address(&image, "chosen"), "{search}");
        // A library is looked through for it only if the search says so.
        let all = [("w.obj", &*weak), ("d.obj", &definition)];
        let image = linked(&all, &[file("s.obj", &strong)]).expect("it links");
        let expected = if search == 2 { "chosen" } else { "default_one" };
        assert_eq!(pointer(&image), address(&image, expected), "{search}");
        // And for the default in any case.
        let image = linked(&all[..1], &[file("d.obj", &definition)]).expect("it links");
        assert_eq!(pointer(&image), address(&image, "default_one"), "{search}");
        // Without either it is undefined.
        let error = linked(&all[..1], &[]).expect_err("nothing defines it");
        assert_eq!(error.code(), "UNDEFINED_SYMBOL", "{search}: {error}");
    }
}

#[test]
fn what_was_parsed_before_stands_for_the_same() {
    let test = "what_was_parsed_before_stands_for_the_same";
    let definition = ".data\n.globl default_one\n.quad 0\ndefault_one: .quad 1\n";
    let Some(definition) = assembled(test, definition) else {
        return;
    };
    let by_name = "
        .data
        .globl pointer
        pointer: .quad chosen
        .section .drectve,\"yn\"
        .ascii \" /alternatename:chosen=default_one\"
    ";
    let by_name = assembled(test, by_name).expect("there is an assembler");
    let by_symbol = weak(test, "default_one", 3).expect("there is an assembler");
    for object in [by_name, by_symbol] {
        let parse = |bytes: &[u8]| ParsedFile::parse("it.obj", bytes).expect("it is an object");
        let [object, definition] = [&object, &definition].map(|bytes| parse(bytes));
        let inputs = [Input::Parsed(&object), Input::Parsed(&definition)];
        for _ in 0..2 {
            let image = link(&memory(), &inputs, &LinkOptions::default()).expect("it links");
            assert_eq!(pointer(&image), address(&image, "default_one"));
        }
    }
}

#[test]
fn a_weak_reference_is_null_and_a_weak_definition_gives_way() {
    let test = "a_weak_reference_is_null_and_a_weak_definition_gives_way";
    let source = "
        __attribute__((weak)) extern int nobody;
        __attribute__((weak)) int both(void) { return 1; }
        int *address_of(void) { return &nobody; }
        int call_both(void) { return both(); }
    ";
    let Some(weak) = compiled(test, CLANG, "c", source, &["-O1"]) else {
        return;
    };
    let Some(strong) = compiled(test, CLANG, "c", "int both(void) { return 2; }", &["-O1"]) else {
        return;
    };
    let image = linked(&[("w.obj", &weak)], &[]).expect("it links");
    assert_eq!(
        function!(image, "address_of", extern "win64" fn() -> u64)(),
        0
    );
    assert_eq!(
        function!(image, "call_both", extern "win64" fn() -> u32)(),
        1
    );
    for all in [
        [("w.obj", &*weak), ("s.obj", &*strong)],
        [("s.obj", &strong), ("w.obj", &weak)],
    ] {
        let image = linked(&all, &[]).expect("it links");
        assert_eq!(
            function!(image, "call_both", extern "win64" fn() -> u32)(),
            2
        );
    }
}

#[test]
fn alternate_names_stand_in_along_a_chain_and_a_circle_is_undefined() {
    let test = "alternate_names_stand_in_along_a_chain_and_a_circle_is_undefined";
    let chain = "
        .data
        .globl pointer
        pointer: .quad a
        .section .drectve,\"yn\"
        .ascii \" /alternatename:a=b /alternatename:b=c /alternatename:unused=nothing\"
    ";
    let Some(chain) = assembled(test, chain) else {
        return;
    };
    let Some(end) = assembled(test, ".data\n.globl c\n.quad 0\nc: .quad 5\n") else {
        return;
    };
    let image = linked(&[("chain.obj", &chain), ("c.obj", &end)], &[]).expect("it links");
    assert_eq!(pointer(&image), address(&image, "c"));
    let image = linked(&[("chain.obj", &chain)], &[file("c.obj", &end)]).expect("it links");
    assert_eq!(pointer(&image), address(&image, "c"));
    let circle = ".data\n.quad a\n.section .drectve,\"yn\"\n.ascii \"/alternatename:a=b /alternatename:b=a\"\n";
    let Some(circle) = assembled(test, circle) else {
        return;
    };
    let error = linked(&[("circle.obj", &circle)], &[]).expect_err("it is undefined");
    assert_eq!(error.code(), "UNDEFINED_SYMBOL", "{error}");
}
