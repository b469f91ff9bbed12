//! Signatures with structures that a seed makes, the C functions that have them, and values.
//!
//! C takes every scalar of what it is passed into a checksum, and makes what it returns or passes of constants; so nothing is compared
//! with what this crate encoded. Numbers are integers, and floats are quarters of them, which both languages have exactly.

use codeslab_call::{Kind, Leaf, Structure, Type};
use std::fmt::Write as _;

/// Numbers that are the same each time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What C calls the scalars, and how many bits of a number they take.
const SCALARS: [(&str, Kind); 14] = [
    ("int8_t", Kind::Int8),
    ("uint8_t", Kind::Uint8),
    ("int16_t", Kind::Int16),
    ("uint16_t", Kind::Uint16),
    ("int32_t", Kind::Int32),
    ("uint32_t", Kind::Uint32),
    ("int64_t", Kind::Int64),
    ("uint64_t", Kind::Uint64),
    ("float", Kind::Float32),
    ("float", Kind::Float32),
    ("float", Kind::Float32),
    ("double", Kind::Float64),
    ("double", Kind::Float64),
    ("double", Kind::Float64),
];

/// A type of C: how it is called, and each scalar in it with its path.
#[derive(Clone)]
pub(crate) struct Shape {
    c: String,
    size: u32,
    align: u32,
    pub(crate) leaves: Vec<(String, Leaf)>,
    is_structure: bool,
}

impl Shape {
    fn scalar(random: &mut Random) -> Self {
        let (c, kind) = SCALARS[random.below(SCALARS.len())];
        let (size, leaf) = (kind.bytes(), Leaf { kind, offset: 0 });
        Self {
            c: c.to_owned(),
            size,
            align: size,
            leaves: vec![(String::new(), leaf)],
            is_structure: false,
        }
    }

    /// A structure, whose definition is added to what C has to know.
    fn structure(random: &mut Random, depth: usize, definitions: &mut String) -> Self {
        // Many are of one type only, which some conventions treat apart.
        let only = (random.below(5) < 2).then(|| Self::field(random, depth, definitions));
        let count = 1 + random.below(if depth > 1 { 5 } else { 3 });
        let mut all = Self {
            c: format!("struct S{}", definitions.lines().count()),
            size: 0,
            align: 1,
            leaves: Vec::new(),
            is_structure: true,
        };
        let mut fields = String::new();
        for index in 0..count {
            let field = only
                .clone()
                .unwrap_or_else(|| Self::field(random, depth, definitions));
            let length = if random.below(5) == 0 {
                1 + random.below(4)
            } else {
                0
            };
            let suffix = if length > 0 {
                format!("[{length}]")
            } else {
                String::new()
            };
            write!(fields, "{} f{index}{suffix}; ", field.c).expect("a string");
            all.add(&format!(".f{index}"), &field, length);
        }
        all.c = format!("struct S{}", definitions.lines().count());
        all.size = all.size.next_multiple_of(all.align);
        writeln!(definitions, "{} {{ {fields}}};", all.c).expect("a string");
        all
    }

    fn field(random: &mut Random, depth: usize, definitions: &mut String) -> Self {
        if depth > 0 && random.below(4) == 0 {
            Self::structure(random, depth - 1, definitions)
        } else {
            Self::scalar(random)
        }
    }

    /// Adds a field, or an array of so many.
    fn add(&mut self, path: &str, field: &Self, length: usize) {
        self.align = self.align.max(field.align);
        for index in 0..length.max(1) {
            let start = self.size.next_multiple_of(field.align);
            let place = if length > 0 {
                format!("[{index}]")
            } else {
                String::new()
            };
            for (inner, leaf) in &field.leaves {
                let offset = start + leaf.offset;
                let leaf = Leaf { offset, ..*leaf };
                self.leaves.push((format!("{path}{place}{inner}"), leaf));
            }
            self.size = start + field.size;
        }
    }

    pub(crate) fn of_type(&self) -> Type {
        let leaves: Vec<_> = self.leaves.iter().map(|(_, leaf)| *leaf).collect();
        if self.is_structure {
            Type::Structure(Structure::new(self.size, &leaves).expect("a structure"))
        } else {
            Type::Scalar(leaves[0].kind)
        }
    }

    pub(crate) fn is_structure(&self) -> bool {
        self.is_structure
    }

    fn words(&self) -> usize {
        self.size.div_ceil(8) as usize
    }

    /// A number for each scalar.
    pub(crate) fn numbers(&self, random: &mut Random) -> Vec<i64> {
        let number = |(_, leaf): &(String, Leaf)| {
            let bits = leaf.kind.bytes() * 8;
            match leaf.kind {
                Kind::Float32 | Kind::Float64 => random.below(8001).cast_signed() as i64 - 4000,
                Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => {
                    random.next().cast_signed() >> (65 - bits)
                }
                _ => (random.next() >> (65 - bits)).cast_signed(),
            }
        };
        self.leaves.iter().map(number).collect()
    }

    /// The bytes of a value; those between its scalars are zero.
    pub(crate) fn bytes(&self, numbers: &[i64]) -> Vec<u8> {
        let mut bytes = vec![0; self.size as usize];
        for ((_, leaf), number) in self.leaves.iter().zip(numbers) {
            let start = leaf.offset as usize;
            let word = word(leaf.kind, *number).to_le_bytes();
            let width = leaf.kind.bytes() as usize;
            bytes[start..start + width].copy_from_slice(&word[..width]);
        }
        bytes
    }

