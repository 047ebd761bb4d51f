//! Silero VAD v6 on ONNX Runtime.
//!
//! | tensor | type and shape | |
//! |---|---|---|
//! | `input` | f32 `[1, 576]` | the last 64 samples of the window before, then a window of 512 |
//! | `state` → `stateN` | f32 `[2, 1, 128]` | recurrent state, zeros at the start |
//! | `sr` | i64 scalar | 16000 |
//! | `output` | f32 `[1, 1]` | probability of speech |
//!
//! 16 kHz, one window is 32 ms, no overlap but the context. Reference: Python silero-vad 6.2.3 (MIT),
//! `utils_vad.OnnxWrapper`. Written for the file with SHA-256 1a153a22…

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use ort::{
    session::{Session, SessionInputValue},
    value::Tensor,
};

use super::{SpeechModel, VadError};
use crate::engine::{Role, Runtime, RuntimeError};

const WINDOW: usize = 512;
const CONTEXT: usize = 64;
const STATE: [usize; 3] = [2, 1, 128];

/// Silero VAD.
///
/// *State*: 64 samples and the recurrent state; [`SpeechModel::reset`] makes both zeros. *Timing*:
/// about 0.1 ms a window on one core. Streams share the model ([`Silero::stream`]) and are judged one
/// window after the other.
pub struct Silero {
    session: Arc<Mutex<Session>>,
    /// Sound, state, sample rate: in the order of the model's inputs.
    inputs: [SessionInputValue<'static>; 3],
}

impl Silero {
    /// Loads `silero_vad.onnx`.
    ///
    /// # Errors
    ///
    /// When the file is missing, damaged or another model.
    pub fn load(runtime: &Runtime, path: &Path) -> Result<Self, VadError> {
        let unusable = |reason: String| RuntimeError::ModelUnusable {
            path: path.to_owned(),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
        };
        let session = runtime.session(Role::Ear, path)?;
        let names: Vec<&str> = session.inputs().iter().map(|i| i.name()).collect();
        if names != ["input", "state", "sr"] || session.outputs().len() != 2 {
            return Err(unusable(format!("its inputs are {}", names.join(", "))).into());
        }
        let mut this = Self {
            session: Arc::new(Mutex::new(session)),
            inputs: start().map_err(model_error)?,
        };
        // Another model with the same names shows here, not in a conversation.
        this.run(&[0.0; WINDOW])
            .map_err(|e| unusable(e.to_string()))?;
        this.reset();
        Ok(this)
    }

    /// Another stream over the same model, at its start: a few kilobytes.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn stream(&self) -> Result<Self, VadError> {
        Ok(Self {
            session: Arc::clone(&self.session),
            inputs: start().map_err(model_error)?,
        })
    }

    fn run(&mut self, window: &[f32]) -> Result<f32, ort::Error> {
        let sound = floats(&mut self.inputs[0])?;
        sound.copy_within(WINDOW.., 0);
        sound[CONTEXT..].copy_from_slice(window);
        // All state is in the inputs: a run that panicked leaves none behind.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outputs = session.run(&self.inputs[..])?.into_iter();
        let (Some((_, probability)), Some((_, state))) = (outputs.next(), outputs.next()) else {
            return Err(ort::Error::new("it gives no state"));
        };
        self.inputs[1] = SessionInputValue::Owned(state);
        match *probability.try_extract_tensor::<f32>()?.1 {
            [p] => Ok(p),
            _ => Err(ort::Error::new("it gives more than one probability")),
        }
    }
}

impl SpeechModel for Silero {
    fn window(&self) -> usize {
        WINDOW
    }

    fn probability(&mut self, window: &[f32]) -> Result<f32, VadError> {
        if window.len() != WINDOW {
            return Err(VadError::WindowLength {
                want: WINDOW,
                got: window.len(),
            });
        }
        // The recurrent state would keep what is no number for ever.
        if window.iter().any(|s| !s.is_finite()) {
            self.reset();
            return Ok(0.0);
        }
        self.run(window).map_err(model_error)
    }

    fn reset(&mut self) {
        for input in &mut self.inputs[..2] {
            floats(input)
                .expect("sound and state are floats: they were run so when the model was loaded")
                .fill(0.0);
        }
    }
}

impl std::fmt::Debug for Silero {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Silero")
    }
}

/// The inputs of a stream that has not heard anything.
fn start() -> Result<[SessionInputValue<'static>; 3], ort::Error> {
    let sound = Tensor::from_array(([1, CONTEXT + WINDOW], vec![0.0f32; CONTEXT + WINDOW]))?;
    let state = Tensor::from_array((STATE, vec![0.0f32; STATE.iter().product()]))?;
    let rate = Tensor::from_array(([0usize; 0], vec![16_000i64]))?;
    Ok([sound.into(), state.into(), rate.into()])
}

fn floats<'a>(value: &'a mut SessionInputValue<'static>) -> Result<&'a mut [f32], ort::Error> {
    match value {
        SessionInputValue::Owned(value) => Ok(value.try_extract_tensor_mut::<f32>()?.1),
        SessionInputValue::View(_) | SessionInputValue::ViewMut(_) => {
            Err(ort::Error::new("a state that is not our own"))
        }
    }
}

fn model_error(error: ort::Error) -> VadError {
    VadError::Model(error.to_string())
}
