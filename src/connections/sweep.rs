//! The task that looks after the lifetimes of all connections.

use std::sync::{Arc, Weak};

use tokio::{runtime::Handle, task::yield_now, time::sleep};

use super::{
    registry::{BETWEEN_YIELDS, Registry, SHARDS},
    signal::{Signal, Turn},
    tick::Tick,
};
use crate::sync::atomic::Ordering;

/// A connection has been let in.
pub(super) fn begin(registry: &Arc<Registry>, signal: &Signal) {
    if !registry.lifetimes.are_set() {
        return;
    }
    if let Some(due) = registry.lifetimes.due() {
        signal.age_at(due);
    }
    start(registry);
}

/// Has a task sweep, if none does.
pub(super) fn start(registry: &Arc<Registry>) {
    if registry.swept.swap(true, Ordering::AcqRel) {
        return;
    }
    let sweeping = Sweeping(Arc::downgrade(registry));
    // Without a runtime there is no stream either: hyper's connection needs one.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(sweeping.run());
    }
}

/// A task that sweeps, for as long as there is a registry.
struct Sweeping(Weak<Registry>);

impl Sweeping {
    async fn run(self) {
        while let Some(interval) = self.0.upgrade().map(|registry| registry.lifetimes.interval()) {
            sleep(interval).await;
            for shard in 0..SHARDS {
                let Some(registry) = self.0.upgrade() else { return };
                let now = Tick::now();
                let turns = registry.turns(shard, now, registry.lifetimes.idle_timeout());
                let end = registry.lifetimes.end(now);
                drop(registry);
                for (count, (signal, turn)) in (1_u32..).zip(turns) {
                    match turn {
                        Turn::Close(reason) => signal.leave(reason, end),
                        Turn::End => {
                            signal.end();
                        }
                    }
                    if count % BETWEEN_YIELDS == 0 {
                        yield_now().await;
                    }
                }
                yield_now().await;
            }
        }
    }
}

impl Drop for Sweeping {
    /// Also where its runtime ends before others do: the next connection then has another task sweep.
    fn drop(&mut self) {
        if let Some(registry) = self.0.upgrade() {
            registry.swept.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
