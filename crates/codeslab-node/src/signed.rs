//! A signature as JavaScript declares it, compiled, and what follows from it for calls.
//!
//! Types cross as names. That of a function which JavaScript may be passed for is `function(RESULT,ARGUMENT,…)`: a pointer to native
//! code, which knows how to call JavaScript in its place. A structure is `struct(SIZE,TYPE@OFFSET,…)`, with the scalars that lie in it;
//! TypeScript knows its fields, and passes bytes. `function` and `answer` use signatures, `fast` compiles JavaScript for each
//! that is different.

use codeslab_call::{Calling, Error, Kind, Leaf, Signature, Structure, Type};
use std::rc::Rc;
use std::sync::Arc;

/// A signature, and what follows from it.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Its types, with commas: the same for signatures that are the same.
    pub(crate) name: String,
    /// The names of its types.
    pub(crate) types: Arc<[String]>,
    pub(crate) signature: Signature,
    /// For each argument that is a function: what it takes and returns.
    callbacks: Box<[Option<Rc<Signed>>]>,
    /// Whether no call of it is given what may call JavaScript.
    pub(crate) may_be_fast: bool,
    /// Whether the result is the address of a string, of which JavaScript gets the text.
    pub(crate) returns_text: bool,
}

/// A type that is text on both sides.
const TEXT: &str = "char *";

/// What stands before the arguments that vary.
const VARIADIC: &str = "...";

/// What a type begins with that is a function with a signature.
const FUNCTION: &str = "function(";

/// What a type begins with that is a structure.
const STRUCTURE: &str = "struct(";

/// How deep functions of functions go.
const DEPTH: usize = 8;

impl Signed {
    /// Compiles the names of types, that of the result first.
    pub(crate) fn compile<N: AsRef<str>>(types: &[N]) -> codeslab_call::Result<Self> {
        Self::compile_within(types, DEPTH)
    }

    fn compile_within<N: AsRef<str>>(types: &[N], depth: usize) -> codeslab_call::Result<Self> {
        let names: Vec<&str> = types.iter().map(AsRef::as_ref).collect();
        let (result, arguments) = names.split_first().map_or(("", &[][..]), |(r, a)| (*r, a));
        let (arguments, calling) = without_ellipsis(arguments)?;
        let plain: Vec<&str> = arguments.iter().copied().map(plain).collect();
        let is_structure = |name: &&str| name.starts_with(STRUCTURE);
        let has_structures = is_structure(&result) || plain.iter().any(is_structure);
        let signature = if has_structures {
            let types = plain.iter().enumerate();
            let types = types.map(|(index, name)| type_of(name, Some(index)));
            Signature::of_types_as(
                calling,
                &type_of(result, None)?,
                &types.collect::<Result<Vec<_>, _>>()?,
            )?
        } else {
            Signature::compile_as(calling, self::plain(result), &plain)?
        };
        let callback = |(index, name): (usize, &&str)| callback(name, index, depth);
        let callbacks = arguments
            .iter()
            .enumerate()
            .map(callback)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: names.join(","),
            types: names.iter().map(|name| (*name).to_owned()).collect(),
            signature,
            callbacks,
            may_be_fast: !plain.contains(&"function") && result != TEXT && !has_structures,
            returns_text: result == TEXT,
        })
    }

    /// Whether an argument is a function with a signature.
    #[inline]
    pub(crate) fn has_callbacks(&self) -> bool {
        !self.may_be_fast && self.callbacks.iter().any(Option::is_some)
    }

    /// What the function takes and returns that an argument is, if its type says so.
    pub(crate) fn callback(&self, argument: usize) -> Option<&Rc<Self>> {
        self.callbacks.get(argument)?.as_ref()
    }
}

/// What a type is to native code.
fn plain(name: &str) -> &str {
    if name.starts_with(FUNCTION) {
        return "function";
    }
    if name == TEXT { "string" } else { name }
}

