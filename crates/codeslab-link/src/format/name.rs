//! Names as text.
//!
//! Formats allow any bytes in the names of symbols and sections, and assemblers write what they are given, in whatever encoding. Here names
//! are text, since embedders ask for them in text: a byte that is no part of UTF-8 is written as `\xNN`, in all objects alike, so such
//! names find each other and can be asked for.

use std::borrow::Cow;
use std::fmt::Write;

/// Makes the name of C out of the one that a format has for it.
pub(crate) type CName = for<'a> fn(Cow<'a, str>) -> Cow<'a, str>;

/// For formats whose names are those of C.
pub(crate) fn as_it_is(name: Cow<'_, str>) -> Cow<'_, str> {
    name
}

/// The text that stands for a name.
pub(crate) fn name_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(escaped(bytes)),
    }
}

#[cold]
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_written_as_in_c() {
        assert_eq!(name_of(b"plain"), "plain");
        assert_eq!(name_of("größe".as_bytes()), "größe");
        assert_eq!(name_of(b"gr\xf6\xdfe"), "gr\\xf6\\xdfe");
        assert_eq!(name_of(b"\xff"), "\\xff");
    }
}
