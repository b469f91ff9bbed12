//! The live views of one environment: which buffers have published data as their bytes, and what keeps that.
//!
//! A [`View`] is there until V8 has given up the bytes, which Node tells; detaching the buffer is one reason for that, and does not
//! replace it, because others may have the bytes as well. `environment` keeps the list, `live` fills it.

use crate::node_api::{Scope, WeakReference};
use crate::published::{Content, Published};
use napi::sys::napi_env;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The views of one environment.
#[derive(Debug, Default)]
pub(crate) struct LiveViews {
    // Invariant: those whose bytes V8 has not given up.
    all: RefCell<Vec<Rc<View>>>,
}

/// One view, for as long as V8 has its bytes.
#[derive(Debug)]
pub(crate) struct View {
    code: Arc<Published>,
    /// The buffer as it was made; `None` before that.
    buffer: RefCell<Option<WeakReference>>,
    #[expect(dead_code, reason = "dropping it lets the memory go")]
    content: Content,
}

impl LiveViews {
    /// Adds a view, whose buffer is there now. `false` if its memory was freed meanwhile: it is detached then.
    pub(crate) fn add(&self, scope: Scope<'_>, view: Rc<View>, buffer: WeakReference) -> bool {
        view.buffer.replace(Some(buffer));
        self.all.borrow_mut().push(Rc::clone(&view));
        // A thread that frees from now on tells; one that did before may have told all views but this one.
        let is_freed = view.code.is_freed();
        if is_freed {
            view.detach(scope);
        }
        !is_freed
    }

    /// Detaches the views of what has been freed. Runs no JavaScript.
    pub(crate) fn detach_freed(&self, scope: Scope<'_>) {
        let all = self.all.borrow();
        let freed = all.iter().filter(|view| view.code.is_freed());
        freed.for_each(|view| view.detach(scope));
    }

    /// V8 has given up the bytes of a view.
    pub(crate) fn forget(&self, gone: &Rc<View>, environment: napi_env) {
        self.all.borrow_mut().retain(|view| !Rc::ptr_eq(view, gone));
        if let Some(buffer) = gone.buffer.take() {
            buffer.delete(environment);
        }
    }
}

impl View {
    /// A view of data of `code`, which `content` keeps.
    pub(crate) fn new(code: Arc<Published>, content: Content) -> Self {
        Self {
            code,
            buffer: RefCell::new(None),
            content,
        }
    }

    /// Takes the bytes away from the buffer, if that has not lost them already.
    fn detach(&self, scope: Scope<'_>) {
        if let Some(buffer) = &*self.buffer.borrow() {
            scope.detach_buffer(buffer);
        }
    }
}
