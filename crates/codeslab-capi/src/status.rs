//! Numbers for what can go wrong. They do not change between versions, and new ones are added at the end.

/// What a function answers: CODESLAB_OK, or what went wrong.
pub type codeslab_status = i32;

/// All is well.
pub const CODESLAB_OK: codeslab_status = 0;
/// A pointer that is null, a size or a number that is none of those that are possible: `argument` names it.
pub const CODESLAB_INVALID_ARGUMENT: codeslab_status = 1;
/// A handle whose object is gone, of another kind, or that was never given out.
pub const CODESLAB_STALE_HANDLE: codeslab_status = 2;
/// Another thread is changing, or still using, what the handle is of.
pub const CODESLAB_BUSY: codeslab_status = 3;
/// A mistake in codeslab itself, which was caught. Please report it.
pub const CODESLAB_INTERNAL: codeslab_status = 4;
/// More than a thousand million handles at once.
pub const CODESLAB_TOO_MANY_HANDLES: codeslab_status = 5;
/// An error without a number of its own here: codeslab_error::code has its name.
pub const CODESLAB_OTHER: codeslab_status = 6;
/// The image has no function of this name that can be replaced.
pub const CODESLAB_NOT_REPLACEABLE: codeslab_status = 7;
/// A block size that is no power of two, too small, or above the reach of the code model.
pub const CODESLAB_INVALID_BLOCK_SIZE: codeslab_status = 8;
/// An environment variable that holds none of the values it may.
pub const CODESLAB_INVALID_ENVIRONMENT: codeslab_status = 9;
/// A code model that the processor does not have.
pub const CODESLAB_UNSUPPORTED_CODE_MODEL: codeslab_status = 10;
/// A writer that the system does not offer.
pub const CODESLAB_WRITER_UNAVAILABLE: codeslab_status = 11;
/// A shared library that the dynamic linker does not open.
pub const CODESLAB_LIBRARY_UNAVAILABLE: codeslab_status = 12;
/// A system or processor without a port.
pub const CODESLAB_UNSUPPORTED_PLATFORM: codeslab_status = 13;
/// A request for no bytes at all.
pub const CODESLAB_EMPTY_REQUEST: codeslab_status = 14;
/// More bytes than one block can hold.
pub const CODESLAB_TOO_LARGE: codeslab_status = 15;
/// An alignment that is no power of two, or too large.
pub const CODESLAB_INVALID_ALIGNMENT: codeslab_status = 16;
/// A write, or a part of an input, that does not lie inside of what it belongs to.
pub const CODESLAB_OUT_OF_BOUNDS: codeslab_status = 17;
/// Windows of one request that have no address in common.
pub const CODESLAB_CONFLICTING_WINDOWS: codeslab_status = 18;
/// No free address space where the request has to be, or a symbol that is too far away.
pub const CODESLAB_OUT_OF_REACH: codeslab_status = 19;
/// The memory belongs to the parent process.
pub const CODESLAB_FORKED: codeslab_status = 20;
/// The process has as many mappings as it may.
pub const CODESLAB_TOO_MANY_MAPPINGS: codeslab_status = 21;
/// The limit on address space is met.
pub const CODESLAB_ADDRESS_SPACE_LIMIT: codeslab_status = 22;
/// The limit on the size of files is met.
pub const CODESLAB_FILE_SIZE_LIMIT: codeslab_status = 23;
/// No file descriptor is left.
pub const CODESLAB_TOO_MANY_FILES: codeslab_status = 24;
/// No memory is left.
pub const CODESLAB_OUT_OF_MEMORY: codeslab_status = 25;
/// A security policy forbids it.
pub const CODESLAB_FORBIDDEN: codeslab_status = 26;
/// The memory has as many mappings as its options allow.
pub const CODESLAB_MAPPING_BUDGET: codeslab_status = 27;
/// The memory has as many bytes as its options allow.
pub const CODESLAB_COMMIT_BUDGET: codeslab_status = 28;
/// The system refused for another reason.
pub const CODESLAB_SYSTEM: codeslab_status = 29;
/// An input that is neither an object nor an archive.
pub const CODESLAB_UNKNOWN_FORMAT: codeslab_status = 30;
/// A file that cannot be read.
pub const CODESLAB_UNREADABLE: codeslab_status = 31;
/// An object for another machine.
pub const CODESLAB_WRONG_ARCHITECTURE: codeslab_status = 32;
/// An executable or a shared library where an object is needed.
pub const CODESLAB_NOT_RELOCATABLE: codeslab_status = 33;
/// An object or archive that contradicts itself.
pub const CODESLAB_MALFORMED: codeslab_status = 34;
/// An input that asks for more work than its size can need.
pub const CODESLAB_WORK_BUDGET: codeslab_status = 35;
/// A number that names nothing.
pub const CODESLAB_INVALID_INDEX: codeslab_status = 36;
/// A relocation that the linker does not know.
pub const CODESLAB_UNKNOWN_RELOCATION: codeslab_status = 37;
/// Something that the linker does not do.
pub const CODESLAB_UNSUPPORTED: codeslab_status = 38;
/// A thread-local variable that is used in a way that is not possible here.
pub const CODESLAB_THREAD_LOCAL_ACCESS: codeslab_status = 39;
/// A section that would be writable and executable.
pub const CODESLAB_WRITABLE_CODE: codeslab_status = 40;
/// A symbol that nothing defines.
pub const CODESLAB_UNDEFINED_SYMBOL: codeslab_status = 41;
/// An assignment of a symbol that cannot be read.
pub const CODESLAB_INVALID_EXPRESSION: codeslab_status = 42;
/// A symbol that two inputs define.
pub const CODESLAB_DUPLICATE_SYMBOL: codeslab_status = 43;
/// A reference to what was left out.
pub const CODESLAB_DISCARDED_SECTION: codeslab_status = 44;
/// A value that does not fit where it has to be written.
pub const CODESLAB_OVERFLOW: codeslab_status = 45;
/// Definitions of one symbol that do not go together.
pub const CODESLAB_CONFLICTING_SYMBOLS: codeslab_status = 46;
/// No room for thread-local variables of this kind.
pub const CODESLAB_STATIC_THREAD_LOCAL: codeslab_status = 47;
/// A constructor threw an exception.
pub const CODESLAB_EXCEPTION: codeslab_status = 48;
/// The dynamic linker cannot be asked.
pub const CODESLAB_DYNAMIC_LINKER: codeslab_status = 49;

