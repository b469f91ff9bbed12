//! Keys by which threads keep values (`pthread_key_create`): they go with the image that made them, whose destructors they call.

use crate::support::{Workshop, externals, file, function, link, memory};
use codeslab_link::{Image, LinkOptions};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::thread;

type Unary = extern "C" fn(i32) -> i32;

/// A key whose destructor adds up the values that it is called with.
const PROGRAM: &str = "
    #include <pthread.h>
    extern int SUM;
    static pthread_key_t key;
    static void destroy(void *value) { __atomic_fetch_add(&SUM, (int)(long)value, __ATOMIC_SEQ_CST); }
    int make(int n) { return n + pthread_key_create(&key, destroy); }
    int set(int n) { return pthread_setspecific(key, (void *)(long)n); }
    int get(int n) { return n + (int)(long)pthread_getspecific(key); }
    int number(int n) { return n + (int)key; }
    int delete(int n) { return n + pthread_key_delete(key); }
";

const C11: &str = "
    #include <threads.h>
    extern int SUM;
    static tss_t key;
    static void destroy(void *value) { __atomic_fetch_add(&SUM, (int)(long)value, __ATOMIC_SEQ_CST); }
    int make(int n) { return n + tss_create(&key, destroy); }
    int set(int n) { return tss_set(key, (void *)(long)n); }
    int get(int n) { return n + (int)(long)tss_get(key); }
    int number(int n) { return n + (int)key; }
    int delete(int n) { tss_delete(key); return n; }
";

fn image(source: &str, sum: &'static AtomicI32) -> (Image, codeslab::CodeMemory) {
    let object = Workshop::new().compile("keys", source, &["-O1"]);
    let memory = memory();
    let options: LinkOptions<'static> = externals(&[("SUM", sum.as_ptr() as u64)]);
    let image = link(&memory, &[file("keys.o", &object)], &options);
    let image = image.unwrap_or_else(|error| panic!("{error}"));
    (image, memory)
}

macro_rules! call {
    ($image:expr, $name:expr, $n:expr) => {
        function!($image, $name, Unary)($n)
    };
}

#[test]
fn values_are_destroyed_when_threads_end_and_those_of_the_freeing_thread_with_the_image() {
    static SUM: AtomicI32 = AtomicI32::new(0);
    for source in [PROGRAM, C11] {
        SUM.store(0, Ordering::SeqCst);
        let (image, memory) = image(source, &SUM);
        assert_eq!(call!(image, "make", 0), 0);
        let set = function!(image, "set", Unary);
        thread::spawn(move || set(1)).join().expect("it ends");
        assert_eq!(SUM.load(Ordering::SeqCst), 1);
        assert_eq!((set(20), call!(image, "get", 0)), (0, 20));
        // A thread that has a value, and ends when the code of its destructor is gone.
        let (freed, wait) = mpsc::channel::<()>();
        let (told, has_set) = mpsc::channel();
        let late = thread::spawn(move || {
            told.send(set(300)).expect("the other waits");
            wait.recv().expect("the other says so");
        });
        assert_eq!(has_set.recv(), Ok(0));
        image.free();
        assert_eq!(SUM.load(Ordering::SeqCst), 21);
        assert_eq!(memory.stats().live, 0);
        freed.send(()).expect("the other waits");
        late.join().expect("it ends");
        assert_eq!(SUM.load(Ordering::SeqCst), 21);
    }
}

#[test]
fn keys_are_not_used_up_by_images_that_come_and_go() {
    static SUM: AtomicI32 = AtomicI32::new(0);
    let object = Workshop::new().compile("keys", PROGRAM, &["-O1"]);
    let memory = memory();
    let options = externals(&[("SUM", SUM.as_ptr() as u64)]);
    // POSIX's systems have at least 128, Linux's C libraries 128 or 1,024.
    for round in 0..1100 {
        let image = link(&memory, &[file("keys.o", &object)], &options).expect("it links");
        assert_eq!(call!(image, "make", 0), 0, "round {round}");
        assert_eq!(call!(image, "get", 0), 0, "round {round}");
        assert_eq!(call!(image, "set", 1), 0, "round {round}");
    }
    assert_eq!(SUM.load(Ordering::SeqCst), 1100);
}

#[test]
fn a_key_that_an_image_has_deleted_is_not_deleted_for_its_next_owner() {
    static SUM: AtomicI32 = AtomicI32::new(0);
    let (first, _memory) = image(PROGRAM, &SUM);
    let (second, _second_memory) = image(PROGRAM, &SUM);
    assert_eq!(call!(first, "make", 0), 0);
    assert_eq!(call!(first, "delete", 0), 0);
    // glibc gives the lowest free number.
    assert_eq!(call!(second, "make", 0), 0);
    assert_eq!(call!(second, "set", 7), 0);
    first.free();
    assert_eq!(call!(second, "get", 0), 7);
    assert_eq!(SUM.load(Ordering::SeqCst), 0);
    second.free();
    assert_eq!(SUM.load(Ordering::SeqCst), 7);
}
