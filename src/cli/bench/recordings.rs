//! The recordings that benches hear: a folder with a list, `manifest.tsv`, of columns parted by tabs
//! with their names in the first line.

use std::{fs, path::Path};

use crate::cli::Failure;

/// The few recordings of the repository, from its root: enough to see a bench at work, too few for
/// figures.
pub(super) const OURS: &str = "tests/fixtures/audio";

/// A line of the list; columns that it does not have are empty.
pub(super) struct Entry {
    /// Below the folder.
    pub(super) path: String,
    /// `asr` for read sentences, `command` for questions and commands, `wake_pos` for wake words.
    pub(super) category: String,
    /// Of `wake_pos`: the word.
    pub(super) label: String,
    /// What is said.
    pub(super) transcript: String,
}

/// The list of `folder`, which must have the columns path, category and `column`.
///
/// # Errors
///
/// With the next step, when there is no list or it lacks a column.
pub(super) fn manifest(folder: &Path, column: &str) -> Result<Vec<Entry>, Failure> {
    let file = folder.join("manifest.tsv");
    let text = fs::read_to_string(&file).map_err(|e| {
        Failure::request(format!(
            "{} cannot be read ({e}); give a folder of recordings that has this list with --speech, \
             or start in caal's repository, which has a few in {OURS}",
            file.display()
        ))
    })?;
    let mut lines = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    let place = |name: &str| head.iter().position(|&h| h == name);
    if let Some(name) = ["path", "category", column]
        .iter()
        .find(|n| place(n).is_none())
    {
        let file = file.display();
        return Err(Failure::request(format!(
            "{file} has no column {name}; it needs path, category, {column}, parted by tabs"
        )));
    }
    let places = ["path", "category", "label", "transcript"].map(place);
    Ok(lines
        .map(|line| {
            let [path, category, label, transcript] = places.map(|at| {
                let field = at.and_then(|at| line.get(at)).copied();
                field.unwrap_or_default().trim().to_owned()
            });
            Entry {
                path,
                category,
                label,
                transcript,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_repository_names_recordings_that_are_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(OURS);
        let entries = manifest(&folder, "transcript").unwrap();
        for category in ["asr", "command", "wake_pos"] {
            assert!(entries.iter().any(|e| e.category == category), "{category}");
        }
        for entry in &entries {
            assert!(folder.join(&entry.path).is_file(), "{}", entry.path);
        }
        let spoken = |e: &&Entry| ["asr", "command"].contains(&e.category.as_str());
        assert!(
            entries
                .iter()
                .filter(spoken)
                .all(|e| !e.transcript.is_empty())
        );
    }

    #[test]
    fn a_list_that_cannot_be_used_says_what_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        let missing = manifest(folder.path(), "label").err().unwrap();
        assert!(missing.message.contains("--speech"), "{missing}");
        fs::write(folder.path().join("manifest.tsv"), "path\tlabel\n").unwrap();
        let lacking = manifest(folder.path(), "label").err().unwrap();
        assert!(lacking.message.contains("no column category"), "{lacking}");
    }
}
