//! Systems without a port: the rest of the crate compiles and its tests run on the fake platform, and opening a code memory gives
//! an error that names the system. Chosen in `sys/mod.rs` where no port is.

use super::Platform;
use crate::model::error::{Error, Result};
use std::sync::Arc;

pub(super) fn platform() -> Result<Arc<dyn Platform>> {
    Err(Error::UnsupportedPlatform(std::env::consts::OS))
}
