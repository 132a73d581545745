//! The committed corpora, on stable: what a target has found once never comes back.

use std::{
    fs,
    panic::{self, catch_unwind},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use ws_handshake_fuzz::TARGETS;

/// A panic anywhere counts, in a task that tokio catches it in too, as it does under libFuzzer.
static PANICKED: AtomicBool = AtomicBool::new(false);

#[test]
fn corpora_hold() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Relaxed);
        default(info);
    }));
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
        let mut count = 0;
        for input in inputs {
            let path = input.unwrap().path();
            let data = fs::read(&path).unwrap();
            let returned = catch_unwind(|| target(&data)).is_ok();
            assert!(returned && !PANICKED.load(Relaxed), "{}", path.display());
            count += 1;
        }
        assert!(count > 0, "{} is empty", corpus.display());
        println!("{name}: {count} inputs");
    }
}
