//! Compiles a signature, once, into what each call of it does.
//!
//! A signature says which word of a call each argument becomes, by the host's convention, and which register the result is
//! read from. A call fills a [`Frame`] with one word for each parameter and hands it to [`Signature::call`]. What a function
//! at an address really takes is not known here: that a signature tells the truth is for the embedder to promise.
#![allow(unsafe_code)] // It passes a promise of the embedder on to the convention.

use crate::abi::{Convention, Host};
use crate::error::{Error, Result};
use crate::kind::{Class, Kind};

/// One argument: its type, and which word of a call it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    kind: Kind,
    // Invariant: less than the number of words of the host's convention.
    word: u8,
}

impl Parameter {
    /// Its type.
    #[must_use]
    #[inline]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Its place among the words of a call.
    pub(crate) fn word(self) -> usize {
        usize::from(self.word)
    }
}

/// A compiled signature.
#[derive(Debug)]
pub struct Signature {
    result: Kind,
    parameters: Box<[Parameter]>,
    // Invariant: has placed `parameters` and nothing else.
    placement: Host,
}

/// The most arguments that any signature can have.
pub const MAXIMUM_ARGUMENTS: usize = size_of::<<Host as Convention>::Words>() / size_of::<u64>();

/// The words of one call. Those that nothing was put into are zero.
#[derive(Clone, Copy, Debug)]
pub struct Frame(<Host as Convention>::Words);

impl Frame {
    /// A frame of zeros.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self(Host::ZEROS)
    }

    /// Puts in the word of an argument.
    #[inline]
    pub fn put(&mut self, parameter: Parameter, word: u64) {
        self.0.as_mut()[usize::from(parameter.word)] = word;
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl Signature {
    /// Compiles the names of the types of the result and of the arguments.
    ///
    /// # Errors
    /// [`Error::UnknownType`], [`Error::TooManyArguments`], and [`Error::UnsupportedConvention`] on a machine whose convention
    /// is not known.
    pub fn compile<N: AsRef<str>>(result: &str, arguments: &[N]) -> Result<Self> {
        let result = Kind::from_name(result).ok_or_else(|| unknown(result, None))?;
        let mut placement = Host::begin()?;
        let parameters = arguments
            .iter()
            .enumerate()
            .map(|(index, name)| parameter(&mut placement, name.as_ref(), index))
            .collect::<Result<_>>()?;
        Ok(Self {
            result,
            parameters,
            placement,
        })
    }

    /// The type of the result.
    #[must_use]
    #[inline]
    pub fn result(&self) -> Kind {
        self.result
    }

    /// The parameters in their order.
    #[must_use]
    #[inline]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Calls `target` with the words of `frame` and returns the word of the result, which [`Kind::value`] reads.
    ///
    /// # Safety
    /// - `target` is the entry of code that follows the C calling convention of this machine, and may be executed by this
    ///   thread until it returns.
    /// - The code takes what this signature says, and `frame` was filled by the parameters of this signature with the words of
    ///   values that the code accepts: what it does with them, above all with addresses, is sound.
    /// - Where it unwinds into its caller, that is prepared for it.
    #[inline]
    #[must_use]
    pub unsafe fn call(&self, target: *const (), frame: &Frame) -> u64 {
        if self.result.class() == Some(Class::Float) {
            // SAFETY: `target` is such code and may be executed, by the first obligation. It takes the arguments that
            // `placement` has placed, by the second and the invariant; `frame` holds them where `Frame::put` put them, which is
            // where `placement` has placed them. It is sound with these by the second; by the third, the caller is
            // prepared for what unwinds.
            unsafe { self.placement.call_float(target, &frame.0) }
        } else {
            // SAFETY: `target` is such code and may be executed, by the first obligation. It takes the arguments that
            // `placement` has placed, by the second and the invariant; `frame` holds them where `Frame::put` put them, which is
            // where `placement` has placed them. It is sound with these by the second; by the third, the caller is
            // prepared for what unwinds.
            unsafe { self.placement.call_integer(target, &frame.0) }
        }
    }
}

fn parameter(placement: &mut Host, name: &str, argument: usize) -> Result<Parameter> {
    let kind = Kind::from_name(name);
    let (kind, class) = kind
        .and_then(|kind| Some((kind, kind.class()?)))
        .ok_or_else(|| unknown(name, Some(argument)))?;
    let word = placement.place(class).ok_or(Error::TooManyArguments {
        argument,
        limit: Host::STACK_WORDS,
    })?;
    Ok(Parameter { kind, word })
}

fn unknown(name: &str, argument: Option<usize>) -> Error {
    Error::UnknownType {
        name: name.to_owned(),
        argument,
        meant: Kind::meant_by(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_has_a_word_of_its_own() {
        let signature = Signature::compile("void", &["u64"; 12]).unwrap();
        let mut words: Vec<_> = signature.parameters.iter().map(|p| p.word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 12);
    }

    /// Whether registers are counted by position, so that no class has registers of its own.
    fn counts_positions() -> bool {
        let mut host = Host::begin().unwrap();
        let places = [Class::Integer, Class::Float].map(|class| host.place(class));
        places == [Some(0), Some(1)]
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
        assert!(
            matches!(error, Error::TooManyArguments { limit: 16, .. }),
            "{error}"
        );
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
}
