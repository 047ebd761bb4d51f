//! openWakeWord on ONNX Runtime: mel spectrogram → embedding → one small classifier per wake word.
//! Streaming: every 80 ms step computes what is new and nothing twice.
//!
//! | model | input | output |
//! |---|---|---|
//! | `melspectrogram.onnx` | `input` f32 `[1, samples]`, samples in the range of `i16` | f32 `[1, 1, frames, 32]`, dB; 1760 samples give 8 frames |
//! | `embedding_model.onnx` | `input_1` f32 `[n, 76, 32, 1]`, dB / 10 + 2 | f32 `[n, 1, 1, 96]` |
//! | any classifier | f32 `[1, frames, 96]`, name and frames of its own (16, 22, 34 …) | f32 `[1, classes]` |
//!
//! 16 kHz, a step is 1280 samples, a mel window 512 samples every 160, an embedding looks at 76 mel
//! frames (0.76 s) and is made every 8 (80 ms). The reference is Python openwakeword 0.5.1
//! (Apache-2.0) with its ONNX backend; scores are the same from its feature buffer on (see
//! [`OpenWakeWord::seed`] and `tests/wake`). The embedding graph is rewritten by [`super::streaming`].
//! Written for the files with SHA-256 ba2b0e0f… (mel) and 70d16429… (embedding).

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ort::{
    memory::Allocator,
    session::{Session, SessionInputValue},
    value::{Tensor, ValueType},
};
use prost::Message as _;

use super::{WakeError, WakeModel, WakeWord, streaming};
use crate::{
    engine::{Role, Runtime, RuntimeError},
    onnx,
};

/// Samples of a step, 80 ms.
const STEP: usize = 1280;
/// Samples before the step that its mel frames also look at: windows of 512 every 160.
const OVERLAP: usize = 480;
/// Mel bands.
const BANDS: usize = 32;
/// Mel frames of a step.
const FRAMES: usize = 8;
/// Mel frames of the very first step, which has no overlap before it.
const FIRST_FRAMES: usize = 5;
/// Mel frames that an embedding looks at.
const WINDOW: usize = 76;
/// Numbers of an embedding.
const EMBEDDING: usize = 96;
/// Steps after which no row of the start is left in the embedding's state.
const FLUSH: usize = WINDOW.div_ceil(FRAMES);
/// Scores of the first steps are zero, as in the reference: they would judge the start, not the sound.
const SETTLING: u64 = 5;
/// Frames of a classifier that does not say how many it wants: openWakeWord's training default.
const DEFAULT_FRAMES: usize = 16;

/// Most frames that a classifier may want: more than ten seconds of history is no wake word.
const MOST_FRAMES: usize = 128;
/// Steps of noise before the start of a stream, of which each model takes the last that it remembers.
const LONGEST_START: usize = MOST_FRAMES + FLUSH;

/// Files of the two shared models in the folder of openWakeWord.
pub(super) const MEL_FILE: &str = "melspectrogram.onnx";
pub(super) const EMBEDDING_FILE: &str = "embedding_model.onnx";

/// A model that streams share. All state is in the inputs, so that it is held for one run only.
type Shared = Arc<Mutex<Session>>;

/// Scores every 80 ms against one or more wake words, with one mel and embedding pass for all.
///
/// *State*: mel overlap, embedding rows and the last embeddings; [`WakeModel::reset`] puts it back to
/// the start, which is about two seconds of faint noise (the reference starts with louder noise from
/// an unseeded generator). *Timing*: about 0.5 ms a step on one core, 0.05 ms for each further word.
/// Streams share the models ([`OpenWakeWord::stream`]) and wait for each other, one run at a time.
pub struct OpenWakeWord {
    mel: Shared,
    mel_input: Tensor<f32>,
    mel_first_input: Tensor<f32>,
    embedding: Embedding,
    classifiers: Vec<Classifier>,
    words: Vec<String>,
    scores: Vec<f32>,
    /// Last samples of the step before, in the range of `i16`.
    overlap: Vec<f32>,
    /// The last embeddings, oldest first, as many as the hungriest classifier wants.
    features: Vec<f32>,
    /// [`Self::features`] of a new stream.
    seed: Vec<f32>,
    steps: u64,
}

