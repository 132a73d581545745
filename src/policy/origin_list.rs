//! A list of origins that can be replaced while the server reads it.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{
    config_error::ConfigError,
    entry::comma_separated,
    host_pattern::PortPattern,
    origin_pattern::{OriginPattern, Pattern},
};
use crate::handshake::Origin;

/// A list of origins that you can replace while the server runs. Clones are cheap, and share one list with each other and with the layers.
///
/// After [`replace`](Self::replace), the new list applies to every handshake that is decided later. Readers never wait. A look-up costs the
/// same for ten origins and for a million. Listed names are found by hash, and wildcards by a hash for each label of the origin's host.
///
/// ```
/// use ws_handshake::{OriginList, Policy};
///
/// let origins = OriginList::new(["https://app.example.com"])?;
/// let policy = Policy::new().allow_origin(origins.clone());
///
/// // Later, while serving:
/// origins.replace(["https://app.example.com", "https://*.partner.example"])?;
/// assert!(origins.contains(&"https://shop.partner.example".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OriginList(Arc<ArcSwap<Table>>);

impl OriginList {
    /// Creates a list of the origins that match one of `patterns`. An empty list admits no browser.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for the first entry that can never match or matches too much; see [`OriginPattern`].
    pub fn new<I>(patterns: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        Table::parse(patterns).map(Self::from)
    }

    /// Replaces the whole list in one step.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new). After an error, the old list stays in force.
    pub fn replace<I>(&self, patterns: I) -> Result<(), ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.0.store(Arc::new(Table::parse(patterns)?));
        Ok(())
    }

    /// Whether pages of `origin` are listed.
    #[must_use]
    pub fn contains(&self, origin: &Origin) -> bool {
        self.0.load().contains(origin)
    }
}

/// Lists the origins that match one of the patterns.
///
/// ```
/// use ws_handshake::{OriginList, OriginPattern};
///
/// // For example read from a configuration file.
/// let patterns: Vec<OriginPattern> = vec!["https://app.example.com".parse()?];
/// let origins = OriginList::from_iter(patterns);
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
impl FromIterator<OriginPattern> for OriginList {
    fn from_iter<I: IntoIterator<Item = OriginPattern>>(patterns: I) -> Self {
        Self::from(Table::from_iter(patterns))
    }
}

/// Parses a comma-separated list, such as one from an environment variable. An empty text is an empty list, which admits no browser.
///
/// ```
/// use ws_handshake::OriginList;
///
/// let origins: OriginList = "https://app.example.com, https://*.example.com".parse()?;
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
impl FromStr for OriginList {
    type Err = ConfigError;

    fn from_str(list: &str) -> Result<Self, ConfigError> {
        Self::new(comma_separated(list)?)
    }
}

/// Same as [`FromStr`], for your own types with `#[serde(try_from = "String")]`.
impl TryFrom<String> for OriginList {
    type Error = ConfigError;

    fn try_from(list: String) -> Result<Self, ConfigError> {
        list.parse()
    }
}

impl From<Table> for OriginList {
    fn from(table: Table) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }
}

/// The patterns, each stored under the part of an origin's text that the pattern fixes.
///
/// A look-up uses slices of the origin's canonical text, so it never builds a key. The hasher is the standard library's, because tenants
/// may register domains: then the operator does not choose all keys.
#[derive(Debug, Default)]
struct Table {
    /// `scheme://host[:port]`, or `null`.
    exact: HashSet<Box<[u8]>>,
    /// `scheme`, on any host and port.
    schemes: HashSet<Box<[u8]>>,
    /// `scheme://host`, on any port.
    any_port: HashSet<Box<[u8]>>,
    /// The schemes for the names below `host[:port]`.
    below: HashMap<Box<[u8]>, Vec<String>>,
    /// The schemes for the names below `host`, on any port.
    below_any_port: HashMap<Box<[u8]>, Vec<String>>,
}

impl Table {
    fn parse<I>(patterns: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        patterns.into_iter().map(|pattern| pattern.as_ref().parse::<OriginPattern>()).collect()
    }

    fn insert(&mut self, OriginPattern(pattern): &OriginPattern) {
        let (scheme, host) = match pattern {
            Pattern::Text(text) => {
                self.exact.insert(text.as_bytes().into());
                return;
            }
            Pattern::Scheme(scheme) => {
                self.schemes.insert(scheme.as_bytes().into());
                return;
            }
            Pattern::Tuple { scheme, host } => (scheme, host),
        };
        let any_port = host.port == PortPattern::Any;
        let end = match host.port {
            PortPattern::Exactly(port) => format!("{}:{port}", host.host),
            PortPattern::Absent | PortPattern::Any => host.host.clone(),
        };
        if host.wildcard {
            let map = if any_port { &mut self.below_any_port } else { &mut self.below };
            let schemes = map.entry(end.into_bytes().into()).or_default();
            if !schemes.contains(scheme) {
                schemes.push(scheme.clone());
            }
        } else {
            let set = if any_port { &mut self.any_port } else { &mut self.exact };
            set.insert(format!("{scheme}://{end}").into_bytes().into());
        }
    }

    fn contains(&self, origin: &Origin) -> bool {
        let text = origin.as_bytes();
        if self.exact.contains(text) {
            return true;
        }
        let Some(host) = origin.host_span() else {
            return false;
        };
        self.any_port.contains(&text[..host.end])
            || origin.scheme_bytes().is_some_and(|scheme| self.schemes.contains(scheme))
            || self.lists_names_above(origin, text, &host)
    }

    /// Checks each name above the origin's host, from the nearest up. No wildcard has part of an address after `*.`, so addresses never
    /// match.
    fn lists_names_above(&self, origin: &Origin, text: &[u8], host: &Range<usize>) -> bool {
        let lists = |map: &HashMap<Box<[u8]>, Vec<String>>, name: &[u8]| {
            map.get(name).is_some_and(|schemes| schemes.iter().any(|scheme| origin.scheme() == Some(scheme)))
        };
        host.clone()
            .filter(|at| text[*at] == b'.')
            .any(|dot| lists(&self.below, &text[dot + 1..]) || lists(&self.below_any_port, &text[dot + 1..host.end]))
    }
}

impl FromIterator<OriginPattern> for Table {
    fn from_iter<I: IntoIterator<Item = OriginPattern>>(patterns: I) -> Self {
        let mut table = Self::default();
        for pattern in patterns {
            table.insert(&pattern);
        }
        table
    }
}

#[cfg(test)]
mod tests;
