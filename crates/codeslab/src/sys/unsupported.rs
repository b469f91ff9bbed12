//! Systems without a port: everything above compiles, and opening a code memory says so.

use super::Platform;
use crate::model::error::Result;
use std::sync::Arc;

pub(super) fn platform() -> Result<Arc<dyn Platform>> {
    Err(super::unsupported())
}
