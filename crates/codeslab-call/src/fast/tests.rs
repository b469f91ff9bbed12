//! Entrances, called as a compiler would: through thunks that are really executed.
#![allow(unsafe_code)] // It calls thunks.
#![allow(clippy::many_single_char_names)] // Arguments have no other names.

use super::*;
use crate::{Callable, Entrance};
use codeslab::{Allocation, CodeMemory, Layout, Options, Protection, Request};
use std::sync::atomic::{AtomicBool, AtomicU64 as Word};

fn barrier() {
    assert!(codeslab::process_barrier());
}

#[expect(clippy::unnecessary_wraps, reason = "a table asks for it")]
fn place(bytes: &[u8]) -> Option<(u64, (Allocation, CodeMemory))> {
    let memory = CodeMemory::new(Options::default()).unwrap();
    let mut layout = Layout::new();
    let text = layout
        .add(Protection::ReadExecute, bytes.len() as u64, 16)
        .unwrap();
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.write(text, 0, bytes).unwrap();
    let address = in_flight.address(text).value();
    Some((address, (in_flight.finalize().unwrap(), memory)))
}

/// A table; `None` where there are no thunks.
fn table() -> Option<Arc<FastTable>> {
    let table = FastTable::new(barrier, place);
    assert_eq!(table.is_some(), thunk::INTEGERS.is_some());
    table
}

/// What a compiler does around a call: `None` if it was refused.
fn call(table: &FastTable, number: u32, arguments: [u64; 6], float: f64) -> Option<u64> {
    type Thunk = extern "C" fn(u64, u32, u64, u64, u64, u64, u64, u64, f64) -> u64;
    let kinds = [[Kind::Uint64; 6].as_slice(), &[Kind::Float64]].concat();
    let thunk = table.thunk(kinds.into_iter()).unwrap();
    // SAFETY: thunks have this convention: a receiver, the number, and as many arguments as they were made for.
    let thunk = unsafe {
        std::mem::transmute::<*const (), Thunk>(std::ptr::with_exposed_provenance(thunk as usize))
    };
    let [a, b, c, d, e, f] = arguments;
    table.words.running.store(number, Ordering::Relaxed);
    let result = thunk(0xbad, number, a, b, c, d, e, f, float);
    table.words.running.store(0, Ordering::Relaxed);
    let is_fine = table.words.refused.load(Ordering::Relaxed) == 0
        && table.words.awaited.load(Ordering::SeqCst) == 0;
    (is_fine || !table.settle()).then_some(result)
}

extern "C" fn digits(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: f64) -> u64 {
    [a, b, c, d, e, f, g.to_bits()]
        .into_iter()
        .fold(0, |all, digit| all * 10 + digit)
}

fn open<T: Send + 'static>(callable: &Callable<T>, table: &Arc<FastTable>) -> Option<Entrance<T>> {
    callable.open(table, digits as *const () as u64)
}

#[test]
fn every_argument_arrives_where_the_callee_expects_it() {
    let Some(table) = table() else { return };
    let callable = Callable::new(());
    let entrance = open(&callable, &table).unwrap();
    assert_eq!(
        call(
            &table,
            entrance.number(),
            [1, 2, 3, 4, 5, 6],
            f64::from_bits(7)
        ),
        Some(1_234_567)
    );
}

#[test]
fn more_arguments_than_a_thunk_moves_have_none() {
    let Some(table) = table() else { return };
    assert!(table.thunk(std::iter::repeat_n(Kind::Int32, 6)).is_some());
    assert!(table.thunk(std::iter::repeat_n(Kind::Int32, 9)).is_none());
    assert!(table.thunk(std::iter::repeat_n(Kind::Float64, 9)).is_none());
}

#[test]
fn freed_code_is_refused_and_so_is_a_dropped_entrance() {
    let Some(table) = table() else { return };
    let (callable, other) = (Callable::new(()), Callable::new(()));
    let (first, second) = (
        open(&callable, &table).unwrap(),
        open(&other, &table).unwrap(),
    );
    assert!(callable.free());
    assert_eq!(call(&table, first.number(), [0; 6], 0.0), None);
    assert!(
        call(&table, second.number(), [0; 6], 0.0).is_some(),
        "others go on"
    );
    let number = second.number();
    drop(second);
    assert_eq!(call(&table, number, [0; 6], 0.0), None);
    assert!(open(&callable, &table).is_none(), "it has been freed");
}

