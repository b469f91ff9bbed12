//! Compiles a signature, once, into what each call of it does.
//!
//! A signature says which word of a call each argument becomes, by the host's convention, and which register the result is
//! read from. A call fills a [`Frame`] with one word for each parameter and hands it to [`Signature::call`]. What a function
//! at an address really takes is not known here: that a signature tells the truth is for the embedder to promise.
#![allow(unsafe_code)] // It passes a promise of the embedder on to the convention.

use crate::abi::{Convention, Host};
use crate::error::{Error, Result};
use crate::kind::{Class, Kind};
use crate::structure::{Passed, Returned, Shape, Structure};

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

/// The type of an argument or result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Type {
    /// What fits a register.
    Scalar(Kind),
    /// A structure by value.
    Structure(Structure),
}

/// A compiled signature.
#[derive(Debug)]
pub struct Signature {
    result: Kind,
    parameters: Box<[Parameter]>,
    // Invariant: has placed `parameters`, `structures` and nothing else.
    placement: Host,
    structures: Option<Box<Structures>>,
}

/// The structures of a signature that has any.
#[derive(Debug)]
struct Structures {
    /// For each argument.
    arguments: Box<[Option<(Structure, Passed)>]>,
    result: Option<(Structure, Returned)>,
    shape: Shape,
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

/// The words of one call that has structures among its arguments, or for a result.
#[derive(Clone, Debug)]
pub struct LargeFrame {
    words: <Host as Convention>::Large,
    /// What the addresses of arguments are, and that of the result, aligned for everything that C has.
    copies: Vec<Vec<u128>>,
}

impl LargeFrame {
    /// A frame of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self {
            words: Host::LARGE_ZEROS,
            copies: Vec::new(),
        }
    }

    /// Puts in the word of an argument.
    pub fn put(&mut self, parameter: Parameter, word: u64) {
        self.words.as_mut()[usize::from(parameter.word)] = word;
    }

    /// Puts in the bytes of an argument that is a structure. `false` if that is none, or has another size.
    #[must_use]
    pub fn put_structure(&mut self, signature: &Signature, argument: usize, bytes: &[u8]) -> bool {
        let Some((structure, passed)) = signature.structure_of(argument) else {
            return false;
        };
        if bytes.len() != structure.size() {
            return false;
        }
        match passed {
            Passed::Pieces(pieces) => {
                for piece in pieces {
                    self.words.as_mut()[usize::from(piece.word)] = piece.read(bytes);
                }
            }
            Passed::Address(word) => {
                let address = self.copy(bytes.len(), bytes);
                self.words.as_mut()[usize::from(*word)] = address;
            }
        }
        true
    }

    /// The address of so many bytes that begin with a copy of these.
    fn copy(&mut self, length: usize, bytes: &[u8]) -> u64 {
        let mut copy = vec![0_u128; length.div_ceil(16)];
        for (word, bytes) in copy.iter_mut().zip(bytes.chunks(16)) {
            let mut chunk = [0; 16];
            chunk[..bytes.len()].copy_from_slice(bytes);
            *word = u128::from_ne_bytes(chunk);
        }
        let address = copy.as_mut_ptr().expose_provenance() as u64;
        self.copies.push(copy);
        address
    }
}

