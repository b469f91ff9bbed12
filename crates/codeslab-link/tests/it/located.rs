//! What an address in an image is, what may have been meant by a name, and what is in inputs.

use crate::support::Workshop;
use codeslab::{Address, CodeMemory, Options};
use codeslab_link::{Error, Input, LinkOptions, inspect, link};

const SOURCE: &str = "
static int __attribute__((noinline)) helper(int a) { return a * 3 + 1; }
int __attribute__((noinline)) add(int a, int b) { return a + helper(b); }
int (*pointer)(int) = helper;
";

fn linked(bytes: &[u8]) -> codeslab_link::Image {
    let memory = CodeMemory::new(Options::default()).unwrap();
    let inputs = [Input::File {
        name: "add.o",
        bytes,
    }];
    let linked = link(&memory, &inputs, &LinkOptions::default()).unwrap();
    linked.into_image().unwrap()
}

#[test]
fn an_address_is_the_function_that_it_lies_in_local_ones_as_well() {
    let object = Workshop::new().compile("add", SOURCE, &["-O1"]);
    let image = linked(&object);
    let add = image.symbol("add").unwrap().clone();
    for offset in 0..add.size {
        let found = image.locate(Address::new(add.address.value() + offset));
        let found = found.unwrap();
        assert_eq!((found.name.as_str(), found.address), ("add", add.address));
        assert_eq!((&*found.object, found.is_local), ("add.o", false));
    }
    let code = image
        .allocation()
        .segment(codeslab::Protection::ReadExecute);
    let (start, size) = code.unwrap();
    let bytes = (0..size).map(|offset| Address::new(start.value() + offset));
    let local = bytes.filter_map(|address| image.locate(address));
    let local: Vec<_> = local.filter(|found| found.is_local).collect();
    assert!(!local.is_empty(), "the local function has bytes");
    assert!(local.iter().all(|found| found.name == "helper"));
    assert_eq!(local.len() as u64, local[0].size);
    assert_eq!(image.locate(Address::new(start.value() + size)), None);
    assert_eq!(image.locate(Address::new(0)), None);
}

#[test]
fn an_image_knows_what_was_meant_and_what_is_local() {
    let object = Workshop::new().compile("add", SOURCE, &["-O1"]);
    let image = linked(&object);
    assert_eq!(image.similar("ad").names, ["add"]);
    assert!(image.similar("multiply").names.is_empty());
    assert_eq!(image.local("helper"), Some("add.o"));
    assert_eq!(image.local("add"), None);
}

#[test]
fn a_misspelt_root_and_a_c_name_of_a_cpp_function_get_advice() {
    let workshop = Workshop::new();
    let memory = CodeMemory::new(Options::default()).unwrap();
    let advice = |bytes: &[u8], roots: &[&str]| {
        let inputs = [Input::File { name: "a.o", bytes }];
        let options = LinkOptions {
            roots: roots.iter().map(ToString::to_string).collect(),
            ..LinkOptions::default()
        };
        link(&memory, &inputs, &options).unwrap_err().to_string()
    };
    let object = workshop.compile("add", SOURCE, &[]);
    let message = advice(&object, &["addd"]);
    assert!(message.contains("did you mean add?"), "{message}");
    let source = "
        long cpp(long x) __asm__(\"_Z5twicel\"); long cpp(long x) { return x; }
        long twice(long x); long use(long x) { return twice(x); }
    ";
    let message = advice(&workshop.compile("cpp", source, &[]), &[]);
    assert!(
        message.contains("_Z5twicel") && message.contains("extern \"C\""),
        "{message}"
    );
}

#[test]
fn inputs_are_shown_object_by_object_and_what_is_refused_keeps_no_other_from_being_shown() {
    let object = Workshop::new().compile("add", SOURCE, &[]);
    let inputs = [
        Input::File {
            name: "noise.o",
            bytes: b"noise",
        },
        Input::File {
            name: "add.o",
            bytes: &object,
        },
    ];
    let mut seen = Vec::new();
    inspect(&inputs, |object| {
        let symbols = object.graph.map(|graph| {
            let symbols = graph.symbols().iter();
            symbols
                .map(|symbol| symbol.name.to_string())
                .collect::<Vec<_>>()
        });
        let is_unknown = matches!(object.refusal, Some(Error::UnknownFormat { .. }));
        seen.push((object.name.to_owned(), symbols, is_unknown));
    })
    .unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].0.as_str(), &seen[0].1, seen[0].2),
        ("noise.o", &None, true)
    );
    let symbols = seen[1].1.as_ref().unwrap();
    assert!(
        ["add", "helper", "pointer"]
            .iter()
            .all(|name| symbols.iter().any(|other| other == name))
    );
    assert!(!seen[1].2);
}
