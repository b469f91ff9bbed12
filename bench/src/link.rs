//! Links a whole archive again and again.
#![allow(unsafe_code)] // Starting what was linked runs it.

use crate::allocator::unhardened;
use crate::report::Report;
use codeslab_link::{Input, LinkOptions, link};
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

/// `repetitions` links of the archive in `path`, which is loaded once. What was linked is freed outside of the time measured.
pub(crate) fn link_archive(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let inputs = [Input::File {
        name: path,
        bytes: &bytes,
    }];
    let options = LinkOptions::default();
    let memory = unhardened()?;
    let mut times = Vec::with_capacity(repetitions as usize);
    for _ in 0..repetitions {
        let start = Instant::now();
        // SAFETY: the inputs are real libraries, and there are no externals.
        let image = unsafe { link(&memory, &inputs, &options)?.start() }?;
        times.push(start.elapsed());
        image.free();
    }
    Ok(Report {
        objects: member_count(&bytes) * u64::from(repetitions),
        elapsed: median(&mut times) * repetitions,
        ..Report::default()
    })
}

/// The median, because a link that the scheduler interrupted says nothing about linking.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// ELF members of an `ar` archive. Good enough for an archive that links.
fn member_count(archive: &[u8]) -> u64 {
    const HEADER: usize = 60;
    let mut count = 0;
    let mut rest = archive.get(8..).unwrap_or_default();
    while let Some((header, body)) = rest.split_at_checked(HEADER) {
        let size = std::str::from_utf8(&header[48..58])
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok());
        let Some(size) = size else { break };
        count += u64::from(body.starts_with(b"\x7fELF"));
        // Members begin at even offsets.
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("{name:<48}{:<10}`\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        bytes
    }

    #[test]
    fn only_elf_members_count_and_odd_sizes_are_padded() {
        let parts = [
            member("/", b"index"),
            member("a.o/", b"\x7fELFa"),
            member("b.o/", b"\x7fELF"),
        ];
        let archive = [b"!<arch>\n".to_vec(), parts.concat()].concat();
        assert_eq!(member_count(&archive), 2);
    }

    #[test]
    fn a_truncated_archive_ends_the_count() {
        assert_eq!(member_count(b"!<arch>\nabc"), 0);
        assert_eq!(member_count(b""), 0);
    }
}
