//! Symbols that nothing defines, as an error tells them: what needs each, and where it usually is.

use std::collections::BTreeSet;

/// A symbol that nothing defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Its name.
    pub symbol: String,
    /// The first object that refers to it; `None` if the embedder asked for it.
    pub needed_by: Option<String>,
    /// The library that usually has it, if one is known for symbols that begin like it.
    pub library: Option<&'static str>,
}

impl Missing {
    /// A symbol that the embedder asks for.
    pub(crate) fn asked_for(name: &str) -> Self {
        Self {
            symbol: name.to_owned(),
            needed_by: None,
            library: None,
        }
    }
}

/// The other symbols, as many as one reads, with what needs them where that is not what needs the first; all of them are in the facts.
pub(super) fn and_others(all: &[Missing]) -> String {
    const SHOWN: usize = 8;
    let Some((first, others)) = all.split_first() else {
        return String::new();
    };
    if others.is_empty() {
        return String::new();
    }
    let named = others.iter().take(SHOWN).map(|missing| {
        let other = missing.needed_by.as_ref();
        let other = other.filter(|_| missing.needed_by != first.needed_by);
        other.map_or(missing.symbol.clone(), |object| {
            format!("{} in {object}", missing.symbol)
        })
    });
    let shown: Vec<String> = named.collect();
    let shown = shown.join(", ");
    let more = if others.len() > SHOWN { ", ..." } else { "" };
    format!(" (and {} more: {shown}{more})", others.len())
}

/// The libraries that usually have several of the symbols; that of a single one is in the hint.
pub(super) fn usual_libraries(all: &[Missing]) -> String {
    let libraries = libraries_of(all);
    if all.len() < 2 || libraries.is_empty() {
        return String::new();
    }
    let libraries: Vec<String> = libraries.into_iter().collect();
    format!("; libraries to look in: {}", libraries.join(", "))
}

/// The libraries that usually have these symbols, each once.
pub(super) fn libraries_of(all: &[Missing]) -> BTreeSet<String> {
    let libraries = all.iter().filter_map(|missing| missing.library);
    libraries.map(str::to_owned).collect()
}
