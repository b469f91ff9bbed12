//! How sections of a graph come into groups: each into one at most, and all of a group or none.

use super::Graph;
use super::group::{Group, Selection};
use super::index::SectionIndex;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use std::borrow::Cow;

impl<'a> Graph<'a> {
    /// Makes `sections` a COMDAT group: of all groups with this name, a link takes the first.
    ///
    /// # Errors
    /// [`Error::InvalidIndex`] if a section does not exist; [`Error::Malformed`] if it is in a group already.
    pub fn add_group(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        sections: &[SectionIndex],
    ) -> Result<()> {
        self.add_group_with(name, sections, Selection::First)
    }

    /// The same for another selection, which compares the first of the sections.
    pub(crate) fn add_group_with(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        sections: &[SectionIndex],
        selection: Selection,
    ) -> Result<()> {
        let group = self.next_index("group", self.groups.len())?;
        for (position, &index) in sections.iter().enumerate() {
            if let Err(error) = self.join(index, group) {
                for index in &sections[..position] {
                    self.sections[index.0 as usize].group = None;
                }
                return Err(error);
            }
        }
        self.groups.push(Group {
            name: name.into(),
            selection,
            leader: sections.first().copied(),
        });
        Ok(())
    }

    /// Puts a section into a group.
    fn join(&mut self, index: SectionIndex, group: u32) -> Result<()> {
        let section = self.section(index)?;
        if section.group.is_some() {
            let reason = format!("section {} is in two groups", section.name);
            return Err(self.malformed(reason));
        }
        self.sections[index.0 as usize].group = Some(group);
        Ok(())
    }
}
