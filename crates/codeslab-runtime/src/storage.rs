//! What thread-local storage is about: the template of each thread's copy, variables, and what code needs to know of them.
//!
//! Values only. The linker fills them in, `thread_local` asks, and a system answers.

/// What each thread's copy begins as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template<'a> {
    /// What is not zero in it, from its start.
    pub bytes: &'a [u8],
    /// Bytes of a copy, no less than those; 0 if there are no variables.
    pub size: u64,
    /// What the address of a copy is a multiple of: a power of two, in bytes.
    pub align: u64,
    /// Variables that other images may refer to: the name of each, and its offset in bytes.
    pub exports: &'a [(&'a str, u64)],
}

/// The variable that a question is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variable<'a> {
    /// One of the image, by its offset in the template in bytes.
    Own(u64),
    /// One that the process or a library has, by name.
    Process(&'a str),
    /// One that does not exist and need not exist.
    Nobody,
}

/// What code needs to know of a variable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// The two words that `__tls_get_addr` is passed: the number of the module, and the offset in the module's block.
    ModuleAndOffset,
    /// One word, the offset from the thread pointer, which is then one for all threads (the models initial exec and local exec). Only
    /// little room is there for variables of which that is asked.
    ThreadOffset,
    /// The two words of a descriptor: a function that tells the offset from the thread pointer, and its argument.
    Descriptor,
}
