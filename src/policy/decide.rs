//! Decides which handshakes are approved, and with which subprotocol and compression.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::request::Parts;

use super::{
    allow_host::AllowHost,
    allow_origin::{AllowOrigin, Answer, Judgement, is_cross_site},
    config_error::ConfigError,
    permessage_deflate::PermessageDeflate,
    subprotocols::{Selection, Subprotocols},
};
use crate::handshake::{
    ClientHandshake, OfferedSubprotocols, Rejection, RejectionKind, ReportedRejection, ServerHandshake, server::Extras,
};

/// The rules of this server: which clients may connect, and with which subprotocol and compression.
///
/// By default, same-origin pages and non-browser clients may connect, on any host, and no subprotocol is selected. `WsHandshakeLayer` has
/// the same settings. Use this type for servers without tower, or to share one policy between layers.
///
/// ```
/// use ws_handshake::{AllowHost, AllowOrigin, Policy, Subprotocols};
///
/// let policy = Policy::new()
///     .allow_origin(AllowOrigin::list(["https://app.example.com"])?)
///     .allow_host(AllowHost::list(["api.example.com"])?)
///     .subprotocols(Subprotocols::new(["v1.chat"])?);
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Policy {
    allow_origin: AllowOrigin,
    require_origin: bool,
    allow_host: Option<AllowHost>,
    subprotocols: Option<Subprotocols>,
    permessage_deflate: Option<PermessageDeflate>,
    report_only: bool,
}

impl Policy {
    /// Creates the default policy: same-origin pages and non-browser clients may connect.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which pages may connect, and replaces what was set before. The default is [`AllowOrigin::same_origin`].
    pub fn allow_origin(mut self, allow: impl Into<AllowOrigin>) -> Self {
        self.allow_origin = allow.into();
        self
    }

    /// Adds origins whose pages may connect. The origins set before stay: with the default, same-origin pages may connect too. Write each
    /// origin as in [`AllowOrigin::list`].
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for the first entry that can never match or matches too much.
    pub fn add_trusted_origins<I>(self, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        AllowOrigin::list(origins).map(|list| self.or_allow_origin(list))
    }

    pub(crate) fn or_allow_origin(mut self, list: AllowOrigin) -> Self {
        self.allow_origin = self.allow_origin.or(list);
        self
    }

    /// Whether to refuse requests without `Origin` (403). The default is `false`, because such requests come from non-browser clients.
    pub fn require_origin(mut self, require: bool) -> Self {
        self.require_origin = require;
        self
    }

    /// Sets which hosts a handshake may name (403 for others). The default is any host.
    pub fn allow_host(mut self, allow: impl Into<AllowHost>) -> Self {
        self.allow_host = Some(allow.into());
        self
    }

    /// Sets the subprotocols that this server speaks. The default is none.
    pub fn subprotocols(mut self, subprotocols: Subprotocols) -> Self {
        self.subprotocols = Some(subprotocols);
        self
    }

    /// Agrees to permessage-deflate if a client offers it on acceptable terms. The default is to decline it.
    pub fn permessage_deflate(mut self, deflate: PermessageDeflate) -> Self {
        self.permessage_deflate = Some(deflate);
        self
    }

    /// Whether the policy only reports: the rules for `Origin` and for allowed hosts then refuse nothing. The default is `false`.
    ///
    /// The policy then lets through what these rules would refuse, including malformed origins. The policy notes the refusal on the
    /// [`ServerHandshake`], and as a [`ReportedRejection`] in the response's extensions.
    ///
    /// Use this to try a policy on live traffic. The handshake is also let through if an asynchronous predicate does not finish within the
    /// layer's timeout. A missing or malformed `Host` is still refused, as HTTP requires (RFC 9112 §3.2).
    pub fn report_only(mut self, report_only: bool) -> Self {
        self.report_only = report_only;
        self
    }

    /// Decides a handshake that was read from `parts`, the head of its request.
    ///
    /// The rules are checked in the order of [`RejectionKind`], and asynchronous predicates after all others. The decision is ready at
    /// once, unless only an [`AllowOrigin::async_predicate`] can decide.
    #[inline]
    pub fn decide(&self, client: &ClientHandshake, parts: &Parts) -> Deciding {
        let reject = |kind| Rejection::new(kind, client.version());
        Deciding(match self.check(client, parts) {
            Err(kind) => State::Ready(Err(reject(kind))),
            Ok((server, answers)) if answers.is_empty() => State::Ready(Ok(server)),
            Ok((server, answers)) => State::Open(Box::new(Open {
                answers,
                server,
                refusal: reject(RejectionKind::OriginNotAllowed),
                report_only: self.report_only,
            })),
        })
    }

