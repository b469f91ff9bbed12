//! Compiles a signature, once, into what each call of it does.
//!
//! A signature says where among the words of a call each argument is, by the host's convention, and which register the result is
//! read from. A call fills a [`Frame`] with one word for each parameter and hands it to [`Signature::call`]. What a function
//! at an address really takes is not known here: that a signature tells the truth is for the embedder to promise.
#![allow(unsafe_code)] // It passes a promise of the embedder on to the convention.

mod frame;

pub use frame::{Frame, LargeFrame, ShortFrame};

use crate::abi::{Convention, Host, SHORT};
use crate::calling::Calling;
use crate::error::{Error, Result};
use crate::kind::{Class, Kind};
use crate::structure::{Passed, Place, Returned, Shape, Structure};

/// One argument: its type, and where among the words of a call it is.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    kind: Kind,
    // Invariant: its word is one of those of the host's convention.
    place: Place,
}

impl Parameter {
    /// Its type.
    #[must_use]
    #[inline]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Where among the words of a call it is.
    pub(crate) fn place(self) -> Place {
        self.place
    }

    /// Puts its word where it belongs.
    #[inline]
    fn put(self, word: u64, words: &mut [u64]) {
        if Host::SHARES_WORDS {
            self.place.put(word, words);
        } else {
            words[usize::from(self.place.word)] = word;
        }
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
    // Invariant: if so, all parameters are integers, no more than `SHORT`, which are not variadic, and the result is no float.
    is_short: bool,
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

impl Signature {
    /// Compiles the names of the types of the result and of the arguments.
    ///
    /// # Errors
    /// [`Error::UnknownType`], [`Error::TooManyArguments`], and [`Error::UnsupportedConvention`] on a machine whose convention
    /// is not known.
    pub fn compile<N: AsRef<str>>(result: &str, arguments: &[N]) -> Result<Self> {
        Self::compile_as(Calling::default(), result, arguments)
    }

    /// As [`Signature::compile`], of a function that is called in another way.
    ///
    /// # Errors
    /// As [`Signature::compile`], and [`Error::UnsupportedConvention`] where the other convention is not known. [`Error::NotVariadic`] for an
    /// argument that varies, of a type that C promotes.
    pub fn compile_as<N: AsRef<str>>(
        calling: Calling,
        result: &str,
        arguments: &[N],
    ) -> Result<Self> {
        let result = Kind::from_name(result).ok_or_else(|| unknown(result, None))?;
        let placement = Host::begin()?;
        let mut placement = placement.follow(calling.system).ok_or_else(no_convention)?;
        let mut parameters = Vec::new();
        for (index, name) in arguments.iter().enumerate() {
            let kind = Kind::from_name(name.as_ref());
            let kind = kind.ok_or_else(|| unknown(name.as_ref(), Some(index)))?;
            promote(calling, &mut placement, index, Some(kind))?;
            let limit = Host::STACK_WORDS;
            parameters.push(scalar(&mut placement, kind, index, limit)?);
        }
        let is_integer = |parameter: &Parameter| parameter.kind.class() == Some(Class::Integer);
        Ok(Self {
            is_short: parameters.len() <= SHORT
                && parameters.iter().all(is_integer)
                && result.class() != Some(Class::Float)
                && calling.fixed.is_none(),
            result,
            parameters: parameters.into(),
            placement,
            structures: None,
        })
    }

    /// As [`Signature::compile`], of types that may be structures.
    ///
    /// # Errors
    /// As [`Signature::compile`], and [`Error::InvalidStructure`] where structures cannot be passed.
    pub fn of_types(result: &Type, arguments: &[Type]) -> Result<Self> {
        Self::of_types_as(Calling::default(), result, arguments)
    }

    /// As [`Signature::of_types`], of a function that is called in another way.
    ///
    /// # Errors
    /// As [`Signature::of_types`] and [`Signature::compile_as`].
    pub fn of_types_as(calling: Calling, result: &Type, arguments: &[Type]) -> Result<Self> {
        let placement = Host::begin_large()?;
        let mut placement = placement.follow(calling.system).ok_or_else(no_convention)?;
        let (kind, back) = match result {
            Type::Scalar(kind) => (*kind, None),
            Type::Structure(structure) => {
                check_structures(None)?;
                let back = placement.place_result(structure);
                let back = back.ok_or_else(|| too_many(0, Host::LARGE_STACK_WORDS))?;
                (Kind::Structure, Some((structure.clone(), back)))
            }
        };
        let mut parameters = Vec::new();
        let mut structures = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let scalar = match argument {
                Type::Scalar(kind) => Some(*kind),
                Type::Structure(_) => None,
            };
            promote(calling, &mut placement, index, scalar)?;
            let (parameter, structure) = place(&mut placement, argument, index)?;
            parameters.push(parameter);
            structures.push(structure);
        }
        Ok(Self {
            result: kind,
            parameters: parameters.into(),
            placement,
            is_short: false,
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

    /// Whether [`Signature::call_short`] can call it: it has at most four arguments, all of them integers or pointers, and so is its result, if
    /// it has any.
    #[must_use]
    #[inline]
    pub fn is_short(&self) -> bool {
        self.is_short
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
                    piece.write(results[usize::from(piece.place.word)], &mut bytes);
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

    /// As [`Signature::call`], in less time.
    ///
    /// # Safety
    /// - [`Signature::is_short`].
    /// - `target` is the entry of code that follows the C calling convention of this machine, and may be executed by this
    ///   thread until it returns.
    /// - The code takes what this signature says, and `frame` was filled by the indices of its parameters with the words of
    ///   values that the code accepts: what it does with them, above all with addresses, is sound.
    /// - Where it unwinds into its caller, that is prepared for it.
    #[inline]
    #[must_use]
    pub unsafe fn call_short(&self, target: *const (), frame: &ShortFrame) -> u64 {
        debug_assert!(self.is_short);
        // SAFETY: `target` is such code and may be executed, by the second obligation. It takes what the signature says, by the third: a few
        // integers, by the first and the invariant. It is sound with these by the third; by the fourth, the caller is prepared for what
        // unwinds.
        unsafe { Host::call_short(target, &frame.0) }
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

/// Has the placement know where arguments begin to vary, and refuses those that C passes as another type then.
fn promote(
    calling: Calling,
    placement: &mut Host,
    argument: usize,
    kind: Option<Kind>,
) -> Result<()> {
    if calling.varies_from(argument) {
        placement.begin_variadic();
    }
    let varies = calling.fixed.is_some_and(|fixed| argument >= fixed);
    match kind.filter(|kind| varies && kind.is_narrower_than_variadic()) {
        Some(kind) => Err(Error::NotVariadic {
            name: kind.name().to_owned(),
            argument,
        }),
        None => Ok(()),
    }
}

/// The place of an argument that is no structure.
fn scalar(placement: &mut Host, kind: Kind, argument: usize, limit: u8) -> Result<Parameter> {
    if kind.class().is_none() {
        return Err(unknown("void", Some(argument)));
    }
    let place = placement.place(kind);
    let place = place.filter(|_| may_be(argument));
    let place = place.ok_or_else(|| too_many(argument, limit))?;
    Ok(Parameter { kind, place })
}

/// The place of an argument that may be a structure.
fn place(
    placement: &mut Host,
    argument: &Type,
    index: usize,
) -> Result<(Parameter, Option<(Structure, Passed)>)> {
    let limit = Host::LARGE_STACK_WORDS;
    let structure = match argument {
        Type::Scalar(kind) => return Ok((scalar(placement, *kind, index, limit)?, None)),
        Type::Structure(structure) => structure,
    };
    check_structures(Some(index))?;
    let passed = placement.place_structure(structure);
    let passed = passed.filter(|_| may_be(index));
    let passed = passed.ok_or_else(|| too_many(index, limit))?;
    let parameter = Parameter {
        kind: Kind::Structure,
        place: Place::whole(0),
    };
    Ok((parameter, Some((structure.clone(), passed))))
}

/// Whether a signature may have an argument with this number.
fn may_be(argument: usize) -> bool {
    MAXIMUM_ARGUMENTS.saturating_sub(argument) > 0
}

fn no_convention() -> Error {
    Error::UnsupportedConvention {
        architecture: std::env::consts::ARCH,
        operating_system: "Apple's systems",
    }
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
    let is_float = |index: usize| pieces.get(index).map(|piece| piece.place.word >= 2);
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
mod tests;
