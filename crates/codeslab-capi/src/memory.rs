//! Memories: options in, and what holds for all that is placed there.
#![allow(unsafe_code, reason = "functions for C have their names to themselves")]

use crate::argument::{SelfSized, out, structure};
use crate::failure::{Failure, Result, run};
use crate::object::{Object, insert, take, with_memory};
use crate::status::codeslab_status;
use codeslab::{
    Address, CodeMemory, CodeModel, Constants, GracePeriod, Options, Quarantine, Window, Writer,
};
use std::mem::MaybeUninit;

/// A code memory, from `codeslab_open` to `codeslab_close`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_memory {
    /// Not for anybody else.
    pub value: u64,
}

/// Code and data within ±2 GiB of each other, as compilers make it unless they are told otherwise. On 64-bit Arm, branches span ±128 MiB.
pub const CODESLAB_CODE_MODEL_SMALL: u32 = 0;
/// ±1 MiB; 64-bit Arm only.
pub const CODESLAB_CODE_MODEL_TINY: u32 = 1;
/// Code within ±2 GiB, large data anywhere; x86-64 only.
pub const CODESLAB_CODE_MODEL_MEDIUM: u32 = 2;
/// Anything anywhere.
pub const CODESLAB_CODE_MODEL_LARGE: u32 = 3;

/// What `CODESLAB_WRITER` in the environment says, else the first writer that works.
pub const CODESLAB_WRITER_DEFAULT: u32 = 0;
/// Two views of one memory file: an executable one and a writable one elsewhere.
pub const CODESLAB_WRITER_DUAL_MAPPING: u32 = 1;
/// Code is written by calls into the memory file behind the executable view.
pub const CODESLAB_WRITER_FILE_WRITE: u32 = 2;
/// Private pages, made executable before anything on them is published.
pub const CODESLAB_WRITER_PROTECT: u32 = 3;
/// Code is written through `/proc/self/mem`.
pub const CODESLAB_WRITER_SELF_MEM: u32 = 4;
/// Private pages under a memory protection key.
pub const CODESLAB_WRITER_PKEYS: u32 = 5;
/// Memory of `MAP_JIT`, to which threads are switched for a copy (macOS).
pub const CODESLAB_WRITER_MAP_JIT: u32 = 6;

/// What is freed may be used again at once.
pub const CODESLAB_QUARANTINE_OFF: u32 = 0;
/// Freed code traps at once, but its place is not used again before its grace period ends.
pub const CODESLAB_QUARANTINE_TRAPPING: u32 = 1;
/// What is freed stays as it is until its grace period ends.
pub const CODESLAB_QUARANTINE_INTACT: u32 = 2;

/// Constants lie between the code, on executable pages.
pub const CODESLAB_CONSTANTS_WITH_CODE: u32 = 1;
/// Nothing else can write or map what is code once the memory has it.
pub const CODESLAB_SEALED: u32 = 2;
/// Code in flight is written in its place, through a view of the whole block: saves a copy, and hardens less.
pub const CODESLAB_NOT_HARDENED: u32 = 4;
/// Pages without access lie between code, constants and data, and at the ends of blocks.
pub const CODESLAB_GUARD_PAGES: u32 = 8;
/// Indirect branches arrive at landing pads only, where processor and system enforce that (64-bit Arm's BTI); code has to have them then. The
/// flags of a memory's configuration say whether it came to that.
pub const CODESLAB_BRANCH_PROTECTION: u32 = 16;

/// What a memory is opened with: see `codeslab_default_options`. Zero is the default of everything.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_options {
    /// `sizeof(codeslab_options)`.
    pub struct_size: usize,
    /// Bytes of address space that one block reserves: a power of two. 0: 2 to the power of `CODESLAB_BLOCK_SIZE` in the environment, else
    /// 16 MiB.
    pub block_size: u64,
    /// Bytes that the memory has committed at most; 0: as many as there are.
    pub max_committed: u64,
    /// Mappings that the memory has at most; 0: as many as there are.
    pub max_mappings: u64,
    /// One of the `CODESLAB_CODE_MODEL_` numbers.
    pub code_model: u32,
    /// One of the `CODESLAB_WRITER_` numbers.
    pub writer: u32,
    /// One of the `CODESLAB_QUARANTINE_` numbers.
    pub quarantine: u32,
    /// Any of `CODESLAB_CONSTANTS_WITH_CODE`, `CODESLAB_SEALED`, `CODESLAB_NOT_HARDENED`, `CODESLAB_GUARD_PAGES` and
    /// `CODESLAB_BRANCH_PROTECTION`.
    pub flags: u32,
}

