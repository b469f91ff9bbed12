//! Open memory files of the fake platform.

use super::*;

/// An open file, by its name in the system's table.
#[derive(Debug)]
pub(super) struct OpenFile {
    system: Arc<System>,
    name: u64,
    granularity: u64,
}

impl OpenFile {
    pub(super) fn new(system: &Arc<System>, name: u64, granularity: u64) -> Self {
        let system = Arc::clone(system);
        Self {
            system,
            name,
            granularity,
        }
    }

    /// The file in the system's table, which has these bytes.
    fn part<'s>(&self, state: &'s State, offset: u64, size: u64) -> &'s FakeFile {
        let file = &state.files[&self.name];
        assert!(
            offset + size <= file.heap.size(),
            "the file ends before that"
        );
        file
    }
}

impl MemoryFile for OpenFile {
    fn seal(&self, seal: Seal) -> Result<(), Refusal> {
        let mut state = self.system.call();
        state.enter("seal_file", 0)?;
        assert!(
            !state.unknown_seals.contains(&seal),
            "{seal:?} was probed first"
        );
        let file = state.files.get_mut(&self.name).expect("an open file");
        assert_eq!(file.seal, None, "a file is sealed once");
        file.seal = Some(seal);
        Ok(())
    }

    fn provide(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        let mut state = self.system.call();
        state.enter("provide", size)?;
        self.part(&state, offset, size);
        Ok(())
    }

    fn map_view(&self, offset: u64, size: u64, is_hidden: bool) -> Result<NonNull<u8>, Refusal> {
        let mut state = self.system.call();
        state.enter("map_view", size)?;
        let file = self.part(&state, offset, size);
        file.check_writable("map_view", size)?;
        let view = file.heap.at(offset);
        let same = state.views.insert(view.as_ptr() as usize, size);
        assert!(same.is_none(), "one view of a range at a time");
        if !is_hidden {
            state.shown.push((view.as_ptr() as usize, size));
        }
        Ok(view)
    }

    unsafe fn map_at(
        &self,
        at: Address,
        offset: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        assert_eq!(
            (at.value() | size | offset) % self.granularity,
            0,
            "not a multiple of the granularity"
        );
        assert_ne!(
            protection,
            Protection::ReadWrite,
            "files are written through views"
        );
        let mut state = self.system.call();
        state.enter("map_file", size)?;
        self.part(&state, offset, size);
        let mapped = Mapped {
            size,
            file: Some((self.name, offset)),
            protection,
            keyed: false,
        };
        state.insert(at, mapped);
        Ok(())
    }

    unsafe fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let size = bytes.len() as u64;
        let mut state = self.system.call();
        state.enter("write_file", size)?;
        let file = self.part(&state, offset, size);
        file.check_writable("write_file", size)?;
        // SAFETY: the part of the file is idle by the caller's word. There is no reference to it, so `bytes` are not part of it.
        unsafe { file.heap.write(offset, bytes) };
        Ok(())
    }

    unsafe fn discard(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        let mut state = self.system.call();
        state.enter("discard_file", size)?;
        let file = self.part(&state, offset, size);
        file.check_writable("discard_file", size)?;
        // SAFETY: the part of the file is idle by the caller's word.
        unsafe { file.heap.clear(offset, size) };
        Ok(())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut state = self.system.call();
        if let Some(file) = state.files.get_mut(&self.name) {
            file.open = false;
        }
    }
}
