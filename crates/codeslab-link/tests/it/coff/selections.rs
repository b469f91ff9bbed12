//! COMDAT sections: which of several a link takes.

use super::assembled;
#[cfg(unix)]
use crate::support::Workshop;
use crate::support::{address, file, link, memory, peek};
use codeslab_link::{Error, Image, Input, LinkOptions, ParsedFile};

/// An object with the COMDAT section of `it`, which begins with a byte and has so many, and with a section that goes with it.
fn object(test: &str, selection: &str, byte: u8, size: usize) -> Option<Vec<u8>> {
    let rest = size - 1;
    assembled(
        test,
        &format!(
            "
            .section .rdata,\"dr\",{selection},it
            .globl it
            it: .byte {byte}
            .fill {rest}, 1, 0xee
            .section .rdata$with,\"dr\",associative,it
            .byte {byte}
            .section .data,\"dw\"
            .globl own{byte}
            own{byte}: .quad it
            "
        ),
    )
}

/// All of them, as an assembler calls them: the last one takes no second section.
const SELECTIONS: [&str; 6] = [
    "discard",
    "same_size",
    "same_contents",
    "largest",
    "newest",
    "one_only",
];

fn both(first: &[u8], second: &[u8]) -> Result<Image, Error> {
    let inputs: [Input<'_>; 2] = [file("first.obj", first), file("second.obj", second)];
    link(&memory(), &inputs, &LinkOptions::default())
}

/// What begins at `it`, and that all references lead there.
fn chosen(image: &Image) -> u8 {
    let at = address(image, "it");
    for owner in ["own1", "own2"] {
        let pointer = u64::from_le_bytes(peek(address(image, owner)));
        assert_eq!(pointer, at, "{owner}");
    }
    peek::<1>(at)[0]
}

#[test]
fn of_any_the_first_is_taken_and_no_duplicates_means_an_error() {
    let test = "of_any_the_first_is_taken_and_no_duplicates_means_an_error";
    let Some(first) = object(test, "discard", 1, 4) else {
        return;
    };
    let second = object(test, "discard", 2, 8).expect("there is an assembler");
    assert_eq!(chosen(&both(&first, &second).expect("it links")), 1);
    assert_eq!(chosen(&both(&second, &first).expect("it links")), 2);
    let [first, second] =
        [1, 2].map(|byte| object(test, "one_only", byte, 4).expect("there is an assembler"));
    let error = both(&first, &second).expect_err("there are two");
    assert_eq!(error.code(), "DUPLICATE_SYMBOL", "{error}");
}

#[test]
fn sections_of_one_size_and_equal_ones_are_compared() {
    let test = "sections_of_one_size_and_equal_ones_are_compared";
    let Some(first) = object(test, "same_size", 1, 4) else {
        return;
    };
    let make =
        |selection, byte, size| object(test, selection, byte, size).expect("there is an assembler");
    let second = make("same_size", 2, 4);
    assert_eq!(chosen(&both(&first, &second).expect("it links")), 1);
    let error = both(&first, &make("same_size", 2, 5)).expect_err("they differ");
    assert_eq!(error.code(), "DUPLICATE_SYMBOL", "{error}");
    let [first, second] = [1, 2].map(|byte| make("same_contents", byte, 4));
    let error = both(&first, &second).expect_err("they differ");
    assert_eq!(error.code(), "DUPLICATE_SYMBOL", "{error}");
    let source = ".section .rdata,\"dr\",same_contents,it\n.globl it\nit: .quad 5\n";
    let same = assembled(test, source).expect("there is an assembler");
    both(&same, &same).expect("they are the same");
}

#[test]
fn the_largest_and_the_newest_are_taken_wherever_they_come() {
    let test = "the_largest_and_the_newest_are_taken_wherever_they_come";
    let Some(small) = object(test, "largest", 1, 4) else {
        return;
    };
    let make =
        |selection, byte, size| object(test, selection, byte, size).expect("there is an assembler");
    let large = make("largest", 2, 400);
    assert_eq!(chosen(&both(&small, &large).expect("it links")), 2);
    assert_eq!(chosen(&both(&large, &small).expect("it links")), 2);
    let parse = |bytes: &[u8]| ParsedFile::parse("it.obj", bytes).expect("it is an object");
    let [parsed_small, parsed_large] = [&small, &large].map(|bytes| parse(bytes));
    let parsed = [&parsed_small, &parsed_large].map(Input::Parsed);
    let image = link(&memory(), &parsed, &LinkOptions::default()).expect("it links");
    assert_eq!(chosen(&image), 2);
    let [mut old, mut new] = [1, 2].map(|byte| make("newest", byte, 4));
    old[4..8].copy_from_slice(&1_000_000_u32.to_le_bytes());
    new[4..8].copy_from_slice(&2_000_000_u32.to_le_bytes());
    assert_eq!(chosen(&both(&old, &new).expect("it links")), 2);
    assert_eq!(chosen(&both(&new, &old).expect("it links")), 2);
    old[4..8].copy_from_slice(&2_000_000_u32.to_le_bytes());
    assert_eq!(chosen(&both(&old, &new).expect("it links")), 1);
}

#[test]
fn what_is_associated_goes_with_its_section() {
    let test = "what_is_associated_goes_with_its_section";
    let Some(first) = object(test, "discard", 1, 16) else {
        return;
    };
    let second = object(test, "discard", 2, 16).expect("there is an assembler");
    let memory = memory();
    let size = |objects: &[&[u8]]| {
        let inputs: Vec<Input<'_>> = objects.iter().map(|bytes| file("o.obj", bytes)).collect();
        let estimate = codeslab_link::estimate(&inputs, &LinkOptions::default());
        estimate.expect("it links").constants
    };
    assert_eq!(size(&[&first]), size(&[&first, &second]));
    drop(memory);
}

/// As `both`, of an object with a definition that is no COMDAT, and one with a COMDAT section for the same name.
fn object_without(test: &str) -> Option<Vec<u8>> {
    let source = ".data\n.globl it, own2\nit: .byte 2, 0xee, 0xee, 0xee\nown2: .quad it\n";
    assembled(test, source)
}

/// Linkers for Windows stop there, so which of the two a program would get is written nowhere.
#[test]
fn a_definition_beside_a_comdat_section_of_its_name_is_refused_for_every_selection() {
    let test = "a_definition_beside_a_comdat_section_of_its_name_is_refused_for_every_selection";
    let Some(definition) = object_without(test) else {
        return;
    };
    for selection in SELECTIONS {
        let comdat = object(test, selection, 1, 4).expect("there is an assembler");
        for (first, second) in [(&comdat, &definition), (&definition, &comdat)] {
            let error = both(first, second).expect_err("there are two");
            assert_eq!(error.code(), "DUPLICATE_SYMBOL", "{selection}: {error}");
            for name in ["it", "first.obj", "second.obj"] {
                assert!(error.to_string().contains(name), "{selection}: {error}");
            }
        }
    }
}

/// A linker of files for Windows, its options for a program that begins at `it`, and the package of Debian's that has it.
#[cfg(unix)]
const LINKERS: [(&str, &str, &str); 2] = [
    (
        "x86_64-w64-mingw32-ld",
        "-e it -o it.exe",
        "binutils-mingw-w64-x86-64",
    ),
    (
        "lld-link",
        "/entry:it /subsystem:console /out:it.exe",
        "lld",
    ),
];

#[cfg(unix)]
#[test]
fn linkers_of_files_refuse_a_definition_beside_a_comdat_section_as_well() {
    let test = "linkers_of_files_refuse_a_definition_beside_a_comdat_section_as_well";
    let Some(definition) = object_without(test) else {
        return;
    };
    let workshop = Workshop::new();
    let write = |name, bytes: &[u8]| std::fs::write(workshop.path(name), bytes).expect("writable");
    write("second.obj", &definition);
    for (linker, options, package) in LINKERS {
        let run = |arguments: &[&str]| {
            let mut command = std::process::Command::new(linker);
            command.args(arguments).current_dir(workshop.path(""));
            command.output()
        };
        if run(&["--version"]).is_err() {
            codeslab_testing::package_skip(test, linker, package);
            continue;
        }
        // lld knows no newest one.
        for selection in SELECTIONS.iter().filter(|name| **name != "newest") {
            let comdat = object(test, selection, 1, 4).expect("there is an assembler");
            write("first.obj", &comdat);
            for inputs in ["first.obj second.obj", "second.obj first.obj"] {
                let words = options.split(' ').chain(inputs.split(' '));
                let output = run(&words.collect::<Vec<_>>()).expect("it runs");
                let said = String::from_utf8_lossy(&output.stderr);
                let names_it = ["multiple definition of `it'", "duplicate symbol: it"]
                    .iter()
                    .any(|text| said.contains(text));
                assert!(!output.status.success() && names_it, "{inputs}: {said}");
            }
        }
    }
}
