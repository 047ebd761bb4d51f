//! What an error means for whoever meets it: retry policy, HTTP status, exit code and spoken apology
//! are functions of [`Fault`], so that a new error kind cannot be forgotten in four places.

/// Whether trying again can help, and how to tell people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request itself is wrong. Do not retry. Exit code 64.
    Request,
    /// Too much work right now. Retry later, or say so.
    Busy,
    /// The other side is down or slow. Retry with back-off.
    Remote,
    /// A bug, a broken model or a broken machine here.
    Internal,
}

impl Fault {
    /// In labels of meters.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Request => "request",
            Fault::Busy => "busy",
            Fault::Remote => "remote",
            Fault::Internal => "internal",
        }
    }

    /// Exit code of a command that ended with this fault (`sysexits`: 64 usage, 69 unavailable,
    /// 70 software, 75 try again).
    pub const fn exit_code(self) -> u8 {
        match self {
            Fault::Request => 64,
            Fault::Remote => 69,
            Fault::Internal => 70,
            Fault::Busy => 75,
        }
    }
}
