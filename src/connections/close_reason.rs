//! Why a connection has to close.

/// Why a connection was asked to close; see [`Closing::reason`](crate::Closing::reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The server stops: [`Connections::drain`](crate::Connections::drain).
    Drain,
    /// The connection reached its age limit: [`Connections::max_age`](crate::Connections::max_age).
    MaxAge,
    /// The peer sent nothing for the idle timeout: [`Connections::idle_timeout`](crate::Connections::idle_timeout).
    IdleTimeout,
    /// The connection's token or other permission expired: [`ConnectionPermit::close_at`](crate::ConnectionPermit::close_at).
    Expired,
    /// The application closes the connection: [`ConnectionPermit::close`](crate::ConnectionPermit::close). The number is the close code to
    /// send.
    Application(u16),
}

impl CloseReason {
    /// The close code that the handler should send for this reason (RFC 6455 §7.4 and IANA's registry):
    ///
    /// | Reason | Code | What clients do |
    /// |---|---|---|
    /// | `Drain`, `IdleTimeout` | 1001, going away | connect again |
    /// | `MaxAge` | 1012, service restart | connect again, perhaps to another node |
    /// | `Expired` | 1008, policy violation | log in again |
    /// | `Application` | the given number | |
    ///
    /// If an endpoint must not send an application's number, the code is 1008 instead. These numbers are below 1000, above 4999, 1004,
    /// 1005, 1006, and 1015 to 2999.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::Drain | Self::IdleTimeout => 1001,
            Self::MaxAge => 1012,
            Self::Expired | Self::Application(..1000 | 1004..=1006 | 1015..=2999 | 5000..) => POLICY_VIOLATION,
            Self::Application(code) => code,
        }
    }

    /// The reason's name in spans and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::MaxAge => "max_age",
            Self::IdleTimeout => "idle_timeout",
            Self::Expired => "expired",
            Self::Application(_) => "application",
        }
    }

    /// The reason as a number that is not 0.
    pub(super) fn to_bits(self) -> u16 {
        match self {
            Self::Drain => 1,
            Self::MaxAge => 2,
            Self::IdleTimeout => 3,
            Self::Expired => 4,
            Self::Application(_) => self.close_code(),
        }
    }

    pub(super) fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            0 => None,
            1 => Some(Self::Drain),
            2 => Some(Self::MaxAge),
            3 => Some(Self::IdleTimeout),
            4 => Some(Self::Expired),
            code => Some(Self::Application(code)),
        }
    }
}

const POLICY_VIOLATION: u16 = 1008;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_code_that_may_be_sent_and_bits_of_its_own() {
        let rows = [
            (CloseReason::Drain, 1001, "drain"),
            (CloseReason::MaxAge, 1012, "max_age"),
            (CloseReason::IdleTimeout, 1001, "idle_timeout"),
            (CloseReason::Expired, 1008, "expired"),
            (CloseReason::Application(1000), 1000, "application"),
            (CloseReason::Application(1003), 1003, "application"),
            (CloseReason::Application(1007), 1007, "application"),
            (CloseReason::Application(1014), 1014, "application"),
            (CloseReason::Application(3000), 3000, "application"),
            (CloseReason::Application(4999), 4999, "application"),
        ];
        for (reason, code, name) in rows {
            assert_eq!((reason.close_code(), reason.as_str()), (code, name));
            assert_eq!(CloseReason::from_bits(reason.to_bits()), Some(reason));
        }
        for number in [0, 1, 4, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            let reason = CloseReason::from_bits(CloseReason::Application(number).to_bits());
            assert_eq!(reason, Some(CloseReason::Application(1008)), "{number}");
        }
        assert_eq!(CloseReason::from_bits(0), None);
    }
}