#[test]
fn only_threads_that_others_free_for_execute_a_barrier() {
    static BARRIERS: AtomicU64 = AtomicU64::new(0);
    fn counted() {
        BARRIERS.fetch_add(1, Ordering::Relaxed);
        barrier();
    }
    let Some(table) = FastTable::new(counted, place) else {
        return;
    };
    let [here, there] = [Callable::new(()), Callable::new(())];
    let entrances = [&here, &there].map(|callable| open(callable, &table).unwrap());
    assert!(here.free());
    assert_eq!(BARRIERS.load(Ordering::Relaxed), 0);
    std::thread::scope(|scope| scope.spawn(|| assert!(there.free())).join().unwrap());
    assert_eq!(BARRIERS.load(Ordering::Relaxed), 1);
    for entrance in &entrances {
        assert_eq!(call(&table, entrance.number(), [0; 6], 0.0), None);
    }
    // One that another thread calls as well is seen there, too.
    let both = Callable::new(());
    let _here = open(&both, &table).unwrap();
    let elsewhere = std::thread::scope(|scope| {
        let make = || {
            let table = FastTable::new(counted, place).unwrap();
            // It would be dropped on this thread only, which ends.
            std::mem::forget(open(&both, &table).unwrap());
            table
        };
        scope.spawn(make).join().unwrap()
    });
    assert!(!elsewhere.is_here());
    assert!(both.free());
    assert_eq!(BARRIERS.load(Ordering::Relaxed), 2);
}

#[test]
fn numbers_are_used_again_and_there_are_as_many_as_are_asked_for() {
    let Some(table) = table() else { return };
    let callable = Callable::new(());
    let many: Vec<_> = (0..1000)
        .map(|_| open(&callable, &table).unwrap())
        .collect();
    let highest = many.iter().map(Entrance::number).max().unwrap();
    for entrance in &many {
        assert!(call(&table, entrance.number(), [1; 6], 1.0).is_some());
    }
    drop(many);
    let again: Vec<_> = (0..1000)
        .map(|_| open(&callable, &table).unwrap().number())
        .collect();
    assert!(again.iter().all(|number| *number <= highest));
}

#[test]
fn while_a_table_is_paused_every_call_is_refused() {
    let Some(table) = table() else { return };
    let callable = Callable::new(());
    let before = open(&callable, &table).unwrap();
    table.pause();
    let meanwhile = open(&callable, &table).unwrap();
    table.pause();
    table.resume();
    for entrance in [&before, &meanwhile] {
        assert_eq!(call(&table, entrance.number(), [0; 6], 0.0), None);
    }
    table.resume();
    for entrance in [&before, &meanwhile] {
        assert!(call(&table, entrance.number(), [0; 6], 0.0).is_some());
    }
}

/// Says that it was dropped.
struct Owner(Arc<AtomicBool>);

impl Drop for Owner {
    fn drop(&mut self) {
        assert!(!self.0.swap(true, Ordering::SeqCst), "once");
    }
}

static ENTERED: Word = Word::new(0);
static LEAVE: Word = Word::new(0);

extern "C" fn linger() -> u64 {
    ENTERED.store(1, Ordering::SeqCst);
    while LEAVE.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    1
}

#[test]
fn code_that_a_fast_call_runs_is_released_when_that_returns() {
    let Some(table) = table() else { return };
    let dropped = Arc::new(AtomicBool::new(false));
    let callable = Callable::new(Owner(Arc::clone(&dropped)));
    let entrance = callable.open(&table, linger as *const () as u64).unwrap();
    let number = entrance.number();
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| call(&table, number, [0; 6], 0.0));
        while ENTERED.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert!(callable.free(), "which waits for nothing");
        assert!(
            callable.enter().is_none(),
            "a call that comes too late releases nothing"
        );
        assert!(!dropped.load(Ordering::SeqCst));
        LEAVE.store(1, Ordering::SeqCst);
        assert_eq!(caller.join().unwrap(), Some(1));
    });
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn whatever_calls_and_frees_do_to_each_other_code_is_released_once_and_never_during_a_call() {
    for _ in 0..300 {
        let Some(table) = table() else { return };
        let dropped = Arc::new(AtomicBool::new(false));
        let callable = Callable::new(Owner(Arc::clone(&dropped)));
        let entrance = open(&callable, &table).unwrap();
        let number = entrance.number();
        std::thread::scope(|scope| {
            scope.spawn(|| while call(&table, number, [1; 6], 1.0).is_some() {});
            scope.spawn(|| callable.free());
            scope.spawn(|| drop(callable.enter()));
        });
        table.settle();
        assert!(dropped.load(Ordering::SeqCst));
    }
}

