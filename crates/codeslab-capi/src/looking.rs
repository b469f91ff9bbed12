//! What a memory holds, counted, found and drawn.
#![allow(unsafe_code, reason = "C passes arrays")]

use crate::argument::{array_mut, out};
use crate::failure::{Failure, run};
use crate::memory::codeslab_memory;
use crate::object::with_memory;
use crate::status::codeslab_status;
use codeslab::{Address, BlockPicture, Picture, Protection, SlabPicture};
use std::mem::MaybeUninit;

/// What a memory holds.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_statistics {
    /// Blocks that exist.
    pub blocks: u64,
    /// Groups of blocks that all reach each other.
    pub clusters: u64,
    /// Bytes of address space reserved from the system.
    pub reserved_bytes: u64,
    /// Bytes of it that can hold something.
    pub committed_bytes: u64,
    /// Bytes of it that allocations occupy, alignment included.
    pub used_bytes: u64,
    /// Bytes that are freed and wait for the end of a grace period.
    pub quarantined_bytes: u64,
    /// Mappings that the system keeps for this memory.
    pub mappings: u64,
    /// Allocations being written.
    pub in_flight: u64,
    /// Allocations that are published.
    pub live: u64,
    /// Bytes that the memory itself needs, outside of the managed memory.
    pub metadata_bytes: u64,
}

/// What an address lies in.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_found {
    /// Where the sections of that protection begin.
    pub address: u64,
    /// How many bytes they have.
    pub size: u64,
    /// One of the three `CODESLAB_READ_` numbers.
    pub protection: u32,
}

/// A block: address space in which everything reaches everything.
pub const CODESLAB_PIECE_BLOCK: u32 = 0;
/// A run of the block before it that has one protection.
pub const CODESLAB_PIECE_SLAB: u32 = 1;
/// A part of the slab before it that an allocation has.
pub const CODESLAB_PIECE_SPAN: u32 = 2;

/// A piece of a memory's layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_piece {
    /// Where it begins.
    pub address: u64,
    /// How many bytes it has.
    pub size: u64,
    /// One of the `CODESLAB_PIECE_` numbers.
    pub kind: u32,
    /// Of slabs and spans: one of the three `CODESLAB_READ_` numbers. Of blocks: which cluster it belongs to.
    pub detail: u32,
}

/// Counts what a memory holds.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_stats(
    memory: codeslab_memory,
    statistics: Option<&mut MaybeUninit<codeslab_statistics>>,
) -> codeslab_status {
    run(|| {
        let place = out(statistics, "statistics")?;
        let stats = with_memory(memory.value, |memory| Ok(memory.stats()))?;
        place.write(codeslab_statistics {
            blocks: stats.blocks,
            clusters: stats.clusters,
            reserved_bytes: stats.reserved_bytes,
            committed_bytes: stats.committed_bytes,
            used_bytes: stats.used_bytes,
            quarantined_bytes: stats.quarantined_bytes,
            mappings: stats.mappings,
            in_flight: stats.in_flight,
            live: stats.live,
            metadata_bytes: stats.metadata_bytes,
        });
        Ok(())
    })
}

/// Says what an address lies in: any address of an allocation that is neither freed nor abandoned. Where there is none, `size` is 0. Waits
/// for no other thread.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_find(
    memory: codeslab_memory,
    address: u64,
    found: Option<&mut MaybeUninit<codeslab_found>>,
) -> codeslab_status {
    run(|| {
        let place = out(found, "found")?;
        let found = with_memory(
            memory.value,
            |memory| Ok(memory.find(Address::new(address))),
        )?;
        place.write(codeslab_found {
            address: found.map_or(0, |found| found.address.value()),
            size: found.map_or(0, |found| found.size),
            protection: found.map_or(0, |found| found.protection.index() as u32),
        });
        Ok(())
    })
}

/// Describes the layout of a memory: each block, followed by its slabs, each followed by its spans. Writes as many pieces as there is room
/// for.
///
/// @param pieces   receives them; may be null if `capacity` is 0
/// @param capacity for how many there is room
/// @param count    receives how many there are, which may be more
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_layout(
    memory: codeslab_memory,
    pieces: *mut codeslab_piece,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> codeslab_status {
    run(|| {
        let place = out(count, "count")?;
        // SAFETY: that it points to room for so many, which is the function's for the call, is the header's condition.
        let room = unsafe {
            array_mut(
                pieces.cast::<MaybeUninit<codeslab_piece>>(),
                capacity,
                "pieces",
            )
        }?;
        let picture = with_memory(memory.value, |memory| Ok::<_, Failure>(memory.picture()))?;
        let all = pieces_of(&picture);
        place.write(all.len());
        for (place, piece) in room.iter_mut().zip(all) {
            place.write(piece);
        }
        Ok(())
    })
}

fn pieces_of(picture: &Picture) -> Vec<codeslab_piece> {
    let mut pieces = Vec::new();
    for BlockPicture {
        address,
        size,
        cluster,
        slabs,
        ..
    } in &picture.blocks
    {
        let detail = u32::try_from(*cluster).unwrap_or(u32::MAX);
        pieces.push(piece(*address, *size, CODESLAB_PIECE_BLOCK, detail));
        for SlabPicture {
            address,
            size,
            protection,
            spans,
            ..
        } in slabs
        {
            let detail = protection_number(*protection);
            pieces.push(piece(*address, *size, CODESLAB_PIECE_SLAB, detail));
            let spans = spans.iter();
            pieces.extend(
                spans.map(|span| piece(span.address, span.size, CODESLAB_PIECE_SPAN, detail)),
            );
        }
    }
    pieces
}

const fn protection_number(protection: Protection) -> u32 {
    protection.index() as u32
}

const fn piece(address: Address, size: u64, kind: u32, detail: u32) -> codeslab_piece {
    codeslab_piece {
        address: address.value(),
        size,
        kind,
        detail,
    }
}
