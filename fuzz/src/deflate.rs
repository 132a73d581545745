//! permessage-deflate, implemented a second time (RFC 7692 §7.1).

use crate::{extension::name_and_value, oracle::split};

/// Parameters of permessage-deflate: of an offer, of an answer, or the terms of a server, which are all set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Params {
    pub(crate) server_forgets: bool,
    pub(crate) client_forgets: bool,
    pub(crate) server_bits: Option<u8>,
    pub(crate) client_bits: Option<u8>,
}

impl Params {
    /// RFC 7692 §7.1: `None` if a parameter is unknown, repeated, or has an invalid value.
    pub(crate) fn read(extension: &[u8], is_answer: bool) -> Option<Self> {
        let [b"permessage-deflate", parameters @ ..] = &split(extension, b';')[..] else { return None };
        let mut read = Self::default();
        for parameter in parameters {
            let (name, value) = name_and_value(parameter)?;
            let bits = value.as_deref().and_then(window_bits);
            let is_new = match (name, value.is_some(), bits) {
                (b"server_no_context_takeover", false, _) => !std::mem::replace(&mut read.server_forgets, true),
                (b"client_no_context_takeover", false, _) => !std::mem::replace(&mut read.client_forgets, true),
                (b"server_max_window_bits", _, Some(bits)) => read.server_bits.replace(bits).is_none(),
                (b"client_max_window_bits", _, Some(bits)) => read.client_bits.replace(bits).is_none(),
                (b"client_max_window_bits", false, _) if !is_answer => read.client_bits.replace(15).is_none(),
                _ => false,
            };
            is_new.then_some(())?;
        }
        Some(read)
    }

    /// RFC 7692 §7.1.1, §7.1.2: demands on the server are met, and the client gets only parameters that it offered to accept.
    pub(crate) fn stays_within(self, offer: Self) -> bool {
        let demands_met = (self.server_forgets || !offer.server_forgets)
            && offer.server_bits.is_none_or(|most| self.server_bits.is_some_and(|bits| bits <= most));
        demands_met && self.client_bits.is_none_or(|bits| offer.client_bits.is_some_and(|most| bits <= most))
    }
}

fn window_bits(value: &[u8]) -> Option<u8> {
    (8..=15).find(|bits: &u8| bits.to_string().as_bytes() == value)
}
