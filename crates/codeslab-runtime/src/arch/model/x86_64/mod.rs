//! x86-64: what `__cpu_model` and `__cpu_features2` say of this processor.
//!
//! Compilers have code ask these two for `__builtin_cpu_supports` and `__builtin_cpu_is`. They belong to a compiler's own library, which
//! fills them in by a constructor; an image that is linked without that library gets them from here. `features` and `models` are the
//! tables, `cpuid` asks the processor.

mod cpuid;
mod features;
mod models;

use super::ProcessorModel;
use features::{AES_KEY_LOCKER, FEATURES, Feature, KEY_LOCKER, LEVELS, State};
use models::Maker;
use std::sync::OnceLock;

/// What this processor is and has.
#[expect(
    clippy::unnecessary_wraps,
    reason = "other processors are asked in other ways"
)]
pub(super) fn processor() -> Option<ProcessorModel> {
    static MODEL: OnceLock<ProcessorModel> = OnceLock::new();
    Some(*MODEL.get_or_init(ask))
}

fn ask() -> ProcessorModel {
    let features = features();
    let has = |number: u32| features >> number & 1 != 0;
    let signature = cpuid::leaf(1, 0)[0];
    let [_, ebx, ecx, edx] = cpuid::leaf(0, 0);
    let letters = [ebx, edx, ecx].map(u32::to_le_bytes);
    let mut spelt = [0; 12];
    spelt.copy_from_slice(letters.as_flattened());
    let maker = Maker::of(spelt, signature >> 8 & 0xf);
    let (family, model) = family_and_model(maker, signature);
    let (kind, subkind) = models::kind(maker, family, model, has);
    let word = |number: usize| (features >> (32 * number)) as u32;
    ProcessorModel {
        model: [maker as u32, kind, subkind, word(0)],
        // No compiler asks for the last ones yet.
        features: [word(1), word(2), word(3), 0],
    }
}

/// Each maker counts in its own way.
fn family_and_model(maker: Maker, signature: u32) -> (u32, u32) {
    let (family, model) = (signature >> 8 & 0xf, signature >> 4 & 0xf);
    let (more_family, more_model) = (signature >> 20 & 0xff, signature >> 12 & 0xf0);
    match (maker, family) {
        (_, 0xf) => (family + more_family, model + more_model),
        (Maker::Intel, 6) | (Maker::Zhaoxin, 7) => (family, model + more_model),
        _ => (family, model),
    }
}

/// The features, a bit each.
fn features() -> u128 {
    let saved = cpuid::saved_state();
    let has = |feature: &&Feature| {
        let answer = cpuid::leaf(feature.leaf, feature.subleaf);
        answer[feature.register as usize] >> feature.bit & 1 != 0 && is_saved(feature.state, saved)
    };
    let found = FEATURES.iter().filter(has);
    let mut features = found.fold(0_u128, |bits, feature| bits | 1 << feature.number);
    if features >> AES_KEY_LOCKER & 1 == 0 {
        for number in KEY_LOCKER {
            features &= !(1 << number);
        }
    }
    for (level, needed) in LEVELS {
        if needed.iter().any(|number| features >> number & 1 == 0) {
            break;
        }
        features |= 1 << level;
    }
    features
}

const fn is_saved(state: State, saved: u64) -> bool {
    let needed = match state {
        State::Usual => 0,
        State::Avx => 0x6,
        State::Avx512 => 0xe6,
        State::Amx => 0x6_0000,
    };
    saved & needed == needed
}
