use std::{future::poll_fn, task::Waker};

use loom::{future::block_on, model, thread};

use super::*;

/// Waits until one half is ended, like a read or a write that has nothing to do.
async fn ended(signal: &Signal, half: Half) {
    poll_fn(|cx| if signal.poll_ended(cx, half) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[test]
fn both_halves_hear_of_the_end() {
    model(|| {
        let signal = Arc::new(Signal::default());
        let waiting = [Half::Read, Half::Write].map(|half| {
            let signal = Arc::clone(&signal);
            thread::spawn(move || block_on(ended(&signal, half)))
        });
        signal.end();
        for half in waiting {
            half.join().unwrap();
        }
    });
}

#[test]
fn a_stream_that_moved_to_another_task_hears_of_the_end_there() {
    model(|| {
        let signal = Arc::new(Signal::default());
        let before = signal.poll_ended(&Context::from_waker(Waker::noop()), Half::Read);
        assert!(!before);
        let moved = thread::spawn({
            let signal = Arc::clone(&signal);
            move || block_on(ended(&signal, Half::Read))
        });
        signal.end();
        moved.join().unwrap();
    });
}

#[test]
fn whoever_waits_hears_of_the_close_also_where_others_come_and_go() {
    model(|| {
        let signal = Arc::new(Signal::default());
        let waiting = thread::spawn({
            let closing = Closing::of(&signal);
            move || block_on(closing)
        });
        let leaving = thread::spawn({
            let mut closing = Closing::of(&signal);
            move || {
                let _ = Pin::new(&mut closing).poll(&mut Context::from_waker(Waker::noop()));
                drop(closing);
            }
        });
        signal.close(CloseReason::Drain);
        waiting.join().unwrap();
        leaving.join().unwrap();
    });
}

#[test]
fn a_close_beside_an_end_undoes_nothing() {
    model(|| {
        let signal = Arc::new(Signal::default());
        let reading = thread::spawn({
            let signal = Arc::clone(&signal);
            move || block_on(ended(&signal, Half::Read))
        });
        let closing = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.close(CloseReason::Drain)
        });
        signal.end();
        reading.join().unwrap();
        closing.join().unwrap();
        assert!(signal.is_ended() && signal.is_closing());
    });
}

#[test]
fn the_last_permit_to_go_closes() {
    model(|| {
        let signal = Arc::new(Signal::default());
        signal.hold();
        signal.hold();
        let other = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.release()
        });
        let waiting = thread::spawn({
            let closing = Closing::of(&signal);
            move || block_on(closing)
        });
        signal.release();
        other.join().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn what_a_peer_sends_beside_a_sweep_is_heard_by_the_next_one() {
    model(|| {
        let (signal, start) = (Arc::new(Signal::default()), Tick::now());
        signal.watch();
        assert_eq!(signal.turn(start, Some(10)), None);
        let sweeping = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.turn(start.after(10), Some(10))
        });
        signal.hear();
        let beside = sweeping.join().unwrap();
        assert!(matches!(beside, None | Some(Turn::Close(CloseReason::IdleTimeout))), "{beside:?}");
        assert_eq!(signal.turn(start.after(19), Some(10)), None, "it has been heard since");
    });
}

#[test]
fn an_end_that_is_set_comes_no_sooner_for_an_age_that_is_set_meanwhile() {
    model(|| {
        let (signal, start) = (Arc::new(Signal::default()), Tick::now());
        let leaving = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.leave(CloseReason::IdleTimeout, start.after(100))
        });
        signal.age_at(start.after(10));
        signal.expire_at(Some(start.after(10)));
        leaving.join().unwrap();
        assert_eq!(signal.turn(start.after(99), None), None);
        assert_eq!(signal.turn(start.after(100), None), Some(Turn::End));
    });
}

#[test]
fn of_two_reasons_at_once_everybody_hears_the_same_one() {
    model(|| {
        let signal = Arc::new(Signal::default());
        let waiting = thread::spawn({
            let mut closing = Closing::of(&signal);
            move || {
                block_on(&mut closing);
                closing.reason()
            }
        });
        let leaving = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.leave(CloseReason::MaxAge, Tick::now().after(100))
        });
        signal.close(CloseReason::Drain);
        leaving.join().unwrap();
        assert_eq!(waiting.join().unwrap(), signal.reason());
        assert!(signal.reason().is_some());
    });
}
