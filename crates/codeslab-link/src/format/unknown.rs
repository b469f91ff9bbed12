//! What an input looks like that is no object: people pass sources, scripts and files of other systems, and want to hear so.

/// What an input is that is neither an object nor an archive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Unknown {
    /// No bytes.
    Empty,
    /// Text that looks like a program in C or C++.
    Source,
    /// Text that looks like a program in assembler.
    Assembler,
    /// Text that looks like a linker script.
    Script,
    /// Other text.
    Text,
    /// An object or a program of Windows.
    Pe,
    /// An object or a program of Apple's systems for a big-endian machine.
    MachO,
    /// A WebAssembly module.
    WebAssembly,
    /// A compressed file.
    Compressed,
    /// Other bytes: machine code without a file around it, say.
    Bytes,
}

impl Unknown {
    /// What these bytes look like.
    pub(super) fn of(bytes: &[u8]) -> Self {
        const BEGINNINGS: [(&[u8], Unknown); 11] = [
            (b"\0asm", Unknown::WebAssembly),
            (b"MZ", Unknown::Pe),
            // The numbers of machines with which objects begin there.
            (&[100, 134], Unknown::Pe),
            (&[76, 1], Unknown::Pe),
            (&[100, 170], Unknown::Pe),
            // Those of little-endian machines are read.
            (b"\xfe\xed\xfa\xcf", Unknown::MachO),
            (b"\xfe\xed\xfa\xce", Unknown::MachO),
            (b"\x1f\x8b", Unknown::Compressed),
            (b"\x28\xb5\x2f\xfd", Unknown::Compressed),
            (b"\xfd7zXZ", Unknown::Compressed),
            (b"PK\x03\x04", Unknown::Compressed),
        ];
        if bytes.is_empty() {
            return Self::Empty;
        }
        let known = BEGINNINGS
            .iter()
            .find(|(start, _)| bytes.starts_with(start));
        known.map_or_else(|| Self::of_text(bytes), |(_, found)| *found)
    }

    fn of_text(bytes: &[u8]) -> Self {
        /// So much tells what it is.
        const LOOKED_AT: usize = 4096;
        let start = &bytes[..bytes.len().min(LOOKED_AT)];
        let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..);
        if !start.iter().all(is_text) {
            return Self::Bytes;
        }
        let text = String::from_utf8_lossy(start);
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["SECTIONS", "ENTRY(", "GROUP", "INPUT", "OUTPUT_FORMAT"])
            && !text.contains("#include")
        {
            Self::Script
        } else if has(&[
            "#include", "#define", "int ", "void ", "char ", "double ", "return ", "/*", "//",
        ]) && has(&["{", ";"])
        {
            Self::Source
        } else if has(&[".text", ".globl", ".global", ".section", ".byte", "ret"]) {
            Self::Assembler
        } else {
            Self::Text
        }
    }

    /// A name for programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Source => "source",
            Self::Assembler => "assembler",
            Self::Script => "script",
            Self::Text => "text",
            Self::Pe => "pe",
            Self::MachO => "mach-o",
            Self::WebAssembly => "wasm",
            Self::Compressed => "compressed",
            Self::Bytes => "bytes",
        }
    }

    /// What it is, and what to do, for people.
    pub(super) const fn described(self) -> &'static str {
        match self {
            Self::Empty => "empty: nothing was read, or the compiler wrote nothing",
            Self::Source => "source text: compile it first, as with `cc -c`",
            Self::Assembler => "assembler text: assemble it first, as with `cc -c`",
            Self::Script => {
                "a linker script, of which only the commands INPUT and GROUP are read: pass the objects that it is about"
            }
            Self::Text => "text: pass the bytes of a file that a compiler or `ar` wrote",
            Self::Pe => {
                "a file of Windows (COFF or PE) that is no object which can be linked here: compile for this machine, as with `cc -c`"
            }
            Self::MachO => {
                "a file for Apple's systems on a big-endian machine (Mach-O): compile for this machine, as with `cc -c`"
            }
            Self::WebAssembly => "WebAssembly: compile to an object of this machine",
            Self::Compressed => "a compressed file: decompress it first",
            Self::Bytes => {
                "bytes of another kind: machine code without a file around it is placed with `allocate`, not linked"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_pass_in_the_place_of_objects_is_recognised() {
        for (bytes, expected) in [
            (&b""[..], Unknown::Empty),
            (
                b"int add(int a, int b) { return a + b; }\n",
                Unknown::Source,
            ),
            (b"#include <stdio.h>\n", Unknown::Text),
            (
                b".globl add\nadd:\n  lea (%rdi,%rsi), %eax\n  ret\n",
                Unknown::Assembler,
            ),
            (b"SECTIONS { .text : { *(.text) } }", Unknown::Script),
            (b"hello", Unknown::Text),
            (b"MZ\x90\0", Unknown::Pe),
            (b"\xfe\xed\xfa\xce\x07", Unknown::MachO),
            (b"\0asm\x01\0\0\0", Unknown::WebAssembly),
            (b"\x1f\x8b\x08", Unknown::Compressed),
            (b"\xb8\x2a\0\0\0\xc3", Unknown::Bytes),
        ] {
            assert_eq!(
                Unknown::of(bytes),
                expected,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
