//! Options that objects bring along, and common symbols.

use super::{GCC, assembled, compiled};
use crate::support::{address, file, function, link, link_files, memory, peek_u64};
use codeslab_link::{Input, LinkOptions};

#[test]
fn common_symbols_are_shared_aligned_and_give_way_to_values() {
    let test = "common_symbols_are_shared_aligned_and_give_way_to_values";
    let user = "int shared[10]; char wide[100] __attribute__((aligned(256))); int *where(void) { return shared; }";
    let Some(user) = compiled(test, GCC, "c", user, &["-O1", "-fcommon"]) else {
        return;
    };
    let other = "int shared[20]; int *there(void) { return shared; }";
    let other = compiled(test, GCC, "c", other, &["-O1", "-fcommon"]).expect("there is GCC");
    let image = link_files(&memory(), &[("u.obj", &user), ("o.obj", &other)]);
    let at = |name| function!(image, name, extern "win64" fn() -> u64)();
    assert_eq!(
        (at("where"), at("there")),
        (address(&image, "shared"), at("where"))
    );
    assert_eq!(address(&image, "wide") % 256, 0);
    let value = compiled(test, GCC, "c", "int shared[30] = {5};", &["-O1"]).expect("there is GCC");
    let image = link_files(&memory(), &[("u.obj", &user), ("v.obj", &value)]);
    let at = function!(image, "where", extern "win64" fn() -> u64)();
    assert_eq!(peek_u64(at) as u32, 5);
}

#[test]
fn exported_and_included_names_are_needed_though_nothing_refers_to_them() {
    let test = "exported_and_included_names_are_needed_though_nothing_refers_to_them";
    let source = "
        .section .text$one,\"xr\"
        .globl root
        root: ret
        .section .text$two,\"xr\"
        .globl exported
        exported: ret
        .section .text$three,\"xr\"
        .globl neither
        neither: ret
        .section .drectve,\"yn\"
        .ascii \" /EXPORT:exported /INCLUDE:wanted /EXPORT:renamed=exported /DEFAULTLIB:libcmt /unknown:x -nonsense\"
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let library = ".text\n.globl wanted\nwanted: ret\n";
    let library = assembled(test, library).expect("there is an assembler");
    let libraries: Vec<Input<'_>> = vec![file("wanted.obj", &library)];
    let options = LinkOptions {
        roots: vec!["root".to_owned()],
        gc: true,
        libraries,
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("exports.obj", &object)], &options).expect("it links");
    let has = |name: &str| image.symbol(name).is_some();
    assert!(has("root") && has("exported") && has("wanted") && !has("neither"));
}
