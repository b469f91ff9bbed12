//! Compiles a signature, once, into what each call does.

use super::abi::{Assignment, STACK_WORDS, Words};
use super::kind::Kind;
use crate::error::Error;

/// One argument: what it is and which word of the call it becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) kind: Kind,
    // Invariant: less than the number of words.
    pub(crate) word: u8,
}

/// A compiled signature.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) result: Kind,
    pub(crate) parameters: Box<[Parameter]>,
    pub(crate) stack_words: u8,
}

/// The most arguments that any signature can have.
pub(crate) const MAXIMUM_ARGUMENTS: usize = size_of::<Words>() / 8;

impl Signature {
    /// Compiles the types of the result and of the arguments, in this order.
    pub(crate) fn compile(types: &[String]) -> Result<Self, Error> {
        let (result, arguments) = types
            .split_first()
            .ok_or_else(|| Error::unknown_type("", None))?;
        let result = Kind::from_name(result).ok_or_else(|| Error::unknown_type(result, None))?;
        let mut assignment = Assignment::begin()?;
        let parameters = arguments
            .iter()
            .enumerate()
            .map(|(index, name)| parameter(&mut assignment, name, index))
            .collect::<Result<Box<[_]>, _>>()?;
        Ok(Self {
            result,
            parameters,
            stack_words: assignment.stack_words(),
        })
    }
}

fn parameter(assignment: &mut Assignment, name: &str, index: usize) -> Result<Parameter, Error> {
    let kind = Kind::from_name(name);
    let (kind, class) = kind
        .and_then(|kind| Some((kind, kind.class()?)))
        .ok_or_else(|| Error::unknown_type(name, Some(index)))?;
    let word = assignment.place(class).ok_or(Error::TooManyArguments {
        argument: index,
        limit: STACK_WORDS,
    })?;
    Ok(Parameter { kind, word })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(result: &str, arguments: &[&str]) -> Result<Signature, Error> {
        let types = std::iter::once(&result).chain(arguments);
        Signature::compile(&types.map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_beyond_the_registers_go_to_the_stack() {
        let signature = compile("void", &["u64"; 12]).unwrap();
        let registers = signature.parameters.len() - usize::from(signature.stack_words);
        assert!(registers >= 6, "{signature:?}");
        let words: Vec<_> = signature.parameters.iter().map(|p| p.word).collect();
        let mut unique = words.clone();
        unique.dedup();
        assert_eq!(words, unique);
    }

    #[test]
    fn a_register_that_is_left_is_used_when_the_stack_is_full() {
        let mut arguments = vec!["u64"; 6 + usize::from(STACK_WORDS)];
        arguments.push("double");
        assert!(compile("void", &arguments).is_ok());
    }

    #[test]
    fn more_stack_words_than_a_call_passes_are_refused() {
        let arguments = vec!["u64"; size_of::<Words>() / 8];
        let error = compile("void", &arguments).unwrap_err();
        assert_eq!(error.code(), "INVALID_SIGNATURE");
        assert!(error.to_string().contains("16"), "{error}");
    }

    #[test]
    fn unknown_types_are_refused_by_name_and_position() {
        assert!(
            compile("int33", &[])
                .unwrap_err()
                .to_string()
                .contains("int33")
        );
        let error = compile("void", &["int32", "void"]).unwrap_err();
        assert!(error.to_string().contains("argument 2"), "{error}");
    }
}
