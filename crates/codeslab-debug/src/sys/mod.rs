//! What tools need of an operating system: numbers of processes and threads, a clock, who is watching.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    append_to, at_exit, create, is_debugged, is_recorded_by_perf, map_marker,
    monotonic_nanoseconds, thread_id, without_signals,
};

#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub(crate) use unsupported::{
    append_to, at_exit, create, is_debugged, is_recorded_by_perf, map_marker,
    monotonic_nanoseconds, thread_id, without_signals,
};
