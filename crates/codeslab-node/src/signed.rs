//! A signature as JavaScript declares it, compiled, and what follows from it for calls.
//!
//! `function` and `callback` compile one for each function; `fast` compiles JavaScript for each that is different.

use codeslab_call::Signature;

/// A signature, and what follows from it.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Its types, with commas: the same for signatures that are the same.
    pub(crate) name: String,
    pub(crate) signature: Signature,
    /// Whether no call of it is given what may call JavaScript.
    pub(crate) may_be_fast: bool,
}

impl Signed {
    /// Compiles the names of types, that of the result first.
    pub(crate) fn compile(types: &[String]) -> codeslab_call::Result<Self> {
        let (result, arguments) = types
            .split_first()
            .map_or(("", &[][..]), |(result, rest)| (result.as_str(), rest));
        let signature = Signature::compile(result, arguments)?;
        Ok(Self {
            name: types.join(","),
            signature,
            may_be_fast: !arguments.iter().any(|name| name == "function"),
        })
    }
}
