//! Symbols of the process that this thread has found before.
//!
//! Links ask for the same few names again and again, and the dynamic linker goes through all libraries for each. What it has found is what it
//! finds until a library comes or goes, of which it keeps count. A name that it has not found is asked for again: a library that is there
//! already can still be opened to all. `externals` asks.

use codeslab::Address;
use codeslab_runtime::loads;
use foldhash::fast::RandomState;
use std::cell::RefCell;
use std::collections::HashMap;

/// How many names a thread remembers.
const REMEMBERED: usize = 1024;

thread_local! {
    static FOUND: RefCell<Found> = RefCell::default();
}

/// Where a symbol of this name is in the process: what [`codeslab::process_symbol`] says.
pub(super) fn process_symbol(name: &str) -> Option<Address> {
    // Before it is looked for: what changes meanwhile is noticed by the next that asks.
    let Some(loads) = loads() else {
        return codeslab::process_symbol(name);
    };
    let known = FOUND.try_with(|found| found.borrow().get(loads, name));
    if let Ok(Some(address)) = known {
        return Some(address);
    }
    // Nothing is borrowed here: it may run code that chooses a function.
    let address = codeslab::process_symbol(name)?;
    // A thread that ends remembers nothing.
    let _ = FOUND.try_with(|found| found.borrow_mut().note(loads, name, address));
    Some(address)
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    /// How many libraries had been loaded and unloaded then.
    loads: (u64, u64),
    addresses: HashMap<Box<str>, Address, RandomState>,
}

impl Found {
    fn get(&self, loads: (u64, u64), name: &str) -> Option<Address> {
        let is_valid = self.loads == loads;
        is_valid.then(|| self.addresses.get(name).copied())?
    }

    fn note(&mut self, loads: (u64, u64), name: &str, address: Address) {
        if self.loads != loads || self.addresses.len() == REMEMBERED {
            self.addresses.clear();
            self.loads = loads;
        }
        self.addresses.insert(name.into(), address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_forgotten_when_a_library_comes_or_goes() {
        let mut found = Found::default();
        let at = Address::new(0x1000);
        found.note((7, 2), "malloc", at);
        assert_eq!(found.get((7, 2), "malloc"), Some(at));
        assert_eq!(found.get((7, 2), "free"), None);
        for loads in [(8, 2), (7, 3)] {
            assert_eq!(found.get(loads, "malloc"), None);
        }
        found.note((8, 2), "free", at);
        assert_eq!(found.get((8, 2), "free"), Some(at));
        assert_eq!(found.get((8, 2), "malloc"), None);
    }

    #[test]
    fn only_so_many_names_are_remembered() {
        let mut found = Found::default();
        for number in 0..3 * REMEMBERED {
            let name = number.to_string();
            found.note((1, 0), &name, Address::new(number as u64));
            let address = found.get((1, 0), &name).map(Address::value);
            assert_eq!(address, Some(number as u64));
            assert!(found.addresses.len() <= REMEMBERED);
        }
    }

    #[test]
    fn a_symbol_is_where_the_process_has_it_however_often_it_is_asked_for() {
        for name in ["getpid", "codeslab has no such symbol"] {
            let there = codeslab::process_symbol(name);
            assert_eq!(process_symbol(name), there);
            assert_eq!(process_symbol(name), there);
        }
    }
}
