use std::{future::poll_fn, task::Poll, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    sync::mpsc,
    time::{Instant, advance, sleep, timeout},
};

use super::*;
use crate::connections::{CloseHandle, CloseReason, ConnectionPermit, Connections, Half, tests::admit};

const SECOND: Duration = Duration::from_secs(1);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// When the connection is asked to close, and why.
async fn asked(permit: &ConnectionPermit) -> (Duration, Option<CloseReason>) {
    let start = Instant::now();
    let mut closing = permit.closing();
    timeout(100 * SECOND, &mut closing).await.expect("asked to close");
    (start.elapsed(), closing.reason())
}

async fn ended(permit: &ConnectionPermit) {
    poll_fn(|cx| if permit.poll_ended(cx, Half::Read) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_came_together_are_asked_to_close_apart_and_ended_after_the_grace() {
    let connections = Connections::new().max_age(5 * SECOND).grace(2 * SECOND);
    let start = Instant::now();
    let (sender, mut asked) = mpsc::unbounded_channel();
    for _ in 0..10_000 {
        let permit = admit(&connections);
        let sender = sender.clone();
        tokio::spawn(async move {
            let mut closing = permit.closing();
            (&mut closing).await;
            sender.send((start.elapsed(), closing.reason())).unwrap();
            ended(&permit).await;
        });
    }
    let mut times = Vec::new();
    for _ in 0..10_000 {
        let (after, reason) = asked.recv().await.unwrap();
        assert_eq!(reason, Some(CloseReason::MaxAge));
        times.push(after);
    }
    let (first, last) = (times[0], times[9_999]);
    assert!(first >= millis(4_500) && last <= millis(5_500) + 3 * Tick::LENGTH, "{first:?} to {last:?}");
    let mut tenths = [0; 10];
    for time in times {
        let after = time.saturating_sub(first).as_millis();
        let tenth = after * 10 / (last.saturating_sub(first) + Tick::LENGTH).as_millis();
        tenths[usize::try_from(tenth).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (900..=1_100).contains(count)), "{tenths:?}");
    connections.wait().await;
    let gone = start.elapsed();
    assert!((millis(7_400)..millis(7_700)).contains(&gone), "{gone:?}");
    assert_eq!(connections.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_is_asked_to_close_and_one_that_speaks_is_not() {
    let connections = Connections::new().idle_timeout(10 * SECOND).grace(3 * SECOND);
    let (silent, speaking, foreign, apart) =
        (admit(&connections), admit(&connections), admit(&connections), admit(&connections));
    for permit in [&silent, &speaking, &apart] {
        permit.watch();
    }
    apart.unwatch();
    let start = Instant::now();
    let speaks = async {
        loop {
            sleep(millis(9_800)).await;
            speaking.hear();
        }
    };
    let (after, reason) = tokio::select! {
        asked = asked(&silent) => asked,
        () = speaks => unreachable!(),
    };
    assert_eq!(reason, Some(CloseReason::IdleTimeout));
    assert!((10 * SECOND..=millis(10_200)).contains(&after), "{after:?}");
    // Bytes that the peer sends now change nothing.
    silent.hear();
    ended(&silent).await;
    assert!((13 * SECOND..=millis(13_500)).contains(&start.elapsed()), "{:?}", start.elapsed());
    let speaks = async {
        for _ in 0..10 {
            speaking.hear();
            sleep(9 * SECOND).await;
        }
    };
    speaks.await;
    for permit in [&speaking, &foreign, &apart] {
        assert!(!permit.closing().is_closing());
    }
    assert!(asked(&speaking).await.0 <= 2 * SECOND, "it is silent now");
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_age_and_expiry_counts_and_the_last_expiry_and_the_first_reason() {
    let connections = Connections::new().max_age(60 * SECOND).grace(SECOND);
    let now = Instant::now();

    let permit = admit(&connections);
    permit.close_at(now + 10 * SECOND);
    permit.close_handle().close_at(now + 20 * SECOND);
    let (after, reason) = asked(&permit).await;
    assert!((20 * SECOND..21 * SECOND).contains(&after), "{after:?}");
    assert_eq!(reason, Some(CloseReason::Expired));
    permit.close(CloseReason::Application(4000));
    assert_eq!(permit.closing().reason(), Some(CloseReason::Expired), "the first");

    let permit = admit(&connections);
    permit.close_at(Instant::now() + SECOND);
    permit.close_at(Instant::now() + Duration::from_secs(200 * 24 * 3600));
    let (after, reason) = asked(&permit).await;
    assert!((54 * SECOND..67 * SECOND).contains(&after), "no time any more: {after:?}");
    assert_eq!(reason, Some(CloseReason::MaxAge));

    let permit = admit(&connections);
    permit.close_at(Instant::now() + 90 * SECOND);
    let (after, reason) = asked(&permit).await;
    assert!((54 * SECOND..67 * SECOND).contains(&after), "{after:?}");
    assert_eq!(reason, Some(CloseReason::MaxAge));

    let permit = admit(&connections);
    permit.close_at(Instant::now() - SECOND);
    assert!(asked(&permit).await.0 < SECOND, "it has expired");

    let permit = admit(&connections);
    permit.close(CloseReason::Application(4003));
    permit.close_at(Instant::now());
    assert_eq!(permit.closing().reason(), Some(CloseReason::Application(4003)));
    assert!(permit.closing().is_closing() && !permit.is_ended());
    let start = Instant::now();
    ended(&permit).await;
    assert!((SECOND..2 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_permit_closes_and_expires_without_other_lifetimes() {
    let connections = Connections::new();
    let permit = admit(&connections);
    assert!(asked(&permit).now_or_never().is_none());
    advance(100 * SECOND).await;
    assert!(!permit.closing().is_closing());
    permit.close_at(Instant::now() + 5 * SECOND);
    let (after, reason) = asked(&permit).await;
    assert!((5 * SECOND..=millis(5_500)).contains(&after), "{after:?}");
    assert_eq!(reason, Some(CloseReason::Expired));
    let start = Instant::now();
    ended(&permit).await;
    assert!((10 * SECOND..11 * SECOND).contains(&start.elapsed()), "by default: {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_drain_counts_only_what_it_ends_itself() {
    let connections = Connections::new().grace(SECOND);
    let (aged, drained) = (admit(&connections), admit(&connections));
    aged.close(CloseReason::Application(4000));
    let outcome = connections.drain().over(Duration::ZERO).deadline(10 * SECOND).await;
    assert_eq!((outcome.closed, outcome.aborted), (0, 1));
    assert!(aged.is_ended() && drained.is_ended());
    assert_eq!(aged.closing().reason(), Some(CloseReason::Application(4000)));
    assert_eq!(drained.closing().reason(), Some(CloseReason::Drain));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_drains_is_ended_by_its_age_if_that_is_earlier() {
    let connections = Connections::new().max_age(10 * SECOND).grace(SECOND);
    let permit = admit(&connections);
    let start = Instant::now();
    let draining = tokio::spawn(connections.drain().over(Duration::ZERO).deadline(60 * SECOND).into_future());
    assert_eq!(asked(&permit).await.1, Some(CloseReason::Drain));
    ended(&permit).await;
    assert!((10 * SECOND..13 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    drop(permit);
    let outcome = draining.await.unwrap();
    assert_eq!((outcome.closed, outcome.aborted), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_handle_closes_from_elsewhere_and_keeps_no_place() {
    let connections = Connections::new().grace(SECOND);
    let permit = admit(&connections);
    let (handle, closing) = (permit.close_handle(), permit.closing());
    assert_eq!(handle.id(), permit.id());
    tokio::spawn({
        let handle = handle.clone();
        async move { handle.close(CloseReason::Application(4003)) }
    });
    assert_eq!(asked(&permit).await.1, Some(CloseReason::Application(4003)));
    ended(&permit).await;
    drop(permit);
    assert_eq!(connections.len(), 0);
    drop(connections);
    handle.close(CloseReason::Expired);
    handle.close_at(Instant::now());
    assert_eq!(closing.close_code(), 4003);
    let connections = Connections::new();
    let permit = admit(&connections);
    let (handle, gone) = (permit.close_handle(), permit.closing());
    drop(permit);
    handle.close(CloseReason::Expired);
    assert_eq!((gone.is_closing(), gone.reason(), gone.close_code()), (true, None, 1001));
    assert!(!connections.registry.sweeper.is_running.load(Ordering::Relaxed));
    assert_eq!(format!("{handle:?}"), format!("CloseHandle {{ id: {:?}, .. }}", handle.id()));
}

#[tokio::test(start_paused = true)]
async fn a_second_close_gives_no_more_grace() {
    let connections = Connections::new().grace(3 * SECOND);
    let permit = admit(&connections);
    let start = Instant::now();
    permit.close(CloseReason::Application(4000));
    sleep(2 * SECOND).await;
    permit.close(CloseReason::Application(4001));
    ended(&permit).await;
    assert!((3 * SECOND..4 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn of_several_ages_the_earliest_counts_and_none_once_the_end_is_set() {
    let (signal, start) = (Signal::default(), Tick::now());
    for ticks in [20, 10, 30] {
        signal.age_at(start.after(ticks));
    }
    assert_eq!(signal.turn(start.after(9), None), None);
    assert_eq!(signal.turn(start.after(10), None), Some(Turn::Close(CloseReason::MaxAge)));
    signal.leave(CloseReason::MaxAge, start.after(100));
    signal.age_at(start.after(50));
    assert_eq!(signal.turn(start.after(99), None), None);
    assert_eq!(signal.turn(start.after(100), None), Some(Turn::End));
}

#[test]
fn a_close_from_outside_of_the_runtime_is_swept_all_the_same() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let closes: [fn(CloseHandle); 3] = [
        |handle| std::thread::spawn(move || handle.close(CloseReason::Application(4000))).join().unwrap(),
        |handle| std::thread::spawn(move || handle.close_at(Instant::now())).join().unwrap(),
        |handle| {
            let short = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            short.block_on(async { handle.close(CloseReason::Application(4000)) });
        },
    ];
    for close in closes {
        let connections = Connections::new().grace(Duration::ZERO);
        // The first connection's runtime has ended, and nothing was swept there.
        let first = runtime();
        let gone = first.block_on(async { admit(&connections) });
        drop((gone, first));
        let lasting = runtime();
        let permit = lasting.block_on(async { admit(&connections) });
        close(permit.close_handle());
        lasting.block_on(timeout_in(ended(&permit)));
    }
}

async fn timeout_in<T>(future: impl Future<Output = T>) -> T {
    timeout(10 * SECOND, future).await.expect("in time")
}

#[test]
fn the_runtime_of_the_newest_connection_takes_over() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let connections = Connections::new().max_age(millis(200)).grace(Duration::ZERO);
    let (first, lasting) = (runtime(), runtime());
    let old = first.block_on(async { admit(&connections) });
    let permit = lasting.block_on(async { admit(&connections) });
    drop(first);
    lasting.block_on(async {
        timeout_in(ended(&old)).await;
        timeout_in(ended(&permit)).await;
    });
}

#[tokio::test(start_paused = true)]
async fn what_was_due_first_is_the_reason() {
    for (expires, reason) in [(20, CloseReason::Expired), (80, CloseReason::MaxAge)] {
        let (signal, start) = (Signal::default(), Tick::now());
        signal.age_at(start.after(50));
        signal.expire_at(Some(start.after(expires)));
        assert_eq!(signal.turn(start.after(100), None), Some(Turn::Close(reason)));
    }
}

#[test]
fn a_connection_that_is_to_expire_is_swept_by_another_runtime_once_a_connection_comes_there() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let connections = Connections::new();
    let first = runtime();
    let permit = first.block_on(async {
        let permit = admit(&connections);
        permit.close_at(Instant::now() + millis(50));
        permit
    });
    drop(first);
    runtime().block_on(async {
        let _other = admit(&connections);
        timeout(10 * SECOND, permit.closing()).await.expect("asked to close");
    });
}

#[test]
fn another_runtime_sweeps_where_the_first_has_ended() {
    let connections = Connections::new().max_age(Duration::from_millis(30)).grace(SECOND);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let first = runtime();
    let old = first.block_on(async { admit(&connections) });
    drop(first);
    runtime().block_on(async {
        let new = admit(&connections);
        new.closing().await;
        old.closing().await;
    });
}

#[tokio::test(start_paused = true)]
async fn nobody_sweeps_for_connections_without_lifetimes_nor_after_the_last_handle() {
    let connections = Connections::new();
    let permit = admit(&connections);
    let registry = Arc::downgrade(&connections.registry);
    assert!(!connections.registry.sweeper.is_running.load(Ordering::Relaxed));
    permit.close(CloseReason::Expired);
    assert!(connections.registry.sweeper.is_running.load(Ordering::Relaxed));
    drop((permit, connections));
    assert!(registry.upgrade().is_none());
}
