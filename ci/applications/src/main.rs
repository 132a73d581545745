mod chat;
mod chat_on_stream;
mod graphql;
mod graphql_axum;
mod graphql_stream;
mod graphql_juniper;
mod salvo_app;
mod socketio;
mod warp_app;
#[cfg(test)]
mod visitor;
fn main() {}
mod axum_07;