impl SelfSized for codeslab_options {
    fn struct_size(&self) -> usize {
        self.struct_size
    }
}

/// What a memory was opened with, after defaults, environment and probes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_configuration {
    /// Bytes of address space of a block.
    pub block_size: u64,
    /// How many bytes a reference may span, in either direction.
    pub reach: u64,
    /// How many bytes a branch may span, where that is less.
    pub branch_reach: u64,
    /// One of the `CODESLAB_CODE_MODEL_` numbers.
    pub code_model: u32,
    /// One of the `CODESLAB_WRITER_` numbers.
    pub writer: u32,
    /// One of the `CODESLAB_QUARANTINE_` numbers.
    pub quarantine: u32,
    /// As `codeslab_options::flags`.
    pub flags: u32,
}

/// An interval of addresses, both ends included.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_window {
    /// The lowest address.
    pub first: u64,
    /// The highest address.
    pub last: u64,
}

impl codeslab_window {
    pub(crate) fn window(self) -> Result<Window> {
        Window::new(Address::new(self.first), Address::new(self.last))
            .ok_or_else(|| Failure::argument("windows", "windows that begin before they end"))
    }

    pub(crate) const fn of(window: Window) -> Self {
        Self {
            first: window.first().value(),
            last: window.last().value(),
        }
    }
}

const MODELS: [CodeModel; 4] = [
    CodeModel::Small,
    CodeModel::Tiny,
    CodeModel::Medium,
    CodeModel::Large,
];
const WRITERS: [Writer; 6] = [
    Writer::DualMapping,
    Writer::FileWrite,
    Writer::Protect,
    Writer::SelfMem,
    Writer::Pkeys,
    Writer::MapJit,
];
const QUARANTINES: [Quarantine; 3] = [Quarantine::Off, Quarantine::Trapping, Quarantine::Intact];

fn chosen<T: Copy>(all: &[T], number: u32, name: &str) -> Result<T> {
    let one = all.get(number as usize).copied();
    one.ok_or_else(|| Failure::argument(name, &format!("a number below {}", all.len())))
}

fn position<T: PartialEq>(all: &[T], one: &T) -> u32 {
    let at = all.iter().position(|other| other == one);
    at.map_or(u32::MAX, |at| at as u32)
}

/// The writer with a number, but for the default.
pub(crate) fn writer(number: u32) -> Result<Writer> {
    let expected = || Failure::argument("writer", "one of the CODESLAB_WRITER_ numbers");
    chosen(
        &WRITERS,
        number.checked_sub(1).ok_or_else(expected)?,
        "writer",
    )
}

const FLAGS: u32 = CODESLAB_CONSTANTS_WITH_CODE
    | CODESLAB_SEALED
    | CODESLAB_NOT_HARDENED
    | CODESLAB_GUARD_PAGES
    | CODESLAB_BRANCH_PROTECTION;

impl codeslab_options {
    fn options(&self) -> Result<Options> {
        if self.flags & !FLAGS != 0 {
            return Err(Failure::argument("flags", "flags that this version knows"));
        }
        let has = |flag| self.flags & flag != 0;
        let given = |number: u64| (number != 0).then_some(number);
        let writer = (self.writer != CODESLAB_WRITER_DEFAULT).then(|| writer(self.writer));
        Ok(Options {
            block_size: given(self.block_size),
            code_model: chosen(&MODELS, self.code_model, "code_model")?,
            writer: writer.transpose()?,
            constants: if has(CODESLAB_CONSTANTS_WITH_CODE) {
                Constants::WithCode
            } else {
                Constants::Separate
            },
            quarantine: chosen(&QUARANTINES, self.quarantine, "quarantine")?,
            max_committed: given(self.max_committed),
            max_mappings: given(self.max_mappings),
            sealed: has(CODESLAB_SEALED),
            hardened: !has(CODESLAB_NOT_HARDENED),
            guard_pages: has(CODESLAB_GUARD_PAGES),
            branch_protection: has(CODESLAB_BRANCH_PROTECTION),
        })
    }
}

