//! Any bytes, linked as an object or archive.

/// Links them. There are no others than these.
pub fn run(bytes: &[u8]) -> bool {
    crate::check_file(bytes);
    true
}
