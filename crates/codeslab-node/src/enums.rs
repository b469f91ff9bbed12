//! Enums as JavaScript sees them: each crosses as its name, in both directions.
//!
//! napi-rs makes union types of them, which TypeScript checks its own tables against; so a name is written once here and once
//! there, and neither can be forgotten. `memory`, `allocation` and `image` use them.

use codeslab::{CodeModel, Constants, Protection, Quarantine, Writer};
use napi_derive::napi;

/// What published bytes may be used for.
#[napi(string_enum)]
#[derive(Debug)]
#[allow(
    clippy::enum_variant_names,
    reason = "they are those of the memory manager"
)]
pub enum NativeProtection {
    #[napi(value = "rx")]
    ReadExecute,
    #[napi(value = "ro")]
    ReadOnly,
    #[napi(value = "rw")]
    ReadWrite,
}

impl From<NativeProtection> for Protection {
    fn from(value: NativeProtection) -> Self {
        match value {
            NativeProtection::ReadExecute => Self::ReadExecute,
            NativeProtection::ReadOnly => Self::ReadOnly,
            NativeProtection::ReadWrite => Self::ReadWrite,
        }
    }
}

impl From<Protection> for NativeProtection {
    fn from(value: Protection) -> Self {
        match value {
            Protection::ReadExecute => Self::ReadExecute,
            Protection::ReadOnly => Self::ReadOnly,
            Protection::ReadWrite => Self::ReadWrite,
        }
    }
}

/// How bytes get into pages that are executable.
#[napi(string_enum = "kebab-case")]
#[derive(Debug)]
pub enum NativeWriter {
    DualMapping,
    FileWrite,
    Protect,
    SelfMem,
    Pkeys,
    MapJit,
}

impl From<NativeWriter> for Writer {
    fn from(value: NativeWriter) -> Self {
        match value {
            NativeWriter::DualMapping => Self::DualMapping,
            NativeWriter::FileWrite => Self::FileWrite,
            NativeWriter::Protect => Self::Protect,
            NativeWriter::SelfMem => Self::SelfMem,
            NativeWriter::Pkeys => Self::Pkeys,
            NativeWriter::MapJit => Self::MapJit,
        }
    }
}

impl From<Writer> for NativeWriter {
    fn from(value: Writer) -> Self {
        match value {
            Writer::DualMapping => Self::DualMapping,
            Writer::FileWrite => Self::FileWrite,
            Writer::Protect => Self::Protect,
            Writer::SelfMem => Self::SelfMem,
            Writer::Pkeys => Self::Pkeys,
            Writer::MapJit => Self::MapJit,
            _ => unreachable!("{value:?} has no name here"),
        }
    }
}

/// What code assumes about distances.
#[napi(string_enum = "kebab-case")]
#[derive(Debug)]
pub enum NativeCodeModel {
    Tiny,
    Small,
    Medium,
    Large,
}

impl From<NativeCodeModel> for CodeModel {
    fn from(value: NativeCodeModel) -> Self {
        match value {
            NativeCodeModel::Tiny => Self::Tiny,
            NativeCodeModel::Small => Self::Small,
            NativeCodeModel::Medium => Self::Medium,
            NativeCodeModel::Large => Self::Large,
        }
    }
}

impl From<CodeModel> for NativeCodeModel {
    fn from(value: CodeModel) -> Self {
        match value {
            CodeModel::Tiny => Self::Tiny,
            CodeModel::Small => Self::Small,
            CodeModel::Medium => Self::Medium,
            CodeModel::Large => Self::Large,
        }
    }
}

/// Where constants go.
#[napi(string_enum = "kebab-case")]
#[derive(Debug)]
pub enum NativeConstants {
    Separate,
    WithCode,
}

impl From<NativeConstants> for Constants {
    fn from(value: NativeConstants) -> Self {
        match value {
            NativeConstants::Separate => Self::Separate,
            NativeConstants::WithCode => Self::WithCode,
        }
    }
}

impl From<Constants> for NativeConstants {
    fn from(value: Constants) -> Self {
        match value {
            Constants::Separate => Self::Separate,
            Constants::WithCode => Self::WithCode,
        }
    }
}

/// What becomes of freed memory.
#[napi(string_enum = "kebab-case")]
#[derive(Debug)]
pub enum NativeQuarantine {
    Off,
    Trapping,
    Intact,
}

impl From<NativeQuarantine> for Quarantine {
    fn from(value: NativeQuarantine) -> Self {
        match value {
            NativeQuarantine::Off => Self::Off,
            NativeQuarantine::Trapping => Self::Trapping,
            NativeQuarantine::Intact => Self::Intact,
        }
    }
}

impl From<Quarantine> for NativeQuarantine {
    fn from(value: Quarantine) -> Self {
        match value {
            Quarantine::Off => Self::Off,
            Quarantine::Trapping => Self::Trapping,
            Quarantine::Intact => Self::Intact,
            _ => unreachable!("{value:?} has no name here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writer_has_a_name_in_javascript() {
        for writer in Writer::ALL {
            assert_eq!(Writer::from(NativeWriter::from(writer)), writer);
        }
    }
}
