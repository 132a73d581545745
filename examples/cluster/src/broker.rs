//! Data that the nodes share: all messages, numbered from 1 without a gap. The newest messages are kept.

use std::{collections::VecDeque, fmt};

use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{in_process::InProcess, redis_stream::RedisStream};

/// The number of messages that are kept for clients that come back. A client that has missed more is told so.
pub(super) const KEPT: usize = 1000;

/// How many messages a client may lag behind its node. All clients of a node share this queue.
pub(super) const QUEUE: usize = 256;

/// One message, as it is sent.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) id: u64,
    pub(super) frame: Utf8Bytes,
}

impl Said {
    /// `message` is JSON.
    pub(super) fn new(id: u64, message: &str) -> Self {
        Self { id, frame: format!(r#"{{"id":{id},"said":{message}}}"#).into() }
    }
}

/// Why a client should come back later.
#[derive(Debug, PartialEq)]
pub(super) enum Later {
    /// The broker cannot be reached. The message may or may not have been stored.
    Gone,
    /// The client reads more slowly than others speak.
    Behind,
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "this node cannot reach the others",
            Self::Behind => "you are too far behind",
        })
    }
}

pub(super) enum Broker {
    InProcess(InProcess),
    Redis(RedisStream),
}

impl Broker {
    pub(super) fn is_there(&self) -> bool {
        self.subscribe().is_ok()
    }

    /// Stores a message for all to hear, and returns its number.
    pub(super) async fn say(&self, message: &str) -> Result<u64, Later> {
        match self {
            Self::InProcess(broker) => Ok(broker.say(message)),
            Self::Redis(broker) => broker.say(message).await,
        }
    }

    /// Continues after the message `since`. Without `since`, starts with the next message.
    pub(super) async fn listen(&self, since: Option<u64>) -> Result<Listener, Later> {
        // Subscribe first and then read the kept messages, so that no message is missed. `Listener::next` skips messages that are in both.
        let live = self.subscribe()?;
        let newest = self.newest().await?;
        let Some(since) = since else {
            return Ok(Listener { at: newest, until: newest, lost: false, missed: VecDeque::new(), live });
        };
        // If no message has the number `since`, the number is from before the broker was emptied.
        let known = since <= newest;
        let missed = VecDeque::from(self.kept(if known { since + 1 } else { 1 }).await?);
        let first = missed.front().map_or(newest + 1, |said| said.id);
        let until = missed.back().map_or(newest, |said| said.id);
        Ok(Listener { at: first - 1, until, lost: !known || first > since + 1, missed, live })
    }

    fn subscribe(&self) -> Result<broadcast::Receiver<Said>, Later> {
        match self {
            Self::InProcess(broker) => Ok(broker.subscribe()),
            Self::Redis(broker) => broker.subscribe(),
        }
    }

    /// The number of the last message; 0 before the first.
    async fn newest(&self) -> Result<u64, Later> {
        match self {
            Self::InProcess(broker) => Ok(broker.newest()),
            Self::Redis(broker) => broker.newest().await,
        }
    }

    /// The kept messages, from the message `first` on.
    async fn kept(&self, first: u64) -> Result<Vec<Said>, Later> {
        match self {
            Self::InProcess(broker) => Ok(broker.kept(first)),
            Self::Redis(broker) => broker.kept(first).await,
        }
    }
}

/// The messages for one client: first the missed ones, then new ones.
pub(super) struct Listener {
    at: u64,
    until: u64,
    lost: bool,
    missed: VecDeque<Said>,
    live: broadcast::Receiver<Said>,
}

impl Listener {
    /// Where this listener begins, and how far it lags.
    pub(super) fn greeting(&self) -> String {
        format!(r#"{{"since":{},"until":{},"lost":{}}}"#, self.at, self.until, self.lost)
    }

    /// Returns the next message. If the future is dropped early, no message is lost.
    pub(super) async fn next(&mut self) -> Result<Said, Later> {
        if let Some(said) = self.missed.pop_front() {
            self.at = said.id;
            return Ok(said);
        }
        loop {
            let said = self.live.recv().await.map_err(|error| match error {
                broadcast::error::RecvError::Closed => Later::Gone,
                broadcast::error::RecvError::Lagged(_) => Later::Behind,
            })?;
            if said.id > self.at + 1 {
                return Err(Later::Behind);
            }
            if said.id == self.at + 1 {
                self.at = said.id;
                return Ok(said);
            }
        }
    }
}
