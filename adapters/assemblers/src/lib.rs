//! What the examples of this package share: a place for code beside a counter, in reach of a function of the process.
//!
//! Every assembler hooks in at the same points. It says how many bytes it needs at most; codeslab says where they will run, before
//! the first of them is written; it assembles for that address; and what it did not need is given back.
#![allow(unsafe_code, reason = "what was assembled is called")]

use codeslab::{
    Address, Allocation, CodeMemory, InFlightAllocation, Layout, Protection, Request, SectionId,
    Window, process_symbol,
};
use std::error::Error;

/// Bytes that are enough for the function of each example.
const MOST: u64 = 256;

/// Code that is being assembled, the counter that it increments, and the function that it calls.
#[derive(Debug)]
pub struct Place {
    in_flight: InFlightAllocation,
    code: SectionId,
    counter: SectionId,
    /// `labs` of the C library, at most 2 GiB away from the code.
    pub callee: Address,
}

impl Place {
    /// A place in reach of `labs`.
    ///
    /// # Errors
    /// If there is no such function, or no free address space near it.
    pub fn new(memory: &CodeMemory) -> Result<Self, Box<dyn Error>> {
        let callee = process_symbol("labs").ok_or("the process has no C library")?;
        let mut layout = Layout::new();
        let code = layout.add(Protection::ReadExecute, MOST, 16)?;
        let counter = layout.add(Protection::ReadWrite, 8, 8)?;
        // A call has 32 bits for the distance, counted from its end.
        let windows = [Window::around(callee, (2 << 30) - 4096)];
        let in_flight = memory.allocate(&Request::new(&layout).within(&windows))?;
        Ok(Self {
            in_flight,
            code,
            counter,
            callee,
        })
    }

    /// Where the first instruction will run.
    #[must_use]
    pub fn start(&self) -> Address {
        self.in_flight.address(self.code)
    }

    /// Where the counter is: 64 bits, zero at first.
    #[must_use]
    pub fn counter(&self) -> Address {
        self.in_flight.address(self.counter)
    }

    /// Writes the code, gives back what it does not need, and makes it executable.
    ///
    /// # Errors
    /// If it is larger than was said, or the system refuses.
    pub fn publish(mut self, code: &[u8]) -> Result<Counting, codeslab::Error> {
        let (start, counter) = (self.start(), self.counter());
        self.in_flight.write(self.code, 0, code)?;
        self.in_flight.shrink(self.code, code.len() as u64)?;
        let allocation = self.in_flight.finalize()?;
        Ok(Counting {
            allocation,
            start,
            counter,
        })
    }
}

/// A function that counts how often it is called and gives the absolute value of its argument.
#[derive(Debug)]
pub struct Counting {
    allocation: Allocation,
    start: Address,
    counter: Address,
}

impl Counting {
    /// Calls it.
    #[must_use]
    pub fn call(&self, number: i64) -> i64 {
        // SAFETY: examples assemble a function of this type, and it lives as long as `self`.
        let function: extern "C" fn(i64) -> i64 =
            unsafe { std::mem::transmute(self.start.value()) };
        function(number)
    }

    /// How often it was called.
    ///
    /// # Panics
    /// Never: the counter lies in its data.
    #[must_use]
    pub fn count(&self) -> u64 {
        let word = self.allocation.word(self.counter);
        word.expect("it was placed there")
            .load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Whether what the examples assemble runs here: x86-64, with System V's convention and 64 bits in a `long`.
#[must_use]
pub fn is_supported() -> bool {
    cfg!(all(target_arch = "x86_64", unix))
}

/// Runs an example: places what it assembles, calls it, frees it, and says what came of it.
///
/// # Errors
/// Those of [`Place::new`] and [`Place::publish`], and the assembler's.
pub fn run(
    assemble: impl FnOnce(&Place) -> Result<Vec<u8>, Box<dyn Error>>,
) -> Result<String, Box<dyn Error>> {
    if !is_supported() {
        return Ok("this example is for x86-64".to_owned());
    }
    let memory = CodeMemory::new(codeslab::Options::default())?;
    let place = Place::new(&memory)?;
    let code = assemble(&place)?;
    let function = place.publish(&code)?;
    let results: Vec<i64> = [-5, 7, i64::MIN + 1]
        .map(|number| function.call(number))
        .into();
    let said = format!(
        "{} bytes, called {} times: {results:?}",
        code.len(),
        function.count()
    );
    drop(function);
    Ok(format!("{said}; {} bytes left", memory.stats().used_bytes))
}
