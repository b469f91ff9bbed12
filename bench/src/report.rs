//! What one scenario found, as a line of JSON.

use std::fmt;
use std::time::Duration;

/// The figures of one scenario. What does not apply is `None` and left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Objects that were worked through.
    pub objects: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The time that all of them took together.
    pub elapsed: Duration,
    /// Bytes of content in those that did not fail.
    pub content_bytes: u64,
    /// Bytes of physical memory that the process has more than before.
    pub memory_bytes: Option<u64>,
    /// Mappings that the process has more than before.
    pub mappings: Option<u64>,
    /// Blocks that hold the content.
    pub blocks: Option<u64>,
    /// What only this scenario finds.
    pub more: Vec<(&'static str, f64)>,
}

impl Report {
    pub(crate) fn us_per_object(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e6 / float(self.objects)
    }

    /// Adds a figure that no other scenario has.
    pub(crate) fn add(&mut self, name: &'static str, figure: f64) {
        self.more.push((name, figure));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"{{"objects":{},"failed":{},"us_per_object":{:.4}"#,
            self.objects,
            self.failed,
            self.us_per_object()
        )?;
        if let Some(bytes) = self.memory_bytes {
            let per_content = float(bytes) / float(self.content_bytes);
            write!(f, r#","memory_per_content":{per_content:.4}"#)?;
        }
        if let Some(mappings) = self.mappings {
            write!(f, r#","mappings":{mappings}"#)?;
        }
        if let Some(blocks) = self.blocks {
            write!(f, r#","blocks":{blocks}"#)?;
        }
        for (name, figure) in &self.more {
            write!(f, r#","{name}":{figure:.4}"#)?;
        }
        f.write_str("}")
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people: 52 bits are plenty"
)]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
