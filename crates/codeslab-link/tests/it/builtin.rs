//! What compilers have in libraries of their own: code that asks about the processor links without them, and is told the same.

use crate::support::{Workshop, file, function, link, link_files, memory, read};
use codeslab_link::{Image, LinkOptions};
use std::process::Command;

type Unary = extern "C" fn(i32) -> i32;

const WORDS: &str = "
    extern unsigned __cpu_model[4], __cpu_features2[3];
    int __cpu_indicator_init(void);
    unsigned word(int n) {
        if (__cpu_indicator_init()) return 0;
        return n < 4 ? __cpu_model[n] : __cpu_features2[n - 4];
    }
";

/// What an image with the program above is told.
fn words(image: &Image, count: i32) -> Vec<u32> {
    let word = function!(image, "word", extern "C" fn(i32) -> u32);
    (0..count).map(|n| word(n)).collect()
}

/// The library that the compiler adds to what it links.
fn compilers_library() -> Vec<u8> {
    let output = Command::new("cc").arg("-print-libgcc-file-name").output();
    let path = String::from_utf8(output.expect("a C compiler").stdout).expect("a path");
    read(path.trim().as_ref())
}

#[test]
fn code_is_told_of_the_processor_what_the_compilers_own_library_tells() {
    let object = Workshop::new().compile("words", WORDS, &["-O2"]);
    let memory = memory();
    let own = link_files(&memory, &[("words.o", &object)]);
    let library = compilers_library();
    let options = LinkOptions {
        libraries: vec![file("libgcc.a", &library)],
        ..LinkOptions::default()
    };
    let theirs = link(&memory, &[file("words.o", &object)], &options).expect("it links");
    let object = |image: &Image| {
        image
            .symbol("__cpu_model")
            .map(|symbol| symbol.object.clone())
    };
    assert_ne!(
        object(&theirs).as_deref(),
        Some("codeslab"),
        "the library comes first"
    );
    // Older compilers know fewer features, and so have fewer words of them.
    let known = theirs
        .symbol("__cpu_features2")
        .map_or(0, |symbol| symbol.size / 4);
    let count = 4 + i32::try_from(known.min(3)).expect("a few");
    let (ours, theirs) = (words(&own, count), words(&theirs, count));
    assert_eq!(
        (ours[0], ours[3]),
        (theirs[0], theirs[3]),
        "maker and features"
    );
    assert!(theirs[1] == 0 || ours[1] == theirs[1], "a family it knows");
    // An older compiler takes a newer processor for the last of the family that it knows, and they are numbered as they came.
    assert!(
        theirs[2] == 0 || ours[2] >= theirs[2],
        "{} {}",
        ours[2],
        theirs[2]
    );
    for (ours, theirs) in ours.iter().zip(&theirs).skip(3) {
        assert_eq!(ours & theirs, *theirs, "{ours:#x} {theirs:#x}");
    }
}

const ASKING: &str = r#"
int supports(int n) {
    __builtin_cpu_init();
    return n + __builtin_cpu_supports("sse2") != n;
}
int is_unknown(int n) { return n + !!__builtin_cpu_is("intel") + !!__builtin_cpu_is("amd") > n + 1; }
__attribute__((target_clones("avx512f", "avx2", "sse4.2", "default"))) int sum(int n) {
    int s = 0;
    for (int i = 0; i < n; i++) s += i * i;
    return s;
}
"#;

#[test]
fn code_asks_what_the_processor_supports_and_clones_are_chosen_by_it() {
    let workshop = Workshop::new();
    for flags in [&["-O2"][..], &["-O2", "-fPIC"], &["-O2", "-fno-pic"]] {
        let object = workshop.compile("asking", ASKING, flags);
        let memory = memory();
        let library = compilers_library();
        for libraries in [vec![], vec![file("libgcc.a", &library)]] {
            let options = LinkOptions {
                libraries,
                process_symbols: false,
                ..LinkOptions::default()
            };
            let image = link(&memory, &[file("asking.o", &object)], &options)
                .unwrap_or_else(|error| panic!("{flags:?}: {error}"));
            assert_eq!(function!(image, "supports", Unary)(1), 1, "{flags:?}");
            assert_eq!(function!(image, "is_unknown", Unary)(1), 0, "{flags:?}");
            assert_eq!(function!(image, "sum", Unary)(10), 285, "{flags:?}");
        }
    }
}
