#![forbid(unsafe_code)]
//! The linker.

mod apply;
mod archive;
mod elf;
mod error;
mod graph;
mod image;
mod input;
mod link;
mod plan;
mod relocation;
mod resolve;
mod x86_64;

pub use error::{Error, Feature, Reference, Result};
pub use graph::{
    Binding, Content, Definition, Graph, Relocation, Section, SectionIndex, Symbol, SymbolIndex,
    SymbolKind,
};
pub use image::{Image, ImageSymbol};
pub use input::Input;
pub use link::{LinkOptions, link};
pub use relocation::RelocationKind;
