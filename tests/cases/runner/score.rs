//! How many cases a server gets right.

use std::{fmt, io, net::SocketAddr, ops::AddAssign};

use super::{
    answer::Answer,
    format::{Case, Subject},
    judge::{Difference, Fault},
};

/// How many cases of a subject a server got right.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) cases: usize,
    pub(crate) right: usize,
    let_in: usize,
    kept_out: usize,
}

impl Subject {
    /// Sends each case to the server at `address`, and shows those in which it differs.
    ///
    /// # Errors
    ///
    /// Where there is no server.
    pub(crate) fn hold(&self, address: SocketAddr, mut differs: impl FnMut(&Case, &Difference)) -> io::Result<Score> {
        let mut score = Score::default();
        for case in &self.cases {
            let verdict = case.expect.judge(Answer::to(case, address)?.as_ref());
            score.add(verdict.as_ref().err().map(|difference| difference.fault));
            if let Err(difference) = verdict {
                differs(case, &difference);
            }
        }
        Ok(score)
    }
}

impl Score {
    fn add(&mut self, fault: Option<Fault>) {
        self.cases += 1;
        match fault {
            None => self.right += 1,
            Some(Fault::LetIn) => self.let_in += 1,
            Some(Fault::KeptOut) => self.kept_out += 1,
            Some(Fault::Otherwise) => {}
        }
    }
}

impl AddAssign<&Self> for Score {
    fn add_assign(&mut self, other: &Self) {
        self.cases += other.cases;
        self.right += other.right;
        self.let_in += other.let_in;
        self.kept_out += other.kept_out;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.right)?;
        match (self.let_in, self.kept_out) {
            (0, 0) => Ok(()),
            (let_in, 0) => write!(f, " ({let_in} let in)"),
            (0, kept_out) => write!(f, " ({kept_out} kept out)"),
            (let_in, kept_out) => write!(f, " ({let_in} let in, {kept_out} kept out)"),
        }
    }
}
