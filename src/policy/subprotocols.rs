//! Which subprotocols this server speaks.

use std::sync::Arc;

use http::HeaderValue;
#[cfg(feature = "tower")]
use http::Request;

use super::config_error::ConfigError;
#[cfg(feature = "tower")]
use crate::handshake::subprotocol::strip_secrets;
use crate::{
    grammar::{is_element, is_token},
    handshake::{
        RejectionKind,
        subprotocol::{SecretName, SecretNames, behind},
    },
};

/// The subprotocols that a server speaks, the most preferred first.
///
/// At most one is selected: the first of these that the client offers. Without any in common the handshake goes on
/// without one, which browsers then take for a failure if they offered some.
///
/// ```
/// use ws_handshake::{Policy, Subprotocols};
///
/// let policy = Policy::new().subprotocols(Subprotocols::new(["v2.chat", "v1.chat"])?.required(true));
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Subprotocols {
    names: Arc<[HeaderValue]>,
    secrets: SecretNames,
    prefer_client: bool,
    required: bool,
}

impl Subprotocols {
    /// Speaks `names`, the most preferred first.
    ///
    /// RFC 6455 §4.1 has tokens for names. A name that is no token, such as kubectl's `SPDY/3.1+portforward.k8s.io`, may be
    /// listed too, and clients may offer it then. Any other offer that is no token is refused (400). Where layers are nested, each
    /// of them has to list the name.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a name that no comma-separated list can have, for a name that is listed twice, and for an empty
    /// list.
    pub fn new<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut list = Vec::<HeaderValue>::new();
        for name in names {
            let name = name.as_ref();
            let value = HeaderValue::from_str(name).ok().filter(is_element).ok_or_else(|| {
                ConfigError::new(name, "is no subprotocol: write visible ASCII without commas, and each name by itself")
            })?;
            if list.contains(&value) {
                return Err(ConfigError::new(name, "is listed twice: name each subprotocol once"));
            }
            list.push(value);
        }
        if list.is_empty() {
            return Err(ConfigError::new("[]", "has no subprotocols: name at least one, or leave the list out"));
        }
        Ok(Self { names: list.into(), secrets: SecretNames::default(), prefer_client: false, required: false })
    }

    /// Whether the order of the client decides: the first subprotocol that the client offers and this server speaks. The
    /// default is `false`: the order of this server decides.
    pub fn prefer_client(mut self, prefer: bool) -> Self {
        self.prefer_client = prefer;
        self
    }

    /// Whether clients that offer none of these are refused (400). The default is `false`: the handshake goes on without a
    /// subprotocol.
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// Takes what clients offer behind `prefix` for a secret of theirs. The default is none; several may be set.
    ///
    /// A page has no other way to send a token with its handshake than in a subprotocol, and a URL, the usual way out, ends
    /// up in logs. The page offers `["v1.chat", "bearer." + token]`, and `v1.chat` is selected: a browser gives up on a
    /// socket if it offered subprotocols and none is answered. Tokens need an alphabet that subprotocols have: unpadded
    /// base64url does.
    ///
    /// Such an offer, in any case of its letters, is never selected, not by `WsUpgrade::select_subprotocol` either, and
    /// never echoed. It is taken out of the request's field before the service behind the layer runs, also where the
    /// request is no handshake (a proxy may have dropped its `Upgrade`), and neither logged nor shown by a `Debug` of this crate. The handler gets it by
    /// `WsUpgrade::secret_subprotocol`, and users of floor 1 by
    /// [`ServerHandshake::secret_subprotocol`](crate::handshake::ServerHandshake::secret_subprotocol). Layers outside of
    /// this one see the field as it was sent.
    ///
    /// ```
    /// use ws_handshake::Subprotocols;
    ///
    /// let subprotocols = Subprotocols::new(["v1.chat"])?.secret_prefix("bearer.")?;
    /// # Ok::<_, ws_handshake::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a prefix that is no token (RFC 9110 §5.6.2), and for one that a subprotocol spoken here
    /// begins with.
    pub fn secret_prefix(self, prefix: impl AsRef<str>) -> Result<Self, ConfigError> {
        let prefix = prefix.as_ref();
        if !is_token(prefix.as_bytes()) {
            let hint = "cannot begin a subprotocol: write letters, digits and `!#$%&'*+-.^_`|~`, as in `bearer.`";
            return Err(ConfigError::new(prefix, hint));
        }
        let begun = |name: &&HeaderValue| name.to_str().is_ok_and(|name| behind(prefix, name).is_some());
        if let Some(name) = self.names.iter().find(begun) {
            let name = name.to_str().unwrap_or_default();
            let hint = format!("begins `{name}`, which is spoken here: choose a prefix that none of these begins with");
            return Err(ConfigError::new(prefix, hint));
        }
        self.with_secret(SecretName::Prefix(prefix.into()))
    }

    /// Takes what clients offer after `name` for a secret, as [`secret_prefix`](Self::secret_prefix) does with what follows a
    /// prefix. The default is none. Several may be set.
    ///
    /// Some services ask a page for `["bearer", token]`. `bearer` itself is no secret, and may be selected: list it in
    /// [`new`](Self::new). The handler gets the token by `WsUpgrade::secret_subprotocol("bearer")`.
    ///
    /// ```
    /// use ws_handshake::Subprotocols;
    ///
    /// let subprotocols = Subprotocols::new(["bearer"])?.secret_after("bearer")?;
    /// # Ok::<_, ws_handshake::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a name that is no token (RFC 9110 §5.6.2), and for one that a prefix of secrets begins.
    pub fn secret_after(self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        if !is_token(name.as_bytes()) {
            let hint = "is no subprotocol: write letters, digits and `!#$%&'*+-.^_`|~`, as in `bearer`";
            return Err(ConfigError::new(name, hint));
        }
        self.with_secret(SecretName::After(name.into()))
    }

    fn with_secret(mut self, secret: SecretName) -> Result<Self, ConfigError> {
        if self.secrets.conflict_with(&secret) {
            let hint =
                "would make a secret of the name before a secret: choose a prefix that this name does not begin with";
            return Err(ConfigError::new(secret.mark(), hint));
        }
        self.secrets.push(secret);
        Ok(self)
    }

    #[inline]
    pub(super) fn secrets(&self) -> Option<&SecretNames> {
        (!self.secrets.is_empty()).then_some(&self.secrets)
    }

    /// Takes secrets out of the fields of a request that is no handshake: a proxy may have made it none on the way.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn strip_secret_subprotocols<B>(&self, request: &mut Request<B>) {
        if let Some(secrets) = self.secrets() {
            strip_secrets(request, secrets, |name| self.contains(name));
        }
    }

    /// Whether this server speaks `name`.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.names.iter().any(|known| known.as_bytes() == name)
    }

    /// A selection among the names that a client offers.
    pub(super) fn select(&self) -> Selection<'_> {
        Selection { known: self, first: None }
    }
}

