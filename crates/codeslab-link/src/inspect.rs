//! Looking into inputs: which objects there are, and whether each could take part in a link.
//!
//! A person who is refused wants to see what is in a file; nothing is resolved for that, so an object is shown as it was read, whatever
//! others say. What a link as a whole would take or lack says [`estimate`](crate::estimate).

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::format::{self, Parsed};
use crate::gather;
use crate::graph::Graph;
use crate::input::{self, Input, LinkOptions};

/// An object among inputs, or something in their place.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Inspected<'g> {
    /// What errors call it: the input, or `archive(member)`.
    pub name: &'g str,
    /// What was read; `None` if it is no object.
    pub graph: Option<&'g Graph<'g>>,
    /// Why it cannot be linked.
    pub refusal: Option<&'g Error>,
}

/// Shows `see` every object of `inputs`, in their order: members of archives as well, whether or not a link would need them.
///
/// # Errors
/// What keeps inputs from being taken apart: a file that cannot be read, a damaged archive, an input that would take too much work. What is
/// wrong with one object is a refusal, and the others are shown.
pub fn inspect(inputs: &[Input<'_>], mut see: impl FnMut(Inspected<'_>)) -> Result<()> {
    let gathered = gather::gather(inputs, LinkOptions::default().files)?;
    let inputs = gathered.inputs();
    let budget = Budget::of(input::size(&inputs, &LinkOptions::default()));
    let mut show = |name: &str, read: Result<&Graph<'_>>| match read {
        Ok(graph) => see(Inspected {
            name,
            graph: Some(graph),
            refusal: graph.obstacle(),
        }),
        Err(error) => see(Inspected {
            name,
            graph: None,
            refusal: Some(&error),
        }),
    };
    for input in inputs {
        let name = match input {
            Input::File { name, .. } | Input::Path(name) => name,
            Input::Graph(graph) => graph.name(),
            Input::Parsed(file) => file.name(),
            Input::Loaded(_) => continue,
        };
        match format::open(input, &budget) {
            Ok(Parsed::Graph(graph)) => show(graph.name(), Ok(&graph)),
            Ok(Parsed::Archive(archive)) => {
                for member in archive.members() {
                    let member = member?;
                    let read = format::object(member.name.clone(), member.bytes, &budget);
                    check_work(&read)?;
                    show(&member.name, read.as_deref().map_err(Clone::clone));
                }
            }
            Ok(Parsed::Kept(archive)) => {
                for member in &archive.members {
                    show(member.name(), Ok(member));
                }
            }
            Ok(Parsed::Loaded(_)) => {}
            Err(error @ Error::WorkBudget { .. }) => return Err(error),
            Err(error) => show(name, Err(error)),
        }
    }
    Ok(())
}

/// Work that ran out is no matter of one object.
fn check_work<T>(read: &Result<T>) -> Result<()> {
    match read {
        Err(error @ Error::WorkBudget { .. }) => Err(error.clone()),
        _ => Ok(()),
    }
}
