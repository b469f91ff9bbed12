//! Thread-local variables of an image: the dynamic linker is told of the template and answers what the entries have to say.
//!
//! It runs between placing and relocating: initial values may be addresses of the image, and code holds distances that only the dynamic
//! linker knows. Nothing of the image is executed. An image without such variables, and without references to those of the process, asks
//! nothing.

use crate::apply::{self, Addresses};
use crate::arch::formula::ThreadEntry;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::resolve::{Place, Resolution, TargetId, base_name};
use codeslab_runtime::{Question, Template, ThreadLocals, Variable};

/// Has threads have copies of the image's template, and `addresses` learn what was answered.
///
/// # Errors
/// What keeps the template from being filled in, and the dynamic linker from answering.
pub(crate) fn provide(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &mut Addresses,
) -> Result<Option<ThreadLocals>> {
    let entries = plan.thread_entries.iter();
    if entries.len() == 0 {
        return Ok(None);
    }
    let bytes = apply::template(resolution, plan, addresses)?;
    let template = Template {
        bytes: &bytes,
        size: plan.template.size,
        align: plan.template.align,
    };
    let names: Vec<String> = entries.map(|(id, _)| name(resolution, id)).collect();
    let questions = plan.thread_entries.iter().zip(&names);
    let questions = questions.map(|((id, entry), name)| {
        let variable = match resolution.target(id).place {
            Place::ProcessThreadLocal => Variable::Process(name),
            Place::NoThreadLocal => Variable::Nobody,
            _ if entry == ThreadEntry::Module => Variable::Own(0),
            _ => Variable::Own(addresses.thread_offset(id)),
        };
        (variable, question(entry))
    });
    let questions: Vec<(Variable<'_>, Question)> = questions.collect();
    let needed = &resolution.thread_libraries;
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    let (provided, words) =
        ThreadLocals::provide(template, &questions, &needed).map_err(Error::ThreadLocals)?;
    addresses.learn(words);
    Ok(Some(provided))
}

/// What the process calls a variable; those of the image need no name.
fn name(resolution: &Resolution<'_>, id: TargetId) -> String {
    match resolution.target(id).place {
        Place::ProcessThreadLocal => base_name(&resolution.name_of(id)).to_owned(),
        _ => String::new(),
    }
}

const fn question(entry: ThreadEntry) -> Question {
    match entry {
        ThreadEntry::Variable | ThreadEntry::Module => Question::ModuleAndOffset,
        ThreadEntry::Offset => Question::ThreadOffset,
        ThreadEntry::Descriptor => Question::Descriptor,
    }
}
