//! Has the dynamic linker load a shared object that asks it about thread-local variables, and reads the answers.
//!
//! The file is a memory file, which is closed as soon as it is loaded. It is loaded under a name that no other file has that is loaded:
//! a dynamic linker takes a name that it knows for the file that it knows, and `/proc/self/fd/5` is another file each time. What it has
//! loaded stays until it is told to close it; then it takes the copies of all threads back.
//!
//! Sources: `dlopen(3)`, `dlinfo(3)`, `memfd_create(2)` (<https://man7.org/linux/man-pages>).
#![allow(unsafe_code)] // It talks to the dynamic linker.

use super::shared_object::SharedObject;
use crate::error::{Error, Result};
use crate::storage::{Question, Template, Variable};
use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

/// What the dynamic linker has loaded, until it is dropped.
#[derive(Debug)]
pub(crate) struct ThreadLocals {
    handle: Handle,
    /// Where its block lies from every thread pointer, in bytes, if it has one that lies at one distance from all.
    block: Option<i64>,
}

/// What a question is answered with.
type Answer = [u64; 2];

/// What `dlopen` has returned and `dlclose` has not been called with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Handle(NonNull<c_void>);

// SAFETY: handles belong to the process; the functions that take them may be called in any thread.
unsafe impl Send for Handle {}
// SAFETY: as above; a handle is only passed on.
unsafe impl Sync for Handle {}

