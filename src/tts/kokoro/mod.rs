//! Kokoro-82M on ONNX Runtime: 54 voices, blends, speed; English text.
//!
//! [`phonemes`] reads words, [`voices`] gives the style, [`model`] makes the sound, [`trim`] cuts its
//! silence. All of it lives on one thread (`kokoro`) behind [`KokoroTts`]. A clause is made whole, in
//! runs of at most 510 tokens; the port is a stream of pieces, so that a later engine can hand out the
//! beginning of a clause earlier without its callers changing.
//!
//! Voices of other languages (`e…`, `f…`, `h…`, `i…`, `j…`, `p…`, `z…`) are there for their timbre:
//! they speak English text with American phonemes.

mod letters;
mod model;
mod phonemes;
mod spelling;
mod trim;
mod voices;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use ort::session::{NoSelectedOutputs, RunOptions};
use tokio::sync::mpsc;

pub use phonemes::Phonemizer;
pub use voices::Accent;

use self::{
    model::{Network, Vocab},
    voices::{Blend, Names, Styles},
};
use super::{SpeakRequest, Tts, TtsError, Voice};
use crate::{
    audio::{Hz24k, Pcm, Rate},
    engine::{Device, Engine, EngineError, Job, Runtime, yield_to_others},
};

/// Speeds the voices still sound like themselves at.
pub const SPEED: std::ops::RangeInclusive<f32> = 0.5..=2.0;

/// Longest piece handed out at once: half a second, so that a reader can stop between two.
const PIECE: usize = Hz24k::HZ as usize / 2;

/// Settings of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KokoroConfig {
    /// The voice of a request that names none; may be a blend.
    pub default_voice: String,
    /// Clauses that may wait while one is spoken; beyond that a request is told `Busy`.
    pub queue: usize,
}

impl Default for KokoroConfig {
    fn default() -> Self {
        Self {
            default_voice: "af_heart".to_owned(),
            queue: 16,
        }
    }
}

/// The Kokoro engine; clones share its thread.
#[derive(Clone)]
pub struct KokoroTts {
    engine: Engine<Clause, Result<(), TtsError>>,
    names: Arc<Names>,
    default_voice: Blend,
    device: Device,
}

/// A clause of more letters than this gives its memory back: some six seconds of sound.
const LONG_CLAUSE: usize = 80;

/// Options of one run. On the CPU the memory of a long clause goes back to the system with it: ten
/// seconds of sound take 170 MB that the next short clause does not need. Short ones keep theirs for
/// the next: taking it anew from the system costs 7 % of their time.
fn run_options(device: Device, text: &str) -> Result<RunOptions<NoSelectedOutputs>, TtsError> {
    let failed = |e: ort::Error| TtsError::Model(e.to_string());
    let mut options = RunOptions::new().map_err(failed)?;
    if device == Device::Cpu && text.len() > LONG_CLAUSE {
        options
            .set("memory.enable_memory_arena_shrinkage", "cpu:0")
            .map_err(failed)?;
    }
    Ok(options)
}

/// One clause on its way through the thread.
struct Clause {
    text: String,
    blend: Blend,
    speed: f32,
    pause: Duration,
    pieces: mpsc::Sender<Pcm<Hz24k>>,
    stop: Arc<RunOptions<NoSelectedOutputs>>,
}

/// Everything that lives on the thread.
struct Speaker {
    phonemizer: Phonemizer,
    network: Network,
    vocab: Vocab,
    styles: Styles,
}

impl KokoroTts {
    /// Whether `folder` has the voice or all of the blend `voice`.
    ///
    /// # Errors
    ///
    /// [`TtsError::Voice`] when it has not; another when there are no voices.
    pub fn check_voice(folder: &Path, voice: &str) -> Result<(), TtsError> {
        Names::find(&folder.join("voices"))?.parse(voice).map(drop)
    }

    /// The names of the voices in `folder`, sorted.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn voice_names(folder: &Path) -> Result<Vec<String>, TtsError> {
        let names = Names::find(&folder.join("voices"))?;
        Ok(names.list().into_iter().map(|voice| voice.name).collect())
    }

    /// Loads `model.onnx`, `vocab.json` and the list of `voices/*.bin` from `folder`. The first clause
    /// after it takes about half a second longer than the others: whoever minds says a word to nobody.
    ///
    /// Blocks for about a second: call it at start-up.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the default voice is none of the folder's.
    pub fn load(runtime: &Runtime, folder: &Path, config: &KokoroConfig) -> Result<Self, TtsError> {
        let names = Arc::new(Names::find(&folder.join("voices"))?);
        let default_voice = names.parse(&config.default_voice)?;
        let device = runtime.device();
        let (runtime, folder): (Runtime, PathBuf) = (runtime.clone(), folder.to_owned());
        let (styles, first_voice) = (Styles::new(&names), default_voice.clone());
        let engine = Engine::start(
            "kokoro",
            config.queue,
            move || {
                // Before the session, whose threads take over what this one has.
                yield_to_others();
                let mut speaker = Speaker {
                    vocab: Vocab::load(&folder.join("vocab.json"))?,
                    network: Network::load(&runtime, &folder.join("model.onnx"))?,
                    phonemizer: Phonemizer::default(),
                    styles,
                };
                // A default voice that is damaged is told now, not to the first who asks.
                speaker.styles.style(&first_voice, 1)?;
                Ok::<_, TtsError>(speaker)
            },
            |speaker, job| {
                let result = speaker.speak(&job);
                job.answer(result);
            },
        )?;
        Ok(Self {
            engine,
            names,
            default_voice,
            device,
        })
    }

    fn clause(
        &self,
        request: SpeakRequest,
    ) -> Result<(Clause, mpsc::Receiver<Pcm<Hz24k>>), TtsError> {
        if !SPEED.contains(&request.speed) {
            return Err(TtsError::Speed(request.speed));
        }
        let blend = match request.voice.trim() {
            "" => self.default_voice.clone(),
            voice => self.names.parse(voice)?,
        };
        let stop = run_options(self.device, &request.text)?;
        // When full: the engine waits for the reader. The bound holds all that the text can become
        // (a letter is at most half a second, at half speed; digits and capitals are words), so a
        // slow reader never keeps the engine from the others.
        let room = 8 + request.text.len() * 2 + request.pause.as_millis() as usize / 500;
        let (pieces, reader) = mpsc::channel(room);
        let clause = Clause {
            text: request.text,
            blend,
            speed: request.speed,
            pause: request.pause,
            pieces,
            stop: Arc::new(stop),
        };
        Ok((clause, reader))
    }
}

