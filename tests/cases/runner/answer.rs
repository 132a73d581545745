//! What a server answers.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::format::Case;

/// The head of a response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
}

impl Answer {
    /// What the server at `address` answers to a case on a connection of its own, if it answers in time.
    ///
    /// # Errors
    ///
    /// Where there is no server, and where the case holds characters beyond U+00FF.
    pub(crate) fn to(case: &Case, address: SocketAddr) -> io::Result<Option<Self>> {
        let request = case.octets()?;
        let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
        connection.set_write_timeout(Some(PATIENCE))?;
        // A server may have refused before it has read all.
        let _ = connection.write_all(&request);
        let end = Instant::now() + PATIENCE;
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        while read.len() < MAX_HEAD {
            let answer = Self::parse(&read);
            let left = end.saturating_duration_since(Instant::now());
            if answer.is_some() || left.is_zero() {
                return Ok(answer);
            }
            connection.set_read_timeout(Some(left))?;
            match connection.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => read.extend_from_slice(&buffer[..length]),
            }
        }
        Ok(None)
    }

    /// The first head that is none of an interim response; a 101 is final.
    fn parse(read: &[u8]) -> Option<Self> {
        let text: String = read.iter().copied().map(char::from).collect();
        text.split_inclusive("\r\n\r\n").filter_map(|head| head.strip_suffix("\r\n\r\n")).find_map(|head| {
            let mut lines = head.split("\r\n");
            let (version, rest) = lines.next()?.split_once(' ')?;
            let status = rest.get(..3)?.parse().ok()?;
            let fields = lines.filter_map(|line| line.split_once(':'));
            let fields = fields.map(|(name, value)| (name.into(), value.trim_matches([' ', '\t']).into())).collect();
            let is_final = status == 101 || status >= 200;
            (version.starts_with("HTTP/1.") && is_final).then_some(Self { status, fields })
        })
    }

    /// The value of a field, its lines combined.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let lines = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let lines: Vec<_> = lines.map(|(_, value)| value.as_str()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }
}

/// More than an answer takes, and less than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

const MAX_HEAD: usize = 64 << 10;
