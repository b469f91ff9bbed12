//! COMDAT groups: which of those with one name a link takes.
//!
//! Usually it is the first. Objects of Windows may ask for more: that all are as long or the same, or for the largest or newest one. A group
//! that is found to be the wrong choice when a later object comes is left out again, and what it defined is as if it had never been there.

use super::globals::Chosen;
use super::resolution::{Object, Resolution};
use super::target::{Place, Rank};
use crate::error::{Error, Resource, Result};
use crate::graph::{Content, Group, Selection};

impl<'a> Resolution<'a> {
    /// Says which sections of a new object are loaded: all but those of groups that another object has brought already.
    ///
    /// # Errors
    /// [`Error::DuplicateSymbol`] for a group that had to be like another of its name, and is not.
    pub(super) fn choose_sections(&mut self, object: &Object<'a>) -> Result<()> {
        let number = self.objects.len() as u32;
        let mut is_taken = Vec::with_capacity(object.graph.groups().len());
        for (group, index) in object.graph.groups().iter().zip(0..) {
            let own = Chosen {
                object: number,
                group: index,
            };
            let is_own = match self.globals.claim_group(group.name.clone(), own) {
                None => true,
                // A file can have two groups of one name.
                Some(chosen) if chosen.object == number => false,
                Some(chosen) => self.is_better(object, group, chosen)?,
            };
            if is_own && self.globals.claim_group(group.name.clone(), own) != Some(own) {
                self.globals.replace_group(&group.name, own);
            }
            is_taken.push(is_own);
        }
        let sections = object.graph.sections().iter();
        let is_live = sections.map(|section| {
            let group = section.group;
            group.is_none_or(|group| is_taken[group as usize])
        });
        self.is_live.extend(is_live);
        Ok(())
    }

    /// Whether a group takes the place of the one that was chosen before, which is left out then.
    fn is_better(
        &mut self,
        object: &Object<'a>,
        group: &Group<'a>,
        chosen: Chosen,
    ) -> Result<bool> {
        let other = &self.objects[chosen.object as usize];
        let before = &other.graph.groups()[chosen.group as usize];
        let leader = &object.graph.sections()[group.leader.0 as usize];
        let other_leader = &other.graph.sections()[before.leader.0 as usize];
        let is_alike = match (group.selection, before.selection) {
            (Selection::SameSize, _) => leader.content.size() == other_leader.content.size(),
            (Selection::Same, _) => {
                if let Content::Bytes(bytes) = &leader.content {
                    let name = object.graph.name();
                    let length = bytes.len() as u64;
                    self.budget.spend(Resource::Steps, length, name)?;
                }
                leader.content == other_leader.content
                    && leader.relocations.len() == other_leader.relocations.len()
            }
            (Selection::Greatest(own), Selection::Greatest(other)) if own > other => {
                self.leave_out(chosen)?;
                return Ok(true);
            }
            _ => true,
        };
        if is_alike {
            return Ok(false);
        }
        Err(Error::DuplicateSymbol {
            symbol: group.name.to_string(),
            first: other.graph.name().to_owned(),
            second: object.graph.name().to_owned(),
        })
    }

    /// Leaves a group out that was chosen before.
    fn leave_out(&mut self, chosen: Chosen) -> Result<()> {
        let object = &self.objects[chosen.object as usize];
        let sections = object.graph.sections();
        let symbols = object.graph.symbols().len();
        let steps = (sections.len() + symbols) as u64;
        let name = object.graph.name();
        self.budget.spend(Resource::Steps, steps, name)?;
        let is_of_group = |section: u32| {
            let index = section.wrapping_sub(object.first_section);
            let section = sections.get(index as usize);
            section.is_some_and(|section| section.group == Some(chosen.group))
        };
        for section in (object.first_section..).take(sections.len()) {
            if is_of_group(section) {
                self.is_live[section as usize] = false;
            }
        }
        let ids = self.targets_of(object).to_vec();
        let lost = ids.into_iter().filter(|id| {
            let target = self.target(*id);
            target.object == chosen.object && target.place.section().is_some_and(is_of_group)
        });
        let lost: Vec<_> = lost.collect();
        for id in lost {
            let target = &mut self.targets[id.0 as usize];
            target.place = Place::Discarded;
            if target.rank != Rank::Local {
                target.rank = Rank::Reference;
            }
        }
        Ok(())
    }
}
