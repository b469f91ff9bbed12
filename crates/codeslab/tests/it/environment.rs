//! Options, the environment, and the limits of the system.

use crate::support::{function, memories, memory_of};
use codeslab::{Architecture, CodeMemory, CodeModel, Error, Options, Writer};

#[test]
fn defaults_are_a_small_code_model_and_blocks_of_16_mib() {
    let configuration = CodeMemory::new(Options::default()).unwrap().configuration();
    assert_eq!(
        (configuration.block_size, configuration.code_model),
        (16 << 20, CodeModel::Small)
    );
    assert_eq!(configuration.reach.bytes(), (2 << 30) - (64 << 10));
    let branches = match codeslab::architecture().unwrap() {
        Architecture::Aarch64 => 128 << 20,
        _ => 2 << 30,
    };
    assert_eq!(configuration.branch_reach.bytes(), branches - (64 << 10));
}

#[test]
fn impossible_block_sizes_are_refused_with_the_possible_ones() {
    // Four pages, or four of what mappings begin at multiples of.
    let minimum = 4 * codeslab::capabilities().unwrap().granularity;
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
                minimum,
                maximum: 1 << 30
            }
        );
    }
    for (writer, _) in memories() {
        for size in [minimum, 1 << 30] {
            let (_function, at) = function(&memory_of(writer, size), 5);
            assert_eq!(crate::support::call(at), 5, "{writer} {size:#x}");
        }
    }
}

#[test]
fn a_code_model_that_the_architecture_lacks_is_refused() {
    let (lacking, others) = match codeslab::architecture().unwrap() {
        Architecture::Aarch64 => (CodeModel::Medium, [CodeModel::Tiny, CodeModel::Large]),
        _ => (CodeModel::Tiny, [CodeModel::Medium, CodeModel::Large]),
    };
    let refused = CodeMemory::new(Options {
        code_model: lacking,
        ..Options::default()
    })
    .unwrap_err();
    assert!(
        matches!(refused, Error::UnsupportedCodeModel { model, .. } if model == lacking),
        "{refused}"
    );
    for code_model in others {
        let memory = CodeMemory::new(Options {
            code_model,
            ..Options::default()
        })
        .unwrap();
        let (_function, at) = function(&memory, 5);
        assert_eq!(crate::support::call(at), 5, "{code_model}");
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
