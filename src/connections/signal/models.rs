use std::{future::poll_fn, task::Waker};

use loom::{future::block_on, model, thread};

use super::*;

/// Waits for the end of one half, as a read or a write that finds nothing does.
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
        signal.close();
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
            move || signal.close()
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
