//! Functions that can be replaced: the entries in data that their stubs branch through, at first to the functions of the inputs.

use crate::apply::Addresses;
use crate::destination::Destination;
use crate::destination::part;
use crate::image::Entry;
use crate::plan::Plan;
use crate::resolve::{Place, Resolution, TargetId};
use codeslab::Address;

/// Has functions that can be replaced be those of the inputs, for now.
pub(crate) fn write(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) {
    let Some(table) = plan.indirects else { return };
    let machine = resolution.machine;
    for &id in &resolution.replaceable {
        let offset = plan.hidden_entry_offset(id);
        let function = function(resolution, addresses, id);
        if let (Some(offset), Some(function)) = (offset, function) {
            let bytes = destination.bytes_mut(table);
            machine.write_entry(part(bytes, offset, machine.entry_size()), function);
        }
    }
}

/// The entries of functions that can be replaced.
pub(crate) fn entries(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
) -> Vec<Entry> {
    let ids = resolution.replaceable.iter();
    let entries = ids.filter_map(|id| {
        let entry = addresses.indirects() + plan.hidden_entry_offset(*id)?;
        Some(Entry {
            function: addresses.target(*id),
            word: Address::new(entry),
            original: Address::new(function(resolution, addresses, *id)?),
        })
    });
    entries.collect()
}

/// Where the function of the inputs is.
fn function(resolution: &Resolution<'_>, addresses: &Addresses, id: TargetId) -> Option<u64> {
    match resolution.target(id).place {
        Place::Section { section, offset } => {
            Some(addresses.section(section)?.wrapping_add(offset))
        }
        _ => None,
    }
}
