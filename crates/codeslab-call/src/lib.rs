//! Calls machine code at an address, with a signature that is known at run time only.
//!
//! No code is generated and no libffi is involved. Where a convention has registers of their own for integers and for
//! floats, a caller can load *all* argument registers and pass a few words on the stack, whatever the callee takes: the
//! callee reads those that it knows of, and the caller cleans the stack up. One call instruction for each number of stack
//! words therefore serves every signature. Results come back as one word.
//!
//! ```
//! use codeslab_call::{Frame, Signature, Value};
//! extern "C" fn scaled(number: i32, by: f64) -> f64 {
//!     f64::from(number) * by
//! }
//! let signature = Signature::compile("float64", &["int32", "float64"])?;
//! let mut frame = Frame::new();
//! let [number, by] = signature.parameters() else { unreachable!() };
//! frame.put(*number, number.kind().integer_word(-6.0).expect("a whole number of 32 bits"));
//! frame.put(*by, 7.0_f64.to_bits());
//! // SAFETY: the function is of this signature, and takes any numbers.
//! let word = unsafe { signature.call(scaled as *const (), &frame) };
//! assert_eq!(signature.result().value(word), Value::Float(-42.0));
//! # Ok::<(), codeslab_call::Error>(())
//! ```
//!
//! The crate knows no code memory and no JavaScript: a binding turns its values into words with [`Kind`], places them in a
//! [`Frame`] and has a [`Signature`] call, while a [`Callable`] keeps the code from being freed meanwhile. Structures by
//! value are passed as bytes, laid out as C lays them out ([`Structure`]). Vectors, unions and `long double` are not passed.
//!
//! In order, each file using only those before it: `error`, `kind`, `calling`, `structure`, `registers`, `abi` (one file for each calling
//! convention), `signature`, `closure`, `fast`, `running`.

mod abi;
mod calling;
mod closure;
mod error;
mod fast;
mod kind;
mod registers;
mod running;
mod signature;
mod structure;

pub use calling::{Calling, System};
pub use closure::{Arguments, Handler, closure, closure_bytes, trampoline};
pub use error::{Error, Result};
pub use fast::{Barrier, FastTable, Thunks};
pub use kind::{Class, Kind, Reject, Value};
pub use running::{Callable, Entered, Entrance, Running};
pub use signature::{Frame, LargeFrame, MAXIMUM_ARGUMENTS, Parameter, ShortFrame, Signature, Type};
pub use structure::{LARGEST, Leaf, Results, Structure};
