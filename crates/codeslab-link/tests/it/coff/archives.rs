//! Archives and import libraries of both kinds of tools, and libraries from source.

use super::{CLANG, GCC, assembled, compiled, made};
use crate::support::{Workshop, externals, file, function, link, link_error, memory};
use codeslab_link::{Input, LinkOptions};

/// What a tool makes of a text.
fn tool(
    test: &str,
    program: &'static [&'static str],
    text: &str,
    name: &str,
    arguments: &[&str],
) -> Option<Vec<u8>> {
    let tool = super::Tool {
        programs: program,
        flags: &[],
        package: "llvm-14 or binutils-mingw-w64-x86-64",
    };
    made(test, tool, (name, text, arguments), |program, text| {
        let workshop = Workshop::new();
        std::fs::write(workshop.path(name), text).expect("the temporary directory is writable");
        workshop.run(program, arguments);
        workshop.read("output.lib")
    })
}

const EXPORTS: &str = "LIBRARY lib.dll\nEXPORTS\n  imported\n  data DATA\n";

extern "win64" fn imported(n: i32) -> i32 {
    n + 1
}

static DATA: i32 = 40;

/// Both ways in which code refers to a library: by name, and through a cell.
const USER: &str = "
    int imported(int);
    __declspec(dllimport) int data;
    int by_name(int n) { return imported(n) + data; }
    int (*pointer(void))(int) { return imported; }
";

fn uses(library: &[u8], user: &[u8]) {
    let mut options = externals(&[
        ("imported", imported as *const () as u64),
        ("data", &raw const DATA as u64),
    ]);
    options.libraries = vec![file("lib.lib", library)];
    let image = link(&memory(), &[file("user.obj", user)], &options).expect("it links");
    let by_name = function!(image, "by_name", extern "win64" fn(i32) -> i32);
    assert_eq!(by_name(1), 42);
    // All of an import library among the inputs does no harm.
    options.libraries.clear();
    let inputs = [file("user.obj", user), file("lib.lib", library)];
    link(&memory(), &inputs, &options).expect("it links");
}

#[test]
fn import_libraries_of_llvm_and_gnu_bind_to_what_the_process_has() {
    let test = "import_libraries_of_llvm_and_gnu_bind_to_what_the_process_has";
    let Some(user) = compiled(test, CLANG, "c", USER, &["-O1"]) else {
        return;
    };
    let dlltool: &[&str] = &["llvm-dlltool", "llvm-dlltool-14"];
    let arguments = ["-m", "i386:x86-64", "-d", "lib.def", "-l", "output.lib"];
    if let Some(short) = tool(test, dlltool, EXPORTS, "lib.def", &arguments) {
        uses(&short, &user);
    }
    let dlltool: &[&str] = &["x86_64-w64-mingw32-dlltool"];
    if let Some(long) = tool(
        test,
        dlltool,
        EXPORTS,
        "lib.def",
        &["-d", "lib.def", "-l", "output.lib"],
    ) {
        uses(&long, &user);
    }
}

#[test]
fn an_import_by_ordinal_is_refused_by_name() {
    let test = "an_import_by_ordinal_is_refused_by_name";
    let definition = "LIBRARY lib.dll\nEXPORTS\n  imported @7 NONAME\n";
    let dlltool: &[&str] = &["llvm-dlltool", "llvm-dlltool-14"];
    let arguments = ["-m", "i386:x86-64", "-d", "lib.def", "-l", "output.lib"];
    let Some(library) = tool(test, dlltool, definition, "lib.def", &arguments) else {
        return;
    };
    let user = "int imported(int); int f(void) { return imported(1); }";
    let Some(user) = compiled(test, CLANG, "c", user, &["-O1"]) else {
        return;
    };
    let options = LinkOptions {
        libraries: vec![file("lib.lib", &library)],
        ..LinkOptions::default()
    };
    let error = link_error(&[file("user.obj", &user)], &options);
    assert_eq!(error.code(), "UNSUPPORTED", "{error}");
    let text = error.to_string();
    assert!(text.contains("imported (number 7 of lib.dll)"), "{text}");
}

#[test]
fn archives_of_both_tools_give_the_members_that_are_needed() {
    let test = "archives_of_both_tools_give_the_members_that_are_needed";
    let one = ".text\n.globl one\none: movl $1, %eax\nret\n";
    let two = ".text\n.globl two\ntwo: call one\nincl %eax\nret\n";
    let other = ".text\n.globl other\nother: call nothing\nret\n";
    let mut objects = Vec::new();
    for source in [one, two, other] {
        let Some(object) = assembled(test, source) else {
            return;
        };
        objects.push(object);
    }
    let archivers: [(&'static [&'static str], &[&str]); 2] = [
        (
            &["llvm-lib", "llvm-lib-14"],
            &["/out:output.lib", "a.o", "b.o", "c.o"],
        ),
        (
            &["x86_64-w64-mingw32-ar"],
            &["rcs", "output.lib", "a.o", "b.o", "c.o"],
        ),
    ];
    for (programs, arguments) in archivers {
        let tool = super::Tool {
            programs,
            flags: &[],
            package: "llvm or binutils-mingw-w64-x86-64",
        };
        let archive = made(test, tool, ("archive", "", arguments), |program, _| {
            let workshop = Workshop::new();
            for (object, name) in objects.iter().zip(["a.o", "b.o", "c.o"]) {
                std::fs::write(workshop.path(name), object).expect("the directory is writable");
            }
            workshop.run(program, arguments);
            workshop.read("output.lib")
        });
        let Some(archive) = archive else { continue };
        let options = LinkOptions {
            roots: vec!["two".to_owned()],
            ..LinkOptions::default()
        };
        let inputs: [Input<'_>; 1] = [file("some.lib", &archive)];
        let image = link(&memory(), &inputs, &options).expect("it links");
        assert_eq!(function!(image, "two", extern "win64" fn() -> i32)(), 2);
    }
}

#[test]
fn an_object_with_many_sections_links_as_any_other() {
    let test = "an_object_with_many_sections_links_as_any_other";
    let parts = (0..70_000)
        .map(|number| format!(".section .data$x{number},\"dw\"\n.byte {}\n", number % 251));
    let code = ".text\n.globl f\nf: movzbl g(%rip), %eax\nret\n.section .data$last,\"dw\"\n.globl g\ng: .byte 42\n";
    let source = parts.chain([code.to_owned()]).collect::<String>();
    let Some(object) = compiled(test, GCC, "s", &source, &["-Wa,-mbig-obj"]) else {
        return;
    };
    assert_eq!(object[..4], [0, 0, 0xff, 0xff]);
    let image = link(
        &memory(),
        &[file("big.obj", &object)],
        &LinkOptions::default(),
    );
    let image = image.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(function!(image, "f", extern "win64" fn() -> i32)(), 42);
}
