//! The files, as `README.md` describes them.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// One file: cases of one subject, for a server with one policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// The name of the file, without its ending.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) policy: Policy,
    pub(crate) cases: Vec<Case>,
}

/// What the server under test is to be told.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) allow_origin: AllowOrigin,
    pub(crate) require_origin: bool,
    pub(crate) allow_hosts: Option<Vec<String>>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) subprotocol_required: bool,
    pub(crate) permessage_deflate: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AllowOrigin {
    #[default]
    SameOrigin,
    Any,
    #[serde(untagged)]
    List(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    request: Vec<Text>,
    #[serde(default)]
    after: String,
    pub(crate) expect: Expectation,
    pub(crate) why: String,
    pub(crate) source: String,
}

/// A line of a request, as it is or with something repeated in it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Repeating {
        start: String,
        repeat: String,
        times: usize,
        #[serde(default)]
        end: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    pub(crate) deflate: Option<Agreement>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Status {
    Exactly(u16),
    /// `4xx`, or `none` where there is no answer.
    Like(String),
    AnyOf(Vec<Self>),
}

/// The parameters of permessage-deflate that an answer has to have and may have, if it agrees on that extension at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Agreement {
    pub(crate) must: Vec<String>,
    pub(crate) may: Vec<String>,
}

impl Subject {
    /// Reads one file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let subject = serde_json::from_slice::<Self>(&fs::read(path)?)?;
        Ok(Self { name: path.file_stem().unwrap_or_default().to_string_lossy().into(), ..subject })
    }

    /// Reads all files of this directory, in the order of their names.
    pub(crate) fn all() -> io::Result<Vec<Self>> {
        // Other packages of the workspace compile this file too, from directories below.
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|path| path.join("tests/cases"));
        let directory = above.find(|path| path.is_dir()).ok_or(io::ErrorKind::NotFound)?;
        let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = entries.collect::<io::Result<Vec<PathBuf>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }
}

impl Case {
    /// The octets of the request: each character is one.
    pub(crate) fn octets(&self) -> io::Result<Vec<u8>> {
        let mut lines: Vec<_> = self.request.iter().map(Text::to_string).collect();
        lines.extend([String::new(), self.after.clone()]);
        lines.join("\r\n").chars().map(|octet| u8::try_from(octet).map_err(io::Error::other)).collect()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Repeating { start, repeat, times, end } => {
                f.write_str(start)?;
                (1..=*times).try_for_each(|time| f.write_str(&repeat.replace('#', &time.to_string())))?;
                f.write_str(end)
            }
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(status) => write!(f, "{status}"),
            Self::Like(like) => f.write_str(like),
            Self::AnyOf(all) => {
                let all: Vec<_> = all.iter().map(Self::to_string).collect();
                f.write_str(&all.join(" or "))
            }
        }
    }
}
