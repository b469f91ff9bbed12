//! What is installed, as programs in C and C++ meet it.

use codeslab_testing::{package_skip, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What a program says; its complaints are the test's failure.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complaints}");
    said
}

pub(crate) fn has(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The library and the header, installed for one test, and removed at its end.
pub(crate) struct Installed {
    prefix: PathBuf,
}

impl Installed {
    pub(crate) fn new(name: &str) -> Self {
        let test = std::env::current_exe().expect("this program has a path");
        let archive = test.with_file_name("libcodeslab_capi.a");
        let name = format!("capi-{name}-{}", std::process::id());
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let script = Path::new(CRATE).join("install.sh");
        output(Command::new("sh").arg(script).arg(&prefix).arg(archive));
        Self { prefix }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.prefix.join(name)
    }

    /// What `pkg-config` answers: flags for compilers.
    fn flags(&self, question: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(question).arg("codeslab");
        command.env("PKG_CONFIG_PATH", self.path("lib/pkgconfig"));
        let flags = output(&mut command);
        flags.split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles the example, which gets the header twice, and says what it prints.
    fn example(
        &self,
        compiler: &str,
        flags: &[&str],
        libraries: &[String],
        run: &[&str],
    ) -> String {
        let program = self.path("counter");
        let mut compile = Command::new(compiler);
        compile
            .args([
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                "-g",
                "-include",
                "codeslab.h",
            ])
            .args(flags);
        compile
            .arg(Path::new(CRATE).join("examples/counter.c"))
            .arg("-o")
            .arg(&program);
        output(compile.arg("-I").arg(self.path("include")).args(libraries));
        let words = run.iter().map(std::ffi::OsString::from);
        let words: Vec<_> = words.chain([program.into_os_string()]).collect();
        let mut start = Command::new(&words[0]);
        start
            .args(&words[1..])
            .env("LD_LIBRARY_PATH", self.path("lib"));
        output(&mut start)
    }

    pub(crate) fn shared(&self) -> Vec<String> {
        vec![
            "-L".into(),
            self.path("lib").display().to_string(),
            "-lcodeslab".into(),
        ]
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.prefix);
    }
}

/// What the example prints.
const COUNTED: &str = "1 2 3\n";

#[cfg(target_arch = "x86_64")]
#[test]
fn the_example_is_compiled_without_warnings_and_counts() {
    let installed = Installed::new("example");
    let shared = installed.shared();
    assert_eq!(
        installed.example("cc", &["-std=c11"], &shared, &[]),
        COUNTED
    );
    let archive = installed.path("lib/libcodeslab.a").display().to_string();
    let mut whole = vec![archive];
    whole.extend(["-lgcc_s", "-lpthread", "-ldl", "-lm", "-lc"].map(str::to_owned));
    assert_eq!(
        installed.example("cc", &["-std=c11"], &whole, &[]),
        COUNTED,
        "statically"
    );
    let compilers = [
        ("g++", "g++"),
        ("clang", "clang"),
        ("clang-14", "clang"),
        ("clang++-14", "clang"),
    ];
    for (compiler, package) in compilers {
        let flags: &[&str] = if compiler.contains("++") {
            &["-xc++", "-std=c++11"]
        } else {
            &["-std=c11"]
        };
        if has(compiler) {
            assert_eq!(
                installed.example(compiler, flags, &shared, &[]),
                COUNTED,
                "{compiler}"
            );
        } else if !compiler.starts_with("clang") || !has("clang") && !has("clang-14") {
            package_skip(
                "the_example_is_compiled_without_warnings_and_counts",
                compiler,
                package,
            );
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_example_is_clean_under_address_sanitizer_and_valgrind() {
    let installed = Installed::new("watched");
    let shared = installed.shared();
    let watched = ["-std=c11", "-fsanitize=address,undefined"];
    assert_eq!(installed.example("cc", &watched, &shared, &[]), COUNTED);
    if !has("valgrind") {
        let name = "the_example_is_clean_under_address_sanitizer_and_valgrind";
        return package_skip(name, "valgrind", "valgrind");
    }
    let valgrind = [
        "valgrind",
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
        "--smc-check=all",
    ];
    assert_eq!(
        installed.example("cc", &["-std=c11"], &shared, &valgrind),
        COUNTED
    );
}

#[test]
fn the_shared_library_exports_its_functions_alone_each_with_a_version() {
    let installed = Installed::new("exports");
    let library = installed.path("lib/libcodeslab.so");
    let listed = output(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(&library),
    );
    let header = std::fs::read_to_string(installed.path("include/codeslab.h")).unwrap();
    let mut count = 0;
    for name in listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
    {
        if name.starts_with("CODESLAB_0.1") {
            continue;
        }
        let function = name.strip_suffix("@@CODESLAB_0.1");
        let function = function.unwrap_or_else(|| panic!("{name} is exported"));
        assert!(
            header.contains(&format!("{function}(")),
            "{function} is not declared"
        );
        count += 1;
    }
    let declared = header
        .lines()
        .filter(|line| line.starts_with("codeslab_status codeslab_"));
    assert!(
        count > 30 && count >= declared.count(),
        "{count} are exported"
    );
    let soname = output(Command::new("readelf").arg("-d").arg(&library));
    assert!(soname.contains("soname: [libcodeslab.so.0.1]"), "{soname}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn pkg_config_and_cmake_find_what_is_installed() {
    const NAME: &str = "pkg_config_and_cmake_find_what_is_installed";
    let installed = Installed::new("found");
    if has("pkg-config") {
        let version = installed.flags(&["--modversion"]);
        assert_eq!(version, [env!("CARGO_PKG_VERSION")]);
        let flags = installed.flags(&["--cflags", "--libs"]);
        assert_eq!(installed.example("cc", &["-std=c11"], &flags, &[]), COUNTED);
    } else {
        package_skip(NAME, "pkg-config", "pkg-config");
    }
    if !has("cmake") {
        return package_skip(NAME, "cmake", "cmake");
    }
    let source = installed.path("project");
    std::fs::create_dir(&source).unwrap();
    let project = format!(
        "cmake_minimum_required(VERSION 3.16)\nproject(counter C)\nfind_package(codeslab 0.1 REQUIRED)\n\
         add_executable(counter {CRATE}/examples/counter.c)\ntarget_link_libraries(counter codeslab::codeslab)\n\
         add_executable(whole {CRATE}/examples/counter.c)\ntarget_link_libraries(whole codeslab::codeslab-static)\n"
    );
    std::fs::write(source.join("CMakeLists.txt"), project).unwrap();
    let build = installed.path("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&source).arg("-B").arg(&build);
    output(configure.env("CMAKE_PREFIX_PATH", &installed.prefix));
    output(Command::new("cmake").arg("--build").arg(&build));
    for program in ["counter", "whole"] {
        assert_eq!(
            output(&mut Command::new(build.join(program))),
            COUNTED,
            "{program}"
        );
    }
}

#[test]
fn the_header_is_what_cbindgen_makes_of_the_source() {
    let header = std::fs::read_to_string(Path::new(CRATE).join("include/codeslab.h")).unwrap();
    let version = format!("#define CODESLAB_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(header.contains(&version), "the header has another version");
    if !has("cbindgen") {
        let name = "the_header_is_what_cbindgen_makes_of_the_source";
        return skip(name, "cbindgen is not there (cargo install cbindgen)");
    }
    let mut make = Command::new("cbindgen");
    make.args(["--quiet", "--config", "cbindgen.toml"])
        .arg(CRATE)
        .current_dir(CRATE);
    assert!(
        output(&mut make) == header,
        "see the first line of cbindgen.toml"
    );
}
