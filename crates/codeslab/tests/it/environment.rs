//! Options, the environment, and the limits of the system.

use crate::support::{assert_passed, function, is_child, layout, memories, memory_of, run_child};
use codeslab::{CodeMemory, CodeModel, Error, Limit, Options, Request, Writer};

#[test]
fn defaults_are_a_small_code_model_and_blocks_of_16_mib() {
    let configuration = CodeMemory::new(Options::default()).unwrap().configuration();
    assert_eq!(
        (configuration.block_size, configuration.code_model),
        (16 << 20, CodeModel::Small)
    );
    assert_eq!(configuration.reach.bytes(), (2 << 30) - (64 << 10));
}

#[test]
fn impossible_block_sizes_are_refused_with_the_possible_ones() {
    for size in [
        0,
        1,
        4096,
        8192,
        12_288,
        3 << 20,
        2 << 30,
        1 << 40,
        u64::MAX,
    ] {
        let refused = CodeMemory::new(Options {
            block_size: Some(size),
            ..Options::default()
        })
        .unwrap_err();
        assert_eq!(
            refused,
            Error::InvalidBlockSize {
                size,
                minimum: 4 * 4096,
                maximum: 1 << 30
            }
        );
    }
    for (writer, _) in memories() {
        for size in [16 << 10, 1 << 30] {
            let (_function, at) = function(&memory_of(writer, size), 5);
            assert_eq!(crate::support::call(at), 5, "{writer} {size:#x}");
        }
    }
}

#[test]
fn a_code_model_that_the_architecture_lacks_is_refused() {
    let refused = CodeMemory::new(Options {
        code_model: CodeModel::Tiny,
        ..Options::default()
    })
    .unwrap_err();
    assert!(
        matches!(
            refused,
            Error::UnsupportedCodeModel {
                model: CodeModel::Tiny,
                ..
            }
        ),
        "{refused}"
    );
    for code_model in [CodeModel::Medium, CodeModel::Large] {
        CodeMemory::new(Options {
            code_model,
            ..Options::default()
        })
        .unwrap();
    }
}

fn from(variables: &'static [(&'static str, &'static str)]) -> Result<Options, Error> {
    let look_up = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Options::default().or_environment(look_up)
}

#[test]
fn the_environment_fills_in_what_options_leave_open() {
    let options = from(&[
        ("CODESLAB_BLOCK_SIZE", "20"),
        ("CODESLAB_WRITER", "protect"),
    ])
    .unwrap();
    assert_eq!(
        (options.block_size, options.writer),
        (Some(1 << 20), Some(Writer::Protect))
    );
    assert_eq!(from(&[("CODESLAB_WRITER", "auto")]).unwrap().writer, None);
    let chosen = Options {
        block_size: Some(1 << 16),
        writer: Some(Writer::FileWrite),
        ..Options::default()
    };
    let kept = chosen
        .clone()
        .or_environment(|_| Some("nonsense".to_owned()))
        .unwrap();
    assert_eq!(kept, chosen, "what is chosen is not looked up");
}

#[test]
fn nonsense_in_the_environment_is_refused_by_variable_and_value() {
    for value in ["", "-1", "16M", "11", "63", "999999999999999999999"] {
        let refused = Options::default()
            .or_environment(|name| (name == "CODESLAB_BLOCK_SIZE").then(|| value.to_owned()));
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidEnvironment { variable: "CODESLAB_BLOCK_SIZE", value: named, .. } if named == value),
            "{error}"
        );
    }
    let error = from(&[("CODESLAB_WRITER", "mmap")]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("auto, dual-mapping, file-write, protect, self-mem, pkeys"),
        "{error}"
    );
}

#[test]
fn every_writer_reports_whether_it_works_here() {
    let capabilities = codeslab::capabilities().unwrap();
    assert_eq!(
        capabilities
            .writers
            .iter()
            .map(|status| status.writer)
            .collect::<Vec<_>>(),
        Writer::ALL
    );
    for status in capabilities.writers {
        let opened = CodeMemory::new(Options {
            writer: Some(status.writer),
            ..Options::default()
        });
        assert_eq!(
            opened.is_ok(),
            status.unavailable.is_none(),
            "{:?}",
            status.unavailable
        );
    }
}

