//! Tries mutants of what the fuzz targets have found, without watching where they get: ten to a hundred times as many in the same time.
//!
//! ```sh
//! cargo run --release --example mutants -- link 60 1   # target, seconds of processor time, and the number that makes it repeatable
//! ```
//!
//! What it starts with lies in `corpus/TARGET` and `seeds/TARGET`, the words that it inserts in `dictionary.txt`. With 0 seconds it
//! runs what is there as it is. It says how many runs it made, and what the worst link took. An input that fails is written to
//! `artifacts`, and the program ends.

use codeslab_link_fuzz::{Worst, archive, coff, encoders, graph, link, macho};
use rustix::time::{ClockId, clock_gettime};
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::{env, fs};

/// Longer inputs say no more, and take longer.
const LONGEST: usize = 4096;

/// A generator of numbers that need not be good: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is 0 for 0.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

/// What mutants are made of.
struct Material {
    inputs: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Material {
    fn of(target: &str) -> Self {
        let folders = ["seeds", "corpus"].map(|folder| fs::read_dir(format!("{folder}/{target}")));
        let entries = folders.into_iter().flatten().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        // What a number repeats does not depend on the order in which the system lists files.
        files.sort();
        let inputs: Vec<_> = files
            .iter()
            .filter_map(|file| fs::read(file).ok())
            .collect();
        assert!(!inputs.is_empty(), "there is no seeds/{target}");
        let words = fs::read_to_string("dictionary.txt").expect("it is run in its package");
        Self {
            inputs,
            words: words.lines().filter_map(word).collect(),
        }
    }

    /// Makes the next mutant.
    fn mutate(&self, random: &mut Random, bytes: &mut Vec<u8>) {
        bytes.clear();
        // Short ones say as much and take less time, so they come more often.
        let [one, other] = [(); 2].map(|()| &self.inputs[random.below(self.inputs.len())]);
        bytes.extend(if one.len() < other.len() { one } else { other });
        bytes.truncate(LONGEST);
        for _ in 0..=random.below(4) {
            self.change(random, bytes);
        }
        bytes.truncate(LONGEST);
    }

    fn change(&self, random: &mut Random, bytes: &mut Vec<u8>) {
        let at = random.below(bytes.len());
        let rest = bytes.len() - at;
        let length = random.below(rest.min(64) + 1);
        match random.below(9) {
            0 if rest > 0 => bytes[at] ^= 1 << random.below(8),
            1 if rest > 0 => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            4 => {
                let word = &self.words[random.below(self.words.len())];
                let replaced = if random.below(2) == 0 {
                    0
                } else {
                    word.len().min(rest)
                };
                bytes.splice(at..at + replaced, word.iter().copied());
            }
            5 => {
                let other = &self.inputs[random.below(self.inputs.len())];
                let from = random.below(other.len());
                let taken = random.below(other.len() - from + 1).min(512);
                bytes.splice(at..at + length, other[from..from + taken].iter().copied());
            }
            6 => number(random, &mut bytes[at..]),
            7 => bytes.truncate(at),
            _ => bytes.push(random.next() as u8),
        }
    }
}

/// Overwrites or changes a number of 1, 2, 4 or 8 bytes, in either order of bytes.
fn number(random: &mut Random, field: &mut [u8]) {
    const ENDS: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, u64::MAX];
    let width = 1 << random.below(4);
    let Some(field) = field.get_mut(..width) else {
        return;
    };
    let is_big = random.below(2) == 0;
    let mut word = [0; 8];
    word[..width].copy_from_slice(field);
    if is_big {
        word[..width].reverse();
    }
    let old = u64::from_le_bytes(word);
    let new = match random.below(2) {
        0 => ENDS[random.below(ENDS.len())],
        _ => old.wrapping_add_signed(random.below(71) as i64 - 35),
    };
    word = new.to_le_bytes();
    if is_big {
        word[..width].reverse();
    }
    field.copy_from_slice(&word[..width]);
}

/// The bytes of a line of the dictionary, as libFuzzer reads it.
fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.trim().strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut bytes = Vec::new();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
        rest = match (first, after) {
            (b'\\', [b'x', digits @ ..]) if digits.len() >= 2 => {
                bytes.push(escaped(&digits[..2])?);
                &digits[2..]
            }
            (b'\\', [other, after @ ..]) => {
                bytes.push(*other);
                after
            }
            (byte, after) => {
                bytes.push(byte);
                after
            }
        };
    }
    Some(bytes)
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Runs one input. Whether it was one, unless what has to hold did not.
fn is_run(target: &str, bytes: &[u8]) -> Option<bool> {
    let run = match target {
        "archive" => archive::run,
        "coff" => coff::run,
        "encoders" => encoders::run,
        "graph" => graph::run,
        "link" => link::run,
        "macho" => macho::run,
        other => panic!("there is no target {other:?}"),
    };
    catch_unwind(|| run(bytes)).ok()
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let target = arguments.next().expect("the name of a target");
    let number =
        |text: Option<String>| -> u64 { text.map_or(0, |text| text.parse().expect("a number")) };
    let seconds = number(arguments.next());
    let mut random = Random(number(arguments.next()).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let material = Material::of(&target);
    let (mut runs, mut skipped) = (0_u64, 0_u64);
    let mut try_one = |bytes: &[u8]| match is_run(&target, bytes) {
        Some(true) => runs += 1,
        Some(false) => skipped += 1,
        None => {
            fs::create_dir_all("artifacts").expect("a folder");
            fs::write(format!("artifacts/{target}-mutant"), bytes).expect("room for an input");
            std::process::exit(1);
        }
    };
    material.inputs.iter().for_each(|input| try_one(input));
    let mut bytes = Vec::new();
    while processor_seconds() < seconds as f64 {
        for _ in 0..256 {
            material.mutate(&mut random, &mut bytes);
            try_one(&bytes);
        }
    }
    let took = processor_seconds();
    let worst = Worst::so_far();
    println!(
        "{target}: {runs} runs, {skipped} that described nothing, {took:.1} s of processor time, {worst:?}"
    );
    ExitCode::SUCCESS
}
