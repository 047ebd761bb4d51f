//! Model files: fetched from a hub and from registries, checked, told about, deleted.

mod command;
mod faults;
mod hub;
pub(crate) mod server;
mod sources;

use std::sync::Mutex;

use caal::models::{Event, Manifest, Store, Watch};

/// Keeps what a pull told, as lines.
#[derive(Default)]
pub(crate) struct Diary(Mutex<Vec<String>>);

impl Diary {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|l| l.contains(text))
    }
}

impl Watch for Diary {
    fn on(&self, event: Event<'_>) {
        if !matches!(event, Event::Bytes(_)) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }
}

/// A folder for a store, and the store in it with the embedded manifest.
pub(crate) fn empty_store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("models"));
    (dir, store)
}

/// A manifest of one model `m` with the file `model.bin` of these bytes, which these repositories have.
pub(crate) fn manifest(bytes: &[u8], repos: &[&str]) -> Manifest {
    let mut text = format!(
        "[[model]]\nname = \"m\"\nrole = \"stt\"\ndescription = \"\"\nlicence = \"MIT\"\n\
         note = \"only a test\"\n\
         files = [{{ path = \"model.bin\", bytes = {}, sha256 = \"{}\" }}]\n",
        bytes.len(),
        server::sha256(bytes)
    );
    for repo in repos {
        text.push_str(&format!(
            "[[model.sources]]\nkind = \"hub\"\nrepo = {repo:?}\nrevision = \"main\"\n\
             gives = {{ \"*\" = [\"*\"] }}\n"
        ));
    }
    Manifest::parse(&text).unwrap()
}

/// Names for `pull`.
pub(crate) fn names(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}
