//! What the user may change: read at the start, and live from then on.
//!
//! One table of rows ([`ROWS`]) says key, environment variable, kind, default, when a change is seen
//! and meaning; from it come reading, checking, the HTTP API's settings, `caal settings` and
//! `docs/settings.md`. Values come from, strongest first: the command line, the settings file
//! (`settings.json`), the environment, a `.env` file in the working folder, the default. This is the
//! only place that reads the environment, and the only one that writes settings ([`Live`]).

mod hub;
mod live;
mod network;
mod page;
mod resolve;
mod source;
mod store;
mod table;
mod value;

pub use live::{Explained, Judge, Live, Prompt, explain};
pub use network::{Network, NoNetwork};
pub use page::markdown;
pub use resolve::{LlmProvider, Problem, Settings, SettingsError};
pub use source::{Origin, Sources};
pub use table::{Applies, CAAL_ROWS, Kind, ROWS, Reach, Row};
pub use value::MASK;
