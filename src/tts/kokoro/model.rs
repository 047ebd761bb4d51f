//! The Kokoro network itself: phonemes and a style in, raw sound out.
//!
//! | tensor | shape | type | what |
//! |---|---|---|---|
//! | `tokens` (or `input_ids`) | `[1, n + 2]` | i64 | phonemes by `vocab.json`, 0 at both ends; n ≤ 510 |
//! | `style` | `[1, 256]` | f32 | row n - 1 of the voice |
//! | `speed` | `[1]` | f32 | 1 = the voice's own |
//! | first output (`audio`) | `[samples]` | f32 | mono 24 kHz with silence at both ends |
//!
//! Written for Kokoro-82M v1.0, the int8 export of 92,361,271 bytes (sha256 6e742170…); other exports
//! of the same network have the same inputs. Source: hexgrad/Kokoro-82M, Apache-2.0.

use std::{collections::HashMap, fs, path::Path};

use ort::{
    session::{NoSelectedOutputs, RunOptions, Session},
    value::{Tensor, ValueType},
};

use super::voices::{ROWS, STYLE};
use crate::{
    engine::{Role, Runtime, RuntimeError},
    tts::TtsError,
};

/// Tokens that the network takes at once, without the two at its ends.
pub(super) const LONGEST: usize = ROWS;

/// The loaded network.
pub(super) struct Network {
    session: Session,
    tokens_name: &'static str,
}

impl Network {
    pub(super) fn load(runtime: &Runtime, path: &Path) -> Result<Self, TtsError> {
        if !path.is_file() {
            return Err(RuntimeError::ModelMissing(path.to_owned()).into());
        }
        let unusable = |reason: &str| RuntimeError::ModelUnusable {
            path: path.to_owned(),
            reason: first_line(reason),
        };
        let session = runtime
            .builder(Role::Voice)
            // Every clause has its own length: patterns would only pile up.
            .and_then(|b| Ok(b.with_memory_pattern(false)?))
            .and_then(|mut b| b.commit_from_file(path))
            .map_err(|e| unusable(&e.to_string()))?;
        let has = |name: &str| session.inputs().iter().any(|i| i.name() == name);
        let tokens_name = if has("tokens") {
            "tokens"
        } else if has("input_ids") {
            "input_ids"
        } else {
            return Err(unusable("it has no input named tokens").into());
        };
        let sound = session.outputs().first().is_some_and(|o| {
            matches!(
                o.dtype(),
                ValueType::Tensor { ty, .. } if *ty == ort::value::TensorElementType::Float32
            )
        });
        if !has("style") || !has("speed") || !sound {
            return Err(unusable("its inputs and outputs are not those of Kokoro").into());
        }
        Ok(Self {
            session,
            tokens_name,
        })
    }

    /// Sound for 1 to [`LONGEST`] tokens. `stop` ends it early, with an error.
    pub(super) fn run<T>(
        &mut self,
        tokens: &[i64],
        style: Vec<f32>,
        speed: f32,
        stop: &RunOptions<NoSelectedOutputs>,
        take: impl FnOnce(&[f32]) -> T,
    ) -> Result<T, TtsError> {
        debug_assert!((1..=LONGEST).contains(&tokens.len()) && style.len() == STYLE);
        let failed = |e: ort::Error| TtsError::Model(first_line(&e.to_string()));
        let mut padded = Vec::with_capacity(tokens.len() + 2);
        padded.push(0);
        padded.extend_from_slice(tokens);
        padded.push(0);
        let inputs = ort::inputs![
            self.tokens_name => Tensor::from_array(([1, padded.len()], padded)).map_err(failed)?,
            "style" => Tensor::from_array(([1, STYLE], style)).map_err(failed)?,
            "speed" => Tensor::from_array(([1], vec![speed])).map_err(failed)?,
        ];
        let outputs = self
            .session
            .run_with_options(inputs, stop)
            .map_err(failed)?;
        let (_, samples) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        if samples.iter().any(|s| !s.is_finite()) {
            return Err(TtsError::Model("the network gave no numbers".to_owned()));
        }
        Ok(take(samples))
    }
}

/// Which token stands for which phoneme.
#[derive(Debug)]
pub(super) struct Vocab(HashMap<char, i64>);

