//! What of an answer is right.

use std::fmt;

use super::{
    answer::Answer,
    format::{Agreement, Expectation, Status},
};

/// How an answer differs from what is right.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) fault: Fault,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 101, where it has to be refused.
    LetIn,
    /// No 101, where only that is right.
    KeptOut,
    /// Another status that refuses, or a 101 with other fields.
    Otherwise,
}

impl Expectation {
    pub(crate) fn judge(&self, answer: Option<&Answer>) -> Result<(), Difference> {
        let status = answer.map(|answer| answer.status);
        if !self.status.admits(status) {
            let fault = match status {
                Some(101) => Fault::LetIn,
                _ if matches!(self.status, Status::Exactly(101)) => Fault::KeptOut,
                _ => Fault::Otherwise,
            };
            let found = status.map_or("no answer".into(), |status| status.to_string());
            return Err(Difference { fault, text: format!("{found}, not {}", self.status) });
        }
        let Some(answer) = answer else { return Ok(()) };
        let otherwise = |text| Difference { fault: Fault::Otherwise, text };
        let switched = if answer.status == 101 { &SWITCHED[..] } else { &[] };
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in headers.chain(switched.iter().copied()) {
            let found = answer.field(name).unwrap_or_default();
            if !agrees(name, &found, value) {
                return Err(otherwise(format!("`{name}` is `{found}`, not `{value}`")));
            }
        }
        for name in &self.absent {
            if let Some(found) = answer.field(name) {
                return Err(otherwise(format!("`{name}` is `{found}`, where there is to be none")));
            }
        }
        match (&self.deflate, answer.field("sec-websocket-extensions")) {
            (Some(agreement), Some(found)) if !agreement.admits(&found) => {
                let Agreement { must, may } = agreement;
                Err(otherwise(format!("`{found}` lacks one of {must:?}, or goes beyond them and {may:?}")))
            }
            _ => Ok(()),
        }
    }
}

impl Status {
    fn admits(&self, status: Option<u16>) -> bool {
        match self {
            Self::Exactly(exactly) => status == Some(*exactly),
            Self::Like(like) => match status {
                Some(status) => *like == format!("{}xx", status / 100),
                None => like == "none",
            },
            Self::AnyOf(all) => all.iter().any(|one| one.admits(status)),
        }
    }
}

impl Agreement {
    fn admits(&self, field: &str) -> bool {
        let mut elements = field.split(';').map(str::trim);
        let name = elements.next();
        let agreed: Vec<_> = elements.map(parameter).collect();
        let lawful = |(name, value): &(&str, Option<u8>)| {
            let known = self.must.iter().chain(&self.may).map(String::as_str).chain(ALWAYS).map(parameter);
            let most = known.into_iter().find_map(|(known, most)| (known == *name).then_some(most));
            let once = agreed.iter().filter(|(other, _)| other == name).count() == 1;
            once && match (value, most) {
                (Some(value), Some(Some(most))) => (8..=most).contains(value),
                (value, Some(None)) => value.is_none(),
                _ => false,
            }
        };
        let has = |must: &String| agreed.iter().any(|(name, _)| *name == parameter(must).0);
        name == Some("permessage-deflate") && agreed.iter().all(lawful) && self.must.iter().all(has)
    }
}

/// A parameter and its number. What is no number is none that an answer may have.
fn parameter(text: &str) -> (&str, Option<u8>) {
    match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"').parse().unwrap_or(0))),
        None => (text.trim(), None),
    }
}

/// Whether a field says what it has to say. Lists may say more.
fn agrees(name: &str, found: &str, value: &str) -> bool {
    let is_list = LISTS.iter().any(|list| list.eq_ignore_ascii_case(name));
    if is_list { found.split(',').any(|element| element.trim().eq_ignore_ascii_case(value)) } else { found == value }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fault {
            Fault::LetIn => "let in: ",
            Fault::KeptOut => "kept out: ",
            Fault::Otherwise => "",
        })?;
        f.write_str(&self.text)
    }
}

/// RFC 6455 §4.2.2: what every 101 has, besides the accept value that a case names.
const SWITCHED: [(&str, &str); 2] = [("Upgrade", "websocket"), ("Connection", "Upgrade")];

/// Fields that are lists without regard to case: an answer may name more versions or methods than those of a case.
const LISTS: [&str; 4] = ["Allow", "Connection", "Sec-WebSocket-Version", "Upgrade"];

/// RFC 7692 §7.1: what a server may answer whatever is offered.
const ALWAYS: [&str; 3] = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=15"];
