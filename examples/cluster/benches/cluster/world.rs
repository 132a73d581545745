//! State that the clients share: where they connect, when they talk, and the results.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

pub(super) struct World {
    pub(super) public: SocketAddr,
    leaving: watch::Sender<bool>,
    log: Mutex<Log>,
    heard: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Log {
    /// Whether clients may say more.
    speaking: bool,
    /// How many clients are connected, and have been greeted.
    pub(super) open: usize,
    /// When each client was greeted again, and how long after the close.
    pub(super) back: Vec<(Instant, Duration)>,
    /// Handshakes that were refused, or had no answer.
    pub(super) refused: usize,
    /// The close codes of connections; 1006 means without a close frame.
    pub(super) codes: BTreeMap<u16, usize>,
    /// Messages that were sent and not acknowledged.
    pub(super) unsaid: usize,
    /// Messages that clients got late, after reconnecting.
    pub(super) late: usize,
    /// Messages that had to be sent again, and those found among the missed messages.
    pub(super) again: usize,
    pub(super) found: usize,
    pub(super) acknowledged: Vec<u32>,
}

impl World {
    pub(super) fn new(public: SocketAddr) -> Self {
        Self { public, leaving: watch::Sender::new(false), log: Mutex::default(), heard: AtomicUsize::new(0) }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    pub(super) fn speak(&self, speak: bool) {
        self.log().speaking = speak;
    }

    /// Counts a message that a client is about to say, if it may.
    pub(super) fn begins(&self) -> bool {
        let mut log = self.log();
        log.unsaid += usize::from(log.speaking);
        log.speaking
    }

    pub(super) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    pub(super) fn leaving(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }

    pub(super) fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) -> usize {
        self.log().open
    }

    pub(super) fn unsaid(&self) -> usize {
        self.log().unsaid
    }

    pub(super) fn acknowledged(&self) -> Vec<u32> {
        self.log().acknowledged.clone()
    }

    pub(super) async fn until(&self, what: &str, is: impl Fn() -> bool) {
        let start = Instant::now();
        while !is() {
            assert!(
                start.elapsed() < Duration::from_secs(45),
                "{what}: not yet, with {} connected, {} unsaid and {} heard",
                self.open(),
                self.unsaid(),
                self.heard()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}
