//! The task that applies the lifetimes of all connections.

use std::sync::{Arc, Weak};

use tokio::{runtime::Handle, task::yield_now, time::sleep};

use super::{
    registry::{BETWEEN_YIELDS, Registry, SHARDS},
    signal::{Signal, Turn},
    tick::Tick,
};
use crate::sync::atomic::Ordering;

/// Called when a connection begins.
pub(super) fn begin(registry: &Arc<Registry>, signal: &Signal) {
    registry.sweeper.remember_runtime();
    if let Some(due) = registry.lifetimes.due() {
        signal.age_at(due);
    }
    if registry.lifetimes.are_set() || registry.sweeper.is_needed.load(Ordering::Relaxed) {
        run(registry);
    }
}

/// Called when a connection is closed or gets an expiry time. Starts the sweeping task, unless it runs.
pub(super) fn start(registry: &Arc<Registry>) {
    registry.sweeper.is_needed.store(true, Ordering::Relaxed);
    run(registry);
}

fn run(registry: &Arc<Registry>) {
    // The task runs already for nearly every connection.
    if registry.sweeper.is_running.load(Ordering::Acquire) {
        return;
    }
    // Without a runtime there are no connections to sweep, because hyper needs a runtime too.
    for runtime in [registry.sweeper.runtime(), Handle::try_current().ok()].into_iter().flatten() {
        run_on(registry, &runtime);
    }
}

/// Starts the task on `runtime`. A runtime that has ended drops the task at once.
fn run_on(registry: &Arc<Registry>, runtime: &Handle) {
    if !registry.sweeper.is_running.swap(true, Ordering::AcqRel) {
        runtime.spawn(Sweeping(Arc::downgrade(registry)).run());
    }
}

/// A task that sweeps for as long as the registry exists.
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
    /// Runs also when the task's runtime ends before others do. The task then starts again on the runtime of the newest connection.
    fn drop(&mut self) {
        let Some(registry) = self.0.upgrade() else { return };
        registry.sweeper.is_running.store(false, Ordering::Release);
        // The newest connection's runtime may be the one that ends. Then the next task is dropped at once, and finds no runtime.
        if let Some(runtime) = registry.sweeper.take_runtime() {
            run_on(&registry, &runtime);
        }
    }
}

#[cfg(test)]
mod tests;
