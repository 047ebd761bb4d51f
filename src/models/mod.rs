//! Model files on disk: the manifest, the store, the download, verification. No inference here.
//!
//! A model is a folder `<store>/<name>/` of files. A file gets its name only when all of its bytes are
//! there and their sha256 is right; until then it is `<file>.part`. So nothing half fetched is ever
//! taken for a model, and a pull that was cut off at any moment goes on where it was.

mod error;
mod manifest;
mod record;
mod store;
mod whisper;

pub use error::{Attempt, ModelsError};
pub use manifest::{FileEntry, Manifest, Model, Role};
pub use store::{State, Store};
