//! The names of a link's objects, which an image keeps to say where a symbol comes from.
//!
//! An archive has hundreds of objects and hardly anybody asks. So the names lie one behind the other; one that is asked for is copied, and all
//! of them only once all are.

use std::sync::{Arc, OnceLock};

/// The names of objects, by number.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    // Invariant: ascending, and each where a name in `text` ends.
    ends: Vec<usize>,
    shared: OnceLock<Vec<Arc<str>>>,
}

impl Names {
    /// These names, numbered from 0.
    pub(crate) fn of<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Arc<Self> {
        let length = names.clone().map(str::len).sum();
        let mut all = Self {
            text: String::with_capacity(length),
            ends: Vec::with_capacity(names.size_hint().0),
            ..Self::default()
        };
        for name in names {
            all.text.push_str(name);
            all.ends.push(all.text.len());
        }
        Arc::new(all)
    }

    /// The name with a number.
    pub(crate) fn get(&self, number: u32) -> Option<Arc<str>> {
        match self.shared.get() {
            Some(shared) => shared.get(number as usize).cloned(),
            None => self.text(number).map(Arc::from),
        }
    }

    /// The same for many questions: names are shared then.
    pub(crate) fn get_shared(&self, number: u32) -> Option<&Arc<str>> {
        let numbers = 0..self.ends.len() as u32;
        let all = || numbers.filter_map(|number| self.text(number).map(Arc::from));
        let shared = self.shared.get_or_init(|| all().collect());
        shared.get(number as usize)
    }

    /// The name with a number, as it is kept.
    pub(crate) fn text(&self, number: u32) -> Option<&str> {
        let number = number as usize;
        let end = *self.ends.get(number)?;
        let before = number.checked_sub(1);
        let start = before.map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_whether_it_is_shared_or_not() {
        let names = Names::of(["a.o", "", "größe.o"].into_iter());
        let all = || [0, 1, 2, 3].map(|number| names.get(number));
        let before = all();
        assert_eq!(before[0].as_deref(), Some("a.o"));
        assert_eq!(before[1].as_deref(), Some(""));
        assert_eq!(names.get_shared(2).map(|name| &**name), Some("größe.o"));
        assert_eq!(names.get_shared(u32::MAX), None);
        assert_eq!(all(), before);
    }
}
