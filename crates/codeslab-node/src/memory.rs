//! Opening memories, sharing them between threads, and looking at them.

use crate::enums::{
    NativeCodeModel, NativeConstants, NativeProtection, NativeQuarantine, NativeWriter,
};
use crate::environment::{self, hold};
use crate::error::{Error, Remedy, Result};
use crate::node_api::Scope;
use crate::registry::{self, Token};
use crate::throw::OrThrow;
use crate::tools::{self, NativeTools};
use crate::views::Held;
use codeslab::{
    Address, CodeMemory, CodeModel, Found, GracePeriod, Options, Reach, Sealing, SealingStatus,
    Writer,
};
use codeslab_debug::{Settings, Tools};
use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi_derive::napi;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// A memory that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) memory: CodeMemory,
    /// Debuggers and profilers that are told of its code.
    pub(crate) tools: Arc<Tools>,
    token: OnceLock<Token>,
}

/// All memories that were opened. What is gone is taken out when the next one comes.
static MEMORIES: Mutex<Vec<Weak<Opened>>> = Mutex::new(Vec::new());

fn remember(opened: &Arc<Opened>) {
    let mut memories = MEMORIES.lock().unwrap_or_else(PoisonError::into_inner);
    memories.retain(|memory| memory.strong_count() > 0);
    memories.push(Arc::downgrade(opened));
}

/// What an address lies in, in whichever memory.
pub(crate) fn find_in_all(address: Address) -> Option<Found> {
    let memories = MEMORIES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut open = memories.iter().filter_map(Weak::upgrade);
    open.find_map(|opened| opened.memory.find(address))
}

/// One thread's handle to a memory: empty once it is closed.
pub struct MemoryHandle(RefCell<Option<Arc<Opened>>>);

impl MemoryHandle {
    fn new(opened: Arc<Opened>) -> Self {
        Self(RefCell::new(Some(opened)))
    }

    /// The memory, unless the handle is closed.
    pub(crate) fn open(&self) -> Result<Arc<Opened>> {
        self.0.borrow().clone().ok_or(Error::Closed)
    }
}

/// What a memory is opened with. What is absent comes from the environment or has a default.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, and named where it is made"
)]
pub struct NativeMemoryOptions {
    #[napi(ts_type = "number | undefined")]
    pub block_size: Option<f64>,
    pub code_model: NativeCodeModel,
    #[napi(ts_type = "NativeWriter | undefined")]
    pub writer: Option<NativeWriter>,
    pub constants: NativeConstants,
    pub quarantine: NativeQuarantine,
    #[napi(ts_type = "number | undefined")]
    pub max_committed: Option<f64>,
    #[napi(ts_type = "number | undefined")]
    pub max_mappings: Option<f64>,
    pub sealed: bool,
    pub hardened: bool,
    pub guard_pages: bool,
    pub branch_protection: bool,
    #[napi(ts_type = "boolean | undefined")]
    pub perf: Option<bool>,
    #[napi(ts_type = "boolean | undefined")]
    pub jitdump: Option<bool>,
    #[napi(ts_type = "boolean | undefined")]
    pub gdb: Option<bool>,
}

impl From<NativeMemoryOptions> for Options {
    fn from(options: NativeMemoryOptions) -> Self {
        let bytes = |bytes: f64| bytes as u64;
        Self {
            block_size: options.block_size.map(bytes),
            code_model: options.code_model.into(),
            writer: options.writer.map(Writer::from),
            constants: options.constants.into(),
            quarantine: options.quarantine.into(),
            max_committed: options.max_committed.map(bytes),
            max_mappings: options.max_mappings.map(bytes),
            sealed: options.sealed,
            hardened: options.hardened,
            guard_pages: options.guard_pages,
            branch_protection: options.branch_protection,
        }
    }
}

/// Tries something; if it is refused for want of what garbage may have, again without the garbage. What a collection finds need not be
/// enough, and need not be all that there is. Runs no JavaScript.
pub(crate) fn collecting<T>(env: Env, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    const MOST: u32 = 4;
    let mut result = attempt();
    for _ in 0..MOST {
        let remedy = result.as_ref().err().and_then(Error::remedy);
        if !remedy.is_some_and(|remedy| relieve(env, remedy)) {
            break;
        }
        result = attempt();
    }
    result
}

/// Gives garbage back; `false` if there was none.
#[cold]
fn relieve(env: Env, remedy: Remedy) -> bool {
    let scope = Scope::of(&env);
    environment::handles(env).is_ok_and(|handles| match remedy {
        Remedy::Collect => handles.collect(scope),
        Remedy::Sweep => handles.sweep(scope),
    })
}

