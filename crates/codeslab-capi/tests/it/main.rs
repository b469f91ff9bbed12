//! The C interface from outside: what C and C++ compilers make of the header, and what the library makes of what they pass.

#[cfg(target_os = "linux")]
mod asmjit;
mod bad_input;
mod documents;
#[cfg(target_os = "linux")]
mod installed;
mod placing;
mod support;
