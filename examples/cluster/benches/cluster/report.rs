//! The report, and the checks.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    CLIENTS,
    rebalance::{MAX_AGE, Rebalanced},
    world::World,
};

/// `--drain-over` of the guide's commands.
const OVER: Duration = Duration::from_secs(8);

/// How many times its even share a second may have, because other work may hold up the machine for a while. If all clients were closed at
/// once, a second would have about seven times that share.
const UNEVEN: f64 = 4.0;

pub(super) struct Phase {
    name: String,
    began: Instant,
    before: usize,
}

pub(super) struct Phased {
    name: String,
    took: Duration,
    back: usize,
    refused: usize,
    /// In the busiest second.
    most: usize,
    gap: Duration,
    middle: Duration,
}

impl Phase {
    pub(super) fn begin(name: String, world: &World) -> Self {
        Self { name, began: Instant::now(), before: world.log().refused }
    }

    pub(super) fn end(self, world: &World) -> Phased {
        let log = world.log();
        let mut back: Vec<_> = log.back.iter().filter(|(at, _)| *at >= self.began).copied().collect();
        back.sort();
        let within = |start: &Instant| {
            back.iter().filter(|(at, _)| at >= start && *at < *start + Duration::from_secs(1)).count()
        };
        let most = back.iter().map(|(at, _)| within(at)).max().unwrap_or_default();
        let mut gaps: Vec<_> = back.iter().map(|(_, gap)| *gap).collect();
        gaps.sort();
        Phased {
            name: self.name,
            took: self.began.elapsed(),
            back: back.len(),
            refused: log.refused - self.before,
            most,
            gap: gaps.last().copied().unwrap_or_default(),
            middle: gaps.get(gaps.len() / 2).copied().unwrap_or_default(),
        }
    }
}

impl Phased {
    fn even(&self) -> f64 {
        self.back as f64 / OVER.as_secs_f64()
    }
}

/// Checks that all clients heard the same messages, including each acknowledged message once.
pub(super) fn judge(acknowledged: &[u32], heard: &[Vec<u32>]) {
    let first = &heard[0];
    for (client, heard) in heard.iter().enumerate() {
        assert_eq!(heard, first, "client {client} has heard something else than client 0");
    }
    let once: HashSet<_> = first.iter().collect();
    assert_eq!(once.len(), first.len(), "a message was heard twice");
    for key in acknowledged {
        assert!(once.contains(key), "message {key} was acknowledged, and not heard");
    }
    let mut last = HashMap::new();
    for key in first {
        let before = last.insert(key / 1000, key);
        assert!(before.is_none_or(|before| before < key), "{key} was said after {before:?}, and heard before it");
    }
}

/// Checks that clients come back in the order in which they were closed, one after the other, at the first attempt.
pub(super) fn hold(phases: &[Phased], rebalanced: &Rebalanced) {
    assert_eq!(rebalanced.phase.refused, 0, "clients were refused while a node joined");
    for phase in phases {
        let Phased { name, back, refused, most, .. } = phase;
        assert!(*back > CLIENTS / 10, "{name} had no clients");
        assert!(*most as f64 <= UNEVEN * phase.even(), "{name}: {most} of {back} came back in one second");
        assert_eq!(*refused, 0, "{name}: clients were refused");
    }
}

pub(super) fn write(
    phases: &[Phased], redis: &Phased, rebalanced: &Rebalanced, messages: usize, world: &World,
) -> String {
    let log = world.log();
    let row = |phase: &Phased, even: String| {
        let Phased { name, took, back, refused, most, gap, middle } = phase;
        let [took, middle, gap] = [took, middle, gap].map(Duration::as_secs_f64);
        format!("| {name} | {took:.1} s | {back} | {even} | {most} | {refused} | {middle:.2} s | {gap:.2} s |\n")
    };
    let mut rows: String = phases.iter().map(|phase| row(phase, format!("{:.0}", phase.even()))).collect();
    rows.push_str(&row(redis, String::new()));
    let Rebalanced { took, before, after, phase } = rebalanced;
    let moved = [phase.middle, phase.gap].map(|gap| format!("{:.2}", gap.as_secs_f64()));
    let codes: Vec<_> = log.codes.iter().map(|(code, count)| format!("| closed with {code} | {count} |\n")).collect();
    TEXT.replace("{rows}", &rows)
        .replace("{clients}", &CLIENTS.to_string())
        .replace("{age}", &MAX_AGE.as_secs().to_string())
        .replace("{third}", &format!("{:.1}", took.as_secs_f64()))
        .replace("{before}", &format!("{before:?}"))
        .replace("{after}", &format!("{after:?}"))
        .replace("{moved}", &phase.back.to_string())
        .replace("{moved_most}", &phase.most.to_string())
        .replace("{moved_refused}", &phase.refused.to_string())
        .replace("{moved_middle}", &moved[0])
        .replace("{moved_gap}", &moved[1])
        .replace("{messages}", &messages.to_string())
        .replace("{heard}", &world.heard().to_string())
        .replace("{late}", &log.late.to_string())
        .replace("{again}", &log.again.to_string())
        .replace("{found}", &log.found.to_string())
        .replace("{codes}", &codes.concat())
}

const TEXT: &str = "\
# A rolling restart

`ci/cluster.sh --write` writes this file. Without `--write`, the script only checks. It starts three nodes of the example
`cluster` behind HAProxy, with a Redis, all on one machine with two cores, built without optimization, and connects {clients} clients. 20 of the clients say
something to all others every ten seconds. Then each node gets SIGTERM, closes its clients over 8 s, exits, and starts again. The next node follows
once the restarted node is healthy. Clients reconnect through HAProxy after a random time of up to a second, and HAProxy chooses the node. Then Redis
stops for two seconds, so that nodes cannot hear each other. In the end, a third node joins two others.

| Restarted | took | clients back | a second, on average | in the largest | refused | gap, median | gap, largest |
|---|---|---|---|---|---|---|---|
{rows}
A gap is the time that a client is away: from its close frame to the greeting of its next node, with its random wait. *Refused* are handshakes that
HAProxy or a node answered with 503. A restarted node gets clients only when other nodes close theirs, so the last one has none at first. Without
Redis, all clients are closed at once. Only their random waits spread them, and the waits double with each failure.

## A third node joins

Two nodes start again with `--max-age {age}`, and share all clients. Then the third node starts. Each client is asked to reconnect when its
connection is {age} s old, 10 % more or less. HAProxy sends the client to the node with the fewest clients. Without an age limit, the third node would
only get clients that are new, or that reconnect for another reason.

| | |
|---|---|
| until the third node holds 30 % of the clients | {third} s |
| clients of each node, when it joins | {before} |
| clients of each node, then | {after} |
| clients that connected again | {moved}, {moved_most} of them in the largest second |
| refused | {moved_refused} |
| gap, median and largest | {moved_middle} s, {moved_gap} s |

Here all clients connect within a few seconds, so most ages end within the same four seconds. In production, clients connect at any time. Then the
same number reconnects in each second, and the third node has its 30 % after about 30 % of the age.

## Messages

| | |
|---|---|
| messages acknowledged | {messages} |
| messages heard, by {clients} clients | {heard} |
| of them by reconnected clients, from the kept messages | {late} |
| sent again, because the acknowledgement was missing | {again} |
| found among the missed messages, because only the acknowledgement was lost | {found} |
{codes}
Every client has heard the same messages in the same order, each once, including every acknowledged message. Each node has exited by itself, with
status 0. The check fails if one of these is not true, if a client is refused while nodes restart or join, or if more than four times the average
number of clients reconnect in one second.
";
