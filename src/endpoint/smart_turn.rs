//! Smart Turn v3.2 on ONNX Runtime: a Whisper-tiny encoder with a head that says whether a turn
//! sounds finished.
//!
//! | tensor | type and shape | |
//! |---|---|---|
//! | `input_features` | f32 `[1, 80, 800]` | log-mel of 8 s at 16 kHz |
//! | `logits` | f32 `[1, 1]` | probability that the turn is complete (the sigmoid is inside) |
//!
//! The last 8 s count; shorter sound is padded with zeros at its *front*, then all of it is brought to
//! mean 0 and variance 1, then [`LogMel`]. Reference: pipecat-ai 1.14.0 (BSD-2-Clause),
//! `audio/turn/smart_turn/local_smart_turn_v3.py`. Written for the file with SHA-256 2bb02631…

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use ort::{session::Session, value::Tensor};

use super::{EndpointError, TurnEndModel};
use crate::{
    audio::mel::LogMel,
    engine::{Role, Runtime, RuntimeError},
};

const BANDS: usize = 80;
const FRAMES: usize = 800;
const SAMPLES: usize = FRAMES * LogMel::HOP;

/// Smart Turn. No state between calls; about 30 ms for a call on two cores.
///
/// Clones share the model, 27 MB of memory, and judge one after the other: a pause is rarely two people's.
pub struct SmartTurn {
    session: Arc<Mutex<Session>>,
    mel: LogMel,
    sound: Vec<f32>,
}

impl SmartTurn {
    /// Loads `smart-turn-v3.2-cpu.onnx`.
    ///
    /// # Errors
    ///
    /// When the file is missing, damaged or another model.
    pub fn load(runtime: &Runtime, path: &Path) -> Result<Self, EndpointError> {
        let session = runtime.session(Role::Voice, path)?;
        let mut this = Self {
            session: Arc::new(Mutex::new(session)),
            mel: LogMel::new(BANDS),
            sound: vec![0.0; SAMPLES],
        };
        // Another model shows here, not in a conversation; and the first run is the slow one.
        this.judge(&[]).map_err(|e| RuntimeError::ModelUnusable {
            path: path.to_owned(),
            reason: e.to_string().lines().next().unwrap_or_default().to_owned(),
        })?;
        Ok(this)
    }

    fn judge(&mut self, speech: &[f32]) -> Result<f32, ort::Error> {
        prepare(speech, &mut self.sound);
        let mel = self.mel.compute(&self.sound, FRAMES);
        let input = Tensor::from_array(([1, BANDS, FRAMES], mel))?;
        // A run that panicked leaves no state behind.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs![input])?;
        match *outputs[0].try_extract_tensor::<f32>()?.1 {
            [p] if p.is_finite() => Ok(p.clamp(0.0, 1.0)),
            [_] => Err(ort::Error::new("it gives no number")),
            _ => Err(ort::Error::new("it gives more than one probability")),
        }
    }
}

impl Clone for SmartTurn {
    fn clone(&self) -> Self {
        Self {
            session: Arc::clone(&self.session),
            mel: LogMel::new(BANDS),
            sound: vec![0.0; SAMPLES],
        }
    }
}

impl TurnEndModel for SmartTurn {
    fn probability(&mut self, speech: &[f32]) -> Result<f32, EndpointError> {
        self.judge(speech)
            .map_err(|e| EndpointError::Model(e.to_string()))
    }
}

impl std::fmt::Debug for SmartTurn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmartTurn")
    }
}

/// The last samples of `speech` at the end of `out`, zeros before them, then mean 0 and variance 1
/// over the whole of `out`, as Hugging Face's feature extractor does it.
fn prepare(speech: &[f32], out: &mut [f32]) {
    let speech = &speech[speech.len().saturating_sub(out.len())..];
    let (padding, sound) = out.split_at_mut(out.len() - speech.len());
    padding.fill(0.0);
    for (to, &s) in sound.iter_mut().zip(speech) {
        // Sound that is no number is none.
        *to = if s.is_finite() { s } else { 0.0 };
    }
    let len = out.len() as f64;
    let mean = out.iter().map(|&s| f64::from(s)).sum::<f64>() / len;
    let variance = out
        .iter()
        .map(|&s| (f64::from(s) - mean).powi(2))
        .sum::<f64>()
        / len;
    let scale = 1.0 / (variance + 1e-7).sqrt();
    for s in out {
        *s = ((f64::from(*s) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_speech_stands_at_the_end_and_long_speech_loses_its_beginning() {
        let mut out = [9.0; 4];
        prepare(&[1.0, -1.0], &mut out);
        assert!(out[0].abs() < 1e-6 && out[1].abs() < 1e-6, "{out:?}");
        assert!((out[2] - 2f32.sqrt()).abs() < 1e-4, "{out:?}");
        let mut long = [0.0; 2];
        prepare(&[5.0, 5.0, 2.0, 4.0], &mut long);
        assert!(
            (long[0] + 1.0).abs() < 1e-4 && (long[1] - 1.0).abs() < 1e-4,
            "{long:?}"
        );
    }

    #[test]
    fn silence_stays_silence_and_what_is_no_number_becomes_it() {
        let mut out = [1.0; 3];
        prepare(&[f32::NAN, f32::INFINITY], &mut out);
        assert_eq!(out, [0.0; 3]);
    }
}
