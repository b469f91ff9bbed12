//! The three things memory can be.

named! {
    /// What a published byte may be used for, in the order in which a block is laid out. There is no fourth: nothing is writable and
    /// executable.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    pub enum Protection {
        /// Code: read and execute.
        ReadExecute = "rx",
        /// Constants: read.
        ReadOnly = "ro",
        /// Data: read and write. Zero-filled, and costs no memory until it is touched.
        ReadWrite = "rw",
    }
}

impl Protection {
    /// Its place in [`Protection::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
