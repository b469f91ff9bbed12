//! Address space that several threads search for at once.
#![allow(unsafe_code, reason = "blocks are freed by hand")]

use super::*;
use crate::block::Block;
use crate::pool::Pool;
use crate::slab::spans::Spans;
use crate::space::memory_file::SharedFile;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What the shards of a memory share.
fn share(fake: &Arc<Fake>, options: &Options) -> Arc<Pool> {
    let configuration = open(fake, options).configuration();
    let platform = Arc::clone(fake) as Arc<dyn Platform>;
    Arc::new(Pool::new(platform, (configuration, None)))
}

#[test]
fn the_first_reservation_has_the_file_that_its_writer_was_probed_with() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let configuration = open(&fake, &unhardened()).configuration();
    let size = fake.facts().file_bytes;
    let file = SharedFile::new(fake.create_file(size).unwrap(), size, 0);
    let platform = Arc::clone(&fake) as Arc<dyn Platform>;
    let shared = Pool::new(platform, (configuration, Some(file)));
    fake.script(Script::Nothing);
    let block = open_block(&shared, Window::ANYWHERE).unwrap();
    assert!(!fake.calls().contains(&"create_file"));
    close_block(&shared, block);
    drop(shared);
    assert_eq!(fake.holdings(), (0, 0, 0), "it is closed with the memory");
}

fn blocks_of(size: u64) -> Options {
    Options {
        block_size: Some(size),
        ..Options::default()
    }
}

/// A block in `window`, and what is carved from it for a small request.
fn open_block(shared: &Pool, window: Window) -> Result<(Block, Spans), Error> {
    shared.new_block(&layout([100, 16, 16]).0, window, 128)
}

fn close_block(shared: &Pool, (mut block, spans): (Block, Spans)) {
    // SAFETY: the spans were carved from this block.
    unsafe { block.free_last(&spans) };
    shared.retire(block);
}

/// Does `action` once, when the next call begins: what another thread does while ours is searching.
fn meanwhile(fake: &Arc<Fake>, action: impl FnOnce(&Fake) + Send + 'static) {
    let watched = Arc::downgrade(fake);
    let action = Mutex::new(Some(action));
    fake.watch(move || {
        let action = action.lock().expect("nobody panicked").take();
        if let (Some(action), Some(fake)) = (action, watched.upgrade()) {
            fake.unwatch();
            action(&fake);
        }
    });
}

/// Asserts that the blocks of each cluster reach each other, and that none overlap.
fn assert_reach(shared: &Pool, blocks: &[(Block, Spans)]) {
    let mut hulls = BTreeMap::<u64, Window>::new();
    for (block, _) in blocks {
        let range = block.range();
        let hull = hulls
            .entry(block.pages().backing().site.cluster)
            .or_insert(range);
        let (first, last) = (
            hull.first().min(range.first()),
            hull.last().max(range.last()),
        );
        *hull = Window::new(first, last).unwrap();
        let meets = |other: &&(Block, Spans)| other.0.range().intersect(range).is_some();
        assert_eq!(blocks.iter().filter(meets).count(), 1, "{range}");
    }
    let reach = shared.configuration.reach.bytes();
    for (cluster, hull) in hulls {
        let extent = hull.last().distance(hull.first());
        assert!(extent <= reach, "cluster {cluster} spans {extent:#x} bytes");
    }
}

#[test]
fn the_system_is_never_called_under_the_lock_that_shards_share() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let shared = share(&fake, &small_blocks(kind));
        let watched = Arc::downgrade(&shared);
        fake.script(Script::Nothing);
        fake.watch(move || {
            let is_locked = watched
                .upgrade()
                .is_some_and(|shared| shared.space().is_locked());
            assert!(!is_locked, "a call under the lock");
        });
        let centers = [0x2222_0000_0000, 0x3333_0000_0000].map(Address::new);
        let [near, far] = centers.map(|center| Window::around(center, GIB));
        let windows = [Window::ANYWHERE, near, far, far];
        let opened = windows.map(|window| open_block(&shared, window).unwrap());
        assert!(
            open_block(
                &shared,
                Window::new(Address::new(0), Address::new(1)).unwrap()
            )
            .is_err()
        );
        fake.refuse("map_private");
        fake.refuse("map_file");
        assert!(open_block(&shared, near).is_err());
        for block in opened {
            close_block(&shared, block);
        }
        shared.trim();
        let calls = fake.calls();
        for call in [
            "reserve",
            "reserve_at",
            "address_map",
            "decommit",
            "release",
        ] {
            assert!(calls.contains(&call), "{kind}: no {call} among {calls:?}");
        }
        assert_eq!(fake.holdings(), (0, 0, 0), "{kind}");
    }
}

#[test]
fn what_is_claimed_while_somebody_else_makes_room_goes_back() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let shared = share(&fake, &Options::default());
    let (theirs, other) = (Arc::new(Mutex::new(None)), Arc::clone(&shared));
    let opened = Arc::clone(&theirs);
    meanwhile(&fake, move |_| {
        *opened.lock().unwrap() = Some(open_block(&other, Window::ANYWHERE).unwrap());
    });
    let ours = open_block(&shared, Window::ANYWHERE).unwrap();
    let theirs = theirs.lock().unwrap().take().unwrap();
    let (reservations, files, _) = fake.holdings();
    assert_eq!(
        (reservations, files),
        (1, 1),
        "one reservation has room for both"
    );
    let of = |block: &(Block, Spans)| Arc::clone(&block.0.pages().backing().site.reservation);
    assert!(Arc::ptr_eq(&of(&ours), &of(&theirs)));
    assert_reach(&shared, &[ours, theirs]);
}