    /// Checks the synchronous rules. If the returned list has answers, the decision still depends on them.
    fn check(&self, client: &ClientHandshake, parts: &Parts) -> Result<(ServerHandshake, Vec<Answer>), RejectionKind> {
        let mut reported = None;
        let mut refuse = |kind| {
            if !self.report_only {
                return Err(kind);
            }
            reported.get_or_insert(kind);
            Ok(())
        };
        if self.allow_host.as_ref().is_some_and(|hosts| !hosts.allows(client.authority())) {
            refuse(RejectionKind::HostNotAllowed)?;
        }
        let answers = match self.judge(client, parts) {
            Ok(answers) => answers,
            Err(kind) => {
                refuse(kind)?;
                Vec::new()
            }
        };
        let secrets = self.subprotocols.as_ref().and_then(Subprotocols::secrets);
        let mut selection = self.subprotocols.as_ref().map(Subprotocols::select);
        let mut offered = match client.subprotocols() {
            None => OfferedSubprotocols::default(),
            Some(field) => {
                let mut field = field.clone();
                // The code below removes the secrets from this header.
                field.set_sensitive(false);
                let is_listed = |name: &[u8]| self.subprotocols.as_ref().is_some_and(|known| known.contains(name));
                OfferedSubprotocols::from_field(field, is_listed, |name| {
                    if let (Some(selection), None) = (&mut selection, secrets) {
                        selection.consider(name);
                    }
                })?
            }
        };
        client.extensions()?;
        let extras = (reported.is_some() || secrets.is_some()).then(|| {
            let reported = reported.map(|kind| ReportedRejection::new(Rejection::new(kind, client.version())));
            Extras::new(&mut offered, parts.extensions.get(), secrets, reported)
        });
        if let (Some(selection), Some(_)) = (&mut selection, secrets) {
            // Only names that are not secrets can be selected.
            offered.iter().for_each(|name| selection.consider(name.as_bytes()));
        }
        let subprotocol = selection.map_or(Ok(None), Selection::finish)?;
        let deflate = self.permessage_deflate.and_then(|deflate| deflate.select(&parts.headers));
        Ok((ServerHandshake::new(client, offered, subprotocol, deflate, extras), answers))
    }

    /// RFC 6455 §10.2: servers "that are not intended to process input from any web page but only for certain sites
    /// SHOULD verify the |Origin| field is an origin they expect".
    fn judge(&self, client: &ClientHandshake, parts: &Parts) -> Result<Vec<Answer>, RejectionKind> {
        let looks = self.allow_origin.looks();
        match client.origin() {
            Err(RejectionKind::OriginInvalid) if self.allow_origin.lists_exactly(parts) => Ok(Vec::new()),
            Err(kind) if looks || self.require_origin => Err(kind),
            Ok(None) if self.require_origin => Err(RejectionKind::OriginMissing),
            Ok(None) if looks && is_cross_site(parts) => Err(RejectionKind::SiteNotAllowed),
            Ok(Some(origin)) => match self.allow_origin.judge(origin, client, parts) {
                Judgement::Allowed => Ok(Vec::new()),
                Judgement::Refused => Err(RejectionKind::OriginNotAllowed),
                Judgement::Open(answers) => Ok(answers),
            },
            Ok(None) | Err(_) => Ok(Vec::new()),
        }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn known_subprotocols(&self) -> Option<&Subprotocols> {
        self.subprotocols.as_ref()
    }
}

/// The decision about a handshake, as a future. It is ready at once, unless a predicate is asynchronous.
///
/// The future borrows nothing, and needs no particular runtime.
#[must_use = "a decision does nothing unless it is awaited or taken"]
pub struct Deciding(State);

enum State {
    Ready(Result<ServerHandshake, Rejection>),
    Open(Box<Open>),
    Taken,
}

/// A handshake that passes all rules, except that answers are still awaited.
struct Open {
    answers: Vec<Answer>,
    server: ServerHandshake,
    refusal: Rejection,
    report_only: bool,
}

impl Deciding {
    /// Takes the decision, if it is ready now. Returns `None` if an asynchronous predicate has to be awaited, or if the decision was taken
    /// before.
    ///
    /// Do not await a `Deciding` after its decision was taken: it then panics, like any future that is polled after completion.
    #[inline]
    pub fn now(&mut self) -> Option<Result<ServerHandshake, Rejection>> {
        match mem::replace(&mut self.0, State::Taken) {
            State::Ready(decision) => Some(decision),
            state => {
                self.0 = state;
                None
            }
        }
    }

    /// Decides without the answers that are still awaited, as if each were `false`. The handshake is then refused with `refusal`.
    #[cfg(feature = "tower")]
    pub(crate) fn give_up(&mut self, refusal: Rejection) -> Result<ServerHandshake, Rejection> {
        if let State::Open(open) = &mut self.0 {
            open.answers.clear();
            open.refusal = refusal;
        }
        self.conclude()
    }

    #[expect(clippy::panic, reason = "a future may not be polled after completion")]
    fn conclude(&mut self) -> Result<ServerHandshake, Rejection> {
        match mem::replace(&mut self.0, State::Taken) {
            State::Ready(decision) => decision,
            State::Open(open) => open.conclude(),
            State::Taken => panic!("`Deciding` polled after completion"),
        }
    }
}

impl Future for Deciding {
    type Output = Result<ServerHandshake, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Open(open) = &mut self.0 {
            std::task::ready!(open.poll_answers(cx));
        }
        Poll::Ready(self.conclude())
    }
}

impl Open {
    /// Ready when one answer is `true`, which then stays in the list, or when all are `false`. No answer waits for another.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut admitted = false;
        self.answers.retain_mut(|answer| {
            if !admitted {
                match answer.as_mut().poll(cx) {
                    Poll::Ready(answer) => admitted = answer,
                    Poll::Pending => return true,
                }
            }
            admitted
        });
        if admitted || self.answers.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn conclude(self) -> Result<ServerHandshake, Rejection> {
        let mut server = self.server;
        if self.answers.is_empty() {
            if !self.report_only {
                return Err(self.refusal);
            }
            server.report(ReportedRejection::new(self.refusal));
        }
        Ok(server)
    }
}

impl fmt::Debug for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "Deciding::Ready",
            State::Open(_) => "Deciding::Open",
            State::Taken => "Deciding::Taken",
        })
    }
}

#[cfg(test)]
mod tests;
