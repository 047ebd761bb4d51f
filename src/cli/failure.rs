//! How a command ends: an exit code, and one sentence for people where it failed.

use std::fmt;

use super::out::remark;
use crate::fault::Fault;

/// 128 and the number of the signal.
const SIGPIPE: u8 = 141;

/// The number that a command leaves behind. `std`'s own cannot be read again, which
/// [`crate::engine::leave`] must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// All is done.
    pub const SUCCESS: Self = Self(0);
    /// Something is not; what, was said.
    pub const FAILURE: Self = Self(1);

    /// 0 to 255, as a shell shows it.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl From<u8> for ExitCode {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// One sentence with the next step.
    pub message: String,
    /// Decides the exit code.
    pub fault: Fault,
}

impl Failure {
    /// The user's mistake: exit code 64.
    pub fn request(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fault: Fault::Request,
        }
    }

    /// Something broke here: exit code 70.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fault: Fault::Internal,
        }
    }
}

impl Failure {
    /// The other side is down: exit code 69.
    pub fn remote(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fault: Fault::Remote,
        }
    }
}

impl Failure {
    /// Nobody reads the output any more (`| head`): nothing to say, and the exit code that shells give
    /// to a program which that ended.
    pub(super) fn unread() -> Self {
        Self {
            message: String::new(),
            fault: Fault::Busy,
        }
    }

    /// The exit code of a command that failed so. Tells the person at the terminal why.
    pub fn report(&self) -> u8 {
        if self.message.is_empty() {
            return SIGPIPE;
        }
        remark(format_args!("caal: {self}"));
        self.fault.exit_code()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Every error of a room becomes a failure with that room's own judgement.
macro_rules! from_room {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self { fault: error.fault(), message: error.to_string() }
            }
        }
    )*};
}

from_room!(
    crate::audio::wav::WavError,
    crate::endpoint::EndpointError,
    crate::engine::RuntimeError,
    crate::llm::LlmError,
    crate::models::ModelsError,
    crate::rtc::endpoint::EndpointError,
    crate::rtc::endpoint::KeyError,
    crate::rtc::join::JoinError,
    crate::settings::SettingsError,
    crate::store::StoreError,
    crate::tools::memory::MemoryError,
    crate::stt::SttError,
    crate::tts::TtsError,
    crate::vad::VadError,
    crate::wake::WakeError,
);
