//! The ways to write code.

named! {
    /// How bytes get into pages that are executable, in the order in which they are tried.
    ///
    /// Whichever it is, no thread can write to an address at which code can be executed, with one exception: with
    /// [`Writer::Pkeys`] and [`Writer::MapJit`], a thread that is copying code, for the time of its copy.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[non_exhaustive]
    pub enum Writer {
        /// Two views of one memory file: an executable one in the block and a writable one elsewhere.
        DualMapping = "dual-mapping",
        /// `pwrite` into the memory file behind the executable view; no writable view exists. The hardened choice.
        FileWrite = "file-write",
        /// Private pages, made executable before anything on them is published; each request has pages of its own.
        Protect = "protect",
        /// `pwrite` into `/proc/self/mem`. Kernels are closing it.
        SelfMem = "self-mem",
        /// Private pages under a memory protection key that keeps every thread from writing, except one that is copying code,
        /// for the time of its copy. Needs a processor with such keys.
        ///
        /// Every thread can execute the code, in signal handlers too. Reading it as data is another matter: that can be done by
        /// threads that have published or freed something with this writer, by those they started since, and not in signal
        /// handlers. Constants can be read everywhere; they have pages of their own for each request, as with [`Writer::Protect`],
        /// and cannot lie between the code. A process has 15 keys; all memories share one, which is taken when this writer is first
        /// probed and kept.
        Pkeys = "pkeys",
        /// Memory of `MAP_JIT`, to which a thread writes while it is switched to writing (`pthread_jit_write_protect_np`), for the time of a copy:
        /// macOS, where it takes the entitlement `com.apple.security.cs.allow-jit` in a process with a hardened runtime. On x86-64, which has
        /// no such switch, it is written through a second mapping that is made for the copy.
        ///
        /// The switch is about all such memory of the process. After a copy the thread can execute and not write, whatever it could before.
        MapJit = "map-jit",
    }
}
