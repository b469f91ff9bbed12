//! Signatures with structures that a seed makes, the C functions that have them, and values.
//!
//! Some have structures, some many scalars, and some take arguments that vary. C takes every scalar of what it is passed into a checksum, and makes what it returns or passes of constants; so nothing is compared
//! with what this crate encoded. Numbers are integers, and floats are quarters of them, which both languages have exactly.

use codeslab_call::{Calling, Kind, Leaf, Signature, Structure, System, Type};
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

/// C's names for them, on every system and without headers.
const TYPES: &str = "\
typedef signed char int8_t; typedef unsigned char uint8_t; typedef short int16_t; typedef unsigned short uint16_t;
typedef int int32_t; typedef unsigned uint32_t; typedef long long int64_t; typedef unsigned long long uint64_t;
";

/// Which scalars a function takes.
#[derive(Clone, Copy)]
enum Scalars {
    All,
    Integers,
    Floats,
    /// Those that may vary.
    Promoted,
}

impl Scalars {
    fn any(random: &mut Random) -> Self {
        [Self::All, Self::Integers, Self::Floats][random.below(3)]
    }

    fn have(self, kind: Kind) -> bool {
        let is_float = matches!(kind, Kind::Float32 | Kind::Float64);
        match self {
            Self::All => true,
            Self::Integers => !is_float,
            Self::Floats => is_float,
            Self::Promoted => !kind.is_narrower_than_variadic(),
        }
    }
}

impl Shape {
    fn scalar(random: &mut Random) -> Self {
        Self::scalar_of(random, Scalars::All)
    }

    fn scalar_of(random: &mut Random, scalars: Scalars) -> Self {
        let chosen = SCALARS.iter().filter(|(_, kind)| scalars.have(*kind));
        let chosen: Vec<_> = chosen.collect();
        let (c, kind) = *chosen[random.below(chosen.len())];
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
    /// How many arguments do not vary, if others do.
    fixed: Option<usize>,
    pub(crate) returned: Vec<i64>,
    pub(crate) passed: Vec<Vec<i64>>,
}

/// As many arguments as every convention has room for.
const MOST: usize = 18;

impl Case {
    fn new(random: &mut Random, definitions: &mut String, index: usize) -> Self {
        let (scalars, fixed, count, one_in) = match index % 4 {
            0 => (Scalars::any(random), None, 1 + random.below(MOST), 8),
            1 => {
                let fixed = 1 + random.below(4);
                let count = fixed + random.below(MOST - fixed);
                (Scalars::Promoted, Some(fixed), count, 3)
            }
            _ => (Scalars::All, None, random.below(10), 1),
        };
        let mut any = |random: &mut Random, one_in: usize| {
            if random.below(2 + one_in) < 2 {
                Shape::structure(random, 2, definitions)
            } else {
                Shape::scalar_of(random, scalars)
            }
        };
        let mut room = 56;
        let mut parameters = Vec::new();
        for _ in 0..count {
            let one = any(random, one_in);
            if one.words() <= room {
                room -= one.words();
                parameters.push(one);
            }
        }
        let result = any(random, 1);
        let returned = result.numbers(random);
        let passed = parameters.iter().map(|one| one.numbers(random)).collect();
        let fixed = fixed.filter(|fixed| *fixed <= parameters.len());
        Self {
            result,
            parameters,
            fixed,
            returned,
            passed,
        }
    }

    /// Its signature by the convention of a system.
    pub(crate) fn signature(&self, system: System) -> Signature {
        let arguments: Vec<Type> = self.parameters.iter().map(Shape::of_type).collect();
        let calling = Calling::of(system);
        let calling = self.fixed.map_or(calling, |fixed| calling.variadic(fixed));
        Signature::of_types_as(calling, &self.result.of_type(), &arguments).expect("a signature")
    }

    /// C that finds the arguments that vary.
    fn varying(&self) -> String {
        let Some(fixed) = self.fixed else {
            return String::new();
        };
        let mut text = format!(
            "__builtin_va_list all; __builtin_va_start(all, p{});",
            fixed - 1
        );
        for (at, one) in self.parameters.iter().enumerate().skip(fixed) {
            let c = &one.c;
            write!(text, " {c} p{at} = __builtin_va_arg(all, {c});").expect("a string");
        }
        text
    }

    fn source(&self, index: usize) -> String {
        let numbered = || self.parameters.iter().enumerate();
        let joined = |parts: Vec<String>, by: &str| parts.join(by);
        let fixed = self.fixed.unwrap_or(self.parameters.len());
        let list = numbered()
            .take(fixed)
            .map(|(at, one)| format!("{} p{at}", one.c));
        let rest = self.fixed.map(|_| "...".to_owned());
        let list = joined(list.chain(rest).collect(), ", ");
        let list = if list.is_empty() {
            "void".to_owned()
        } else {
            list
        };
        let varying = self.varying();
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
            "{result} f{index}({list}) {{\n  {varying}\n  uint64_t sum = 7;\n {digests}\n  seen = sum;\n  {returned}\n  return r;\n}}\n\
             uint64_t g{index}({result} (*call)({list})) {{\n  {variables}\n  {result} r = call({names});\n  uint64_t sum = 7;\n {digested}\n  return sum;\n}}\n"
        )
    }
}

/// So many cases, and the C that has functions f0, g0, f1 and so on, and a variable `seen`.
pub(crate) fn cases(seed: u64, count: usize) -> (Vec<Case>, String) {
    let mut random = Random::new(seed);
    let mut definitions = String::new();
    let cases: Vec<_> = (0..count)
        .map(|index| Case::new(&mut random, &mut definitions, index))
        .collect();
    let functions: String = (0..)
        .zip(&cases)
        .map(|(index, case)| case.source(index))
        .collect();
    let source = format!("{TYPES}uint64_t seen;\n{definitions}{functions}");
    (cases, source)
}
