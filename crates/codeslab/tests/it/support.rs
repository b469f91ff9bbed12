//! What the tests share.

use codeslab::{Address, CodeMemory, Layout, Options, Protection, Request, SectionId, Writer};
use std::process::Output;

pub(crate) use crate::processor::{CODE, return_constant, sums};

/// Bytes of [`return_constant`].
pub(crate) const CODE_BYTES: u64 = CODE as u64;

/// Whether what lies there traps when it is executed, as memory does that holds no code.
pub(crate) fn traps(at: Address) -> bool {
    let fill = codeslab::architecture()
        .expect("a supported platform")
        .fill_pattern();
    let start = Address::new(at.value() & !3);
    (0..4).all(|index| {
        let byte = Address::new(start.value() + index);
        byte < at || byte_at(byte) == fill[index as usize]
    })
}

/// Calls a function of that type.
pub(crate) fn call(at: Address) -> u32 {
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(at.value() as *const ()) };
    function()
}

/// The byte at a readable address.
pub(crate) fn byte_at(at: Address) -> u8 {
    unsafe { std::ptr::read_volatile(at.value() as *const u8) }
}

/// Every writer that works here, as a memory; or only the one that `CODESLAB_TEST_ONLY` names, where machines are slow.
pub(crate) fn memories() -> Vec<(Writer, CodeMemory)> {
    let only = std::env::var("CODESLAB_TEST_ONLY").ok();
    let status = codeslab::capabilities()
        .expect("a supported platform")
        .writers;
    let available = status
        .into_iter()
        .filter(|status| status.unavailable.is_none())
        .map(|status| status.writer)
        .filter(|writer| only.as_deref().is_none_or(|only| only == writer.name()));
    let memories: Vec<_> = available.map(|writer| (writer, memory(writer))).collect();
    assert!(!memories.is_empty(), "there is a writer to test");
    memories
}

pub(crate) fn memory(writer: Writer) -> CodeMemory {
    let options = Options {
        writer: Some(writer),
        ..Options::default()
    };
    CodeMemory::new(options).expect("an available writer")
}

/// The same with blocks of this size.
pub(crate) fn memory_of(writer: Writer, block_bytes: u64) -> CodeMemory {
    let options = Options {
        writer: Some(writer),
        block_size: Some(block_bytes),
        ..Options::default()
    };
    CodeMemory::new(options).expect("an available writer")
}

/// Code, constants and data of these sizes.
pub(crate) fn layout(sizes: [u64; 3]) -> (Layout, [SectionId; 3]) {
    let mut layout = Layout::new();
    let sections = std::array::from_fn(|index| {
        layout
            .add(Protection::ALL[index], sizes[index], 16)
            .expect("a section")
    });
    (layout, sections)
}

/// Publishes a function that returns `value`.
pub(crate) fn function(memory: &CodeMemory, value: u32) -> (codeslab::Allocation, Address) {
    let (layout, [code, ..]) = layout([CODE_BYTES, 0, 0]);
    let mut in_flight = memory
        .allocate(&Request::new(&layout))
        .expect("room for a function");
    in_flight
        .write(code, 0, &return_constant(value))
        .expect("it fits");
    let at = in_flight.address(code);
    (in_flight.finalize().expect("a publishable function"), at)
}

/// A published function, where it is, and what it returns.
pub(crate) type Function = (codeslab::Allocation, Address, u32);

/// Publishes functions of `size` bytes that return 0, 1, 2 and so on, each with some constants and data.
pub(crate) fn functions(memory: &CodeMemory, count: u32, size: u64) -> Vec<Function> {
    let (layout, [code, constants, data]) = layout([size, 40, 24]);
    let publish = |value: u32| {
        let mut in_flight = memory.allocate(&Request::new(&layout)).expect("room");
        in_flight.bytes_mut(constants).fill(value as u8);
        in_flight.bytes_mut(data).fill(value as u8);
        in_flight
            .write(code, 0, &return_constant(value))
            .expect("it fits");
        let at = in_flight.address(code);
        (in_flight.finalize().expect("a function"), at, value)
    };
    (0..count).map(publish).collect()
}

/// Every one of them returns what it should.
pub(crate) fn call_all(functions: &[Function], writer: Writer) {
    for (_, at, value) in functions {
        assert_eq!(call(*at), *value, "{writer}: the function at {at}");
    }
}

/// What processes die of that do what they must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    /// Memory was used in a way that its protection forbids.
    Fault,
    /// An instruction that traps was executed.
    Trap,
}

impl Death {
    /// What a child died of.
    #[cfg(unix)]
    pub(crate) fn of(output: &Output) -> Option<Self> {
        use std::os::unix::process::ExitStatusExt;
        match output.status.signal()? {
            11 => Some(Self::Fault),
            // SIGBUS of macOS, which means a protection there.
            10 if cfg!(target_os = "macos") => Some(Self::Fault),
            5 => Some(Self::Trap),
            _ => None,
        }
    }

    /// What a child died of.
    #[cfg(windows)]
    pub(crate) fn of(output: &Output) -> Option<Self> {
        match output.status.code()?.cast_unsigned() {
            0xc000_0005 => Some(Self::Fault),
            0x8000_0003 => Some(Self::Trap),
            _ => None,
        }
    }
}