/// Opens a memory.
#[napi(ts_return_type = "ExternalObject<MemoryHandle>")]
pub fn open_memory(env: Env, options: NativeMemoryOptions) -> napi::Result<Unknown<'static>> {
    let open = || {
        let tools = tools::open(Settings {
            perf: options.perf,
            jitdump: options.jitdump,
            gdb: options.gdb,
        })?;
        let chosen = tools::choose_writer(&tools, options.into())?;
        Ok::<_, Error>(Opened {
            memory: CodeMemory::new(chosen)?,
            tools,
            token: OnceLock::new(),
        })
    };
    let opened = Arc::new(open().or_throw(env)?);
    remember(&opened);
    hold(env, MemoryHandle::new(opened))
}

/// Closes this handle. `false` if it was closed before.
#[napi]
pub fn close_memory(
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> bool {
    handle.0.take().is_some()
}

/// A token by which every thread of the process can open the same memory while a thread holds it.
#[napi]
pub fn share_memory(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> napi::Result<String> {
    let opened = handle.open().or_throw(env)?;
    let token = opened.token.get_or_init(|| Token::enter("memory", &opened));
    Ok(token.text().to_owned())
}

/// Opens the memory that a token stands for.
#[napi(ts_return_type = "ExternalObject<MemoryHandle>")]
pub fn open_shared_memory(env: Env, token: String) -> napi::Result<Unknown<'static>> {
    let opened = registry::find(&token);
    let noun = "memory";
    let opened = opened
        .ok_or(Error::UnknownToken { token, noun })
        .or_throw(env)?;
    hold(env, MemoryHandle::new(opened))
}

/// What a memory was opened with.
#[napi(object, object_from_js = false)]
pub struct NativeConfiguration {
    pub block_size: f64,
    pub code_model: NativeCodeModel,
    pub reach: f64,
    pub branch_reach: f64,
    pub writer: NativeWriter,
    pub constants: NativeConstants,
    pub quarantine: NativeQuarantine,
    pub max_committed: Option<f64>,
    pub max_mappings: Option<f64>,
    pub sealing: Option<NativeSealing>,
    pub hardened: bool,
    pub guard_pages: bool,
    pub branch_protection: bool,
    pub tools: NativeTools,
}

/// What is closed to everybody else for good.
#[napi(object, object_from_js = false)]
pub struct NativeSealing {
    pub writes: bool,
    pub mappings: bool,
}

impl From<Sealing> for NativeSealing {
    fn from(sealing: Sealing) -> Self {
        Self {
            writes: sealing.writes,
            mappings: sealing.mappings,
        }
    }
}

/// What a memory was opened with, after defaults, environment and probes.
#[napi]
pub fn configuration(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> napi::Result<NativeConfiguration> {
    let opened = handle.open().or_throw(env)?;
    let configuration = opened.memory.configuration();
    Ok(NativeConfiguration {
        block_size: count(configuration.block_size),
        code_model: configuration.code_model.into(),
        reach: distance(configuration.reach),
        branch_reach: distance(configuration.branch_reach),
        writer: configuration.writer.into(),
        constants: configuration.constants.into(),
        quarantine: configuration.quarantine.into(),
        max_committed: configuration.max_committed.map(count),
        max_mappings: configuration.max_mappings.map(count),
        sealing: configuration.sealing.map(NativeSealing::from),
        hardened: configuration.hardened,
        guard_pages: configuration.guard_pages,
        branch_protection: configuration.branch_protection,
        tools: opened.tools.as_ref().into(),
    })
}

/// What a memory holds.
#[napi(object, object_from_js = false)]
pub struct NativeStats {
    pub blocks: f64,
    pub clusters: f64,
    pub reserved_bytes: f64,
    pub committed_bytes: f64,
    pub used_bytes: f64,
    pub quarantined_bytes: f64,
    pub mappings: f64,
    pub in_flight: f64,
    pub live: f64,
    pub metadata_bytes: f64,
}

/// Gives back what is kept for the next allocation.
#[napi]
pub fn trim(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> napi::Result<()> {
    handle.open().or_throw(env)?.memory.trim();
    Ok(())
}

/// Begins a grace period for what was freed until now.
#[napi]
pub fn begin_grace_period(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> napi::Result<BigInt> {
    let period = handle.open().or_throw(env)?.memory.begin_grace_period();
    Ok(period.value().into())
}

/// Ends a grace period, and those before it: what was freed before is used again. `false`, and nothing ends, if none of that
/// number has begun.
#[napi]
pub fn end_grace_period(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
    period: BigInt,
) -> napi::Result<bool> {
    let opened = handle.open().or_throw(env)?;
    let (negative, value, lossless) = period.get_u64();
    let period = GracePeriod::from_value(value);
    let has_begun = !negative && lossless && opened.memory.has_begun(period);
    if has_begun {
        opened.memory.end_grace_period(period);
    }
    Ok(has_begun)
}

/// What a memory holds.
#[napi]
pub fn stats(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> napi::Result<NativeStats> {
    let stats = handle.open().or_throw(env)?.memory.stats();
    Ok(NativeStats {
        blocks: count(stats.blocks),
        clusters: count(stats.clusters),
        reserved_bytes: count(stats.reserved_bytes),
        committed_bytes: count(stats.committed_bytes),
        used_bytes: count(stats.used_bytes),
        quarantined_bytes: count(stats.quarantined_bytes),
        mappings: count(stats.mappings),
        in_flight: count(stats.in_flight),
        live: count(stats.live),
        metadata_bytes: count(stats.metadata_bytes),
    })
}

/// One block.
#[napi(object, object_from_js = false)]
pub struct NativeBlock {
    pub address: BigInt,
    pub size: f64,
    pub cluster: f64,
    pub slabs: Vec<NativeSlab>,
}

/// A run of a block with one protection.
#[napi(object, object_from_js = false)]
pub struct NativeSlab {
    pub address: BigInt,
    pub size: f64,
    pub protection: NativeProtection,
    pub spans: Vec<NativeSpan>,
}

/// Bytes that are in use.
#[napi(object, object_from_js = false)]
pub struct NativeSpan {
    pub address: BigInt,
    pub size: f64,
}

/// The blocks of a memory with their slabs and spans.
#[napi]
pub fn picture(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
) -> napi::Result<Vec<NativeBlock>> {
    let picture = handle.open().or_throw(env)?.memory.picture();
    Ok(picture.blocks.into_iter().map(NativeBlock::from).collect())
}

impl From<codeslab::BlockPicture> for NativeBlock {
    fn from(block: codeslab::BlockPicture) -> Self {
        Self {
            address: block.address.value().into(),
            size: count(block.size),
            cluster: count(block.cluster),
            slabs: block.slabs.into_iter().map(NativeSlab::from).collect(),
        }
    }
}

impl From<codeslab::SlabPicture> for NativeSlab {
    fn from(slab: codeslab::SlabPicture) -> Self {
        Self {
            address: slab.address.value().into(),
            size: count(slab.size),
            protection: slab.protection.into(),
            spans: slab.spans.into_iter().map(NativeSpan::from).collect(),
        }
    }
}

impl From<codeslab::SpanPicture> for NativeSpan {
    fn from(span: codeslab::SpanPicture) -> Self {
        Self {
            address: span.address.value().into(),
            size: count(span.size),
        }
    }
}

/// What this process can do.
#[napi(object, object_from_js = false)]
pub struct NativeCapabilities {
    pub architecture: &'static str,
    pub operating_system: &'static str,
    pub page_size: f64,
    pub granularity: f64,
    pub writers: Vec<NativeWriterStatus>,
    pub sealing: NativeSealingStatus,
    pub code_models: Vec<NativeCodeModelReach>,
}

/// Whether a writer works here.
#[napi(object, object_from_js = false)]
pub struct NativeWriterStatus {
    pub writer: NativeWriter,
    pub unavailable: Option<String>,
}

/// Why something cannot be sealed here, if it cannot.
#[napi(object, object_from_js = false)]
pub struct NativeSealingStatus {
    pub writes_unavailable: Option<String>,
    pub mappings_unavailable: Option<String>,
}

/// A code model with its reach.
#[napi(object, object_from_js = false)]
pub struct NativeCodeModelReach {
    pub code_model: NativeCodeModel,
    pub reach: f64,
}

/// What this process can do, with the reason for what it cannot.
#[napi]
pub fn capabilities(env: Env) -> napi::Result<NativeCapabilities> {
    let capabilities = codeslab::capabilities().or_throw(env)?;
    let writers = capabilities.writers.into_iter();
    let code_models = capabilities.code_models.into_iter();
    Ok(NativeCapabilities {
        architecture: capabilities.architecture.name(),
        operating_system: capabilities.operating_system,
        page_size: count(capabilities.page_size.bytes()),
        granularity: count(capabilities.granularity),
        writers: writers.map(NativeWriterStatus::from).collect(),
        sealing: capabilities.sealing.into(),
        code_models: code_models.map(NativeCodeModelReach::from).collect(),
    })
}

impl From<codeslab::WriterStatus> for NativeWriterStatus {
    fn from(status: codeslab::WriterStatus) -> Self {
        Self {
            writer: status.writer.into(),
            unavailable: status.unavailable,
        }
    }
}

impl From<SealingStatus> for NativeSealingStatus {
    fn from(status: SealingStatus) -> Self {
        Self {
            writes_unavailable: status.writes_unavailable,
            mappings_unavailable: status.mappings_unavailable,
        }
    }
}

impl From<(CodeModel, Reach)> for NativeCodeModelReach {
    fn from((code_model, reach): (CodeModel, Reach)) -> Self {
        Self {
            code_model: code_model.into(),
            reach: distance(reach),
        }
    }
}

/// A number of bytes or things as JavaScript sees it: exact below 2⁵³, which is more than there is address space.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}

fn distance(reach: Reach) -> f64 {
    if reach == Reach::UNLIMITED {
        f64::INFINITY
    } else {
        count(reach.bytes())
    }
}
