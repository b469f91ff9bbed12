//! Apple's convention, kind by kind: functions that Clang made for Apple's systems, executed here.
//!
//! On 64-bit Arm it has a stack of its own; on x86-64 it is that of other systems. `structures` has signatures at random.
#![allow(unsafe_code)] // It calls what Clang made.

use codeslab::{CodeMemory, Options};
use codeslab_call::{Calling, Frame, Kind, LargeFrame, Leaf, Signature, Structure, System, Type};
use codeslab_link::{Image, Input, LinkOptions};
use codeslab_testing::apple_object;
use std::fmt::Write as _;
use std::ptr;

const APPLE: Calling = Calling::of(System::Apple);

fn linked(test: &str, source: &str) -> Option<Image> {
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    };
    let flags = ["-O1", "-fno-builtin", "-fno-stack-protector"];
    let bytes = &apple_object(test, machine, "c", source, &flags)?;
    let memory = CodeMemory::new(Options::default()).expect("code memory");
    let name = "apple.o";
    let inputs = [Input::File { name, bytes }];
    let linked = codeslab_link::link(&memory, &inputs, &LinkOptions::default());
    let linked = linked.unwrap_or_else(|error| panic!("{error}"));
    // SAFETY: the compiler made it of sound C, without constructors.
    Some(unsafe { linked.start() }.expect("it starts"))
}

fn entry(image: &Image, name: &str) -> *const () {
    let address = image.address(name).expect("a symbol").value();
    ptr::with_exposed_provenance(address as usize)
}

/// The word of a whole number.
fn word(kind: Kind, number: i32) -> u64 {
    match kind {
        Kind::Float32 => Kind::float_word(number.into()).expect("a float"),
        Kind::Float64 => f64::from(number).to_bits(),
        kind => kind.integer_word(number.into()).expect("it fits"),
    }
}

/// Functions of 17 to 24 arguments, which return the sum of each times its number.
const SCALARS: [(&str, &[&str]); 4] = [
    ("longs", &["int64"; 20]),
    ("doubles", &["double"; 20]),
    ("floats", &["float"; 24]),
    (
        "mixed",
        &[
            "int64", "int64", "int64", "int64", "int64", "int64", "int64", "int64", "int8",
            "int16", "uint8", "int32", "int8", "int64", "uint16", "int8", "int32",
        ],
    ),
];

#[test]
fn small_arguments_share_words_of_the_stack() {
    let test = "small_arguments_share_words_of_the_stack";
    let c = |name: &str| match name {
        "int64" => "long",
        "int8" => "signed char",
        "int16" => "short",
        "uint8" => "unsigned char",
        "uint16" => "unsigned short",
        "int32" => "int",
        same => match same {
            "double" => "double",
            _ => "float",
        },
    };
    let mut source = String::new();
    for (name, types) in SCALARS {
        let numbered = || (1..).zip(types);
        let list: Vec<_> = numbered()
            .map(|(at, of)| format!("{} p{at}", c(of)))
            .collect();
        let sum: Vec<_> = numbered()
            .map(|(at, _)| format!("(long)p{at} * {at}"))
            .collect();
        let (list, sum) = (list.join(", "), sum.join(" + "));
        writeln!(source, "long {name}({list}) {{ return {sum}; }}").expect("a string");
    }
    let Some(image) = linked(test, &source) else {
        return;
    };
    for (name, types) in SCALARS {
        let signature = Signature::compile_as(APPLE, "int64", types).expect("a signature");
        let mut frame = Frame::new();
        let mut expected = 0;
        for (at, parameter) in (1..).zip(signature.parameters()) {
            // Some are negative where their type has that.
            let is_signed = !matches!(parameter.kind(), Kind::Uint8 | Kind::Uint16);
            let number = if is_signed && at % 3 == 0 {
                -at
            } else {
                at + 90
            };
            frame.put(*parameter, word(parameter.kind(), number));
            expected += i64::from(number) * i64::from(at);
        }
        // SAFETY: the function takes and returns that.
        let result = unsafe { signature.call(entry(&image, name), &frame) };
        assert_eq!(result.cast_signed(), expected, "{name}");
    }
}

