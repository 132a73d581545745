//! What the nodes share: all that is said, numbered from 1 without a gap, of which the newest part is kept.

use std::{collections::VecDeque, fmt};

use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{in_process::InProcess, redis_stream::RedisStream};

/// How many messages are kept for clients that come back. One that has missed more is told so.
pub(super) const KEPT: usize = 1000;

/// How many messages a client may be behind those that its node has. All clients of a node share this queue.
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

/// Why a client is to come back later.
#[derive(Debug, PartialEq)]
pub(super) enum Later {
    /// The broker cannot be reached. What was to be said may have been or not.
    Gone,
    /// The client does not take what is said as fast as it is said.
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

    /// Gives the message's number, once it is kept for all to hear.
    pub(super) async fn say(&self, message: &str) -> Result<u64, Later> {
        match self {
            Self::InProcess(broker) => Ok(broker.say(message)),
            Self::Redis(broker) => broker.say(message).await,
        }
    }

    /// Continues behind the message `since`; without one, with what is said next.
    pub(super) async fn listen(&self, since: Option<u64>) -> Result<Listener, Later> {
        // First this, then what is kept, so that no message is in neither. `Listener::next` skips those that are in both.
        let live = self.subscribe()?;
        let newest = self.newest().await?;
        let Some(since) = since else {
            return Ok(Listener { at: newest, until: newest, lost: false, missed: VecDeque::new(), live });
        };
        // A `since` that nobody has said is from before the broker was emptied.
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

    /// What is kept, beginning with the message `first`.
    async fn kept(&self, first: u64) -> Result<Vec<Said>, Later> {
        match self {
            Self::InProcess(broker) => Ok(broker.kept(first)),
            Self::Redis(broker) => broker.kept(first).await,
        }
    }
}

/// What one client hears: what it has missed, then what is said.
pub(super) struct Listener {
    at: u64,
    until: u64,
    lost: bool,
    missed: VecDeque<Said>,
    live: broadcast::Receiver<Said>,
}

impl Listener {
    /// Where it begins, and how far it is behind.
    pub(super) fn greeting(&self) -> String {
        format!(r#"{{"since":{},"until":{},"lost":{}}}"#, self.at, self.until, self.lost)
    }

    /// The next message. Dropped before it is ready, it has lost none.
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