#[test]
fn a_refusal_is_no_matter_if_somebody_else_made_room_meanwhile() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let shared = share(&fake, &Options::default());
    let other = Arc::clone(&shared);
    meanwhile(&fake, move |fake| {
        // They take all that the system gives.
        open_block(&other, Window::ANYWHERE).unwrap();
        fake.refuse("reserve");
    });
    open_block(&shared, Window::ANYWHERE).unwrap();
    assert_eq!(fake.holdings().0, 1);
}

#[test]
fn whoever_finds_nothing_waits_for_those_who_are_claiming() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let shared = share(&fake, &blocks_of(MIB));
    // Room for two blocks, which the first thread reserves at once.
    let window = Window::of_range(Address::new(0x2222_0000_0000), 2 * MIB).unwrap();
    fake.script(Script::Nothing);
    let others = Arc::clone(&shared);
    let (begin, begun) = std::sync::mpsc::channel();
    let watched = Arc::downgrade(&fake);
    fake.watch(move || {
        let fake = watched.upgrade().expect("it is calling");
        if fake.holdings().0 == 1 {
            // It is reserved, and no other thread can know.
            fake.unwatch();
            let (asking, finding) = (Arc::clone(&others), Arc::clone(&others));
            let other = std::thread::spawn(move || open_block(&asking, window));
            // Until they have found nothing.
            while fake.calls().len() < 4 || finding.space().searching() > 1 {
                std::thread::yield_now();
            }
            begin.send(other).expect("somebody joins them");
        }
    });
    let ours = open_block(&shared, window).unwrap();
    let theirs = begun.recv().unwrap().join().unwrap().unwrap();
    assert_reach(&shared, &[ours, theirs]);
}

#[test]
fn a_cluster_that_two_extend_at_once_does_not_outgrow_the_reach() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let shared = share(&fake, &blocks_of(512 * MIB));
    let open = |shared: &Pool| open_block(shared, Window::ANYWHERE).unwrap();
    // There is room for three such blocks within the reach, for a third above or below those.
    let mut blocks = vec![open(&shared), open(&shared)];
    let (theirs, other) = (Arc::new(Mutex::new(None)), Arc::clone(&shared));
    let opened = Arc::clone(&theirs);
    meanwhile(&fake, move |_| {
        *opened.lock().unwrap() = Some(open(&other));
    });
    blocks.push(open(&shared));
    blocks.extend(theirs.lock().unwrap().take());
    assert_eq!(blocks.len(), 4);
    assert_reach(&shared, &blocks);
    let clusters: Vec<_> = blocks
        .iter()
        .map(|(block, _)| block.pages().backing().site.cluster)
        .collect();
    assert_eq!(
        clusters,
        [0, 0, 1, 0],
        "whoever was slower begins a cluster"
    );
}

#[test]
fn threads_that_open_blocks_at_once_get_places_of_their_own_within_reach() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let shared = share(&fake, &blocks_of(32 * MIB));
    // Exactly as large as what has to lie there, so no thread may lose a place to what another does not need.
    let window = Window::of_range(Address::new(0x2222_0000_0000), 8 * 32 * MIB).unwrap();
    let open_some = || [(); 2].map(|()| open_block(&shared, window).unwrap());
    let blocks = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open_some)).collect();
        let opened = threads.into_iter().map(|thread| thread.join().unwrap());
        opened.flatten().collect::<Vec<_>>()
    });
    assert_reach(&shared, &blocks);
    for block in blocks {
        close_block(&shared, block);
    }
    shared.trim();
    assert_eq!(fake.holdings(), (0, 0, 0));
}

#[test]
fn reservations_share_files_where_parts_of_files_can_be_given_back() {
    for (granularity, expected) in [(4096, 3), (65536, 6)] {
        let fake = Arc::new(Fake::new(4096, granularity));
        let memory = open(&fake, &Options::default());
        let (layout, [code, ..]) = layout([64, 16, 16]);
        let place = |index: u8| {
            let center = Address::new(0x1000_0000_0000 * (1 + u64::from(index)));
            let window = [Window::around(center, GIB)];
            let request = Request::new(&layout).within(&window);
            let mut in_flight = memory.allocate(&request).unwrap();
            in_flight.bytes_mut(code).fill(index);
            (in_flight.address(code), in_flight.finalize().unwrap())
        };
        let placed: Vec<_> = (0..6).map(place).collect();
        let (reservations, files, _) = fake.holdings();
        // Each has 256 MiB, and a file that is shared 512.
        assert_eq!((reservations, files), (6, expected));
        for (index, (at, _)) in placed.iter().enumerate() {
            assert_eq!(fake.read(*at, 64), vec![index as u8; 64]);
        }
        drop(placed);
        memory.trim();
        assert_eq!(fake.holdings(), (0, 0, 0));
    }
}

#[test]
fn where_a_large_file_is_refused_one_to_measure_does() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let shared = share(&fake, &Options::default());
    // The reservation comes first, and then the file.
    fake.script(Script::Call(1, Limit::FileSize));
    open_block(&shared, Window::ANYWHERE).unwrap();
    assert_eq!(fake.calls()[..3], ["reserve", "create_file", "create_file"]);
    assert_eq!(fake.holdings().0, 1);
}
