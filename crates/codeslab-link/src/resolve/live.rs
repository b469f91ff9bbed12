//! The sections of a link that are loaded, all of them or those of a kind: every step goes through them.

use super::resolution::{Object, Resolution};
use crate::graph::GraphSection;

impl<'a> Resolution<'a> {
    /// Every section that is loaded, with its object and its number.
    pub(crate) fn live_sections(
        &self,
    ) -> impl Iterator<Item = (&Object<'a>, &GraphSection<'a>, u32)> {
        let objects = self.objects.iter();
        objects.flat_map(|object| {
            let sections = object.graph.sections();
            let is_live = &self.is_live[object.first_section as usize..][..sections.len()];
            let sections = sections.iter().zip(object.first_section..).zip(is_live);
            let live = sections.filter(|(_, is_live)| **is_live);
            live.map(move |((section, number), _)| (object, section, number))
        })
    }

    /// Those of them that are for something besides being loaded and describing code, or of which threads have copies.
    pub(crate) fn special_sections(
        &self,
    ) -> impl Iterator<Item = (&Object<'a>, &GraphSection<'a>, u32)> {
        self.live_among(&self.special)
    }

    /// Those of them that describe code.
    pub(super) fn describing_sections(
        &self,
    ) -> impl Iterator<Item = (&Object<'a>, &GraphSection<'a>, u32)> {
        self.live_among(&self.describing)
    }

    fn live_among(
        &self,
        numbers: &[u32],
    ) -> impl Iterator<Item = (&Object<'a>, &GraphSection<'a>, u32)> {
        let numbers = numbers.iter().copied();
        let live = numbers.filter(|number| self.is_live[*number as usize]);
        live.map(|number| {
            let (object, section) = self.section(number);
            (object, section, number)
        })
    }
}
