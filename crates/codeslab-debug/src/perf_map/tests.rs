use super::*;
use codeslab::Address;
use codeslab_testing::{assert_passed, is_child, run_alone};
use std::fs;
use std::path::Path;

const MANY: u64 = 10_000;

fn function(name: &str, address: u64) -> Function {
    Function {
        name: name.to_owned(),
        address: Address::new(address),
        size: 0x40,
    }
}

/// A file of one test, which goes when it ends.
struct TestFile(PathBuf);

impl TestFile {
    fn new(test: &str) -> Self {
        let name = format!("codeslab-perf-map-{}-{test}", process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn map(&self) -> PerfMap {
        PerfMap::at(self.0.clone()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        lines_of(&self.0)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn expected(count: u64) -> Vec<String> {
    let lines = (0..count).map(|index| format!("{index:x} 40 f"));
    lines.collect()
}

#[test]
fn a_function_is_a_line_whatever_its_name_holds() {
    let mut text = String::new();
    push(&mut text, &function("two\nli\rnes", 0x7f00_1234));
    assert_eq!(text, "7f001234 40 two li nes\n");
}

#[test]
fn a_function_that_comes_alone_is_in_the_file_at_once() {
    let file = TestFile::new("alone");
    let map = file.map();
    for index in 0..3 {
        map.add(&[function("f", index)]).unwrap();
        assert_eq!(file.lines(), expected(index + 1));
        std::thread::sleep(2 * DELAY);
    }
}

#[test]
fn functions_that_come_fast_are_in_the_file_soon_with_no_more_calls() {
    let file = TestFile::new("fast");
    let map = file.map();
    for index in 0..MANY {
        map.add(&[function("f", index)]).unwrap();
    }
    while file.lines().len() < expected(MANY).len() {
        std::thread::sleep(DELAY);
    }
    assert_eq!(file.lines(), expected(MANY));
}

#[test]
fn what_waits_is_written_when_the_last_memory_goes() {
    let file = TestFile::new("dropped");
    let map = file.map();
    for index in 0..MANY {
        map.add(&[function("f", index)]).unwrap();
    }
    drop(map);
    assert_eq!(file.lines(), expected(MANY));
}

#[test]
fn what_threads_add_at_once_does_not_mix() {
    let file = TestFile::new("threads");
    let map = file.map();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let map = &map;
            scope.spawn(move || {
                for index in 0..MANY / 4 {
                    map.add(&[function("f", thread * MANY / 4 + index)])
                        .unwrap();
                }
            });
        }
    });
    drop(map);
    let (mut lines, mut all) = (file.lines(), expected(MANY));
    lines.sort();
    all.sort();
    assert_eq!(lines, all);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_of_this_call_or_of_the_next() {
    let map = PerfMap::at("/dev/full".into()).unwrap();
    let error = map.add(&[function("f", 1)]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    // The next one waits, and who comes after the thread has tried is told.
    while map.add(&[function("f", 2)]).is_ok() {
        std::thread::yield_now();
    }
}

/// `exit` with a memory that still is open, which no drop sees.
#[cfg(unix)]
#[test]
fn what_waits_at_the_exit_of_the_process_is_written() {
    const TEST: &str = "perf_map::tests::what_waits_at_the_exit_of_the_process_is_written";
    if is_child(TEST) {
        let map = PerfMap::open().unwrap();
        for index in 0..MANY {
            map.add(&[function("f", index)]).unwrap();
        }
        println!("process {}; 1 passed", process::id());
        process::exit(0);
    }
    let output = run_alone(TEST, &[]);
    assert_passed(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, number) = text.split_once("process ").unwrap();
    let number = number.split(';').next().unwrap();
    let path = PathBuf::from(format!("/tmp/perf-{number}.map"));
    let lines = lines_of(&path);
    fs::remove_file(path).unwrap();
    assert_eq!(lines, expected(MANY));
}