impl OpenWakeWord {
    /// Loads the two shared models from `folder` and the classifiers `words`.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or not what it should be.
    pub fn load(runtime: &Runtime, folder: &Path, words: &[WakeWord]) -> Result<Self, WakeError> {
        let mel = shared(runtime.session(Role::Ear, &folder.join(MEL_FILE))?);
        let embedding = Embedding::load(runtime, &folder.join(EMBEDDING_FILE))?;
        let classifiers = words
            .iter()
            .map(|word| Classifier::load(runtime, &word.path))
            .collect::<Result<Vec<_>, _>>()?;
        let frames = classifiers.iter().map(|c| c.frames).max();
        let frames = frames.unwrap_or(DEFAULT_FRAMES);
        let mut this = Self {
            mel,
            mel_input: tensor(&[1, OVERLAP + STEP]).map_err(model_error)?,
            mel_first_input: tensor(&[1, STEP]).map_err(model_error)?,
            embedding,
            scores: vec![0.0; classifiers.len()],
            classifiers,
            words: words.iter().map(|word| word.name.clone()).collect(),
            overlap: vec![0.0; OVERLAP],
            features: vec![0.0; frames * EMBEDDING],
            seed: Vec::new(),
            steps: 0,
        };
        this.seed = this.faint_noise()?;
        this.reset();
        Ok(this)
    }

    /// Another stream over the same models and for the same words, at its start: the state only, a
    /// few hundred kilobytes.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn stream(&self) -> Result<Self, WakeError> {
        let state = || -> Result<_, ort::Error> {
            let classifiers = self.classifiers.iter().map(Classifier::stream);
            Ok(Self {
                mel: Arc::clone(&self.mel),
                mel_input: tensor(&[1, OVERLAP + STEP])?,
                mel_first_input: tensor(&[1, STEP])?,
                embedding: self.embedding.stream()?,
                classifiers: classifiers.collect::<Result<_, _>>()?,
                words: self.words.clone(),
                scores: self.scores.clone(),
                overlap: self.overlap.clone(),
                features: self.features.clone(),
                seed: self.seed.clone(),
                steps: 0,
            })
        };
        let mut this = state().map_err(model_error)?;
        this.reset();
        Ok(this)
    }

    /// Replaces the embeddings that a new stream starts with, and starts one. `features` are rows of
    /// 96, oldest first; only the last that a classifier wants count. For comparisons with the
    /// reference, whose start is random.
    pub fn seed(&mut self, features: &[f32]) {
        let room = self.seed.len();
        let from = features.len().saturating_sub(room);
        let given = &features[from..];
        self.seed[room - given.len()..].copy_from_slice(given);
        self.reset();
    }

    /// Steps of sound, the newest included, that a score depends on. Whoever leaves out steps and
    /// then gives the last `memory` ones gets the score of the whole stream.
    pub fn memory(&self) -> usize {
        // Each embedding looks at its own step and those of its window before it, and the first mel
        // frames of that look back into one more step.
        self.features.len() / EMBEDDING - 1 + FLUSH + 1
    }

    /// Embeddings of the sound of a quiet room: white noise about 60 dB below full scale, from a
    /// written generator.
    fn faint_noise(&mut self) -> Result<Vec<f32>, WakeError> {
        let mut seed = 1u32;
        let mut step = vec![0.0; STEP];
        self.restart();
        // The same last steps for any number of them, so that a word hears the same start alone and
        // among others.
        for left in (0..LONGEST_START).rev() {
            for s in &mut step {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *s = ((seed >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.003;
            }
            if left < self.memory() {
                self.listen(&step)?;
            }
        }
        Ok(self.features.clone())
    }

    /// Forgets the sound, not the features.
    fn restart(&mut self) {
        self.steps = 0;
        self.overlap.fill(0.0);
        self.embedding.restart();
    }

    /// Adds the embedding of the next step to the features.
    fn listen(&mut self, step: &[f32]) -> Result<(), WakeError> {
        let mut frames = [1.0; FRAMES * BANDS];
        let first = self.steps == 0;
        // The reference begins with 76 frames of ones and 5 frames of the first step.
        let new = if first { FIRST_FRAMES } else { FRAMES };
        self.mel(step, first, &mut frames[(FRAMES - new) * BANDS..])
            .map_err(model_error)?;
        self.steps += 1;
        self.features.copy_within(EMBEDDING.., 0);
        let newest = self.features.len() - EMBEDDING;
        self.embedding
            .run(&frames, &mut self.features[newest..])
            .map_err(model_error)
    }

    fn mel(&mut self, step: &[f32], first: bool, out: &mut [f32]) -> Result<(), ort::Error> {
        let input = if first {
            &mut self.mel_first_input
        } else {
            &mut self.mel_input
        };
        let (_, samples) = input.extract_tensor_mut();
        let before = samples.len() - STEP;
        samples[..before].copy_from_slice(&self.overlap[OVERLAP - before..]);
        for (to, s) in samples[before..].iter_mut().zip(step) {
            *to = s * 32_768.0;
        }
        self.overlap
            .copy_from_slice(&samples[samples.len() - OVERLAP..]);
        let mut mel = lock(&self.mel);
        let outputs = mel.run(ort::inputs![&*input])?;
        let (_, decibels) = outputs[0].try_extract_tensor::<f32>()?;
        if decibels.len() != out.len() {
            let made = decibels.len() / BANDS;
            return Err(ort::Error::new(format!("{made} mel frames in a step")));
        }
        for (to, db) in out.iter_mut().zip(decibels) {
            *to = db / 10.0 + 2.0;
        }
        Ok(())
    }
}

impl WakeModel for OpenWakeWord {
    fn step(&self) -> usize {
        STEP
    }

    fn words(&self) -> &[String] {
        &self.words
    }

    fn score(&mut self, step: &[f32]) -> Result<&[f32], WakeError> {
        if step.len() != STEP {
            return Err(WakeError::StepLength {
                want: STEP,
                got: step.len(),
            });
        }
        self.listen(step)?;
        for (classifier, score) in self.classifiers.iter_mut().zip(&mut self.scores) {
            let from = self.features.len() - classifier.frames * EMBEDDING;
            let judged = classifier
                .run(&self.features[from..])
                .map_err(model_error)?;
            *score = if self.steps > SETTLING { judged } else { 0.0 };
        }
        Ok(&self.scores)
    }

    fn reset(&mut self) {
        self.restart();
        self.features.copy_from_slice(&self.seed);
        self.scores.fill(0.0);
    }
}

impl std::fmt::Debug for OpenWakeWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenWakeWord({})", self.words.join(", "))
    }
}

