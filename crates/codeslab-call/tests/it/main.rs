//! What takes a C compiler: code that it made calls, and is called.

mod cases;
mod structures;