/// A type that may be a structure.
fn type_of(name: &str, argument: Option<usize>) -> codeslab_call::Result<Type> {
    if let Some(inside) = name.strip_prefix(STRUCTURE) {
        let structure = structure(inside).map(Type::Structure);
        let reason = "it has no scalars in it, or more bytes than a call passes";
        return structure.ok_or(Error::InvalidStructure { argument, reason });
    }
    let kind = Kind::from_name(plain(name)).map(Type::Scalar);
    kind.ok_or_else(|| Error::UnknownType {
        name: name.to_owned(),
        argument,
        meant: Kind::meant_by(name),
    })
}

fn structure(inside: &str) -> Option<Structure> {
    let mut parts = inside.strip_suffix(')')?.split(',');
    let size = parts.next()?.parse().ok()?;
    let leaf = |part: &str| {
        let (name, offset) = part.split_once('@')?;
        Some(Leaf {
            kind: Kind::from_name(name)?,
            offset: offset.parse().ok()?,
        })
    };
    Structure::new(size, &parts.map(leaf).collect::<Option<Vec<_>>>()?)
}

/// The arguments, of which those behind `...` are promoted as C does it: what a variadic function cannot be passed is refused.
fn without_ellipsis<'a>(arguments: &[&'a str]) -> codeslab_call::Result<(Vec<&'a str>, Calling)> {
    let mut all = arguments.to_vec();
    let Some(first) = arguments.iter().position(|name| *name == VARIADIC) else {
        return Ok((all, Calling::default()));
    };
    all.remove(first);
    let is_promoted = |name: &str| {
        let kind = Kind::from_name(plain(name));
        !kind.is_some_and(Kind::is_narrower_than_variadic)
    };
    match (first..all.len()).find(|index| !is_promoted(all[*index])) {
        Some(argument) => Err(Error::NotVariadic {
            name: all[argument].to_owned(),
            argument,
        }),
        None => Ok((all, Calling::default().variadic(first))),
    }
}

fn callback(
    name: &str,
    argument: usize,
    depth: usize,
) -> codeslab_call::Result<Option<Rc<Signed>>> {
    let Some(inside) = name.strip_prefix(FUNCTION) else {
        return Ok(None);
    };
    let unknown = || Error::UnknownType {
        name: name.to_owned(),
        argument: Some(argument),
        meant: None,
    };
    let inside = inside.strip_suffix(')').ok_or_else(unknown)?;
    let depth = depth.checked_sub(1).ok_or_else(unknown)?;
    let signed = Signed::compile_within(&split(inside), depth)?;
    Ok(Some(Rc::new(signed)))
}

/// Parts between commas that are in no parentheses.
fn split(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let is_separator = |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    list.split(is_separator).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_among_the_arguments_has_a_signature_of_its_own() {
        let types = ["void", "int32", "function(double,function(void),uint8)"];
        let signed = Signed::compile(&types).unwrap();
        assert!(!signed.may_be_fast);
        assert!(signed.callback(0).is_none());
        let callback = signed.callback(1).unwrap();
        assert_eq!(callback.signature.parameters().len(), 2);
        assert!(
            callback
                .callback(0)
                .unwrap()
                .signature
                .parameters()
                .is_empty()
        );
    }

    #[test]
    fn a_structure_is_its_size_and_its_scalars() {
        let point = "struct(16,double@0,int32@8)";
        let signed = Signed::compile(&[point, point, "int32"]).unwrap();
        assert!(signed.signature.has_structures() && !signed.may_be_fast);
        let structure = signed.signature.structure(0).unwrap();
        assert_eq!((structure.size(), structure.leaves().len()), (16, 2));
        assert!(signed.signature.structure(1).is_none());
        assert_eq!(signed.signature.result_structure(), Some(structure));
        for name in [
            "struct(16,double@0",
            "struct()",
            "struct(8)",
            "struct(8,double)",
            "struct(8,what@0)",
            "struct(8,double@8)",
            "struct(8,double@-1)",
            "struct(99999999,double@0)",
        ] {
            assert!(Signed::compile(&["void", name]).is_err(), "{name}");
        }
    }

    #[test]
    fn functions_that_are_not_closed_or_too_deep_are_refused() {
        let deep = "function(void,".repeat(9) + "int8" + &")".repeat(9);
        for name in [
            "function(void",
            "function(",
            "function()",
            "function(what)",
            &deep,
        ] {
            assert!(Signed::compile(&["void", name]).is_err(), "{name}");
        }
    }
}
