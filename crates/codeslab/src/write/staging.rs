//! Bytes that are written elsewhere until they are published: the buffers of one request, for the segments whose writer has no other
//! place to write to.

use crate::model::protection::Protection;

/// The buffers of one request in flight, by segment.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    // Not a vector: two words are moved in registers, three through memory.
    buffers: Box<[(Protection, Vec<u8>)]>,
}

impl Staging {
    pub(crate) fn new(buffers: Vec<(Protection, Vec<u8>)>) -> Self {
        Self {
            buffers: buffers.into_boxed_slice(),
        }
    }

    /// Leaves only the first `size` bytes of a segment.
    pub(crate) fn shrink(&mut self, protection: Protection, size: u64) {
        if let Some(bytes) = self.buffer_mut(protection) {
            bytes.truncate(size as usize);
        }
    }

    /// The bytes of a segment, if they are staged.
    pub(crate) fn bytes(&self, protection: Protection) -> Option<&[u8]> {
        let mut buffers = self.buffers.iter();
        buffers.find_map(|(one, bytes)| (*one == protection).then_some(&**bytes))
    }

    /// The bytes of a segment to be written; none if they are not staged.
    pub(crate) fn bytes_mut(&mut self, protection: Protection) -> &mut [u8] {
        self.buffer_mut(protection).map_or(&mut [], |bytes| bytes)
    }

    fn buffer_mut(&mut self, protection: Protection) -> Option<&mut Vec<u8>> {
        let mut buffers = self.buffers.iter_mut();
        buffers.find_map(|(one, bytes)| (*one == protection).then_some(bytes))
    }
}
