//! Clients that the server has to serve during a flood.

use std::{
    mem,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::support::{ask_with, status};

/// Clients that come one after the other. Each sends a handshake and a byte that has to come back.
pub(super) struct Visitors {
    took: Arc<Mutex<Vec<Duration>>>,
    stopped: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Visitors {
    pub(super) fn start(address: SocketAddr, path: &'static str) -> Self {
        let took = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(visit(address, path, Arc::clone(&took), Arc::clone(&stopped)));
        Self { took, stopped, task }
    }

    /// The number of visits since the percentiles were last read.
    pub(super) fn count(&self) -> usize {
        self.took.lock().unwrap().len()
    }

    /// The 50th and the 99th percentile of the visits since the last call.
    pub(super) fn percentiles(&self) -> [Duration; 2] {
        let mut took = mem::take(&mut *self.took.lock().unwrap());
        took.sort();
        [50, 99].map(|percent| took.get(took.len() * percent / 100).copied().unwrap_or_default())
    }

    pub(super) async fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.expect("everybody else is served");
    }
}

async fn visit(address: SocketAddr, path: &str, took: Arc<Mutex<Vec<Duration>>>, stopped: Arc<AtomicBool>) {
    // Each visitor has another address.
    for [.., high, low] in (0_u32..).map(u32::to_be_bytes) {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let header = format!("X-Forwarded-For: 198.51.{high}.{low}\r\n");
        let start = Instant::now();
        let mut stream = ask_with(address, path, &header).await;
        assert_eq!(status(&mut stream).await, 101);
        stream.write_all(b"!").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        took.lock().unwrap().push(start.elapsed());
        drop(stream);
        sleep(Duration::from_millis(5)).await;
    }
}
