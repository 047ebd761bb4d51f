//! What the user may change, resolved once at start.
//!
//! One table of rows ([`table`]) says key, environment variable, kind, default and meaning; from it
//! come reading, checking and `docs/settings.md`. Values come from, strongest first: the command
//! line, the settings file (`settings.json`), the environment, a `.env` file in the working folder,
//! the default. This is the only place that reads the environment.

mod hub;
mod resolve;
mod source;
mod table;

pub use resolve::{LlmProvider, Settings, SettingsError};
pub use source::Sources;
pub use table::{Kind, ROWS, Row, markdown};