impl Default for LargeFrame {
    fn default() -> Self {
        Self::new()
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
            structures: None,
        })
    }

    /// As [`Signature::compile`], of types that may be structures.
    ///
    /// # Errors
    /// As [`Signature::compile`], and [`Error::InvalidStructure`] where structures cannot be passed.
    pub fn of_types(result: &Type, arguments: &[Type]) -> Result<Self> {
        let mut placement = Host::begin_large()?;
        let back = match result {
            Type::Scalar(_) => None,
            Type::Structure(structure) => {
                check_structures(None)?;
                let back = placement.place_result(structure);
                let back = back.ok_or_else(|| too_many(0, Host::LARGE_STACK_WORDS))?;
                Some((structure.clone(), back))
            }
        };
        let mut parameters = Vec::new();
        let mut structures = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let (parameter, structure) = place(&mut placement, argument, index)?;
            parameters.push(parameter);
            structures.push(structure);
        }
        if parameters.len() > MAXIMUM_ARGUMENTS {
            return Err(too_many(MAXIMUM_ARGUMENTS, Host::LARGE_STACK_WORDS));
        }
        let kind = match result {
            Type::Scalar(kind) => *kind,
            Type::Structure(_) => Kind::Structure,
        };
        Ok(Self {
            result: kind,
            parameters: parameters.into(),
            placement,
            structures: Some(Box::new(Structures {
                arguments: structures.into(),
                shape: shape(kind, back.as_ref().map(|(_, back)| back)),
                result: back,
            })),
        })
    }

    /// Whether it has structures: then calls go by [`Signature::call_large`].
    #[must_use]
    #[inline]
    pub fn has_structures(&self) -> bool {
        self.structures.is_some()
    }

    /// The structure that an argument is.
    #[must_use]
    pub fn structure(&self, argument: usize) -> Option<&Structure> {
        self.structure_of(argument).map(|(structure, _)| structure)
    }

    pub(crate) fn structure_of(&self, argument: usize) -> Option<&(Structure, Passed)> {
        self.structures.as_ref()?.arguments.get(argument)?.as_ref()
    }

    /// The structure that the result is.
    #[must_use]
    pub fn result_structure(&self) -> Option<&Structure> {
        self.result_of().map(|(structure, _)| structure)
    }

    pub(crate) fn result_of(&self) -> Option<&(Structure, Returned)> {
        self.structures.as_ref()?.result.as_ref()
    }

    /// Calls `target` with the words of `frame`: the word of the result, or its bytes, if it is a structure.
    ///
    /// # Safety
    /// - `target` is the entry of code that follows the C calling convention of this machine, and may be executed by this
    ///   thread until it returns.
    /// - The code takes what this signature says, and `frame` was filled by the parameters of this signature with the words of
    ///   values that the code accepts: what it does with them, above all with addresses, is sound.
    /// - Where it unwinds into its caller, that is prepared for it.
    #[must_use]
    pub unsafe fn call_large(&self, target: *const (), frame: &mut LargeFrame) -> (u64, Vec<u8>) {
        let memory = match self.result_of() {
            Some((structure, Returned::Memory(word))) => {
                let address = frame.copy(structure.size(), &[]);
                frame.words.as_mut()[usize::from(*word)] = address;
                true
            }
            _ => false,
        };
        let shape = self
            .structures
            .as_ref()
            .map_or(Shape::Integers, |all| all.shape);
        // SAFETY: `target` is such code and may be executed, by the first obligation. It takes the arguments that
        // `placement` has placed, by the second and the invariant; `frame` holds them where they were put, which is
        // where `placement` has placed them. It is sound with these by the second; by the third, the caller is
        // prepared for what unwinds.
        let results = unsafe { self.placement.call_large(target, &frame.words, shape) };
        let word = match shape {
            Shape::Floats => results[2],
            _ => results[0],
        };
        let mut bytes = Vec::new();
        match self.result_of() {
            Some((structure, Returned::Pieces(pieces))) => {
                bytes.resize(structure.size(), 0);
                for piece in pieces {
                    piece.write(results[usize::from(piece.word)], &mut bytes);
                }
            }
            Some((structure, Returned::Memory(_))) if memory => {
                let copy = frame.copies.pop().unwrap_or_default();
                // The callee wrote by the address of it.
                let words = std::hint::black_box(copy);
                bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
                bytes.truncate(structure.size());
            }
            _ => {}
        }
        (word, bytes)
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

/// The place of an argument that may be a structure.
fn place(
    placement: &mut Host,
    argument: &Type,
    index: usize,
) -> Result<(Parameter, Option<(Structure, Passed)>)> {
    match argument {
        Type::Scalar(kind) => {
            let class = kind.class().ok_or_else(|| unknown("void", Some(index)))?;
            let word = placement.place(class);
            let word = word.ok_or_else(|| too_many(index, Host::LARGE_STACK_WORDS))?;
            Ok((Parameter { kind: *kind, word }, None))
        }
        Type::Structure(structure) => {
            check_structures(Some(index))?;
            let passed = placement.place_structure(structure);
            let passed = passed.ok_or_else(|| too_many(index, Host::LARGE_STACK_WORDS))?;
            let kind = Kind::Structure;
            Ok((
                Parameter { kind, word: 0 },
                Some((structure.clone(), passed)),
            ))
        }
    }
}

/// Refuses a function whose arguments vary from this one on, where the convention has a way of its own for such arguments that is not known.
///
/// # Errors
/// [`Error::TooManyArguments`]: they go to the stack there.
pub fn check_variadic(argument: usize) -> Result<()> {
    let refusal = too_many(argument, Host::STACK_WORDS);
    Host::HAS_VARIADIC.then_some(()).ok_or(refusal)
}

/// Refuses structures where the convention has no way for them.
fn check_structures(argument: Option<usize>) -> Result<()> {
    let reason = "the way in which this machine passes structures is not known here";
    let refusal = Error::InvalidStructure { argument, reason };
    Host::HAS_STRUCTURES.then_some(()).ok_or(refusal)
}

fn too_many(argument: usize, limit: u8) -> Error {
    Error::TooManyArguments { argument, limit }
}

/// Which registers a result is read from.
fn shape(kind: Kind, back: Option<&Returned>) -> Shape {
    let Some(back) = back else {
        let is_float = kind.class() == Some(Class::Float);
        return if is_float {
            Shape::Floats
        } else {
            Shape::Integers
        };
    };
    let Returned::Pieces(pieces) = back else {
        return Shape::Integers;
    };
    let is_float = |index: usize| pieces.get(index).map(|piece| piece.word >= 2);
    match (is_float(0), is_float(1)) {
        (Some(true), Some(false)) => Shape::FloatInteger,
        (Some(true), _) => Shape::Floats,
        (_, Some(true)) => Shape::IntegerFloat,
        _ => Shape::Integers,
    }
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
        let signature = Signature::compile("void", &["u64"; 8]).unwrap();
        let mut words: Vec<_> = signature.parameters.iter().map(|p| p.word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 8);
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
}
