//! What JavaScript hands over: graphs in the format of the Node module, and names of types for signatures.
//!
//! The reader of the format is compiled from the module's own source, because the module itself can only be loaded by Node.

use crate::{check_link, error};
use codeslab_call::Signature;
use codeslab_link::{Input, LinkOptions};
use codeslab_testing::count_heap;

#[path = "../../../codeslab-node/src/graph.rs"]
mod graph;

/// The most memory for each byte, and besides.
const BYTES_PER_BYTE: usize = 64;
const BYTES_BESIDES: usize = 4096;

/// Reads a signature if the first byte is 0, and a graph otherwise. Whether there is a byte.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&first, rest)) = bytes.split_first() else {
        return false;
    };
    if first == 0 {
        compile(rest);
    } else {
        read(rest);
    }
    true
}

fn read(bytes: &[u8]) {
    let (graph, heap) = count_heap(|| graph::read(bytes));
    let most = bytes.len() * BYTES_PER_BYTE + BYTES_BESIDES;
    assert!(
        heap.peak.unsigned_abs() as usize <= most,
        "{heap:?} for {} bytes",
        bytes.len()
    );
    match graph {
        Ok(graph) => check_link(&[Input::Graph(&graph)], &LinkOptions::default()),
        Err(error::Error::Memory(error)) => panic!("{error}"),
        Err(error::Error::Link(error)) => assert!(!error.to_string().is_empty()),
    }
}

/// Names of types, one a line; the first is that of the result.
fn compile(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut names = text.split('\n');
    let result = names.next().unwrap_or_default();
    let arguments: Vec<&str> = names.collect();
    let (compiled, heap) = count_heap(|| Signature::compile(result, &arguments));
    let most = bytes.len() * BYTES_PER_BYTE + BYTES_BESIDES;
    assert!(
        heap.peak.unsigned_abs() as usize <= most,
        "{heap:?} for {} bytes",
        bytes.len()
    );
    match compiled {
        Ok(signature) => assert_eq!(signature.parameters().len(), arguments.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
