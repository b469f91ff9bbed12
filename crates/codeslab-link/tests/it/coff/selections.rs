//! COMDAT sections: which of several a link takes.

use super::assembled;
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
