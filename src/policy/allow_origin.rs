//! Which pages may connect.

use std::{fmt, pin::Pin, sync::Arc};

use http::{HeaderValue, header::ORIGIN, request::Parts};

use super::{config_error::ConfigError, origin_list::OriginList, origin_pattern::OriginPattern};
use crate::handshake::{ClientHandshake, Origin, origin::MAX_ORIGIN};

/// Decides which pages may open a socket, by their origin.
///
/// Browsers send cookies with a handshake to any site, from a page of any site. CORS does not apply. So if a server does not check
/// `Origin`, every page can act in the name of the server's visitors (cross-site WebSocket hijacking). RFC 6455 §10.2 leaves this check to
/// the server. The default is [`same_origin`](Self::same_origin).
///
/// ```
/// use ws_handshake::{AllowOrigin, Policy};
///
/// let policy = Policy::new().allow_origin(
///     AllowOrigin::same_origin().or(AllowOrigin::list(["https://app.example.com", "https://*.example.com"])?),
/// );
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct AllowOrigin(Vec<Rule>);

#[derive(Clone)]
enum Rule {
    SameOrigin,
    Any,
    List(OriginList),
    Exact(Arc<[HeaderValue]>),
    Predicate(Arc<Predicate>),
    AsyncPredicate(Arc<AsyncPredicate>),
}

type Predicate = dyn Fn(&Origin, &Parts) -> bool + Send + Sync;
type AsyncPredicate = dyn Fn(Origin, &Parts) -> Answer + Send + Sync;

/// The future answer of an asynchronous predicate.
pub(super) type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

impl AllowOrigin {
    /// Admits pages of the same origin: an `http` or `https` origin with the host and port that the request names. This is the default.
    ///
    /// If `Origin` or the request names no port, the default port of the origin's scheme counts. This rule never trusts `X-Forwarded-*` and
    /// `Forwarded`: behind a proxy that rewrites `Host`, list the public origin. If `Sec-Fetch-Site` is neither `same-origin` nor `none`,
    /// this rule does not admit the page.
    ///
    /// This rule does not stop DNS rebinding, where the page and the request both have the attacker's host name. To stop DNS rebinding, use
    /// [`AllowHost`](crate::AllowHost).
    pub fn same_origin() -> Self {
        Self(vec![Rule::SameOrigin])
    }

    /// Admits every page, and does not check `Origin`.
    ///
    /// Use this only if the socket is public: no rights come from cookies, or from being in a private network.
    pub fn any() -> Self {
        Self(vec![Rule::Any])
    }

    /// Admits the origins that match one of `patterns`. A pattern is `null`, or `scheme://host[:port]`, where the host may begin with `*.`
    /// and the port may be `*`. See [`OriginPattern`](crate::OriginPattern).
    ///
    /// An empty list admits no browser. To replace the list while the server runs, give the layer an [`OriginList`].
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for the first entry that can never match or matches too much.
    pub fn list<I>(patterns: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        OriginList::new(patterns).map(Self::from)
    }

    /// Admits requests whose `Origin` header is one of `values`, byte for byte.
    ///
    /// Some apps and devices send an `Origin` that no page can have: `app://.` from Electron, `qrc://` from Qt, or the URL of the library
    /// that they use. A [`list`](Self::list) cannot have such entries, because they are not serialized origins (RFC 6454 §6.2). For such a
    /// request, [`ServerHandshake::origin`](crate::handshake::ServerHandshake::origin) is `None`.
    ///
    /// ```
    /// use ws_handshake::AllowOrigin;
    ///
    /// let allow = AllowOrigin::same_origin().or(AllowOrigin::exact(["app://.", "qrc://"])?);
    /// # Ok::<_, ws_handshake::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for the first value that no header can have, that is longer than 512 bytes, or that contains a `*`. A `*` has no
    /// meaning here.
    pub fn exact<I>(values: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let values = values.into_iter().map(|value| exact_value(value.as_ref()));
        Ok(Self(vec![Rule::Exact(values.collect::<Result<_, _>>()?)]))
    }

    /// Admits the origins for which `predicate` returns `true`.
    ///
    /// The predicate is not called for a request without `Origin`, so it is not a login.
    ///
    /// ```
    /// use ws_handshake::AllowOrigin;
    ///
    /// let tenants = AllowOrigin::predicate(|origin, parts| {
    ///     let tenant = parts.uri.path().split('/').nth(1);
    ///     tenant.is_some_and(|tenant| origin.as_str() == format!("https://{tenant}.example.com"))
    /// });
    /// ```
    pub fn predicate<F>(predicate: F) -> Self
    where
        F: Fn(&Origin, &Parts) -> bool + Send + Sync + 'static,
    {
        Self(vec![Rule::Predicate(Arc::new(predicate))])
    }

    /// Admits the origins for which the future of `predicate` returns `true`.
    ///
    /// The predicate is called only if no synchronous rule admits the origin. Its future is awaited only after the handshake has passed all
    /// other rules of the policy. In the layer, the future has to finish within `decision_timeout`.
    ///
    /// ```
    /// use ws_handshake::AllowOrigin;
    ///
    /// # async fn is_customer(host: String) -> bool { true }
    /// let customers = AllowOrigin::async_predicate(|origin, _parts| async move {
    ///     match origin.host() {
    ///         Some(host) => is_customer(host.to_owned()).await,
    ///         None => false,
    ///     }
    /// });
    /// ```
    pub fn async_predicate<F, Fut>(predicate: F) -> Self
    where
        F: Fn(Origin, &Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        let predicate = move |origin: Origin, parts: &Parts| Box::pin(predicate(origin, parts)) as Answer;
        Self(vec![Rule::AsyncPredicate(Arc::new(predicate))])
    }