/// Allocates `sizes` of code, constants and data. What was refused?
fn refused_limit(memory: &CodeMemory, sizes: [u64; 3]) -> Option<Limit> {
    let (layout, _) = layout(sizes);
    match memory.allocate(&Request::new(&layout)) {
        Ok(_) => None,
        Err(Error::Refused(refusal)) => Some(refusal.limit),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_limit_on_address_space_shrinks_the_reservation_and_is_named_when_nothing_helps() {
    const NAME: &str = "environment::a_limit_on_address_space_shrinks_the_reservation_and_is_named_when_nothing_helps";
    if is_child(NAME) {
        for (writer, memory) in memories() {
            let fits = refused_limit(&memory, [1_000, 0, 0]);
            assert_eq!(fits, None, "{writer}: a smaller reservation does");
            let refused = refused_limit(&memory, [900 << 20, 0, 0]);
            assert_eq!(refused, Some(Limit::AddressSpace), "{writer}");
        }
        return;
    }
    assert_passed(&run_child(NAME, "ulimit -v 400000; exec \"$@\"", &[]));
}

#[test]
fn a_limit_on_file_size_leads_to_smaller_files_and_then_to_another_writer_and_never_to_a_signal() {
    const NAME: &str = "environment::a_limit_on_file_size_leads_to_smaller_files_and_then_to_another_writer_and_never_to_a_signal";
    if is_child(NAME) {
        let memory = CodeMemory::new(Options::default()).unwrap();
        let (_function, at) = function(&memory, 9);
        assert_eq!(crate::support::call(at), 9);
        println!("writer {}", memory.configuration().writer);
        return;
    }
    let small = run_child(NAME, "ulimit -f 65536; exec \"$@\"", &[]);
    assert_passed(&small);
    assert!(
        String::from_utf8_lossy(&small.stdout).contains("writer dual-mapping"),
        "{small:?}"
    );
    let little = run_child(NAME, "ulimit -f 1024; exec \"$@\"", &[]);
    assert!(
        String::from_utf8_lossy(&little.stdout).contains("writer protect"),
        "{little:?}"
    );
    let none = run_child(NAME, "ulimit -f 0; exec \"$@\" | cat", &[]);
    assert!(
        String::from_utf8_lossy(&none.stdout).contains("writer protect"),
        "{none:?}"
    );
}

#[test]
fn a_lack_of_file_descriptors_is_named() {
    const NAME: &str = "environment::a_lack_of_file_descriptors_is_named";
    if is_child(NAME) {
        let memories = memories();
        let mut open: Vec<_> =
            std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        let limits: Vec<_> = memories
            .iter()
            .map(|(writer, memory)| (*writer, refused_limit(memory, [16, 0, 0])))
            .collect();
        open.clear();
        for (writer, limit) in limits {
            let needs_files = matches!(writer, Writer::DualMapping | Writer::FileWrite);
            let expected = needs_files.then_some(Limit::OpenFiles);
            assert_eq!(limit, expected, "{writer}");
        }
        for (writer, memory) in memories {
            let stats = memory.stats();
            assert_eq!((stats.live, stats.in_flight), (0, 0), "{writer}");
            assert_eq!(refused_limit(&memory, [16, 0, 0]), None, "{writer}");
        }
        return;
    }
    assert_passed(&run_child(NAME, "ulimit -n 64; exec \"$@\"", &[]));
}

#[test]
fn a_limit_on_private_memory_is_named() {
    const NAME: &str = "environment::a_limit_on_private_memory_is_named";
    if is_child(NAME) {
        for (writer, memory) in memories() {
            let refused = refused_limit(&memory, [16, 0, 400 << 20]);
            assert_eq!(refused, Some(Limit::Data), "{writer}");
        }
        return;
    }
    assert_passed(&run_child(NAME, "ulimit -d 200000; exec \"$@\"", &[]));
}
