//! A client: listens, reconnects, and speaks now and then.

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt, TryStreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use ws_handshake::{WsRequest, WsStream};

use super::{PAUSE, SPEAKERS, world::World};

type Socket = WebSocketStream<WsStream>;

/// Any message from the server: a greeting, a chat message or an acknowledgement.
#[derive(Deserialize)]
struct Sent<'a> {
    since: Option<u64>,
    until: Option<u64>,
    lost: Option<bool>,
    id: Option<u64>,
    #[serde(borrow)]
    said: Option<Said<'a>>,
    ack: Option<&'a str>,
}

#[derive(Deserialize)]
struct Said<'a> {
    key: &'a str,
}

pub(super) struct Client {
    number: usize,
    world: Arc<World>,
    /// The last message that this client has seen.
    seen: Option<u64>,
    /// The message at which this client has caught up, if known.
    until: Option<u64>,
    heard: Vec<u32>,
    /// A message that this client has sent, and that is not acknowledged.
    unsaid: Option<u32>,
    said: usize,
    left: Option<Instant>,
}

impl Client {
    pub(super) fn new(number: usize, world: Arc<World>) -> Self {
        Self { number, world, seen: None, until: None, heard: Vec::new(), unsaid: None, said: 0, left: None }
    }

    /// Returns the keys of all messages that the client heard, in order.
    pub(super) async fn run(mut self) -> Vec<u32> {
        // Speakers do not all speak at once.
        let mut pause = interval_at(Instant::now() + random(PAUSE), PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut attempt = 0;
        loop {
            let connected = self.connect().await;
            let Ok(mut socket) = connected else {
                self.world.log().refused += 1;
                attempt = (attempt + 1).min(2);
                sleep(random(Duration::from_secs(1 << attempt))).await;
                continue;
            };
            attempt = 0;
            self.until = None;
            let code = self.visit(&mut socket, &mut pause).await.unwrap_or(Some(1006));
            if self.until.is_some() {
                self.world.log().open -= 1;
            }
            let Some(code) = code else { return self.heard };
            *self.world.log().codes.entry(code).or_default() += 1;
            self.left.get_or_insert_with(Instant::now);
            sleep(random(Duration::from_secs(1))).await;
        }
    }

    async fn connect(&self) -> Result<Socket, Box<dyn Error + Send + Sync>> {
        let public = self.world.public;
        let connection = TcpStream::connect(public).await?;
        connection.set_nodelay(true)?;
        let since = self.seen.map(|seen| format!("?since={seen}")).unwrap_or_default();
        let request = WsRequest::new(format!("ws://{public}/chat{since}"))
            .origin(format!("http://{public}"))
            .subprotocols(["v1.chat"]);
        let (stream, _) = request.connect(connection).await?;
        Ok(stream.into_tungstenite(None).await?)
    }

    /// Listens and speaks until the server closes, and returns the close code; or until all clients leave.
    async fn visit(
        &mut self, socket: &mut Socket, pause: &mut Interval,
    ) -> Result<Option<u16>, Box<dyn Error + Send + Sync>> {
        let mut leaving = self.world.leaving();
        loop {
            tokio::select! {
                message = socket.try_next() => match message? {
                    Some(Message::Text(text)) => self.hear(serde_json::from_str(&text)?, socket).await?,
                    Some(Message::Close(frame)) => {
                        self.left = Some(Instant::now());
                        // Reading on sends the answer to the close.
                        while let Ok(Some(_)) = socket.try_next().await {}
                        return Ok(Some(frame.map_or(1005, |frame| frame.code.into())));
                    }
                    Some(_) => {}
                    None => return Ok(Some(1006)),
                },
                _ = pause.tick(), if self.number < SPEAKERS => {
                    if self.unsaid.is_none() && self.has_caught_up() && self.world.begins() {
                        let key = u32::try_from(self.number * 1000 + self.said)?;
                        self.said += 1;
                        self.unsaid = Some(key);
                        self.say(key, socket).await?;
                    }
                }
                () = async { drop(leaving.wait_for(|leaving| *leaving).await) } => {
                    socket.close(None).await?;
                    while let Ok(Some(_)) = socket.try_next().await {}
                    return Ok(None);
                }
            }
        }
    }

    fn has_caught_up(&self) -> bool {
        self.until.is_some() && self.seen >= self.until
    }

    async fn say(&self, key: u32, socket: &mut Socket) -> Result<(), Box<dyn Error + Send + Sync>> {
        let saying = json!({"key": key.to_string(), "from": self.number.to_string(), "text": "x".repeat(64)});
        Ok(socket.send(Message::text(saying.to_string())).await?)
    }

    async fn hear(&mut self, sent: Sent<'_>, socket: &mut Socket) -> Result<(), Box<dyn Error + Send + Sync>> {
        let had_caught_up = self.has_caught_up();
        if let Some(key) = sent.ack {
            self.acknowledged(key.parse()?);
        } else if sent.until.is_some() {
            self.greeted(&sent);
        } else if let Some(Said { key }) = sent.said {
            let key = key.parse()?;
            self.seen = sent.id;
            self.heard.push(key);
            self.world.hear();
            if !had_caught_up {
                self.world.log().late += 1;
                if self.unsaid == Some(key) {
                    self.world.log().found += 1;
                    self.acknowledged(key);
                }
            }
        }
        if let (false, true, Some(key)) = (had_caught_up, self.has_caught_up(), self.unsaid) {
            // The message was not among the missed ones, so it was not delivered.
            self.world.log().again += 1;
            self.say(key, socket).await?;
        }
        Ok(())
    }

    fn greeted(&mut self, greeting: &Sent<'_>) {
        assert_eq!(greeting.lost, Some(false));
        assert!(self.seen.is_none() || self.seen == greeting.since, "it continues somewhere else");
        self.seen = greeting.since;
        self.until = greeting.until;
        let mut log = self.world.log();
        log.open += 1;
        if let Some(left) = self.left.take() {
            log.back.push((Instant::now(), left.elapsed()));
        }
    }

    fn acknowledged(&mut self, key: u32) {
        assert_eq!(self.unsaid.take(), Some(key));
        let mut log = self.world.log();
        log.unsaid -= 1;
        log.acknowledged.push(key);
    }
}

/// A random time below `most`.
fn random(most: Duration) -> Duration {
    most.mul_f64(RandomState::new().hash_one(()) as f64 / u64::MAX as f64)
}
