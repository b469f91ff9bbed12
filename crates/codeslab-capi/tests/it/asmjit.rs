//! asmjit on codeslab, as `adapters/asmjit` has it.

use crate::installed::{Installed, has, output};
use codeslab_testing::{package_skip, repository};
use std::path::Path;
use std::process::Command;

#[cfg(target_arch = "x86_64")]
#[test]
fn asmjit_places_calls_and_releases_functions() {
    const NAME: &str = "asmjit_places_calls_and_releases_functions";
    if !Path::new("/usr/include/asmjit/asmjit.h").exists() {
        return package_skip(NAME, "asmjit", "libasmjit-dev");
    }
    let installed = Installed::new("asmjit");
    let source = repository().join("adapters/asmjit/test/runtime.cpp");
    for compiler in ["g++", "clang++-14"].into_iter().filter(|name| has(name)) {
        let program = installed.path(compiler);
        let mut compile = Command::new(compiler);
        // asmjit's own headers are not what is looked at.
        compile.args(["-std=c++11", "-O1", "-Wall", "-Wextra", "-Werror"]);
        compile.arg("-I").arg(installed.path("include"));
        compile.arg(&source).arg("-o").arg(&program);
        output(compile.args(installed.shared()).arg("-lasmjit"));
        let mut start = Command::new(&program);
        let said = output(start.env("LD_LIBRARY_PATH", installed.path("lib")));
        let good = said.lines().filter(|line| line.starts_with("ok "));
        assert_eq!(good.count(), 10, "{compiler}: {said}");
    }
}
