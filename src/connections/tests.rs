use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use http::request::Parts;
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, advance, sleep, timeout},
};

use super::{registry::Full, *};

fn parts() -> Parts {
    http::Request::new(()).into_parts().0
}

pub(super) fn admit(connections: &Connections) -> ConnectionPermit {
    connections.ask(&parts(), None).and_then(Asking::enter).expect("admitted").expect("for the first time")
}

#[tokio::test(start_paused = true)]
async fn a_drain_signals_evenly_over_its_time() {
    let connections = Connections::new();
    let start = Instant::now();
    let (sender, mut signalled) = mpsc::unbounded_channel();
    for _ in 0..500 {
        let permit = admit(&connections);
        let sender = sender.clone();
        tokio::spawn(async move {
            permit.closing().await;
            sender.send(start.elapsed()).unwrap();
        });
    }
    let drained = connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(60)).await;
    assert_eq!((drained.closed, drained.aborted), (500, 0));
    for turn in 0..500 {
        let due = Duration::from_millis(20) * turn;
        let signalled = signalled.recv().await.unwrap();
        assert!((due..=due + Duration::from_millis(1)).contains(&signalled), "number {turn}: {signalled:?}");
    }
}

/// A waker that reports how many connections there were when it was woken.
struct Count(Connections, mpsc::UnboundedSender<usize>);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.1.send(self.0.len()).unwrap();
    }
}

#[test]
fn whoever_hears_that_a_connection_has_gone_does_not_find_it_counted() {
    let connections = Connections::new();
    let permit = admit(&connections);
    let (sender, mut counts) = mpsc::unbounded_channel();
    let waker = Waker::from(Arc::new(Count(connections, sender)));
    let mut closing = permit.closing();
    assert!(closing.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop(permit);
    assert_eq!(counts.try_recv(), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_gone_before_its_turn_has_no_reason() {
    let connections = Connections::new();
    let permits: Vec<_> = (0..10).map(|_| admit(&connections)).collect();
    let closings: Vec<_> = permits.iter().map(ConnectionPermit::closing).collect();
    let draining = tokio::spawn(connections.drain().over(Duration::from_secs(10)).into_future());
    advance(Duration::from_millis(500)).await;
    yield_now().await;
    drop(permits);
    draining.await.unwrap();
    let drained = closings.iter().filter(|closing| closing.reason() == Some(CloseReason::Drain)).count();
    let gone = closings.iter().filter(|closing| closing.is_closing() && closing.reason().is_none()).count();
    assert_eq!((drained, gone), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_all_have_gone_and_at_its_deadline() {
    let start = Instant::now();
    let connections = Connections::new();
    let drained = connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(20)).await;
    assert_eq!((drained.closed, drained.aborted, start.elapsed()), (0, 0, Duration::ZERO), "nobody was there");
    assert!(matches!(connections.ask(&parts(), None).and_then(Asking::enter), Err(Full::Closed)));

    let connections = Connections::new();
    let permits = [admit(&connections), admit(&connections)];
    let draining =
        tokio::spawn(connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(20)).into_future());
    advance(Duration::from_secs(2)).await;
    drop(permits);
    let drained = draining.await.unwrap();
    assert_eq!(
        (drained.closed, drained.aborted, start.elapsed()),
        (2, 0, Duration::from_secs(2)),
        "before the last turn"
    );

    let connections = Connections::new();
    let permits = [admit(&connections), admit(&connections)];
    let (start, closing) = (Instant::now(), permits[1].closing());
    let drained = connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(1)).await;
    assert_eq!((drained.closed, drained.aborted, start.elapsed()), (0, 2, Duration::from_secs(1)), "cut short");
    assert!(permits[0].is_ended() && closing.is_closing());
    assert!(timeout(Duration::from_secs(1), connections.wait()).await.is_err(), "they are still there");
    drop(permits);
    connections.wait().await;
}

#[test]
fn a_limit_holds_under_contention_and_nothing_is_lost() {
    let connections = Connections::new().limit(10).limit_per(7, |_| Some("everybody".into()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let permits: Vec<_> =
                        (0..3).filter_map(|_| connections.ask(&parts(), None).and_then(Asking::enter).ok()).collect();
                    assert!(connections.len_of(Some(&"everybody".into())) <= 7);
                    drop(permits);
                }
            });
        }
    });
    assert_eq!((connections.len(), connections.len_of(Some(&"everybody".into()))), (0, 0));
    assert!(connections.registry.signals().is_empty());
}

