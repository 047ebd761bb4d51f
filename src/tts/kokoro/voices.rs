//! The voice files of Kokoro: found, checked, loaded when first used, blended.
//!
//! A file is raw little-endian `f32` `[510, 256]`: one style of 256 numbers for each length of a text
//! in tokens (row `n - 1` for `n` tokens). 54 files are 28 MB, the most this keeps in memory.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::tts::{TtsError, Voice};

/// Numbers in a style.
pub(super) const STYLE: usize = 256;
/// Rows in a voice file: the longest text in tokens.
pub(super) const ROWS: usize = 510;

/// How the words are said; decides which phonemes are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accent {
    /// All voices but the British.
    American,
    /// `bf_…` and `bm_…`.
    British,
}

/// The voices of a folder, by name.
#[derive(Clone, Debug)]
pub(super) struct Names {
    folder: PathBuf,
    /// Sorted.
    names: Vec<String>,
}

/// One voice or several, with weights that sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blend {
    /// At least one.
    pub parts: Vec<(String, f32)>,
    /// Of the heaviest part.
    pub accent: Accent,
}

impl Names {
    /// Lists the voices in `folder`: every file named `*.bin`.
    pub(super) fn find(folder: &Path) -> Result<Self, TtsError> {
        let bad = |reason: String| TtsError::BadModel {
            path: folder.display().to_string(),
            reason,
        };
        let entries = fs::read_dir(folder)
            .map_err(|e| bad(format!("the folder of voices cannot be read ({e})")))?;
        let mut names = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(|e| bad(format!("the folder of voices cannot be read ({e})")))?
                .path();
            if path.extension().is_some_and(|e| e == "bin")
                && let Some(name) = path.file_stem().and_then(|s| s.to_str())
            {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            return Err(bad("there is no voice file (*.bin) in it".to_owned()));
        }
        names.sort();
        Ok(Self {
            folder: folder.to_owned(),
            names,
        })
    }

    /// The voices for people, by name.
    pub(super) fn list(&self) -> Vec<Voice> {
        self.names
            .iter()
            .map(|name| Voice {
                name: name.clone(),
                language: language(name).to_owned(),
            })
            .collect()
    }

    /// Reads a voice (`af_heart`) or a blend (`af_bella(2) + af_sky`), with spaces anywhere.
    ///
    /// # Errors
    ///
    /// [`TtsError::Voice`] with the nearest name, or all of them.
    pub(super) fn parse(&self, text: &str) -> Result<Blend, TtsError> {
        let malformed = || {
            TtsError::Voice(format!(
                "the voice {text:?} cannot be read; write one name (af_heart) or a blend (af_bella(2)+af_sky(1))"
            ))
        };
        let mut parts: Vec<(String, f32)> = Vec::new();
        for part in text.split('+') {
            let part: String = part.chars().filter(|c| !c.is_whitespace()).collect();
            let (name, weight) = match part.split_once('(') {
                None => (part.as_str(), 1.0),
                Some((name, rest)) => {
                    let number = rest.strip_suffix(')').ok_or_else(malformed)?;
                    let weight: f32 = number.parse().map_err(|_| malformed())?;
                    (name, weight)
                }
            };
            if name.is_empty() {
                return Err(malformed());
            }
            if !weight.is_finite() || weight <= 0.0 {
                return Err(TtsError::Voice(format!(
                    "the weight of {name} in the voice {text:?} must be a number above 0"
                )));
            }
            if !self.names.iter().any(|n| n == name) {
                return Err(TtsError::Voice(self.unknown(name)));
            }
            parts.push((name.to_owned(), weight));
        }
        let total: f32 = parts.iter().map(|p| p.1).sum();
        if !total.is_finite() {
            return Err(malformed());
        }
        for part in &mut parts {
            part.1 /= total;
        }
        let heaviest = parts
            .iter()
            .reduce(|best, p| if p.1 > best.1 { p } else { best })
            .expect("split gives at least one part");
        let accent = if heaviest.0.starts_with('b') {
            Accent::British
        } else {
            Accent::American
        };
        Ok(Blend { parts, accent })
    }

    fn unknown(&self, name: &str) -> String {
        let nearest = self
            .names
            .iter()
            .map(|known| (distance(name, known), known))
            .min()
            .filter(|(edits, _)| *edits <= 3);
        match nearest {
            Some((_, known)) => format!("there is no voice {name:?}; did you mean {known}?"),
            None => format!(
                "there is no voice {name:?}; the voices are {}",
                self.names.join(", ")
            ),
        }
    }
}

/// The styles in memory. Lives on the engine thread.
#[derive(Debug)]
pub(super) struct Styles {
    folder: PathBuf,
    loaded: HashMap<String, Arc<[f32]>>,
}

