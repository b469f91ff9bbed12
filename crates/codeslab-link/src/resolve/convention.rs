//! How functions are called: what takes part in one link is called in one way, which may be another than the process's.

use super::resolution::Resolution;
use super::target::TargetId;
use crate::error::{Error, Result};
use crate::graph::Graph;
use codeslab_runtime::Convention;

impl Resolution<'_> {
    /// Code that is called in one way cannot call what is called in another.
    pub(super) fn check_convention(&mut self, graph: &Graph<'_>) -> Result<()> {
        let Some(found) = graph.convention() else {
            return Ok(());
        };
        let expected = *self.convention.get_or_insert(found);
        if found == expected {
            return Ok(());
        }
        let name = |convention| match convention {
            Convention::SystemV => "the calling convention of System V (ELF)",
            Convention::Windows => "the calling convention of Windows (PE)",
        };
        Err(Error::WrongArchitecture {
            object: graph.name().to_owned(),
            found: name(found).to_owned(),
            expected: format!("{}, as the objects before it", name(expected)),
        })
    }

    /// Whether its functions cannot call the process's.
    pub(super) fn is_foreign(&self) -> bool {
        let convention = self.convention;
        convention.is_some_and(|convention| convention != codeslab_runtime::CONVENTION)
    }

    /// Whether the object that mentions a target first is one of Windows.
    pub(super) fn is_of_windows(&self, id: TargetId) -> bool {
        let object = self.objects.get(self.target(id).object as usize);
        object.is_some_and(|object| object.graph.is_of_windows())
    }
}