    /// Admits the origins that at least one of the two admits. Asynchronous predicates run at the same time, and the first one that admits
    /// decides.
    ///
    /// ```
    /// use ws_handshake::{AllowOrigin, OriginList};
    ///
    /// let partners = OriginList::new(["https://app.partner.example"])?;
    /// let allow = AllowOrigin::same_origin().or(partners);
    /// # Ok::<_, ws_handshake::ConfigError>(())
    /// ```
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        self.0.extend(other.into().0);
        self
    }

    /// Whether the outcome can depend on `Origin` at all.
    pub(super) fn looks(&self) -> bool {
        !self.0.iter().any(|rule| matches!(rule, Rule::Any))
    }

    /// Whether the `Origin` header, which need not be a serialized origin, is listed byte for byte.
    pub(super) fn lists_exactly(&self, parts: &Parts) -> bool {
        self.0.iter().any(|rule| matches!(rule, Rule::Exact(values) if is_one_of(values, parts)))
    }

    #[inline]
    pub(super) fn judge(&self, origin: &Origin, client: &ClientHandshake, parts: &Parts) -> Judgement {
        let allowed = self.0.iter().any(|rule| match rule {
            Rule::SameOrigin => is_same_origin(origin, client) && !is_cross_site(parts),
            Rule::Any => true,
            Rule::List(list) => list.contains(origin),
            Rule::Exact(values) => is_one_of(values, parts),
            Rule::Predicate(predicate) => predicate(origin, parts),
            Rule::AsyncPredicate(_) => false,
        });
        if allowed {
            return Judgement::Allowed;
        }
        let ask = |rule: &Rule| match rule {
            Rule::AsyncPredicate(predicate) => Some(predicate(origin.clone(), parts)),
            _ => None,
        };
        let answers: Vec<_> = self.0.iter().filter_map(ask).collect();
        if answers.is_empty() { Judgement::Refused } else { Judgement::Open(answers) }
    }
}

/// The result of the rules for an origin.
pub(super) enum Judgement {
    Allowed,
    Refused,
    /// Allowed if one of these answers `true`.
    Open(Vec<Answer>),
}

/// Whether the browser says that the page does not have the origin of the request.
///
/// Not all browsers send `Sec-Fetch-Site` with a handshake, so a missing header means nothing.
pub(super) fn is_cross_site(parts: &Parts) -> bool {
    let mut sites = parts.headers.get_all("sec-fetch-site").iter();
    !sites.all(|site| site == "same-origin" || site == "none")
}

fn is_same_origin(origin: &Origin, client: &ClientHandshake) -> bool {
    // Only `http` and `https` pages come from the host in their origin.
    let (Some(host), Some(default)) = (origin.as_host(), origin.default_port()) else {
        return false;
    };
    let downgraded = client.over_https() && origin.scheme_bytes() == Some(b"http");
    let authority = client.authority();
    !downgraded && host == authority.as_host() && origin.port() == authority.port().or(Some(default))
}

/// Whether the single `Origin` of a request is one of `values`.
fn is_one_of(values: &[HeaderValue], parts: &Parts) -> bool {
    parts.headers.get(ORIGIN).is_some_and(|origin| values.contains(origin))
}

fn exact_value(value: &str) -> Result<HeaderValue, ConfigError> {
    if value.contains('*') {
        let hint = "is compared byte for byte, so a `*` matches nothing: write wildcards in `AllowOrigin::list`";
        return Err(ConfigError::new(value, hint));
    }
    // RFC 9110 §5.5: "A field value does not include leading or trailing whitespace."
    if value.is_empty() || value.trim() != value || value.len() > MAX_ORIGIN {
        let hint = format!(
            "can never match: write the value of `Origin`: 1 to {MAX_ORIGIN} bytes, without whitespace around it"
        );
        return Err(ConfigError::new(value, hint));
    }
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| ConfigError::new(value, "can never match: a header has no control characters: leave them out"))
}

impl Default for AllowOrigin {
    fn default() -> Self {
        Self::same_origin()
    }
}

impl From<OriginList> for AllowOrigin {
    fn from(list: OriginList) -> Self {
        Self(vec![Rule::List(list)])
    }
}

/// Admits the origins that match one of the patterns.
impl FromIterator<OriginPattern> for AllowOrigin {
    fn from_iter<I: IntoIterator<Item = OriginPattern>>(patterns: I) -> Self {
        OriginList::from_iter(patterns).into()
    }
}

impl fmt::Debug for AllowOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |rule: &Rule| match rule {
            Rule::SameOrigin => "same_origin",
            Rule::Any => "any",
            Rule::List(_) => "list",
            Rule::Exact(_) => "exact",
            Rule::Predicate(_) => "predicate",
            Rule::AsyncPredicate(_) => "async_predicate",
        };
        f.debug_list().entries(self.0.iter().map(name)).finish()
    }
}