impl Styles {
    pub(super) fn new(names: &Names) -> Self {
        Self {
            folder: names.folder.clone(),
            loaded: HashMap::new(),
        }
    }

    /// The style of `blend` for a text of `tokens` tokens, [`STYLE`] numbers.
    ///
    /// # Errors
    ///
    /// [`TtsError::BadModel`] when a voice file is missing or damaged.
    pub(super) fn style(&mut self, blend: &Blend, tokens: usize) -> Result<Vec<f32>, TtsError> {
        let row = tokens.clamp(1, ROWS) - 1;
        let mut style = vec![0.0; STYLE];
        for (name, weight) in &blend.parts {
            let table = self.table(name)?;
            for (sum, number) in style.iter_mut().zip(&table[row * STYLE..][..STYLE]) {
                *sum += weight * number;
            }
        }
        Ok(style)
    }

    fn table(&mut self, name: &str) -> Result<Arc<[f32]>, TtsError> {
        if let Some(table) = self.loaded.get(name) {
            return Ok(table.clone());
        }
        let path = self.folder.join(format!("{name}.bin"));
        let table: Arc<[f32]> = read(&path)
            .map_err(|reason| TtsError::BadModel {
                path: path.display().to_string(),
                reason,
            })?
            .into();
        self.loaded.insert(name.to_owned(), table.clone());
        Ok(table)
    }
}

fn read(path: &Path) -> Result<Vec<f32>, String> {
    let bytes = fs::read(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "the voice file is missing".to_owned(),
        _ => format!("the voice file cannot be read ({e})"),
    })?;
    let wanted = ROWS * STYLE * size_of::<f32>();
    if bytes.len() != wanted {
        return Err(format!(
            "a voice file has {wanted} bytes, this one {}",
            bytes.len()
        ));
    }
    let table: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect();
    // Styles of the published voices stay within ±2; 100 tells numbers from noise.
    if table.iter().any(|x| !x.is_finite() || x.abs() > 100.0) {
        return Err("the voice file holds numbers that are no style".to_owned());
    }
    Ok(table)
}

/// The language a voice was made for, by its first letter. All speak English here.
fn language(name: &str) -> &'static str {
    match name.chars().next() {
        Some('b') => "en-GB",
        Some('e') => "es-ES",
        Some('f') => "fr-FR",
        Some('h') => "hi-IN",
        Some('i') => "it-IT",
        Some('j') => "ja-JP",
        Some('p') => "pt-BR",
        Some('z') => "zh-CN",
        _ => "en-US",
    }
}

/// Edits (insert, remove, replace) between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            folder: PathBuf::from("voices"),
            names: ["af_bella", "af_heart", "af_sky", "bf_emma", "jf_alpha"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    fn message(text: &str) -> String {
        names().parse(text).expect_err("no such voice").to_string()
    }

    #[test]
    fn a_blend_is_read_with_its_weights_normalised() {
        let blend = names()
            .parse(" af_bella ( 2 ) + af_sky(1)")
            .expect("a blend");
        assert_eq!(
            blend.parts,
            [
                ("af_bella".to_owned(), 2.0 / 3.0),
                ("af_sky".to_owned(), 1.0 / 3.0)
            ]
        );
        assert_eq!(blend.accent, Accent::American);
        let british = names().parse("af_sky+bf_emma(1.5)").expect("a blend");
        assert_eq!(british.accent, Accent::British);
    }

    #[test]
    fn a_wrong_voice_is_told_with_what_to_write_instead() {
        assert_eq!(
            message("af_hart"),
            "there is no voice \"af_hart\"; did you mean af_heart?"
        );
        assert!(message("morgan").contains("the voices are af_bella, af_heart"));
        assert!(message("af_sky(2").contains("cannot be read"));
        assert!(message("af_sky(two)").contains("cannot be read"));
        assert!(message("af_sky+").contains("cannot be read"));
        assert!(message("").contains("cannot be read"));
        for weight in ["0", "-1", "nan", "inf"] {
            assert!(message(&format!("af_sky({weight})")).contains("above 0"));
        }
        assert!(message("../../etc/passwd").contains("there is no voice"));
    }

    #[test]
    fn damaged_voice_files_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("af_x.bin");
        assert!(read(&path).expect_err("missing").contains("missing"));
        fs::write(&path, [0; 100]).expect("writes");
        assert!(read(&path).expect_err("short").contains("522240 bytes"));
        fs::write(&path, vec![0xff; ROWS * STYLE * 4]).expect("writes");
        assert!(read(&path).expect_err("NaN").contains("no style"));
        fs::write(&path, vec![0; ROWS * STYLE * 4]).expect("writes");
        assert_eq!(read(&path).expect("zeros").len(), ROWS * STYLE);
    }

    #[test]
    fn names_differ_by_their_edits() {
        assert_eq!(distance("af_hart", "af_heart"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
