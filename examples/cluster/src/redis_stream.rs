//! The broker of many nodes: a Redis stream that every node follows.
//!
//! Not `PUBLISH`, which reaches only clients that are connected at that moment. A stream keeps the messages, and numbers them.

use std::{convert::Infallible, time::Duration};

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection, cmd};
use tokio::{
    sync::{broadcast, watch},
    time::sleep,
};

use super::broker::{KEPT, Later, QUEUE, Said};

const STREAM: &str = "chat";

/// How long Redis waits for new messages before it answers with none, in milliseconds. Also the limit for any other answer.
const BLOCK: u64 = 2000;
const TIMEOUT: Duration = Duration::from_secs(5);

const RETRY: Duration = Duration::from_millis(500);

pub(super) struct RedisStream {
    link: watch::Receiver<Option<Link>>,
}

/// Exists while Redis is connected. When Redis is lost, all listeners end, and their clients come back by themselves.
struct Link {
    commands: MultiplexedConnection,
    live: broadcast::Sender<Said>,
}

/// One entry of the stream: its id, and its only field.
type Entry = (String, (String, String));

impl RedisStream {
    /// Connects, and reconnects when the connection is lost, for as long as this runtime runs.
    pub(super) fn follow(url: &str) -> RedisResult<Self> {
        let client = Client::open(url)?;
        let (holder, link) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let Err(error) = follow(&client, &holder).await;
                eprintln!("Redis is gone: {error}");
                holder.send_replace(None);
                sleep(RETRY).await;
            }
        });
        Ok(Self { link })
    }

    pub(super) fn subscribe(&self) -> Result<broadcast::Receiver<Said>, Later> {
        self.link.borrow().as_ref().map(|link| link.live.subscribe()).ok_or(Later::Gone)
    }

    pub(super) async fn say(&self, message: &str) -> Result<u64, Later> {
        let mut add = cmd("XADD");
        // `0-*` numbers from 0-1 without a gap. `*` would use the time.
        add.arg(STREAM).arg("MAXLEN").arg("~").arg(KEPT).arg("0-*").arg("said").arg(message);
        let added: RedisResult<String> = add.query_async(&mut self.commands()?).await;
        added.map(|id| number(&id)).map_err(|error| gone(&error))
    }

    pub(super) async fn newest(&self) -> Result<u64, Later> {
        newest(&mut self.commands()?).await.map_err(|error| gone(&error))
    }

    pub(super) async fn kept(&self, first: u64) -> Result<Vec<Said>, Later> {
        let mut range = cmd("XRANGE");
        range.arg(STREAM).arg(format!("0-{first}")).arg("+");
        let entries: RedisResult<Vec<Entry>> = range.query_async(&mut self.commands()?).await;
        Ok(entries.map_err(|error| gone(&error))?.into_iter().map(said).collect())
    }

    fn commands(&self) -> Result<MultiplexedConnection, Later> {
        self.link.borrow().as_ref().map(|link| link.commands.clone()).ok_or(Later::Gone)
    }
}

/// Passes messages on, until Redis is gone.
async fn follow(client: &Client, holder: &watch::Sender<Option<Link>>) -> RedisResult<Infallible> {
    // By default, an answer may take half a second, which is less than `XREAD` waits. `XREAD` also blocks its connection.
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(TIMEOUT));
    let mut commands = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut following = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut last = newest(&mut commands).await?;
    let live = broadcast::Sender::new(QUEUE);
    holder.send_replace(Some(Link { commands, live: live.clone() }));
    loop {
        let mut read = cmd("XREAD");
        read.arg("BLOCK").arg(BLOCK).arg("STREAMS").arg(STREAM).arg(format!("0-{last}"));
        let streams: Option<Vec<(String, Vec<Entry>)>> = read.query_async(&mut following).await?;
        for said in streams.into_iter().flatten().flat_map(|(_, entries)| entries).map(said) {
            last = said.id;
            // An error says that nobody listens.
            let _ = live.send(said);
        }
    }
}

async fn newest(commands: &mut MultiplexedConnection) -> RedisResult<u64> {
    let entries: Vec<Entry> =
        cmd("XREVRANGE").arg(STREAM).arg("+").arg("-").arg("COUNT").arg(1).query_async(commands).await?;
    Ok(entries.first().map_or(0, |(id, _)| number(id)))
}

fn said((id, (_, message)): Entry) -> Said {
    Said::new(number(&id), &message)
}

/// The 17 of `0-17`.
fn number(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn gone(error: &redis::RedisError) -> Later {
    eprintln!("Redis has failed: {error}");
    Later::Gone
}