/// The number of each name that errors of the crates below have ([`codeslab_link::Error::code`]).
const NUMBERS: &[(&str, codeslab_status)] = &[
    ("INVALID_BLOCK_SIZE", CODESLAB_INVALID_BLOCK_SIZE),
    ("INVALID_ENVIRONMENT", CODESLAB_INVALID_ENVIRONMENT),
    ("UNSUPPORTED_CODE_MODEL", CODESLAB_UNSUPPORTED_CODE_MODEL),
    ("WRITER_UNAVAILABLE", CODESLAB_WRITER_UNAVAILABLE),
    ("LIBRARY_UNAVAILABLE", CODESLAB_LIBRARY_UNAVAILABLE),
    ("UNSUPPORTED_PLATFORM", CODESLAB_UNSUPPORTED_PLATFORM),
    ("EMPTY_REQUEST", CODESLAB_EMPTY_REQUEST),
    ("TOO_LARGE", CODESLAB_TOO_LARGE),
    ("INVALID_ALIGNMENT", CODESLAB_INVALID_ALIGNMENT),
    ("OUT_OF_BOUNDS", CODESLAB_OUT_OF_BOUNDS),
    ("CONFLICTING_WINDOWS", CODESLAB_CONFLICTING_WINDOWS),
    ("OUT_OF_REACH", CODESLAB_OUT_OF_REACH),
    ("FORKED", CODESLAB_FORKED),
    ("TOO_MANY_MAPPINGS", CODESLAB_TOO_MANY_MAPPINGS),
    ("ADDRESS_SPACE_LIMIT", CODESLAB_ADDRESS_SPACE_LIMIT),
    ("FILE_SIZE_LIMIT", CODESLAB_FILE_SIZE_LIMIT),
    ("TOO_MANY_FILES", CODESLAB_TOO_MANY_FILES),
    ("OUT_OF_MEMORY", CODESLAB_OUT_OF_MEMORY),
    ("FORBIDDEN", CODESLAB_FORBIDDEN),
    ("MAPPING_BUDGET", CODESLAB_MAPPING_BUDGET),
    ("COMMIT_BUDGET", CODESLAB_COMMIT_BUDGET),
    ("SYSTEM", CODESLAB_SYSTEM),
    ("UNKNOWN_FORMAT", CODESLAB_UNKNOWN_FORMAT),
    ("UNREADABLE", CODESLAB_UNREADABLE),
    ("WRONG_ARCHITECTURE", CODESLAB_WRONG_ARCHITECTURE),
    ("NOT_RELOCATABLE", CODESLAB_NOT_RELOCATABLE),
    ("MALFORMED", CODESLAB_MALFORMED),
    ("WORK_BUDGET", CODESLAB_WORK_BUDGET),
    ("INVALID_INDEX", CODESLAB_INVALID_INDEX),
    ("UNKNOWN_RELOCATION", CODESLAB_UNKNOWN_RELOCATION),
    ("UNSUPPORTED", CODESLAB_UNSUPPORTED),
    ("THREAD_LOCAL_ACCESS", CODESLAB_THREAD_LOCAL_ACCESS),
    ("WRITABLE_CODE", CODESLAB_WRITABLE_CODE),
    ("UNDEFINED_SYMBOL", CODESLAB_UNDEFINED_SYMBOL),
    ("INVALID_EXPRESSION", CODESLAB_INVALID_EXPRESSION),
    ("DUPLICATE_SYMBOL", CODESLAB_DUPLICATE_SYMBOL),
    ("DISCARDED_SECTION", CODESLAB_DISCARDED_SECTION),
    ("OVERFLOW", CODESLAB_OVERFLOW),
    ("CONFLICTING_SYMBOLS", CODESLAB_CONFLICTING_SYMBOLS),
    ("STATIC_THREAD_LOCAL", CODESLAB_STATIC_THREAD_LOCAL),
    ("EXCEPTION", CODESLAB_EXCEPTION),
    ("DYNAMIC_LINKER", CODESLAB_DYNAMIC_LINKER),
];

/// The number of a name.
pub(crate) fn number(name: &str) -> codeslab_status {
    let found = NUMBERS.iter().find(|(known, _)| *known == name);
    found.map_or(CODESLAB_OTHER, |(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_an_error_has_is_a_number() {
        let mut names = Vec::new();
        for krate in ["codeslab", "codeslab-link", "codeslab-runtime"] {
            for source in codeslab_testing::sources(&format!("crates/{krate}/src")) {
                let is_error = source.path.contains("error");
                let lines = source.text.lines().filter(|_| is_error);
                let quoted = lines.filter_map(|line| line.split("=> \"").nth(1)?.split('"').next());
                let is_letter = |one: char| one.is_uppercase() || one == '_';
                let is_name = |name: &&str| !name.is_empty() && name.chars().all(is_letter);
                names.extend(quoted.filter(is_name).map(str::to_owned));
            }
        }
        assert!(names.len() > 40, "{names:?}");
        let lacking = names.iter().filter(|name| number(name) == CODESLAB_OTHER);
        assert_eq!(lacking.collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(number("NO_SUCH_NAME"), CODESLAB_OTHER);
    }
}