/// It was 72 bytes before there were lifetimes.
#[cfg(not(ws_loom))]
#[test]
fn the_lifetime_of_a_connection_takes_16_bytes() {
    assert_eq!(size_of::<signal::Signal>(), 72 + 16);
}

#[test]
fn a_handle_keeps_its_own_limits_and_shares_the_count() {
    let few = Connections::new().limit(1);
    let more = few.clone().limit(2);
    let _permits = [admit(&few), admit(&more)];
    assert_eq!((few.len(), more.len()), (2, 2));
    assert!(matches!(few.ask(&parts(), None).and_then(Asking::enter), Err(Full::Limit)));
    assert!(matches!(more.ask(&parts(), None).and_then(Asking::enter), Err(Full::Limit)));
}

#[tokio::test]
async fn whoever_waits_no_longer_leaves_nothing_behind() {
    let permit = admit(&Connections::new());
    let closing = permit.closing();
    for _ in 0..1000 {
        // Each clone runs in its own task, like a `select!` in a function that is called again and again.
        let mut closing = closing.clone();
        tokio::spawn(async move { timeout(Duration::ZERO, &mut closing).await.unwrap_err() }).await.unwrap();
    }
    let signal = permit.membership(&Connections::new().registry).signal;
    assert_eq!(signal.places(), 1);
    // Held by the registry, the permit, the `Closing` that no longer waits, and this test.
    assert_eq!(Arc::strong_count(&signal), 4);
}

#[tokio::test(start_paused = true)]
async fn a_drain_takes_any_duration() {
    let connections = Connections::new();
    let permits = [admit(&connections), admit(&connections)];
    let draining = tokio::spawn(connections.drain().over(Duration::MAX).deadline(Duration::from_secs(1)).into_future());
    let drained = draining.await.unwrap();
    assert_eq!((drained.closed, drained.aborted), (0, 2));
    // `over` is cut to the deadline, so the second connection was asked half way.
    assert!(permits.iter().all(|permit| permit.closing().is_closing()));
    drop(permits);
    let connections = Connections::new();
    let permit = admit(&connections);
    let draining = tokio::spawn(connections.drain().over(Duration::ZERO).deadline(Duration::MAX).into_future());
    permit.closing().await;
    sleep(Duration::from_secs(2 * 365 * 24 * 3600)).await;
    drop(permit);
    assert_eq!(draining.await.unwrap(), Drained { closed: 1, aborted: 0 }, "no deadline comes first");
}

#[tokio::test]
async fn closing_resolves_once_the_last_permit_has_gone() {
    let (outer, inner) = (Connections::new(), Connections::new());
    let permit = admit(&outer);
    let within = inner.ask(&parts(), Some(inner.membership(&permit))).and_then(Asking::enter).unwrap().unwrap();
    let mut closing = Box::pin(within.closing());
    drop(within);
    assert!(futures_util::poll!(&mut closing).is_pending(), "a permit further out is there");
    drop(permit);
    assert!(futures_util::poll!(&mut closing).is_ready());
}

