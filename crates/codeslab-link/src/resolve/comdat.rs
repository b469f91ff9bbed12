//! COMDAT groups: which of those with one name a link takes.
//!
//! Usually it is the first. Objects of Windows may ask for more: that all are as long or the same, or for the largest or newest one. A group
//! that is found to be the wrong choice when a later object comes is left out again, and what it defined is as if it had never been there.

use super::globals::Chosen;
use super::resolution::{Object, Resolution};
use super::target::{Place, Rank};
use crate::error::{Error, Resource, Result};
use crate::graph::{Content, Graph, GraphSection, Group, Purpose, Selection};

impl<'a> Resolution<'a> {
    /// Says which sections of a new object are loaded: all but those of groups that another object has brought already.
    ///
    /// # Errors
    /// [`Error::DuplicateSymbol`] for a group that had to be like another of its name, and is not.
    pub(super) fn choose_sections(&mut self, object: &Object<'a>) -> Result<()> {
        let number = self.objects.len() as u32;
        let mut is_taken = Vec::with_capacity(object.graph.groups().len());
        for (group, index) in object.graph.groups().iter().zip(0..) {
            if group.selection == Selection::Each {
                is_taken.push(true);
                continue;
            }
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
        self.owners.resize(self.is_live.len(), number);
        let numbered = object.graph.sections().iter().zip(object.first_section..);
        for (section, number) in numbered {
            if section.purpose == Purpose::UnwindTable {
                self.describing.push(number);
            } else if section.is_special() {
                self.special.push(number);
            }
        }
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
        if let (Selection::Greatest(own), Selection::Greatest(other)) =
            (group.selection, before.selection)
        {
            if own > other {
                self.leave_out(chosen)?;
            }
            return Ok(own > other);
        }
        let is_alike = match group.selection {
            Selection::Each | Selection::First | Selection::Greatest(_) => true,
            selection => {
                let leaders = [(&object.graph, group), (&other.graph, before)];
                let [leader, other] = leaders.map(|(graph, group)| leader_of(graph, group));
                self.are_alike(selection, leader, other, object.graph.name())?
            }
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

    /// Whether two sections are as much alike as a selection asks for.
    fn are_alike(
        &self,
        selection: Selection,
        one: Option<&GraphSection<'_>>,
        other: Option<&GraphSection<'_>>,
        object: &str,
    ) -> Result<bool> {
        let (Some(one), Some(other)) = (one, other) else {
            return Ok(one.is_none() && other.is_none());
        };
        let is_as_long = one.content.size() == other.content.size();
        if selection == Selection::SameSize || !is_as_long {
            return Ok(is_as_long);
        }
        if let Content::Bytes(bytes) = &one.content {
            let length = bytes.len() as u64;
            self.budget.spend(Resource::Steps, length, object)?;
        }
        let counts = [one, other].map(|section| section.relocations.len());
        Ok(one.content == other.content && counts[0] == counts[1])
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

/// The section of a group that is compared.
fn leader_of<'g, 'a>(graph: &'g Graph<'a>, group: &Group<'_>) -> Option<&'g GraphSection<'a>> {
    let leader = group.leader?;
    graph.sections().get(leader.0 as usize)
}
