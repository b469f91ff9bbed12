//! What takes a C compiler: code that it made calls, and is called.

// Structures are refused where Apple's convention is, so far.
#[cfg(not(all(target_arch = "aarch64", target_vendor = "apple")))]
mod cases;
#[cfg(not(all(target_arch = "aarch64", target_vendor = "apple")))]
mod structures;