#[tokio::test]
async fn whoever_waits_for_the_last_finds_its_key_free() {
    let connections = Connections::new().limit_per(1, |_| None);
    for _ in 0..1000 {
        let permit = admit(&connections);
        let leaving = thread::spawn(move || drop(permit));
        while connections.len() > 0 {
            std::hint::spin_loop();
        }
        assert_eq!(connections.len_of(None), 0);
        leaving.join().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_ends_with_its_server_and_its_connections() {
    let start = Instant::now();
    let connections = Connections::new();
    let shutdown = connections.graceful_shutdown(sleep(Duration::from_secs(1)));
    let (signal, late) = (shutdown.signal(), shutdown.signal());
    let permit = admit(&connections);
    let server = async {
        signal.await;
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        // The last request.
        sleep(Duration::from_secs(2)).await;
        drop(permit);
        sleep(Duration::from_secs(2)).await;
        Ok::<_, &str>(())
    };
    let drained = shutdown.serve(server).await.unwrap();
    assert_eq!((drained.closed, drained.aborted, start.elapsed()), (1, 0, Duration::from_secs(5)));
    late.await;
    assert!(matches!(connections.ask(&parts(), None).and_then(Asking::enter), Err(Full::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_waits_for_no_server_beyond_its_deadline() {
    let start = Instant::now();
    let connections = Connections::new();
    let permit = admit(&connections);
    let shutdown = connections.graceful_shutdown(sleep(Duration::from_secs(1)));
    let drained = shutdown.serve(std::future::pending::<Result<(), &str>>()).await.unwrap();
    assert_eq!((drained.closed, drained.aborted, start.elapsed()), (0, 1, Duration::from_secs(26)), "the default");
    assert!(permit.is_ended());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_by_itself_begins_the_shutdown_and_one_that_fails_does_not() {
    let connections = Connections::new();
    let permit = admit(&connections);
    let failing = connections.graceful_shutdown(std::future::pending()).serve(async { Err("no more files") });
    assert_eq!(failing.await, Err("no more files"));
    assert!(!permit.closing().is_closing());

    let shutdown = connections.graceful_shutdown(std::future::pending()).over(Duration::ZERO).deadline(Duration::ZERO);
    let drained = shutdown.serve(async { Ok::<_, &str>(()) }).await.unwrap();
    assert_eq!((drained.closed, drained.aborted), (0, 1));

    // After the signal, `serve` returns an error only when the drain is over.
    let connections = Connections::new();
    let permit = admit(&connections);
    let shutdown = connections.graceful_shutdown(std::future::ready(())).deadline(Duration::from_secs(3));
    let start = Instant::now();
    assert_eq!(shutdown.serve(async { Err("too late") }).await, Err("too late"));
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_nothing_until_it_is_awaited() {
    let connections = Connections::new();
    let drain = connections.drain();
    assert_eq!(format!("{drain:?}"), "Drain { over: 15s, deadline: 25s, .. }");
    let permit = admit(&connections);
    assert!(!permit.closing().is_closing());
    drop(permit);
    assert_eq!(drain.await, Drained { closed: 0, aborted: 0 });
}

/// Otherwise 100,000 connections are signalled in one go, and nothing else runs on that thread meanwhile.
#[tokio::test(start_paused = true)]
async fn a_drain_lets_others_have_their_turn() {
    let connections = Connections::new();
    let permits: Vec<_> = (0..1000).map(|_| admit(&connections)).collect();
    let count = |is: fn(&ConnectionPermit) -> bool| permits.iter().filter(|permit| is(permit)).count();
    let is_closing = |permit: &ConnectionPermit| permit.closing().is_closing();
    let drain = connections.drain().over(Duration::ZERO).deadline(Duration::from_secs(1));
    let draining = tokio::spawn(drain.into_future());
    yield_now().await;
    assert_eq!(count(is_closing), 128, "asked in the first turn");
    sleep(Duration::from_millis(500)).await;
    assert_eq!((count(is_closing), count(ConnectionPermit::is_ended)), (1000, 0));
    sleep(Duration::from_millis(500)).await;
    yield_now().await;
    assert_eq!(count(ConnectionPermit::is_ended), 128, "ended in the first turn");
    assert_eq!(draining.await.unwrap().aborted, 1000);
    assert_eq!(count(ConnectionPermit::is_ended), 1000);
}

#[test]
fn one_of_several_that_leaves_gives_one_of_its_key_back() {
    let connections = Connections::new().limit_per(3, |_| None);
    let permits = [admit(&connections), admit(&connections), admit(&connections)];
    for (left, permit) in [2, 1, 0].into_iter().zip(permits) {
        assert!(matches!(connections.ask(&parts(), None).and_then(Asking::enter), Err(Full::KeyLimit)) == (left == 2));
        drop(permit);
        assert_eq!(connections.len_of(None), left);
    }
}

/// loom's model of this race treats `SeqCst` as acquire and release, so Miri runs this test with many seeds.
#[test]
fn a_wait_that_is_over_has_seen_every_connection() {
    let connections = Connections::new();
    thread::scope(|scope| {
        // The permit comes back, so the connection stays.
        let entering = scope.spawn(|| connections.ask(&parts(), None).and_then(Asking::enter));
        let closing = scope.spawn(|| {
            connections.close();
            connections.wait().now_or_never().is_some()
        });
        let entered = entering.join().unwrap();
        assert!(!(closing.join().unwrap() && entered.is_ok()), "let in, and not waited for");
    });
}
