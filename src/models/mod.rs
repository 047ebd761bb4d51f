//! Model files on disk: the manifest, the store, the download, verification. No inference here.
//!
//! A model is a folder `<store>/<name>/` of files. A file gets its name only when all of its bytes are
//! there and their sha256 is right; until then it is `<file>.part`. So nothing half fetched is ever
//! taken for a model, and a pull that was cut off at any moment goes on where it was.

mod cache;
mod error;
mod fetch;
mod hub;
mod manifest;
mod part;
mod pull;
mod record;
mod registry;
mod room;
mod store;
mod unpack;
mod watch;
mod whisper;

pub(crate) use error::people;
pub use error::{Attempt, ModelsError};
pub use hub::{HubOptions, Patience};
pub use manifest::{FileEntry, Manifest, Model, Role};
pub use store::{State, Store};
pub use watch::{Event, Watch};
