use loom::{future::block_on, model, thread};

use super::*;

#[test]
fn nobody_is_let_in_once_close_and_wait_have_returned() {
    model(|| {
        let registry = Arc::new(Registry::new());
        let over = Arc::new(AtomicBool::new(false));
        let entering = thread::spawn({
            let (registry, over) = (Arc::clone(&registry), Arc::clone(&over));
            move || {
                let signal = Arc::default();
                if registry.enter(usize::MAX, &signal).is_ok() {
                    assert!(!over.load(Ordering::SeqCst), "let in after the wait");
                    registry.leave(&signal);
                }
            }
        });
        registry.close();
        block_on(registry.emptied());
        over.store(true, Ordering::SeqCst);
        entering.join().unwrap();
        assert_eq!(registry.open(), 0);
    });
}

#[test]
fn a_walk_after_the_close_finds_whoever_was_let_in() {
    model(|| {
        let registry = Arc::new(Registry::new());
        let entering = thread::spawn({
            let registry = Arc::clone(&registry);
            move || registry.enter(usize::MAX, &Arc::default()).is_ok()
        });
        registry.close();
        let found = registry.signals().len();
        let entered = entering.join().unwrap();
        assert_eq!(found, usize::from(entered));
    });
}

#[test]
fn whoever_waits_hears_of_the_last_of_two_that_leave() {
    model(|| {
        let registry = Arc::new(Registry::new());
        let signals = [Arc::default(), Arc::default()];
        for signal in &signals {
            registry.enter(usize::MAX, signal).unwrap();
        }
        let leaving = signals.map(|signal| {
            let registry = Arc::clone(&registry);
            thread::spawn(move || registry.leave(&signal))
        });
        block_on(registry.emptied());
        assert_eq!(registry.open(), 0);
        for leaving in leaving {
            leaving.join().unwrap();
        }
    });
}

#[test]
fn a_limit_of_one_lets_one_in() {
    model(|| {
        let registry = Arc::new(Registry::new());
        let other = thread::spawn({
            let registry = Arc::clone(&registry);
            move || registry.enter(1, &Arc::default()).is_ok()
        });
        let one = registry.enter(1, &Arc::default()).is_ok();
        assert_eq!(usize::from(one) + usize::from(other.join().unwrap()), 1);
        assert_eq!(registry.open(), 1);
    });
}
