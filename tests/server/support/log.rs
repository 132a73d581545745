//! Collects what is logged on a thread.

use std::{
    cell::RefCell,
    io::{self, Write as _},
    sync::Once,
};

use tracing::{Level, span::Id};
use tracing_subscriber::{
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

thread_local! {
    /// What was traced on this thread, on which a test's runtime runs all its tasks.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct ThisThread;

impl io::Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Traces everything. One subscriber serves all threads: what is set for one alone may miss what another has turned off.
pub(crate) fn trace() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| ThisThread).with_ansi(false);
        let subscriber = subscriber.with_max_level(Level::DEBUG).finish().with(Follows);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LOG.take();
}

/// Without the ids of connections, which differ from run to run.
pub(crate) fn logged() -> String {
    let text = logged_with_ids();
    let mut parts = text.split("id=");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, part| match part.split_at_checked(9) {
        Some((id, rest)) if id.ends_with([' ', '}']) && u32::from_str_radix(&id[..8], 16).is_ok() => before + rest,
        _ => before + "id=" + part,
    })
}

pub(crate) fn logged_with_ids() -> String {
    String::from_utf8(LOG.take()).unwrap()
}

/// Says what the span of a connection follows from, as soon as it does.
struct Follows;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Follows {
    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        let name = |id| context.metadata(id).map_or("nothing", |metadata| metadata.name());
        LOG.with_borrow_mut(|log| writeln!(log, "{} follows from {}", name(span), name(follows)).unwrap());
    }
}
