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

/// The subprotocols that this server speaks, the most preferred first.
///
/// At most one is selected: the first of these that the client offers. If the client offers none of them, the handshake continues without a
/// subprotocol. A browser that offered some then fails the connection.
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
    /// Sets the subprotocols that this server speaks, the most preferred first.
    ///
    /// RFC 6455 §4.1 allows only tokens as names. You can also list a name that is not a token, such as kubectl's
    /// `SPDY/3.1+portforward.k8s.io`. Clients may then offer this name. Any other offer that is not a token is refused (400). If layers are
    /// nested, each layer has to list the name.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a name that cannot be in a comma-separated list, for a name that is listed twice, and for an empty list.
    pub fn new<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut list = Vec::<HeaderValue>::new();
        for name in names {
            let name = name.as_ref();
            let value = HeaderValue::from_str(name).ok().filter(is_element).ok_or_else(|| {
                ConfigError::new(
                    name,
                    "is not a subprotocol: write visible ASCII without commas, and each name separately",
                )
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

    /// Whether the client's order decides: the first offered name that this server speaks is selected. The default is `false`: this
    /// server's order decides.
    pub fn prefer_client(mut self, prefer: bool) -> Self {
        self.prefer_client = prefer;
        self
    }

    /// Whether to refuse clients that offer none of these (400). The default is `false`: the handshake continues without a subprotocol.
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// Treats the text after `prefix` in an offered name as a secret, such as a token. The default is none. You can set several.
    ///
    /// A page can send a token with its handshake only in the URL, which ends up in logs, or in a subprotocol. The page offers
    /// `["v1.chat", "bearer." + token]`, and this server selects `v1.chat`. (If a browser offers subprotocols and none is selected, the
    /// browser closes the socket.) A token has to consist of characters that subprotocols may have, such as unpadded base64url.
    ///
    /// An offered name with this prefix, in upper or lower case, is protected:
    ///
    /// - It is never selected, not even with `WsUpgrade::select_subprotocol`, and never echoed.
    /// - The layer removes it from the request's header before the inner service runs, even if the request is not a handshake. (A proxy may
    ///   have dropped its `Upgrade`.)
    /// - It is not logged, and no `Debug` of this crate shows it.
    ///
    /// The handler gets the secret with `WsUpgrade::secret_subprotocol`. Without the layer, use
    /// [`ServerHandshake::secret_subprotocol`](crate::handshake::ServerHandshake::secret_subprotocol). Layers outside of this one see the
    /// original header.
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
    /// A [`ConfigError`] for a prefix that is not a token (RFC 9110 §5.6.2). Also for a prefix of a subprotocol that this server speaks, or
    /// of a name for [`secret_after`](Self::secret_after).
    pub fn secret_prefix(self, prefix: impl AsRef<str>) -> Result<Self, ConfigError> {
        let prefix = prefix.as_ref();
        if !is_token(prefix.as_bytes()) {
            let hint = "cannot begin a subprotocol: write letters, digits and `!#$%&'*+-.^_`|~`, as in `bearer.`";
            return Err(ConfigError::new(prefix, hint));
        }
        let begun = |name: &&HeaderValue| name.to_str().is_ok_and(|name| behind(prefix, name).is_some());
        if let Some(name) = self.names.iter().find(begun) {
            let name = name.to_str().unwrap_or_default();
            let hint = format!("begins `{name}`, which this server speaks: choose another prefix");
            return Err(ConfigError::new(prefix, hint));
        }
        self.with_secret(SecretName::Prefix(prefix.into()))
    }

    /// Treats the name that a client offers after `name` as a secret, with the same protection as [`secret_prefix`](Self::secret_prefix).
    /// The default is none. You can set several.
    ///
    /// Some services expect a page to offer `["bearer", token]`. `bearer` itself is not a secret. To let the server select `bearer`, list
    /// it in [`new`](Self::new). The handler gets the token with `WsUpgrade::secret_subprotocol("bearer")`.
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
    /// A [`ConfigError`] for a name that is not a token (RFC 9110 §5.6.2), and for a name that begins with a secret prefix.
    pub fn secret_after(self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        if !is_token(name.as_bytes()) {
            let hint = "is not a subprotocol: write letters, digits and `!#$%&'*+-.^_`|~`, as in `bearer`";
            return Err(ConfigError::new(name, hint));
        }
        self.with_secret(SecretName::After(name.into()))
    }

    fn with_secret(mut self, secret: SecretName) -> Result<Self, ConfigError> {
        if self.secrets.conflict_with(&secret) {
            let hint = "conflicts: a name for `secret_after` must not begin with a prefix for `secret_prefix`";
            return Err(ConfigError::new(secret.mark(), hint));
        }
        self.secrets.push(secret);
        Ok(self)
    }

    #[inline]
    pub(super) fn secrets(&self) -> Option<&SecretNames> {
        (!self.secrets.is_empty()).then_some(&self.secrets)
    }

    /// Removes secrets from the headers of a request that is not a handshake. A proxy may have dropped its `Upgrade`.
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

    /// Starts a selection among the names that a client offers.
    pub(super) fn select(&self) -> Selection<'_> {
        Selection { known: self, first: None }
    }
}

/// The best common name so far, by the configured order.
pub(super) struct Selection<'a> {
    known: &'a Subprotocols,
    first: Option<usize>,
}

impl Selection<'_> {
    /// Considers the next name that the client offers.
    pub(super) fn consider(&mut self, name: &[u8]) {
        if self.known.prefer_client && self.first.is_some() {
            return;
        }
        // Only a name earlier in the list is better than the selected one.
        let end = self.first.unwrap_or(self.known.names.len());
        let better = self.known.names[..end].iter().position(|known| known.as_bytes() == name);
        self.first = better.or(self.first);
    }

    /// The selected name. An error if no name is selected, and a subprotocol is required.
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
        assert_eq!(taken.to_string(), "`v1.` begins `v1.chat`, which this server speaks: choose another prefix");
    }
}
