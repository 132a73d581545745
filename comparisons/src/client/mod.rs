//! Clients, and the processes that they talk to.

mod connect;
mod server;

pub use self::{
    connect::{Client, Socket, offering},
    server::Server,
};