/// Opens a memory. Nothing is reserved before the first allocation. `options` may be null for defaults.
///
/// @param options what to open it with, or null
/// @param memory  receives the memory
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_open(
    options: *const codeslab_options,
    memory: Option<&mut MaybeUninit<codeslab_memory>>,
) -> codeslab_status {
    run(|| {
        let memory = out(memory, "memory")?;
        // SAFETY: that it is null or points to as much as its first field says is the header's condition.
        let options = unsafe { structure(options, "options") }?;
        let options = options.map(codeslab_options::options).transpose()?;
        let opened = CodeMemory::new(options.unwrap_or_default())?;
        let value = insert(Object::Memory(opened))?;
        memory.write(codeslab_memory { value });
        Ok(())
    })
}

/// Closes a memory: its handle is stale. Allocations and images live on until they are freed.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_close(memory: codeslab_memory) -> codeslab_status {
    run(|| take::<CodeMemory>(memory.value).map(drop))
}

/// Says what a memory was opened with.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_get_configuration(
    memory: codeslab_memory,
    configuration: Option<&mut MaybeUninit<codeslab_configuration>>,
) -> codeslab_status {
    run(|| {
        let place = out(configuration, "configuration")?;
        let found = with_memory(memory.value, |memory| Ok(memory.configuration()))?;
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        place.write(codeslab_configuration {
            block_size: found.block_size,
            reach: found.reach.bytes(),
            branch_reach: found.branch_reach.bytes(),
            code_model: position(&MODELS, &found.code_model),
            writer: position(&WRITERS, &found.writer).saturating_add(1),
            quarantine: position(&QUARANTINES, &found.quarantine),
            flags: flag(
                found.constants == Constants::WithCode,
                CODESLAB_CONSTANTS_WITH_CODE,
            ) | flag(found.sealing.is_some(), CODESLAB_SEALED)
                | flag(!found.hardened, CODESLAB_NOT_HARDENED)
                | flag(found.guard_pages, CODESLAB_GUARD_PAGES)
                | flag(found.branch_protection, CODESLAB_BRANCH_PROTECTION),
        });
        Ok(())
    })
}

/// Reserves address space for a block in a window, before something else takes it. It costs no memory.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_reserve(
    memory: codeslab_memory,
    window: codeslab_window,
) -> codeslab_status {
    run(|| {
        let window = window.window()?;
        with_memory(memory.value, |memory| Ok(memory.reserve(window)?))
    })
}

/// Gives back to the system what is kept for the next allocation.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_trim(memory: codeslab_memory) -> codeslab_status {
    run(|| {
        with_memory(memory.value, |memory| {
            memory.trim();
            Ok(())
        })
    })
}

/// Begins a grace period for everything that was freed until now, where the memory has a quarantine.
///
/// @param period receives its number, for `codeslab_end_grace_period`
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_begin_grace_period(
    memory: codeslab_memory,
    period: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        let place = out(period, "period")?;
        let begun = with_memory(memory.value, |memory| Ok(memory.begin_grace_period()))?;
        place.write(begun.value());
        Ok(())
    })
}

/// Ends a grace period, and all that began before it: what was freed by then is used again.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_end_grace_period(
    memory: codeslab_memory,
    period: u64,
) -> codeslab_status {
    run(|| {
        let period = GracePeriod::from_value(period);
        with_memory(memory.value, |memory| {
            if !memory.has_begun(period) {
                return Err(Failure::argument("period", "a grace period that has begun"));
            }
            memory.end_grace_period(period);
            Ok(())
        })
    })
}