impl Vocab {
    /// Reads `{"vocab": {"a": 43, …}}`: `vocab.json`, or the `config.json` of the published model.
    pub(super) fn load(path: &Path) -> Result<Self, TtsError> {
        #[derive(serde::Deserialize)]
        struct File {
            vocab: HashMap<String, i64>,
        }
        let bad = |reason: String| TtsError::BadModel {
            path: path.display().to_string(),
            reason,
        };
        let text =
            fs::read(path).map_err(|e| bad(format!("its vocabulary cannot be read ({e})")))?;
        let file: File = serde_json::from_slice(&text)
            .map_err(|e| bad(format!("its vocabulary is no such JSON ({e})")))?;
        let map: HashMap<char, i64> = file
            .vocab
            .into_iter()
            .filter_map(|(key, id)| {
                let mut chars = key.chars();
                let c = chars.next()?;
                // The published network has 178 tokens; another number would read past its table.
                (chars.next().is_none() && (1..178).contains(&id)).then_some((c, id))
            })
            .collect();
        if [' ', '.', 'ˈ', 'ə', 't']
            .iter()
            .any(|c| !map.contains_key(c))
        {
            return Err(bad(
                "its vocabulary lacks the phonemes of English".to_owned()
            ));
        }
        Ok(Self(map))
    }

    /// Tokens of `phonemes`, cut into runs that the network takes at once: after a sentence if one
    /// ends in the last half, else after a clause, else between words, else anywhere.
    ///
    /// A character without token is a mark that is not heard (a hyphen, a length mark of another
    /// school) and is left out.
    pub(super) fn runs(&self, phonemes: &str) -> Vec<Vec<i64>> {
        let known: Vec<(char, i64)> = phonemes
            .chars()
            .filter_map(|c| self.0.get(&c).map(|id| (c, *id)))
            .collect();
        let mut rest = known.as_slice();
        let mut runs = Vec::new();
        while !rest.is_empty() {
            let cut = if rest.len() <= LONGEST {
                rest.len()
            } else {
                let window = &rest[..LONGEST];
                let after = |marks: &str, from: usize| {
                    window[from..]
                        .iter()
                        .rposition(|(c, _)| marks.contains(*c))
                        .map(|i| from + i + 1)
                };
                after(".!?…", LONGEST / 2)
                    .or_else(|| after(",;:—", LONGEST / 2))
                    .or_else(|| after(" ", 1))
                    .unwrap_or(LONGEST)
            };
            let (run, tail) = rest.split_at(cut);
            let spoken = run.iter().any(|(c, _)| c.is_alphabetic());
            if spoken {
                let mut ids: Vec<i64> = run.iter().map(|(_, id)| *id).collect();
                let space = self.0[&' '];
                while ids.last() == Some(&space) {
                    ids.pop();
                }
                let lead = ids.iter().take_while(|id| **id == space).count();
                ids.drain(..lead);
                runs.push(ids);
            }
            rest = tail;
        }
        runs
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocab() -> Vocab {
        Vocab(" .,ˈəta".chars().zip(1..).collect())
    }

    #[test]
    fn a_long_text_is_cut_after_a_sentence_a_clause_or_a_word() {
        let vocab = vocab();
        let words = "tat ".repeat(200);
        let runs = vocab.runs(&words);
        assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [507, 291]);
        let sentence = format!("{}. {}", "ta ".repeat(120), "ta ".repeat(120));
        assert_eq!(vocab.runs(&sentence)[0].len(), 361);
        let solid = "ta".repeat(600);
        assert_eq!(
            vocab.runs(&solid).iter().map(Vec::len).sum::<usize>(),
            1_200
        );
    }

    #[test]
    fn marks_alone_are_no_run() {
        assert!(vocab().runs("").is_empty());
        assert!(vocab().runs(" . , ").is_empty());
        assert!(vocab().runs("❓%").is_empty());
    }

    #[test]
    fn a_vocabulary_that_is_none_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("vocab.json");
        for (text, told) in [
            ("", "no such JSON"),
            ("{}", "no such JSON"),
            (r#"{"vocab": {"a": 1}}"#, "lacks"),
            (
                r#"{"vocab": {" ": 1, ".": 2, "ˈ": 3, "ə": 4, "t": 99999}}"#,
                "lacks",
            ),
        ] {
            fs::write(&path, text).expect("writes");
            let error = Vocab::load(&path).expect_err("refused").to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