/// What a stream of pieces holds. Dropped, it ends the run in progress.
struct Listening {
    pieces: mpsc::Receiver<Pcm<Hz24k>>,
    end: Option<BoxFuture<'static, Result<Result<(), TtsError>, EngineError>>>,
    stop: Arc<RunOptions<NoSelectedOutputs>>,
}

impl Listening {
    async fn next(&mut self) -> Option<Result<Pcm<Hz24k>, TtsError>> {
        let piece = match &mut self.end {
            // Pieces first: the answer comes after the last of them, and both may be ready.
            Some(end) => tokio::select! {
                biased;
                piece = self.pieces.recv() => piece,
                result = end => {
                    self.end = None;
                    match result {
                        Ok(Ok(())) => self.pieces.recv().await,
                        Ok(Err(e)) => return Some(Err(e)),
                        Err(e) => return Some(Err(e.into())),
                    }
                }
            },
            None => self.pieces.recv().await,
        };
        if let Some(piece) = piece {
            return Some(Ok(piece));
        }
        match self.end.take()?.await {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(Err(e)),
            Err(e) => Some(Err(e.into())),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Only a run that still goes on minds; ONNX Runtime then stops at its next node.
        let _ = self.stop.terminate();
    }
}

impl Tts for KokoroTts {
    fn speak(&self, request: SpeakRequest) -> BoxStream<'static, Result<Pcm<Hz24k>, TtsError>> {
        let (clause, pieces) = match self.clause(request) {
            Ok(both) => both,
            Err(e) => return stream::iter([Err(e)]).boxed(),
        };
        let engine = self.engine.clone();
        let listening = Listening {
            pieces,
            stop: clause.stop.clone(),
            end: Some(async move { engine.call(clause).await }.boxed()),
        };
        stream::unfold(listening, |mut listening| async move {
            let piece = listening.next().await?;
            Some((piece, listening))
        })
        .boxed()
    }

    fn voices(&self) -> Vec<Voice> {
        self.names.list()
    }

    fn name(&self) -> String {
        "Kokoro 82M".to_owned()
    }
}

impl Speaker {
    fn speak(&mut self, job: &Job<Clause, Result<(), TtsError>>) -> Result<(), TtsError> {
        let clause = &job.request;
        let begun = Instant::now();
        let phonemes = self.phonemizer.phonemes(&clause.text, clause.blend.accent);
        let runs = self.vocab.runs(&phonemes);
        let read = begun.elapsed();
        let mut tokens = 0;
        let mut samples = 0;
        let silence_at = runs.len().checked_sub(1);
        for (i, run) in runs.iter().enumerate() {
            if job.abandoned() {
                return Ok(());
            }
            tokens += run.len();
            let style = self.styles.style(&clause.blend, run.len())?;
            let made = self
                .network
                .run(run, style, clause.speed, &clause.stop, trim::trimmed);
            let mut sound = match made {
                Ok(sound) => sound,
                // Ended because nobody listens any more: no failure.
                Err(_) if job.abandoned() => return Ok(()),
                Err(e) => return Err(e),
            };
            if Some(i) == silence_at {
                sound.append(&Pcm::silence(clause.pause));
            } else {
                sound.append(&Pcm::silence(BETWEEN_RUNS));
            }
            samples += sound.len();
            for piece in sound.samples().chunks(PIECE) {
                if clause
                    .pieces
                    .blocking_send(Pcm::new(piece.to_vec()))
                    .is_err()
                {
                    return Ok(());
                }
            }
        }
        tracing::debug!(
            tokens,
            runs = runs.len(),
            seconds = samples as f64 / f64::from(Hz24k::HZ),
            reading_ms = read.as_millis() as u64,
            all_ms = begun.elapsed().as_millis() as u64,
            "spoke a clause"
        );
        Ok(())
    }
}

/// Pause where a text is too long for one run and had to be cut: as after a comma.
const BETWEEN_RUNS: Duration = Duration::from_millis(100);