impl ThreadLocals {
    pub(crate) fn provide(
        template: &Template<'_>,
        questions: &[(Variable<'_>, Question)],
        needed: &[&str],
        name: Option<&str>,
    ) -> Result<(Self, Vec<[u64; 2]>)> {
        let object = SharedObject::new(template, questions, needed, name);
        let file = memory_file(&object, template).map_err(|error| Error::DynamicLinker {
            reason: format!("memory file: {error}"),
        })?;
        let handle = open(&file).map_err(|reason| refusal(template, questions, reason))?;
        let mut loaded = Self {
            handle,
            block: None,
        };
        let base = base(handle).map_err(|reason| Error::DynamicLinker { reason })?;
        let answers = (0..questions.len()).map(|number| {
            let answer = base.wrapping_add(object.answers as usize + number * size_of::<Answer>());
            // SAFETY: the file has an answer for each question at this distance from its start, all of it is loaded at the base and
            // readable, and the dynamic linker has written to it for the last time before `dlopen` returned.
            let bytes = unsafe { ptr::read(answer.cast::<[u8; size_of::<Answer>()]>()) };
            let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
            [word(0), word(8)]
        });
        let answers: Vec<Answer> = answers.collect();
        loaded.block = block(questions, &answers);
        if let Some(block) = loaded.block {
            STATIC_BLOCKS.add(block, handle);
        }
        Ok((loaded, answers))
    }
}

impl Drop for ThreadLocals {
    fn drop(&mut self) {
        let closable = match self.block {
            Some(_) => STATIC_BLOCKS.take(self.handle),
            None => vec![self.handle],
        };
        for handle in closable {
            close(handle);
        }
    }
}

/// Programs are loaded from there on, and pointers lead no lower; distances from thread pointers are shorter.
const LOWEST_POINTER: i64 = 4 << 20;

/// Where the image's own block lies from the thread pointer, if the answers say so.
fn block(questions: &[(Variable<'_>, Question)], answers: &[[u64; 2]]) -> Option<i64> {
    let answered = questions.iter().zip(answers);
    answered.into_iter().find_map(|(question, answer)| {
        let (Variable::Own(offset), kind) = question else {
            return None;
        };
        let at = match kind {
            Question::ThreadOffset => answer[0].cast_signed(),
            // The argument of a descriptor is a pointer, unless the block lies at one distance, which it is then.
            Question::Descriptor if answer[1].cast_signed() < LOWEST_POINTER => {
                answer[1].cast_signed()
            }
            _ => return None,
        };
        Some(at.wrapping_sub(offset.cast_signed()))
    })
}

/// Those whose blocks lie at one distance from all thread pointers. glibc gives such a place back only if it is the one that was given
/// last, and never what is closed in another order; so what is not the last stays loaded until it is.
struct StaticBlocks(Mutex<Vec<StaticBlock>>);

struct StaticBlock {
    at: i64,
    handle: Handle,
    is_used: bool,
}

static STATIC_BLOCKS: StaticBlocks = StaticBlocks(Mutex::new(Vec::new()));

impl StaticBlocks {
    fn add(&self, at: i64, handle: Handle) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Places are given away from the thread pointer: downwards on x86-64, upwards on 64-bit Arm.
        let is_before = |block: &StaticBlock| block.at.unsigned_abs() < at.unsigned_abs();
        let position = blocks.partition_point(is_before);
        let block = StaticBlock {
            at,
            handle,
            is_used: true,
        };
        blocks.insert(position, block);
    }

    /// Takes those out that may be closed now that this one is not used any more, in the order in which to close them.
    fn take(&self, handle: Handle) -> Vec<Handle> {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for block in blocks.iter_mut().filter(|block| block.handle == handle) {
            block.is_used = false;
        }
        let mut closable = Vec::new();
        while let Some(last) = blocks.pop_if(|block| !block.is_used) {
            closable.push(last.handle);
        }
        closable
    }
}

/// Why the dynamic linker did not load the file, in its own words.
fn refusal(
    template: &Template<'_>,
    questions: &[(Variable<'_>, Question)],
    reason: String,
) -> Error {
    let is_static = |(_, question): &(Variable<'_>, Question)| *question == Question::ThreadOffset;
    // glibc: "cannot allocate memory in static TLS block"; musl: "initial-exec TLS resolves to dynamic definition".
    let is_about_that = reason.contains("static TLS") || reason.contains("initial-exec TLS");
    if is_about_that && questions.iter().any(is_static) {
        return Error::StaticThreadLocal {
            size: template.size,
            align: template.align,
            reason,
        };
    }
    Error::DynamicLinker { reason }
}

/// A memory file that holds the object.
fn memory_file(object: &SharedObject, template: &Template<'_>) -> io::Result<File> {
    const MFD_NOEXEC_SEAL: u32 = 8;
    let create = |flags: u32| {
        // SAFETY: the name is a C string.
        let descriptor = unsafe { libc::memfd_create(c"codeslab".as_ptr(), flags) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has opened the descriptor, and this is the only place that knows it.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    };
    // Kernels before 6.3 answer EINVAL to the flag.
    let file = match create(libc::MFD_CLOEXEC | MFD_NOEXEC_SEAL) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create(libc::MFD_CLOEXEC)?,
        answer => answer?,
    };
    file.write_all_at(&object.head, 0)?;
    file.set_len(object.template + template.bytes.len() as u64)?;
    file.write_all_at(template.bytes, object.template)?;
    Ok(file)
}

/// A path to the file that no other file has had which is still loaded: it spells the file's number, `//` for 0 and `./` for 1, and
/// the system reads over both.
fn path(file: &File) -> io::Result<CString> {
    let number = file.metadata()?.ino();
    let bits = (0..u64::BITS - number.leading_zeros()).map(|bit| number >> bit & 1);
    let spelt: String = bits.map(|bit| ["//", "./"][bit as usize]).collect();
    let path = format!("/proc/self/fd/{spelt}{}", file.as_raw_fd());
    Ok(CString::new(path)?)
}

fn open(file: &File) -> Result<Handle, String> {
    let path = path(file).map_err(|error| error.to_string())?;
    // SAFETY: the path is a C string. Loading the file runs nothing: it has no code, and libraries that are needed are loaded already.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    NonNull::new(handle).map(Handle).ok_or_else(|| {
        let error = last_error();
        // The name says nothing to a reader.
        let name = path.to_string_lossy();
        let reason = error.strip_prefix(&*name).unwrap_or(&error);
        reason.trim_start_matches([':', ' ']).to_owned()
    })
}

fn close(handle: Handle) {
    // SAFETY: the handle is one that `dlopen` has returned, and the value that owned it has been dropped: no copies are in use.
    let _ = unsafe { libc::dlclose(handle.0.as_ptr()) };
}

unsafe extern "C" {
    /// Every C library has it; the bindings know of glibc's alone.
    fn dlinfo(handle: *mut c_void, request: libc::c_int, information: *mut c_void) -> libc::c_int;
}

/// Where the file is loaded.
fn base(handle: Handle) -> Result<*const u8, String> {
    /// What a debugger is told of a loaded file; its first field is where it is loaded. <https://man7.org/linux/man-pages/man3/dlinfo.3.html>
    const RTLD_DI_LINKMAP: libc::c_int = 2;
    let mut map: *const *const u8 = ptr::null();
    let place = (&raw mut map).cast::<c_void>();
    // SAFETY: the handle is open, and for this request the place is to have a pointer.
    let status = unsafe { dlinfo(handle.0.as_ptr(), RTLD_DI_LINKMAP, place) };
    if status != 0 || map.is_null() {
        return Err(last_error());
    }
    // SAFETY: it points to the file's `link_map`, which begins with that address and lives until the handle is closed.
    Ok(unsafe { *map })
}

/// What the dynamic linker says of this thread's last call that failed.
fn last_error() -> String {
    // SAFETY: it may be called at any time.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return "it does not say why".to_owned();
    }
    // SAFETY: it is a C string that stays until this thread calls the dynamic linker again.
    let message = unsafe { CStr::from_ptr(message) };
    message.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Question::{Descriptor, ModuleAndOffset, ThreadOffset};
    use Variable::{Nobody, Own, Process};

    const NOTHING: Template<'_> = Template {
        bytes: &[],
        size: 0,
        align: 1,
        exports: &[],
    };

    #[test]
    fn a_variable_that_no_library_has_is_refused_in_the_words_of_the_dynamic_linker() {
        let name = "codeslab_has_no_such_variable";
        for question in [ModuleAndOffset, ThreadOffset, Descriptor] {
            match ThreadLocals::provide(&NOTHING, &[(Process(name), question)], &[], None) {
                Err(Error::DynamicLinker { reason }) => {
                    assert!(
                        reason.contains(name) && !reason.contains("/proc"),
                        "{reason}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_said_of_a_variable_fits_together() {
        let template = Template {
            bytes: &[1, 2, 3, 4],
            size: 64,
            align: 32,
            exports: &[],
        };
        let questions = [
            (Own(8), ModuleAndOffset),
            (Own(8), ThreadOffset),
            (Own(40), ThreadOffset),
            (Own(40), Descriptor),
            (Nobody, ThreadOffset),
            (Process("errno"), ThreadOffset),
            (Process("errno"), ModuleAndOffset),
        ];
        let (provided, answers) = ThreadLocals::provide(&template, &questions, &[], None).unwrap();
        assert_eq!(answers[0][1], 8);
        assert_eq!(answers[2][0] - answers[1][0], 32);
        assert_eq!(provided.block, Some(answers[1][0].cast_signed() - 8));
        assert_eq!(provided.block.unwrap().rem_euclid(32), 0);
        // One distance from all threads: the descriptor says it, too.
        assert_eq!(answers[3][1], answers[2][0]);
        assert_eq!(answers[4][0], 0);
        assert_ne!(answers[5][0], 0);
        assert_ne!(answers[6][0], answers[0][0], "another module");
    }

    #[test]
    fn what_one_exports_others_find_by_its_name() {
        let exports: Vec<(String, u64)> = (0..100).map(|n| (format!("own_{n}"), 8 * n)).collect();
        let exports = exports.iter().map(|(name, at)| (name.as_str(), *at));
        let exports: Vec<(&str, u64)> = exports.collect();
        let template = Template {
            bytes: &[],
            size: 800,
            align: 8,
            exports: &exports,
        };
        let question = (Own(0), ModuleAndOffset);
        let name = "codeslab-test-of-exports";
        let (first, own) = ThreadLocals::provide(&template, &[question], &[], Some(name)).unwrap();
        for (variable, at) in &exports {
            let question = (Process(variable), ModuleAndOffset);
            let (_, answers) = ThreadLocals::provide(&NOTHING, &[question], &[name], None).unwrap();
            assert_eq!(answers, [[own[0][0], *at]], "{variable}");
        }
        let question = (Process("own_100"), ModuleAndOffset);
        ThreadLocals::provide(&NOTHING, &[question], &[name], None).unwrap_err();
        drop(first);
    }

    #[test]
    fn a_file_has_a_name_that_no_other_has_at_its_descriptor() {
        let object = SharedObject::new(&NOTHING, &[(Nobody, ThreadOffset)], &[], None);
        let mut names = Vec::new();
        for _ in 0..100 {
            let file = memory_file(&object, &NOTHING).unwrap();
            // Names are as good as the files' numbers, which stay taken while a file is mapped.
            let kept = memory_file(&object, &NOTHING).unwrap();
            names.extend([path(&file).unwrap(), path(&kept).unwrap()]);
            let read = std::fs::read(path(&file).unwrap().to_str().unwrap()).unwrap();
            assert!(read.starts_with(b"\x7fELF"));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 200);
    }

    #[test]
    fn room_at_one_distance_is_used_again_in_whatever_order_it_is_given_back() {
        let template = Template {
            bytes: &[],
            size: 200,
            align: 8,
            exports: &[],
        };
        let provide = || ThreadLocals::provide(&template, &[(Own(0), ThreadOffset)], &[], None);
        for _ in 0..100 {
            let (first, _) = provide().unwrap();
            let (second, _) = provide().unwrap();
            drop(first);
            drop(second);
        }
    }
}
