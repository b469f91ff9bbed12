//! A compiler, an archiver, and calls into what was linked.
#![cfg_attr(
    windows,
    allow(dead_code, reason = "there are no compilers of its own objects")
)]

use codeslab::{Address, CodeMemory, Fact, Options};
use codeslab_link::{Error, Image, Input, LinkOptions};
use codeslab_testing::{Compiler, Library, archive, package_skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes away with the value.
pub(crate) struct Workshop {
    directory: PathBuf,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("codeslab-link-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs a tool in the directory; its complaints are the test's failure.
    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) {
        let output = Command::new(tool)
            .args(arguments)
            .current_dir(&self.directory)
            .output()
            .unwrap_or_else(|error| {
                panic!("{tool}: {error}; Debian's package gcc brings it along")
            });
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{tool} {arguments:?}: {complaints}"
        );
    }

    /// Compiles C to an object and leaves it as `name` + `.o`.
    pub(crate) fn compile(&self, name: &str, source: &str, flags: &[&str]) -> Vec<u8> {
        self.translate("cc", name, "c", source, flags)
    }

    /// The same for C++, where [`has_cpp`].
    pub(crate) fn compile_cpp(&self, name: &str, source: &str, flags: &[&str]) -> Vec<u8> {
        self.translate("g++", name, "cpp", source, flags)
    }

    /// The same for assembler input.
    pub(crate) fn assemble(&self, name: &str, source: &str) -> Vec<u8> {
        self.translate("cc", name, "s", source, &[])
    }

    fn translate(
        &self,
        tool: &str,
        name: &str,
        kind: &str,
        source: &str,
        flags: &[&str],
    ) -> Vec<u8> {
        let (input, output) = (format!("{name}.{kind}"), format!("{name}.o"));
        std::fs::write(self.path(&input), source).expect("the temporary directory is writable");
        let arguments = [&["-c", &input, "-o", &output], flags].concat();
        self.run(tool, &arguments);
        self.read(&output)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        read(&self.path(name))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A real library, built from source by this compiler.
pub(crate) fn built(library: Library, compiler: &Compiler) -> Vec<u8> {
    let path = archive(library, compiler).unwrap_or_else(|error| panic!("{library:?}: {error}"));
    read(&path)
}

/// zlib as `npm run demo` links it, too.
pub(crate) fn zlib() -> Vec<u8> {
    built(Library::Zlib, &Compiler::host())
}

/// An archive that a package of Debian's adds. Where it is not installed, `test` counts as skipped.
pub(crate) fn debian_archive(test: &str, name: &str, package: &str) -> Option<Vec<u8>> {
    let path = codeslab_testing::system_archive(name).unwrap_or_else(|error| panic!("{error}"));
    if path.is_none() {
        package_skip(test, name, package);
    }
    path.as_deref().map(read)
}

/// Whether there is a C++ compiler, which the README does not ask for. Without one, `test` counts as skipped.
pub(crate) fn has_cpp(test: &str) -> bool {
    let found = Command::new("g++").arg("--version").output().is_ok();
    if !found {
        package_skip(test, "g++", "g++");
    }
    found
}

pub(crate) fn memory() -> CodeMemory {
    CodeMemory::new(Options::default()).expect("this machine has code memory")
}

pub(crate) fn file<'a>(name: &'a str, bytes: &'a [u8]) -> Input<'a> {
    Input::File { name, bytes }
}

/// Links and starts.
#[allow(
    unsafe_code,
    reason = "running what was linked is the point of these tests"
)]
pub(crate) fn link(
    memory: &CodeMemory,
    inputs: &[Input<'_>],
    options: &LinkOptions<'_>,
) -> Result<Image, Error> {
    let linked = codeslab_link::link(memory, inputs, options)?;
    // SAFETY: tests link sound code, or such as has nothing to run, and externals that stay.
    unsafe { linked.start() }
}

/// Links objects without options.
pub(crate) fn link_files(memory: &CodeMemory, files: &[(&str, &[u8])]) -> Image {
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, bytes)| file(name, bytes))
        .collect();
    link(memory, &inputs, &LinkOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The function called `$name` of an image, as a Rust function pointer of type `$type`.
macro_rules! function {
    ($image:expr, $name:expr, $type:ty) => {{
        let address = $image.address($name).expect($name).value();
        #[allow(
            unsafe_code,
            reason = "calling what was linked is the point of these tests"
        )]
        // SAFETY: the address is that of a published function of this image, which the caller keeps; the type is the
        // one that it was compiled with.
        let function = unsafe { std::mem::transmute::<usize, $type>(address as usize) };
        function
    }};
}
pub(crate) use function;

/// What linking fails with; the memory must not notice.
pub(crate) fn link_error(inputs: &[Input<'_>], options: &LinkOptions<'_>) -> Error {
    let memory = memory();
    let before = memory.stats();
    let error = match link(&memory, inputs, options) {
        Ok(image) => panic!("linked: {image:?}"),
        Err(error) => error,
    };
    assert_eq!(memory.stats(), before, "{error}");
    error
}

/// One fact of an error, as text.
pub(crate) fn fact(error: &Error, name: &str) -> String {
    let facts = error.facts();
    match facts.iter().find(|(fact, _)| *fact == name) {
        Some((_, Fact::Text(text))) => text.clone(),
        Some((_, Fact::Names(names))) => names.join(" "),
        Some((_, Fact::Number(number))) => number.to_string(),
        Some((_, Fact::Signed(number))) => number.to_string(),
        Some((_, Fact::Address(address))) => address.to_string(),
        None => panic!("{error:?} has no fact {name}: {facts:?}"),
    }
}

/// Reads `N` bytes of a published image.
pub(crate) fn peek<const N: usize>(address: u64) -> [u8; N] {
    #[allow(
        unsafe_code,
        reason = "looking at what was linked is the point of these tests"
    )]
    // SAFETY: the callers read from symbols of images that they keep, and not behind their ends; arrays of bytes need no
    // alignment.
    let bytes = unsafe { std::ptr::read(address as *const [u8; N]) };
    bytes
}

pub(crate) fn peek_u64(address: u64) -> u64 {
    u64::from_le_bytes(peek(address))
}

pub(crate) fn peek_i32(address: u64) -> i64 {
    i32::from_le_bytes(peek(address)).into()
}

/// The address of a symbol that has to be there.
pub(crate) fn address(image: &Image, name: &str) -> u64 {
    image.address(name).expect(name).value()
}

/// Externals by name.
pub(crate) fn externals(list: &[(&str, u64)]) -> LinkOptions<'static> {
    let named = list.iter();
    LinkOptions {
        externals: named
            .map(|(name, value)| ((*name).to_owned(), Address::new(*value)))
            .collect(),
        ..LinkOptions::default()
    }
}

/// Fails unless, for each shape, one of these folders of the crate has the test that is named beside it.
pub(crate) fn assert_tests_exist(shapes: &[(&str, &str)], folders: &[&str]) {
    let folder = |name: &&str| codeslab_testing::sources(&format!("crates/codeslab-link/{name}"));
    let sources = folders.iter().flat_map(folder);
    let code: Vec<String> = sources.map(|source| source.code()).collect();
    for (shape, test) in shapes {
        let start = format!("fn {test}(");
        assert!(code.iter().any(|code| code.contains(&start)), "{shape}");
    }
}
