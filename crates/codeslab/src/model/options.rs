//! What the embedder chooses, and what the environment may choose for it.

use crate::model::architecture::CodeModel;
use crate::model::error::{Error, Result};
use crate::model::writer::Writer;

/// Where constants go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Constants {
    /// In pages of their own, which are not executable.
    #[default]
    Separate,
    /// Between the code, on executable pages: fewer pages, and constants can be executed. Not with [`Writer::Pkeys`], whose
    /// code not every thread can read.
    WithCode,
}

impl Constants {
    /// Whether every thread can read constants that lie there if `writer` writes them.
    pub(crate) const fn can_be_read(self, writer: Writer) -> bool {
        !matches!((self, writer), (Self::WithCode, Writer::Pkeys))
    }
}

named! {
    /// What becomes of freed memory before it is used again.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    #[non_exhaustive]
    pub enum Quarantine {
        /// It may be used again at once.
        #[default]
        Off = "off",
        /// Code traps at once, but its place is not used again before the embedder ends the grace period
        /// ([`CodeMemory::end_grace_period`](crate::CodeMemory::end_grace_period)): a thread that still calls it does not end up
        /// in other code.
        Trapping = "trapping",
        /// It stays as it is until the embedder ends the grace period: threads may still be in it.
        Intact = "intact",
    }
}

/// What a code memory is opened with. Everything has a default; what is `None` may also come from the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// Bytes of address space that one block reserves: a power of two, from four pages to the reach of the code model.
    /// Else 2 to the power of `CODESLAB_BLOCK_SIZE`, else 16 MiB.
    pub block_size: Option<u64>,
    /// What the code assumes about distances.
    pub code_model: CodeModel,
    /// How code is written. Else `CODESLAB_WRITER`, else the first that works.
    pub writer: Option<Writer>,
    /// Where constants go.
    pub constants: Constants,
    /// What becomes of freed memory before it is used again. What is abandoned waits as well.
    pub quarantine: Quarantine,
    /// Bytes that the memory has committed at most, as [`Stats::committed_bytes`](crate::Stats::committed_bytes) counts them. A
    /// request that would need more is refused before the system is asked.
    pub max_committed: Option<u64>,
    /// Mappings that the memory has at most, as [`Stats::mappings`](crate::Stats::mappings) counts them. A process may have as
    /// many as `vm.max_map_count` says, and when they are used up its other parts fail, too. While a request is carved, the most
    /// that it may take counts, and pages with rights of their own (`protect`) count as if none were neighbours.
    pub max_mappings: Option<u64>,
    /// Whether what writes and maps code is closed to everything else for good, as far as the system can do that: for programs in
    /// which an attacker might get hold of system calls. What is sealed is used again and not given back before the process ends.
    /// [`Configuration::sealing`](crate::Configuration::sealing) tells what came of it.
    ///
    /// With [`Writer::DualMapping`] no further writable mapping of code can be made, by no call and from no thread, and no
    /// call writes to it; with [`Writer::FileWrite`] calls that write go on working, from any code. Mappings of code cannot
    /// be unmapped, replaced, or given other rights. The other writers use private memory, which cannot be sealed.
    pub sealed: bool,
    /// Whether the writable view of [`Writer::DualMapping`] shows code only, and only what is published, which is the default. What is in
    /// flight is written elsewhere and copied when it is published; constants are written by a call.
    ///
    /// Without it everything is written in its place, through a view of the whole block: that saves a copy, and a call for each
    /// request with constants, and means that code in flight runs if something jumps there, and that a stray store into the view
    /// changes constants. The other writers are always as hardened as they can be.
    pub hardened: bool,
    /// Whether a page that nothing can read, write or execute lies at both ends of each block, and between code, constants and data in
    /// it (a unit of the system's mappings, where that is more). What overruns its slab then faults, instead of reaching another.
    ///
    /// Slabs grow, and never into such a page: at any time at least one is between any two pieces of different slabs. Pieces of one slab
    /// that meet have none between them, nor do neighbours in a slab. A block takes two mappings more, four when it is full, and holds as many pages less;
    /// the smallest ones hold a request of one protection only, and larger requests get blocks of their own.
    pub guard_pages: bool,
    /// Whether code is guarded where processor and system can do that ([`Configuration::branch_protection`](crate::Configuration) tells
    /// whether they do): an indirect branch that arrives at anything but a landing pad faults (SIGILL). That is BTI of 64-bit Arm, of
    /// which each function that is called through a pointer begins with `bti c`; elsewhere nothing is different.
    ///
    /// All code of the memory has to have landing pads then. Of an object the linker knows, from its mark (`.note.gnu.property`, as
    /// compilers write it with `-mbranch-protection=bti`), and refuses those without; what is placed otherwise is the embedder's concern.
    pub branch_protection: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_size: None,
            code_model: CodeModel::default(),
            writer: None,
            constants: Constants::default(),
            quarantine: Quarantine::default(),
            max_committed: None,
            max_mappings: None,
            sealed: false,
            hardened: true,
            guard_pages: false,
            branch_protection: false,
        }
    }
}

/// What [`Options::sealed`] has made impossible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Sealing {
    /// That code is written otherwise than through the one view that exists. Without it the memory files merely keep
    /// their sizes.
    pub writes: bool,
    /// That code is unmapped or replaced, or that its rights change. Linux 6.10.
    pub mappings: bool,
}

/// log2 of the bytes that one block reserves.
pub const BLOCK_SIZE_VARIABLE: &str = "CODESLAB_BLOCK_SIZE";
/// The name of a writer, or `auto`.
pub const WRITER_VARIABLE: &str = "CODESLAB_WRITER";

impl Options {
    /// These options with what they leave open taken from `variable`, which looks up environment variables.
    ///
    /// # Errors
    /// [`Error::InvalidEnvironment`] if a variable that is needed holds something it may not.
    pub fn or_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if self.block_size.is_none() {
            self.block_size = variable(BLOCK_SIZE_VARIABLE)
                .map(|value| parse_block_size(&value))
                .transpose()?;
        }
        if self.writer.is_none() {
            self.writer = variable(WRITER_VARIABLE)
                .map(|value| parse_writer(&value))
                .transpose()?
                .flatten();
        }
        Ok(self)
    }
}

fn parse_block_size(value: &str) -> Result<u64> {
    let log2 = value
        .parse::<u32>()
        .ok()
        .filter(|log2| (12..63).contains(log2));
    log2.map(|log2| 1 << log2)
        .ok_or_else(|| Error::InvalidEnvironment {
            variable: BLOCK_SIZE_VARIABLE,
            value: value.to_owned(),
            expected: "the base-2 logarithm of a number of bytes, 14 for 16 KiB to 30 for 1 GiB"
                .to_owned(),
        })
}

fn parse_writer(value: &str) -> Result<Option<Writer>> {
    if value == "auto" {
        return Ok(None);
    }
    Writer::from_name(value)
        .map(Some)
        .ok_or_else(|| Error::InvalidEnvironment {
            variable: WRITER_VARIABLE,
            value: value.to_owned(),
            expected: format!("auto, {}", Writer::ALL.map(Writer::name).join(", ")),
        })
}
