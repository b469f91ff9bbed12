//! A writer of archives that checks nothing.

/// The bytes of an archive before its first member.
pub const MAGIC: &[u8] = b"!<arch>\n";

/// How long the header of a member is, in bytes.
pub const HEADER_SIZE: usize = 60;

/// The header of a member that says that it has `size` bytes.
#[must_use]
pub fn header(name: &str, size: usize) -> Vec<u8> {
    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes()
}

/// A member, padded to an even size as `ar` does it.
#[must_use]
pub fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut member = header(name, bytes.len());
    member.extend_from_slice(bytes);
    member.resize(member.len().next_multiple_of(2), b'\n');
    member
}

/// An archive of these members, each whole with its header.
#[must_use]
pub fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [MAGIC, &members.concat()].concat()
}

/// The index of GNU `ar`, as a member: the offset for each name, and the names.
#[must_use]
pub fn gnu_index(offsets: &[u32], names: &[u8]) -> Vec<u8> {
    let mut bytes = (offsets.len() as u32).to_be_bytes().to_vec();
    bytes.extend(offsets.iter().flat_map(|offset| offset.to_be_bytes()));
    bytes.extend_from_slice(names);
    member("/", &bytes)
}

/// The index of BSD `ar`, as a member: where each name begins, and the offset for it.
#[must_use]
pub fn bsd_index(entries: &[(u32, u32)], names: &[u8]) -> Vec<u8> {
    let mut bytes = (entries.len() as u32 * 8).to_le_bytes().to_vec();
    for (name, offset) in entries {
        bytes.extend_from_slice(&name.to_le_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
    }
    bytes.extend_from_slice(&(names.len() as u32).to_le_bytes());
    bytes.extend_from_slice(names);
    member("__.SYMDEF", &bytes)
}

/// The two indexes of Microsoft's archiver, as members; all names are of the member at `offset`.
#[must_use]
pub fn coff_index(offset: u32, count: u32, names: &[u8]) -> Vec<u8> {
    let mut bytes = 1_u32.to_le_bytes().to_vec();
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend((0..count).flat_map(|_| 1_u16.to_le_bytes()));
    bytes.extend_from_slice(names);
    [gnu_index(&[], b""), member("/", &bytes)].concat()
}