/// The first name in common so far, by the preference configured.
pub(super) struct Selection<'a> {
    known: &'a Subprotocols,
    first: Option<usize>,
}

impl Selection<'_> {
    /// Considers the next name of the client's.
    pub(super) fn consider(&mut self, name: &[u8]) {
        if self.known.prefer_client && self.first.is_some() {
            return;
        }
        // Only a name before the one selected is preferred to it.
        let end = self.first.unwrap_or(self.known.names.len());
        let better = self.known.names[..end].iter().position(|known| known.as_bytes() == name);
        self.first = better.or(self.first);
    }

    /// What is selected, unless nothing is and the server insists.
    pub(super) fn finish(self) -> Result<Option<HeaderValue>, RejectionKind> {
        match self.first {
            Some(at) => Ok(Some(self.known.names[at].clone())),
            None if self.known.required => Err(RejectionKind::SubprotocolNotShared),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_say_how_to_write_it_right() {
        for wrong in ["", "a,b", "a,", " a", "a\t", "ä", "a\0"] {
            let error = Subprotocols::new([wrong]).unwrap_err();
            assert!(error.to_string().contains("write visible ASCII without commas"), "{error}");
        }
        for no_token in ["SPDY/3.1+portforward.k8s.io", "a b", "\"a\""] {
            assert!(Subprotocols::new([no_token]).is_ok(), "{no_token}");
        }
        let twice = Subprotocols::new(["a", "b", "a"]).unwrap_err();
        assert_eq!(twice.to_string(), "`a` is listed twice: name each subprotocol once");
        assert!(Subprotocols::new([] as [&str; 0]).is_err());
        assert!(Subprotocols::new(vec![String::from("a"), String::from("A")]).is_ok());
        let chat = || Subprotocols::new(["v1.chat"]).unwrap();
        for wrong in ["", "bearer ", "bearer/", "v1.", "V1.", "v1.chat"] {
            assert!(chat().secret_prefix(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["", "bearer ", "bearer/", "a,b"] {
            assert!(chat().secret_after(wrong).is_err(), "{wrong:?}");
        }
        let marked = chat().secret_after("v1.chat").unwrap().secret_prefix("bearer").unwrap();
        assert!(marked.clone().secret_after("Bearer.x").is_err());
        assert!(marked.clone().secret_after("bear").is_ok());
        assert!(chat().secret_after("Bearer.x").unwrap().secret_prefix("bearer").is_err());
        assert!(chat().secret_after("bearer").unwrap().secret_prefix("bearer.").is_ok());
        let taken = chat().secret_prefix("v1.").unwrap_err();
        assert_eq!(
            taken.to_string(),
            "`v1.` begins `v1.chat`, which is spoken here: choose a prefix that none of these begins with"
        );
    }
}