/// The embedding model as a stream: 8 mel frames in, the embedding of the last 76 out.
struct Embedding {
    session: Shared,
    /// The frames, then the state after the last step.
    inputs: Vec<SessionInputValue<'static>>,
    /// Shapes of the state.
    shapes: Arc<[[usize; 4]]>,
    /// The state after 76 frames of ones, with which the reference begins.
    start: Arc<[Vec<f32>]>,
}

impl Embedding {
    fn load(runtime: &Runtime, path: &Path) -> Result<Self, WakeError> {
        if !path.is_file() {
            return Err(RuntimeError::ModelMissing(path.to_owned()).into());
        }
        let unusable = |reason: String| RuntimeError::ModelUnusable {
            path: path.to_owned(),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
        };
        let bytes = fs::read(path).map_err(|e| unusable(e.to_string()))?;
        let model = onnx::Model::decode(&bytes[..]).map_err(|e| unusable(e.to_string()))?;
        let streaming = streaming::rewrite(model, WINDOW, FRAMES, BANDS).map_err(unusable)?;
        let session = runtime
            .builder(Role::Ear)
            .and_then(|mut b| b.commit_from_memory(&streaming.model.encode_to_vec()))
            .map_err(|e| unusable(e.to_string()))?;
        let shapes: Arc<[[usize; 4]]> = streaming.states.into();
        let mut this = Self {
            session: shared(session),
            inputs: Self::inputs(&shapes).map_err(model_error)?,
            shapes,
            start: Arc::default(),
        };
        let mut out = [0.0; EMBEDDING];
        for _ in 0..FLUSH {
            this.run(&[1.0; FRAMES * BANDS], &mut out)
                .map_err(|e| unusable(e.to_string()))?;
        }
        this.start = this.inputs[1..]
            .iter_mut()
            .map(|state| floats(state).map(|s| s.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(model_error)?;
        Ok(this)
    }

    /// Another stream, whose state is zeros until it is restarted.
    fn stream(&self) -> Result<Self, ort::Error> {
        Ok(Self {
            session: Arc::clone(&self.session),
            inputs: Self::inputs(&self.shapes)?,
            shapes: Arc::clone(&self.shapes),
            start: Arc::clone(&self.start),
        })
    }

    fn inputs(shapes: &[[usize; 4]]) -> Result<Vec<SessionInputValue<'static>>, ort::Error> {
        let mut inputs = vec![tensor(&[1, FRAMES, BANDS, 1])?.into()];
        for shape in shapes {
            inputs.push(SessionInputValue::Owned(tensor(shape)?.into_dyn()));
        }
        Ok(inputs)
    }

    fn restart(&mut self) {
        for (state, start) in self.inputs[1..].iter_mut().zip(self.start.iter()) {
            floats(state)
                .expect("the states were read as such when the model was loaded")
                .copy_from_slice(start);
        }
    }

    fn run(&mut self, frames: &[f32], out: &mut [f32]) -> Result<(), ort::Error> {
        floats(&mut self.inputs[0])?.copy_from_slice(frames);
        let mut session = lock(&self.session);
        let outputs = session.run(&self.inputs[..])?;
        for (i, (_, value)) in outputs.into_iter().enumerate() {
            if i == 0 {
                let (_, embedding) = value.try_extract_tensor::<f32>()?;
                if embedding.len() != out.len() {
                    return Err(ort::Error::new("an embedding of another length"));
                }
                out.copy_from_slice(embedding);
            } else {
                // What the model keeps becomes what it is given: nothing is copied.
                self.inputs[i] = SessionInputValue::Owned(value);
            }
        }
        Ok(())
    }
}

/// One wake word.
struct Classifier {
    session: Shared,
    input: Tensor<f32>,
    /// Embeddings that it looks at.
    frames: usize,
}

impl Classifier {
    fn load(runtime: &Runtime, path: &Path) -> Result<Self, WakeError> {
        let bad = |reason: String| WakeError::BadModel {
            path: path.display().to_string(),
            reason,
        };
        let session = runtime.session(Role::Ear, path)?;
        let ([input], [_]) = (session.inputs(), session.outputs()) else {
            return Err(bad("it has more than one input or output".to_owned()));
        };
        let ValueType::Tensor { shape, .. } = input.dtype() else {
            return Err(bad("its input is no tensor".to_owned()));
        };
        let frames = match shape[..] {
            [-1 | 1, -1, 96] => DEFAULT_FRAMES,
            [-1 | 1, frames, 96] if (1..=MOST_FRAMES as i64).contains(&frames) => frames as usize,
            _ => {
                return Err(bad(format!("its input is {shape:?}, not [1, frames, 96]")));
            }
        };
        let mut this = Self {
            input: tensor(&[1, frames, EMBEDDING]).map_err(model_error)?,
            session: shared(session),
            frames,
        };
        this.run(&vec![0.0; frames * EMBEDDING])
            .map_err(|e| bad(e.to_string().lines().next().unwrap_or_default().to_owned()))?;
        Ok(this)
    }

