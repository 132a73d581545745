//! The error type for mistakes in the configuration, found at start-up.

use std::{error::Error, fmt};

/// A mistake in the configuration. The message says how to correct it.
///
/// ```
/// use ws_handshake::AllowOrigin;
///
/// let error = AllowOrigin::list(["https://example.com/"]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`https://example.com/` can never match: nothing may follow host and port: write `https://example.com`",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    value: String,
    message: String,
}

impl ConfigError {
    pub(crate) fn new(value: &str, message: impl Into<String>) -> Self {
        Self { value: value.to_owned(), message: message.into() }
    }

    /// Adds `advice` to the message.
    pub(super) fn with(mut self, advice: &str) -> Self {
        self.message.push_str(advice);
        self
    }

    /// The wrong value, as it was given. In the URL of a `WsRequest`, dots replace the user information and the query.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.value.escape_debug(), self.message)
    }
}

impl Error for ConfigError {}