/// A function of our own that is called as `snprintf` is: it writes a word for each letter of its format.
const FORMAT: &str = r"
struct floats { float a, b, c; };
struct bytes { char all[9]; };
struct large { long a, b, c; };
static char *digits(char *to, long n) {
  char buffer[24]; int length = 0;
  if (n < 0) { *to++ = '-'; n = -n; }
  do buffer[length++] = '0' + n % 10; while (n /= 10);
  while (length) *to++ = buffer[--length];
  return to;
}
int format(char *to, const char *format, ...) {
  char *start = to;
  __builtin_va_list all;
  __builtin_va_start(all, format);
  for (; *format; format++) {
    switch (*format) {
      case 'i': to = digits(to, __builtin_va_arg(all, int)); break;
      case 'l': to = digits(to, __builtin_va_arg(all, long)); break;
      case 'd': to = digits(to, (long)__builtin_va_arg(all, double)); break;
      case 'f': { struct floats f = __builtin_va_arg(all, struct floats); to = digits(to, (long)(f.a * 100 + f.b * 10 + f.c)); break; }
      case 'b': { struct bytes b = __builtin_va_arg(all, struct bytes); to = digits(to, b.all[0] * 10 + b.all[8]); break; }
      case 'x': { struct large l = __builtin_va_arg(all, struct large); to = digits(to, l.a * 100 + l.b * 10 + l.c); break; }
      case 's': { const char *s = __builtin_va_arg(all, const char *); while (*s) *to++ = *s++; break; }
    }
    *to++ = ' ';
  }
  *to = 0;
  return (int)(to - start);
}
";

fn structure(kind: Kind, count: u32) -> Structure {
    let width = kind.bytes();
    let leaves: Vec<_> = (0..count)
        .map(|index| Leaf {
            kind,
            offset: index * width,
        })
        .collect();
    Structure::new(count * width, &leaves).expect("a structure")
}

#[test]
fn arguments_that_vary_are_found_by_c_that_was_made_for_apple() {
    let test = "arguments_that_vary_are_found_by_c_that_was_made_for_apple";
    let Some(image) = linked(test, FORMAT) else {
        return;
    };
    let mut buffer = [0_u8; 128];
    let format = c"ildsfbxi";
    let bytes: Vec<u8> = (1..=9).collect();
    let floats: Vec<u8> = [4.0_f32, 5.0, 6.0]
        .iter()
        .flat_map(|float| float.to_le_bytes())
        .collect();
    let large: Vec<u8> = [7_i64, 8, 9]
        .iter()
        .flat_map(|long| long.to_le_bytes())
        .collect();
    let address = |pointer: *const u8| pointer.expose_provenance() as u64;
    let (to, text) = (buffer.as_mut_ptr().expose_provenance() as u64, c"text");
    let scalars = [
        (Kind::Pointer, to),
        (Kind::Pointer, address(format.as_ptr().cast())),
        (Kind::Int32, word(Kind::Int32, -7)),
        (Kind::Int64, word(Kind::Int64, 1 << 30)),
        (Kind::Float64, word(Kind::Float64, -12)),
        (Kind::Pointer, address(text.as_ptr().cast())),
    ];
    let structures = [
        (structure(Kind::Float32, 3), floats),
        (structure(Kind::Int8, 9), bytes),
        (structure(Kind::Int64, 3), large),
    ];
    let last = (Kind::Int32, word(Kind::Int32, 99));
    let mut types: Vec<_> = scalars
        .iter()
        .map(|(kind, _)| Type::Scalar(*kind))
        .collect();
    types.extend(structures.iter().map(|(of, _)| Type::Structure(of.clone())));
    types.push(Type::Scalar(last.0));
    let result = Type::Scalar(Kind::Int32);
    let signature = Signature::of_types_as(APPLE.variadic(2), &result, &types).expect("it is one");
    let mut frame = LargeFrame::new();
    let parameters = signature.parameters();
    for (parameter, (_, word)) in parameters.iter().zip(scalars) {
        frame.put(*parameter, word);
    }
    for (at, (_, bytes)) in (scalars.len()..).zip(&structures) {
        assert!(frame.put_structure(&signature, at, bytes));
    }
    frame.put(parameters[parameters.len() - 1], last.1);
    // SAFETY: the function takes what the format says after the format, and the buffer is large enough.
    let (length, _) = unsafe { signature.call_large(entry(&image, "format"), &mut frame) };
    let written = &buffer[..length as u32 as usize];
    let written = std::str::from_utf8(std::hint::black_box(written)).expect("digits");
    assert_eq!(written, "-7 1073741824 -12 text 456 19 789 99 ");
}
