//! The rules of this server: which origins, hosts, subprotocols and compression it accepts.

mod allow_host;
mod allow_origin;
mod config_error;
mod decide;
mod entry;
mod host_pattern;
mod origin_list;
mod origin_pattern;
mod permessage_deflate;
mod subprotocols;

pub use self::{
    allow_host::AllowHost,
    allow_origin::AllowOrigin,
    config_error::ConfigError,
    decide::{Deciding, Policy},
    origin_list::OriginList,
    origin_pattern::OriginPattern,
    permessage_deflate::PermessageDeflate,
    subprotocols::Subprotocols,
};