    /// What of a value C keeps: all but the bytes between its scalars.
    pub(crate) fn kept<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let part = |leaf: &Leaf| &bytes[leaf.offset as usize..][..leaf.kind.bytes() as usize];
        self.leaves.iter().map(move |(_, leaf)| part(leaf))
    }

    /// C that makes a variable hold a value.
    fn assign(&self, name: &str, numbers: &[i64]) -> String {
        let mut text = format!("{} {name};", self.c);
        for ((path, leaf), number) in self.leaves.iter().zip(numbers) {
            let is_float = matches!(leaf.kind, Kind::Float32 | Kind::Float64);
            let quarter = if is_float { " / 4.0" } else { "" };
            write!(text, " {name}{path} = {number}ll{quarter};").expect("a string");
        }
        text
    }

    /// C that adds the scalars of a variable to a checksum.
    fn digest(&self, name: &str) -> String {
        let mut text = String::new();
        for (path, leaf) in &self.leaves {
            let times = if matches!(leaf.kind, Kind::Float32 | Kind::Float64) {
                " * 4"
            } else {
                ""
            };
            write!(
                text,
                " sum = sum * 31 + (uint64_t)(int64_t)({name}{path}{times});"
            )
            .expect("a string");
        }
        text
    }
}

/// The same checksum.
pub(crate) fn digest<'a>(values: impl IntoIterator<Item = &'a Vec<i64>>) -> u64 {
    let numbers = values.into_iter().flatten();
    numbers.fold(7, |sum: u64, number| {
        sum.wrapping_mul(31).wrapping_add(number.cast_unsigned())
    })
}

/// The word of a scalar.
pub(crate) fn word(kind: Kind, number: i64) -> u64 {
    match kind {
        Kind::Float32 => (quarters(number) as f32).to_bits().into(),
        Kind::Float64 => quarters(number).to_bits(),
        _ => number.cast_unsigned(),
    }
}

/// What is a float with this number.
fn quarters(number: i64) -> f64 {
    f64::from(i32::try_from(number).expect("floats have small ones")) / 4.0
}

/// A function that returns a constant, and one that calls such a function with constants.
pub(crate) struct Case {
    pub(crate) result: Shape,
    pub(crate) parameters: Vec<Shape>,
    pub(crate) returned: Vec<i64>,
    pub(crate) passed: Vec<Vec<i64>>,
}

impl Case {
    fn new(random: &mut Random, definitions: &mut String) -> Self {
        let mut any = |random: &mut Random| {
            if random.below(3) > 0 {
                Shape::structure(random, 2, definitions)
            } else {
                Shape::scalar(random)
            }
        };
        let mut room = 56;
        let mut parameters = Vec::new();
        for _ in 0..random.below(10) {
            let one = any(random);
            if one.words() <= room {
                room -= one.words();
                parameters.push(one);
            }
        }
        let result = any(random);
        let returned = result.numbers(random);
        let passed = parameters.iter().map(|one| one.numbers(random)).collect();
        Self {
            result,
            parameters,
            returned,
            passed,
        }
    }

    fn source(&self, index: usize) -> String {
        let numbered = || self.parameters.iter().enumerate();
        let joined = |parts: Vec<String>, by: &str| parts.join(by);
        let list = joined(
            numbered()
                .map(|(at, one)| format!("{} p{at}", one.c))
                .collect(),
            ", ",
        );
        let list = if list.is_empty() {
            "void".to_owned()
        } else {
            list
        };
        let names = joined(numbered().map(|(at, _)| format!("p{at}")).collect(), ", ");
        let digests = joined(
            numbered()
                .map(|(at, one)| one.digest(&format!("p{at}")))
                .collect(),
            "\n ",
        );
        let passed = numbered().zip(&self.passed);
        let variables = passed.map(|((at, one), numbers)| one.assign(&format!("p{at}"), numbers));
        let variables = joined(variables.collect(), "\n  ");
        let result = &self.result.c;
        let returned = self.result.assign("r", &self.returned);
        let digested = self.result.digest("r");
        format!(
            "{result} f{index}({list}) {{\n  uint64_t sum = 7;\n {digests}\n  seen = sum;\n  {returned}\n  return r;\n}}\n\
             uint64_t g{index}({result} (*call)({list})) {{\n  {variables}\n  {result} r = call({names});\n  uint64_t sum = 7;\n {digested}\n  return sum;\n}}\n"
        )
    }
}

/// So many cases, and the C that has functions f0, g0, f1 and so on, and a variable `seen`.
pub(crate) fn cases(seed: u64, count: usize) -> (Vec<Case>, String) {
    let mut random = Random::new(seed);
    let mut definitions = String::new();
    let cases: Vec<_> = (0..count)
        .map(|_| Case::new(&mut random, &mut definitions))
        .collect();
    let functions: String = (0..)
        .zip(&cases)
        .map(|(index, case)| case.source(index))
        .collect();
    let source = format!("#include <stdint.h>\nuint64_t seen;\n{definitions}{functions}");
    (cases, source)
}
