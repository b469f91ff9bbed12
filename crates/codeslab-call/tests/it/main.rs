//! What takes a C compiler: code that it made calls, and is called.

#[cfg(not(windows))]
mod apple;
mod cases;
mod structures;