/// A table by which only the binding calls, and something that says when it is released.
fn owned() -> (Arc<FastTable>, Callable<Owner>, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let callable = Callable::new(Owner(Arc::clone(&dropped)));
    (FastTable::without_thunks(barrier), callable, dropped)
}

#[test]
fn code_that_the_binding_calls_is_released_when_that_returns() {
    let (table, callable, dropped) = owned();
    let entrance = open(&callable, &table).unwrap();
    let running = entrance.enter().unwrap();
    assert!(callable.is_running());
    std::thread::scope(|scope| scope.spawn(|| assert!(callable.free())).join().unwrap());
    assert!(!dropped.load(Ordering::SeqCst), "a call is running");
    assert!(
        entrance.enter().is_none(),
        "which is no reason to begin more"
    );
    drop(running);
    assert!(dropped.load(Ordering::SeqCst));
    assert!(entrance.enter().is_none());
    assert!(!callable.is_running());
}

#[test]
fn calls_within_a_call_keep_their_code_too() {
    let (table, outer, outer_dropped) = owned();
    let (_, inner, inner_dropped) = owned();
    let entrances = [&outer, &inner].map(|callable| open(callable, &table).unwrap());
    let first = entrances[0].enter().unwrap();
    let second = entrances[1].enter().unwrap();
    let third = entrances[0].enter().unwrap();
    assert!(outer.free() && inner.free());
    let are_dropped = || [&outer_dropped, &inner_dropped].map(|flag| flag.load(Ordering::SeqCst));
    drop(third);
    assert_eq!(are_dropped(), [false, false]);
    drop(second);
    assert_eq!(are_dropped(), [false, true]);
    drop(first);
    assert_eq!(are_dropped(), [true, true]);
}

#[test]
fn a_fast_call_within_a_call_of_the_binding_does_not_let_go_of_that() {
    let Some(table) = table() else { return };
    let (_, callable, dropped) = owned();
    let other = Callable::new(());
    let (outer, inner) = (
        open(&callable, &table).unwrap(),
        open(&other, &table).unwrap(),
    );
    let running = outer.enter().unwrap();
    assert!(callable.free());
    assert!(call(&table, inner.number(), [1; 6], 1.0).is_some());
    assert!(
        !dropped.load(Ordering::SeqCst),
        "the outer call goes on after the inner one"
    );
    drop(running);
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn only_the_thread_of_a_table_opens_entrances() {
    let (table, callable, _) = owned();
    let is_open = || open(&callable, &table).is_some();
    assert!(is_open());
    assert!(!std::thread::scope(|scope| scope
        .spawn(is_open)
        .join()
        .unwrap()));
}

#[test]
fn whatever_the_binding_and_frees_do_to_each_other_code_is_released_once_and_never_during_a_call() {
    for round in 0..300 {
        let dropped = Arc::new(AtomicBool::new(false));
        let callable = Callable::new(Owner(Arc::clone(&dropped)));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let table = FastTable::without_thunks(barrier);
                    let entrance = open(&callable, &table);
                    while let Some(running) = entrance.as_ref().and_then(Entrance::enter) {
                        assert!(!dropped.load(Ordering::SeqCst));
                        let within = entrance.as_ref().and_then(Entrance::enter);
                        assert!(!dropped.load(Ordering::SeqCst));
                        drop((within, running));
                    }
                });
            }
            scope.spawn(|| {
                (0..round).for_each(|_| std::hint::spin_loop());
                callable.free()
            });
        });
        assert!(dropped.load(Ordering::SeqCst));
    }
}
