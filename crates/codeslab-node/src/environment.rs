//! What this module keeps for one environment: how errors are made, and what its JavaScript holds.
//!
//! An environment is the main thread or a worker. TypeScript installs it when it is loaded. Where TypeScript is loaded several
//! times in one environment, as test runners do, the last one makes the errors, and all of them share the handles. `throw`
//! makes errors with it, and every function that takes or gives a handle looks it up.

use crate::answer::{Answers, Impossible};
use crate::fast::{self, FastCalls};
use crate::handles::Handles;
use crate::lent::LiveViews;
use crate::node_api::{Scope, Value};
use codeslab_call::FastTable;
use napi::Env;
use napi::bindgen_prelude::{BigInt, Either4, FnArgs, FunctionRef, Unknown};
use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

/// A fact as JavaScript sees it.
pub(crate) type JsFact = Either4<f64, BigInt, String, Vec<String>>;

/// The code, the message, the names and values of the facts, and the cause.
pub(crate) type ErrorArguments = FnArgs<(
    String,
    String,
    Vec<String>,
    Vec<JsFact>,
    Option<Unknown<'static>>,
)>;

/// How an environment makes an error.
pub(crate) type MakeError = FunctionRef<ErrorArguments, Unknown<'static>>;

/// What an environment keeps until it ends.
struct Environment {
    make_error: MakeError,
    handles: Rc<Handles>,
    /// `None` where calls by Node-API are all there is.
    fast_calls: Option<Rc<FastCalls>>,
    /// Those of this thread; `None` where calls have to be counted.
    entrances: Option<Arc<FastTable>>,
    /// Made when JavaScript is called for the first time.
    answers: Option<Rc<Answers>>,
    views: Rc<LiveViews>,
}

/// Says how errors are made, and whether the process ends with the environment.
pub(crate) fn install(env: Env, make_error: MakeError, is_main: bool) -> napi::Result<()> {
    if let Some(environment) = env.get_instance_data::<Environment>()? {
        environment.make_error = make_error;
        return Ok(());
    }
    let fast_calls = FastCalls::new(Scope::of(&env));
    let entrances = match &fast_calls {
        Some(calls) => Some(Arc::clone(calls.table())),
        None => fast::entrances(),
    };
    let environment = Environment {
        make_error,
        handles: Rc::default(),
        fast_calls,
        entrances,
        answers: None,
        views: Rc::default(),
    };
    if is_main {
        // Node runs such hooks before it finalizes what the environment still has.
        let handles = Rc::clone(&environment.handles);
        env.add_env_cleanup_hook(handles, |handles| handles.keep_all())?;
    }
    env.set_instance_data(environment, (), |_| {})
}

/// The error that TypeScript makes of these.
pub(crate) fn make_error(env: Env, arguments: ErrorArguments) -> napi::Result<Unknown<'static>> {
    // Nothing of the environment is borrowed during the call: it may run anything.
    let make_error = installed(env)?.make_error.borrow_back(&env)?;
    make_error.call(arguments)
}

/// What JavaScript holds.
pub(crate) fn handles(env: Env) -> napi::Result<Rc<Handles>> {
    installed(env).map(|environment| Rc::clone(&environment.handles))
}

/// The calls that need no Node-API.
pub(crate) fn fast_calls(env: Env) -> napi::Result<Option<Rc<FastCalls>>> {
    installed(env).map(|environment| environment.fast_calls.clone())
}

/// By what this thread calls without counting.
pub(crate) fn entrances(env: Env) -> napi::Result<Option<Arc<FastTable>>> {
    installed(env).map(|environment| environment.entrances.clone())
}

/// The functions that native code can call.
pub(crate) fn answers(env: Env) -> napi::Result<Result<Rc<Answers>, Impossible>> {
    let environment = installed(env)?;
    if let Some(answers) = &environment.answers {
        return Ok(Ok(Rc::clone(answers)));
    }
    let calls = environment.fast_calls.as_ref();
    let made = Answers::new(
        Scope::of(&env),
        calls.map(|calls| Rc::clone(calls).table().clone()),
    );
    if let Ok(answers) = &made {
        environment.answers = Some(Rc::clone(answers));
        // What is kept until the process exits may call afterwards, when there is no JavaScript any more.
        env.add_env_cleanup_hook(Rc::clone(answers), |answers| answers.retire())?;
    }
    Ok(made)
}

/// The live views of data.
pub(crate) fn views(env: Env) -> napi::Result<Rc<LiveViews>> {
    installed(env).map(|environment| Rc::clone(&environment.views))
}

fn installed(env: Env) -> napi::Result<&'static mut Environment> {
    env.get_instance_data::<Environment>()?
        .ok_or_else(|| napi::Error::from_reason("the module is not installed"))
}

/// A number that stands for `content` until `keeper` has been collected.
pub(crate) fn number<T: Any>(env: Env, keeper: &Unknown<'_>, content: T) -> napi::Result<u32> {
    let handles = handles(env)?;
    let scope = Scope::of(&env);
    let number = handles
        .number(scope, Value::of_argument(keeper), Rc::new(content))
        .ok_or_else(|| napi::Error::from_reason("Node could not create a handle"))?;
    handles.settle(scope);
    Ok(number)
}

/// A new external that stands for `content`.
pub(crate) fn hold<T: Any>(env: Env, content: T) -> napi::Result<Unknown<'static>> {
    let handles = handles(env)?;
    let scope = Scope::of(&env);
    let external = handles
        .hold(scope, Rc::new(content))
        .ok_or_else(|| napi::Error::from_reason("Node could not create a handle"))?;
    handles.settle(scope);
    Ok(external.into_unknown(&env))
}
