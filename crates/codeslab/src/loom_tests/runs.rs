//! Looking for spans in use while their neighbours change.

use super::model;
use crate::slab::Slab;
use crate::slab::runs::Runs;
use crate::slab::span::Span;
use crate::sync::WordSource;
use loom::thread;
use std::sync::Arc;

const GRANULE: u64 = 16;

const fn span(granule: u64, granules: u64) -> Span {
    Span {
        offset: granule * GRANULE,
        size: granules * GRANULE,
    }
}

/// A slab of four words of granules: a span before, one in the middle that ends in another word than it begins in, and one behind.
struct Scene {
    slab: Slab,
    before: Span,
    middle: Span,
    behind: Span,
}

impl Scene {
    fn new() -> Self {
        let mut slab =
            Slab::new(256 * GRANULE, GRANULE, None, &mut WordSource::allocator()).expect("memory");
        slab.extend(span(4, 200));
        let mut carve = |granules| {
            slab.carve(granules * GRANULE, 16)
                .map(|(span, _)| span)
                .expect("room")
        };
        let [before, middle, behind] = [8, 150, 8].map(&mut carve);
        assert_eq!(middle, span(12, 150));
        Self {
            slab,
            before,
            middle,
            behind,
        }
    }
}

/// Whether a thread that looks meanwhile finds the span in the middle as it is, from its first, a middle and its last byte; and whether
/// it gets some answer for what lies `beside` it.
fn holds_while(act: impl Fn(&mut Scene) + Copy + Send + Sync + 'static, beside: [u64; 2]) {
    for offset in [
        12 * GRANULE,
        12 * GRANULE + 1,
        100 * GRANULE,
        162 * GRANULE - 1,
    ] {
        looking_while(act, move |runs, middle| {
            assert_eq!(runs.used_at(offset), Some(middle));
        });
    }
    for granule in beside {
        looking_while(act, move |runs, middle| {
            let found = runs.used_at(granule * GRANULE);
            assert!(found.is_none_or(|found| found.size < middle.size));
        });
    }
}

fn looking_while(
    act: impl Fn(&mut Scene) + Copy + Send + Sync + 'static,
    look: impl Fn(&Runs, Span) + Copy + Send + Sync + 'static,
) {
    model(3, move || {
        let mut scene = Scene::new();
        let (runs, middle) = (Arc::clone(scene.slab.runs()), scene.middle);
        let reader = thread::spawn(move || look(&runs, middle));
        act(&mut scene);
        reader.join().unwrap();
        assert!(scene.slab.holds(middle));
    });
}

#[test]
fn a_span_in_use_is_found_while_its_neighbours_are_freed() {
    holds_while(
        |scene| {
            scene.slab.free(scene.before);
        },
        [4, 11],
    );
    holds_while(
        |scene| {
            scene.slab.free(scene.behind);
        },
        [162, 180],
    );
}

#[test]
fn a_span_in_use_is_found_while_what_was_freed_beside_it_is_carved_again() {
    holds_while(
        |scene| {
            scene.slab.free(scene.behind);
            // A part of what was merged behind it.
            assert_eq!(
                scene.slab.carve(2 * GRANULE, 16).map(|(span, _)| span),
                Some(span(162, 2))
            );
        },
        [163, 164],
    );
    holds_while(
        |scene| {
            scene.slab.free(scene.before);
            // At the end of the free run before it.
            assert_eq!(
                scene
                    .slab
                    .carve(2 * GRANULE, 8 * GRANULE)
                    .map(|(span, _)| span),
                Some(span(8, 2))
            );
        },
        [7, 9],
    );
}

#[test]
fn a_span_in_use_is_found_while_the_slab_grows_and_what_is_beside_it_shrinks() {
    holds_while(|scene| _ = scene.slab.extend(span(0, 4)), [0, 4]);
    holds_while(|scene| _ = scene.slab.extend(span(204, 52)), [203, 204]);
    holds_while(
        |scene| {
            scene.slab.free_tail(scene.behind, 3 * GRANULE);
        },
        [164, 165],
    );
}

#[test]
fn a_span_in_use_is_found_while_its_neighbours_are_freed_and_used_again() {
    holds_while(
        |scene| {
            let runs = scene.slab.runs();
            for neighbour in [scene.before, scene.behind] {
                runs.mark_freed(neighbour.offset);
            }
            for neighbour in [scene.before, scene.behind] {
                runs.unmark_freed(neighbour.offset);
            }
        },
        [11, 162],
    );
}

#[test]
fn looking_into_a_slab_that_forgets_its_pages_finds_something_or_nothing() {
    for granule in [0, 4, 100, 162, 255] {
        model(3, move || {
            let mut scene = Scene::new();
            let runs = Arc::clone(scene.slab.runs());
            let reader = thread::spawn(move || runs.used_at(granule * GRANULE));
            scene.slab.clear();
            let found = reader.join().unwrap();
            assert!(found.is_none_or(|found| found.end() <= 256 * GRANULE));
            assert_eq!(scene.slab.runs().used_at(granule * GRANULE), None);
        });
    }
}

#[test]
fn what_was_handed_to_another_thread_is_found_there() {
    model(4, || {
        let mut scene = Scene::new();
        let runs = Arc::clone(scene.slab.runs());
        let (sent, received) = loom::sync::mpsc::channel::<Span>();
        let reader = thread::spawn(move || {
            let there = received.recv().unwrap();
            assert_eq!(runs.used_at(there.end() - 1), Some(there));
        });
        let carved = scene
            .slab
            .carve(5 * GRANULE, 16)
            .map(|(span, _)| span)
            .unwrap();
        sent.send(carved).unwrap();
        scene.slab.free(scene.behind);
        reader.join().unwrap();
    });
}

/// Whether a thread that looks meanwhile finds nothing at a granule that is unused before, while and after.
fn is_nobodys_while(act: impl Fn(&mut Scene) + Copy + Send + Sync + 'static, granule: u64) {
    looking_while(act, move |runs, _| {
        assert_eq!(runs.used_at(granule * GRANULE), None);
    });
}

#[test]
fn what_nobody_uses_is_not_found_while_the_free_run_that_it_is_in_is_carved_or_merged() {
    let carve = |scene: &mut Scene| {
        scene
            .slab
            .carve(2 * GRANULE, 16)
            .map(|(span, _)| span)
            .expect("room");
    };
    is_nobodys_while(carve, 180);
    is_nobodys_while(
        |scene| {
            scene.slab.free(scene.behind);
        },
        180,
    );
    is_nobodys_while(
        |scene| {
            scene
                .slab
                .carve(2 * GRANULE, 64 * GRANULE)
                .map(|(span, _)| span)
                .expect("room");
        },
        180,
    );
}

#[test]
fn what_another_thread_gives_back_is_not_found_from_then_on() {
    model(4, || {
        let scene = Scene::new();
        let runs = Arc::clone(scene.slab.runs());
        let (sent, received) = loom::sync::mpsc::channel::<Span>();
        let behind = scene.behind;
        let giver = thread::spawn(move || {
            runs.mark_freed_remotely(behind.offset);
            sent.send(behind).unwrap();
            assert_eq!(runs.used_at(behind.offset), None);
        });
        let mut slab = scene.slab;
        let taken = received.recv().unwrap();
        slab.runs().mark_freed(taken.offset);
        slab.runs().unmark_freed_remotely(taken.offset);
        slab.free(taken);
        slab.runs().unmark_freed(taken.offset);
        giver.join().unwrap();
    });
}
