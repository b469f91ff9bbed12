//! What an address in an image is: the function or variable that it lies in.
//!
//! Profilers, unwinders and crash reports have addresses and want names, those of local (`static`) symbols as well, which nothing else of
//! an image needs. So a link copies the names of local symbols, in one piece of text; that they are in order is a matter of the first
//! question. `image` asks.

use crate::apply::Addresses;
use crate::exports::ImageSymbol;
use crate::graph::{Binding, Definition, Symbol, SymbolKind};
use crate::names::Names;
use crate::resolve::Resolution;
use codeslab::Address;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The function or variable that an address lies in.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Location {
    /// Its name.
    pub name: String,
    /// The object that defines it.
    pub object: Arc<str>,
    /// Where it begins.
    pub address: Address,
    /// How many bytes it has, or has up to the next one.
    pub size: u64,
    /// Whether only its object sees it.
    pub is_local: bool,
}

/// A symbol that only its object sees.
#[derive(Clone, Debug)]
struct Local {
    address: u64,
    size: u64,
    name: Range<u32>,
    object: u32,
}

/// So many symbols lie within each other at most, or else the outermost are not found: looking takes no longer then.
const ENCLOSING: usize = 32;

/// Symbols of an image by address.
#[derive(Debug, Default)]
pub(crate) struct Located {
    text: String,
    locals: Vec<Local>,
    objects: Arc<Names>,
    /// All symbols with an address, in the order of these: start, size, and which symbol.
    order: OnceLock<Vec<Entry>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    start: u64,
    /// Of two that begin at one place the larger one comes last, and so is found.
    size: u64,
    is_global: bool,
    index: usize,
}

impl Located {
    /// The local symbols of what was linked. `names` are those of all objects.
    pub(crate) fn of(
        resolution: &Resolution<'_>,
        addresses: &Addresses,
        names: Arc<Names>,
    ) -> Self {
        /// So many symbols a library has for each of these, or fewer, whose names have so many bytes.
        const SYMBOLS_PER_LOCAL: usize = 8;
        const BYTES_PER_NAME: usize = 16;
        let expected = resolution.symbol_count() / SYMBOLS_PER_LOCAL;
        // No default names: those would be made, too.
        let mut located = Self {
            text: String::with_capacity(expected * BYTES_PER_NAME),
            locals: Vec::with_capacity(expected),
            objects: names,
            order: OnceLock::new(),
        };
        let given = resolution.budget.spent().input.min(u64::from(u32::MAX)) as usize;
        for (object, number) in resolution.objects.iter().zip(0..) {
            if object.is_made {
                continue;
            }
            for symbol in object.graph.symbols() {
                let Some((section, offset)) = place(symbol) else {
                    continue;
                };
                if object.graph.sections()[section as usize].is_thread_local
                    || resolution.machine.is_mark(&symbol.name)
                {
                    continue;
                }
                let Some(start) = addresses.section(object.first_section + section) else {
                    continue;
                };
                // Files may share the bytes of names; what is kept of them stays in proportion to the input all the same.
                if located.text.len() + symbol.name.len() > given {
                    return located;
                }
                located.push(symbol, start.wrapping_add(offset), number);
            }
        }
        located
    }

    fn push(&mut self, symbol: &Symbol<'_>, address: u64, object: u32) {
        let start = self.text.len() as u32;
        self.text.push_str(&symbol.name);
        let name = start..self.text.len() as u32;
        self.locals.push(Local {
            address,
            size: symbol.size,
            name,
            object,
        });
    }

    /// The object that has a local symbol of this name.
    pub(crate) fn local(&self, name: &str) -> Option<&str> {
        let mut locals = self.locals.iter();
        let found = locals.find(|local| self.name(local) == name)?;
        self.objects.text(found.object)
    }

    /// What lies at `address`, in `within`: the part of the image that the address is in.
    pub(crate) fn find(
        &self,
        symbols: &[ImageSymbol],
        address: Address,
        within: Range<u64>,
    ) -> Option<Location> {
        let order = self.order.get_or_init(|| self.sorted(symbols));
        let address = address.value();
        let end = order.partition_point(|entry| entry.start <= address);
        let next = order
            .get(end)
            .map_or(within.end, |entry| entry.start.min(within.end));
        let mut before = order[..end].iter().rev().take(ENCLOSING);
        let entry = before.find(|entry| {
            let size = if entry.size == 0 {
                next.saturating_sub(entry.start)
            } else {
                entry.size
            };
            address - entry.start < size
        })?;
        if !within.contains(&entry.start) {
            return None;
        }
        let size = if entry.size == 0 {
            next - entry.start
        } else {
            entry.size
        };
        Some(self.location(symbols, entry, size))
    }

    fn location(&self, symbols: &[ImageSymbol], entry: &Entry, size: u64) -> Location {
        let (name, object) = if entry.is_global {
            let symbol = &symbols[entry.index];
            (symbol.name.clone(), Arc::clone(&symbol.object))
        } else {
            let local = &self.locals[entry.index];
            let object = self.objects.get(local.object);
            (self.name(local).to_owned(), object.unwrap_or_default())
        };
        Location {
            name,
            object,
            address: Address::new(entry.start),
            size,
            is_local: !entry.is_global,
        }
    }

    fn name(&self, local: &Local) -> &str {
        &self.text[local.name.start as usize..local.name.end as usize]
    }

    fn sorted(&self, symbols: &[ImageSymbol]) -> Vec<Entry> {
        // A symbol without a place in memory is a number and no address.
        let globals = symbols.iter().enumerate();
        let globals = globals.filter(|(_, symbol)| symbol.protection.is_some());
        let globals = globals.map(|(index, symbol)| Entry {
            start: symbol.address.value(),
            size: symbol.size,
            is_global: true,
            index,
        });
        let locals = self.locals.iter().enumerate().map(|(index, local)| Entry {
            start: local.address,
            size: local.size,
            is_global: false,
            index,
        });
        let mut all: Vec<_> = globals.chain(locals).collect();
        all.sort_unstable();
        all
    }
}

/// Where a local symbol is that a person would recognise: its section and offset.
fn place(symbol: &Symbol<'_>) -> Option<(u32, u64)> {
    let is_named = symbol.binding == Binding::Local
        && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::ThreadLocal)
        && !symbol.name.is_empty()
        // Labels of compilers.
        && !symbol.name.starts_with(".L");
    match symbol.definition {
        Definition::Section { section, offset } if is_named => Some((section.0, offset)),
        _ => None,
    }
}