    /// The same for another stream.
    fn stream(&self) -> Result<Self, ort::Error> {
        Ok(Self {
            session: Arc::clone(&self.session),
            input: tensor(&[1, self.frames, EMBEDDING])?,
            frames: self.frames,
        })
    }

    /// The score. A classifier of several classes has "none of them" as class 0, and its score is
    /// that of the best of the others.
    fn run(&mut self, features: &[f32]) -> Result<f32, ort::Error> {
        self.input.extract_tensor_mut().1.copy_from_slice(features);
        let mut session = lock(&self.session);
        let outputs = session.run(ort::inputs![&self.input])?;
        let (_, classes) = outputs[0].try_extract_tensor::<f32>()?;
        let best = match classes {
            [] => return Err(ort::Error::new("it gives no score")),
            [one] => *one,
            [_, others @ ..] => others.iter().copied().fold(f32::MIN, f32::max),
        };
        Ok(best)
    }
}

fn shared(session: Session) -> Shared {
    Arc::new(Mutex::new(session))
}

/// A run that panicked leaves no state behind.
fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A tensor of zeros.
fn tensor(shape: &[usize]) -> Result<Tensor<f32>, ort::Error> {
    let mut tensor = Tensor::new(&Allocator::default(), shape.to_vec())?;
    tensor.extract_tensor_mut().1.fill(0.0);
    Ok(tensor)
}

fn floats<'a>(value: &'a mut SessionInputValue<'static>) -> Result<&'a mut [f32], ort::Error> {
    match value {
        SessionInputValue::Owned(value) => Ok(value.try_extract_tensor_mut::<f32>()?.1),
        SessionInputValue::View(_) | SessionInputValue::ViewMut(_) => {
            Err(ort::Error::new("a state that is not our own"))
        }
    }
}

fn model_error(error: ort::Error) -> WakeError {
    WakeError::Model(error.to_string())
}
