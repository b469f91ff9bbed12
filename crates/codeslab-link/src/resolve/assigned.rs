//! Symbols that the embedder assigns: defined before every object, and placed when what they are counted from is.
//!
//! A symbol that stands for another one wants that as a root does, so that libraries serve it. `resolve` fills places in twice: before
//! garbage is collected, for what lies in the image, and at the end, for what lies elsewhere.

use super::assign::{Assignment, Expression, parse};
use super::resolution::Resolution;
use super::target::Place;
use crate::error::{Error, Missing, Result};

impl Resolution<'_> {
    /// Defines what the embedder assigns. It comes before every object.
    pub(super) fn assign_all(&mut self, assignments: &[(String, String)]) -> Result<()> {
        for (name, expression) in assignments {
            match parse(name, expression)? {
                Expression::Number(value) => {
                    self.add_assigned(name, Place::Absolute(value));
                }
                Expression::Symbol(base_name, distance) => {
                    let id = self.add_assigned(name, Place::Nowhere);
                    let base = self.add_root(base_name);
                    self.assignments.push(Assignment {
                        id,
                        base,
                        name: name.clone(),
                        base_name: base_name.to_owned(),
                        distance,
                    });
                }
            }
        }
        Ok(())
    }

    /// Fills in the places of assigned symbols whose base has one. Each may use those before it.
    pub(super) fn fill_in_assigned(&mut self) {
        for assignment in &self.assignments {
            let place = self.targets[assignment.base.0 as usize].place;
            if let Some(place) = place.moved(assignment.distance) {
                self.targets[assignment.id.0 as usize].place = place;
            }
        }
    }

    /// That every assigned symbol has a place.
    ///
    /// # Errors
    /// [`Error::UndefinedSymbol`] for one whose base has none.
    pub(super) fn check_assigned(&self) -> Result<()> {
        let places = self.assignments.iter();
        let mut lost = places.filter(|one| self.target(one.id).place == Place::Nowhere);
        let Some(first) = lost.next() else {
            return Ok(());
        };
        let why = match self.target(first.base).place {
            Place::Nowhere => "which nothing defines",
            _ => "which has no place to count from",
        };
        let all = std::iter::once(first).chain(lost);
        Err(Error::UndefinedSymbol {
            symbol: first.base_name.clone(),
            at: None,
            all: all.map(|one| Missing::asked_for(&one.base_name)).collect(),
            hint: Some(format!("{} is assigned its place, {why}", first.name)),
        })
    }
}
