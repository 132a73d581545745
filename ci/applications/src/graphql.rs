//! The schema that both endpoints of async-graphql serve: one query, and a subscription that counts down.

use async_graphql::{EmptyMutation, Object, Schema, Subscription};
use futures_util::{Stream, stream};

pub(crate) type AppSchema = Schema<Query, EmptyMutation, Subscriptions>;

pub(crate) fn schema() -> AppSchema {
    Schema::new(Query, EmptyMutation, Subscriptions)
}

pub(crate) struct Query;

#[Object]
impl Query {
    async fn greeting(&self) -> &'static str {
        "hello"
    }
}

pub(crate) struct Subscriptions;

#[Subscription]
impl Subscriptions {
    async fn left(&self, from: u32) -> impl Stream<Item = u32> {
        stream::iter((0..from).rev())
    }

    /// Never yields, like a subscription to rare events.
    async fn silence(&self) -> impl Stream<Item = u32> {
        stream::pending()
    }
}
