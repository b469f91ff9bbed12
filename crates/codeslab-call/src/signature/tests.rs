//! What signatures are refused, and which words arguments become.

use super::*;

#[test]
fn every_argument_has_a_word_of_its_own() {
    let signature = Signature::compile("void", &["u64"; 8]).unwrap();
    let mut words: Vec<_> = signature.parameters.iter().map(|p| p.place.word).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), 8);
}

/// Whether registers are counted by position, so that no class has registers of its own.
fn counts_positions() -> bool {
    let mut host = Host::begin().unwrap();
    let places = [Kind::Uint64, Kind::Float64].map(|kind| host.place(kind));
    places == [0, 1].map(|word| Some(Place::whole(word)))
}

#[test]
fn a_register_that_is_left_is_used_when_the_stack_is_full() {
    if counts_positions() {
        return;
    }
    let mut arguments = Vec::new();
    while Signature::compile("void", &[&arguments[..], &["u64"]].concat()).is_ok() {
        arguments.push("u64");
    }
    assert!(arguments.len() > usize::from(Host::STACK_WORDS));
    arguments.push("double");
    assert!(Signature::compile("void", &arguments).is_ok());
}

#[test]
fn more_stack_words_than_a_call_passes_are_refused_with_their_limit() {
    let arguments = vec!["u64"; MAXIMUM_ARGUMENTS];
    let Err(error) = Signature::compile("void", &arguments) else {
        // There is room for as many as a signature may have.
        return assert!(counts_positions());
    };
    let Error::TooManyArguments { limit, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(limit, Host::STACK_WORDS);
}

#[test]
fn unknown_types_are_refused_by_name_and_position() {
    let error = Signature::compile("int33", &[""; 0]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the result is of unknown type \"int33\""),
        "{error}"
    );
    let error = Signature::compile("void", &["int32", "void"]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("argument 2 is of unknown type \"void\""),
        "{error}"
    );
}

#[test]
fn what_c_promotes_is_refused_where_arguments_vary() {
    let calling = Calling::default().variadic(1);
    let names = ["float", "float"];
    let error = Signature::compile_as(calling, "void", &names).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("argument 2 varies, so it cannot be \"float\""),
        "{error}"
    );
    let types = [Kind::Float32, Kind::Int8].map(Type::Scalar);
    let error = Signature::of_types_as(calling, &types[0], &types).unwrap_err();
    assert!(
        matches!(error, Error::NotVariadic { argument: 1, .. }),
        "{error}"
    );
    assert!(Signature::of_types_as(calling, &types[0], &types[..1]).is_ok());
}

#[test]
fn no_signature_has_more_arguments_than_there_are_words() {
    let types = vec![Type::Scalar(Kind::Int8); MAXIMUM_ARGUMENTS + 1];
    let result = Type::Scalar(Kind::Void);
    assert!(Signature::of_types(&result, &types[1..]).is_ok());
    let error = Signature::of_types(&result, &types).unwrap_err();
    assert!(
        matches!(error, Error::TooManyArguments { argument, .. } if argument == MAXIMUM_ARGUMENTS),
        "{error}"
    );
}
