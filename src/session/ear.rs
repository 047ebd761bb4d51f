//! The ear: microphone sound in pieces of any size to what a session needs to know of it. Its room
//! runs it on a blocking thread: it takes the models' few milliseconds, and a second or so of sound
//! more when it falls asleep.
//!
//! Asleep, only the wake word model listens. When the word comes, the speech detector takes up the
//! sound from right after the word, so that a question in the same breath is whole. Deaf, nothing
//! listens, and what was heard meanwhile is never given to anybody.
//!
//! Other wake words, or another threshold, are taken over with the next sound: asleep the new model is
//! given what is remembered, awake it waits for the ear to fall asleep.

use std::{sync::Arc, time::Duration};

use tracing::warn;

use super::{
    engines::EarModels,
    io::EarEvent,
    manner::{Manners, WakeSource},
};
use crate::{
    audio::{Hz16k, Pcm, Preroll, Rechunker, SamplePos},
    clock::At,
    turn::Attention,
    vad::{Hysteresis, HysteresisConfig, SpeechEvent, SpeechModel, VadError},
    wake::{GateConfig, WakeError, WakeGate, WakeModel},
};

/// How much of the past is remembered: the longest wake word's lateness, the time until speech is
/// certain, and the time an ear takes to learn that it is awake.
const MEMORY: Duration = Duration::from_secs(3);

/// Sound that the speech detector is given before it is asked, so that it knows the room: half a
/// second of its recurrent state.
const WARM_UP: Duration = Duration::from_millis(480);

/// Quiet after which the speech detector forgets what it has heard. Silero grows deaf to speech in noise while it
/// hears nothing: of 696 recorded commands, said after 10 s of silence each, 36 were not noticed, 13 with this, and
/// the others 80 ms sooner (median).
const STALE: Duration = Duration::from_secs(2);

/// Speech that ends this soon after a wake word was noticed is the end of the word, not a question:
/// the models notice a word up to 400 ms after its end, mostly sooner.
const WORD_END: Duration = Duration::from_millis(160);

/// Sound is taken in pieces of at most 20 ms, so that events say the same however it arrives.
const PIECE: usize = 320;

/// How long after speech the sound is still passed on: the longest pause inside a turn, and some.
const PASS_ON: Duration = Duration::from_secs(6);

/// Numbers of the ear.
#[derive(Clone, Copy, Debug, Default)]
pub struct EarConfig {
    /// When probabilities are speech.
    pub speech: HysteresisConfig,
    /// When scores are a wake word.
    pub wake: GateConfig,
}

/// See the module's text.
pub struct Ear {
    attention: Attention,
    memory: Preroll<Hz16k>,
    speech: Speech,
    wake: Option<Wake>,
    /// Nothing before this is given to anybody: it is the wake word, or the assistant's own voice.
    not_before: SamplePos<Hz16k>,
    /// Sound is passed on up to here.
    pass_until: SamplePos<Hz16k>,
    failed: bool,
    manners: Option<Manners>,
    /// Where the model of [`Self::wake`] came from, of those that [`Self::manners`] named.
    source: Option<WakeSource>,
}

struct Speech {
    model: Box<dyn SpeechModel>,
    rules: Hysteresis,
    window: Rechunker,
    /// Where the next window begins.
    at: SamplePos<Hz16k>,
    /// Windows before this only warm the model up.
    counts_from: SamplePos<Hz16k>,
    /// Speech is one only if it lasts beyond this: before it is the end of a wake word.
    word_until: SamplePos<Hz16k>,
    /// Where the speech began that may still be a wake word's end.
    doubtful: Option<SamplePos<Hz16k>>,
    /// As in [`HysteresisConfig`].
    leave: f32,
    /// How long it has been quiet, since the model last forgot everything.
    quiet: Duration,
}

struct Wake {
    model: Box<dyn WakeModel>,
    gate: WakeGate,
    step: Rechunker,
    /// Where the next step ends.
    end: SamplePos<Hz16k>,
}

impl Ear {
    /// An ear at the beginning of its stream. Until told otherwise it listens for the wake word, or
    /// for speech where there is none. The judge of pauses in `models` is not the ear's: take it out
    /// for the session.
    pub fn new(models: EarModels, config: EarConfig) -> Self {
        let EarModels {
            speech,
            wake,
            turn_end: _,
        } = models;
        let wake = wake.map(|model| Wake::new(model, config.wake));
        Self {
            attention: if wake.is_some() {
                Attention::WakeWord
            } else {
                Attention::Speech
            },
            memory: Preroll::new(SamplePos::at(MEMORY)),
            speech: Speech {
                rules: Hysteresis::new(config.speech),
                window: Rechunker::new(speech.window()),
                at: SamplePos::new(0),
                counts_from: SamplePos::new(0),
                word_until: SamplePos::new(0),
                doubtful: None,
                leave: config.speech.leave,
                quiet: Duration::ZERO,
                model: speech,
            },
            wake,
            not_before: SamplePos::new(0),
            pass_until: SamplePos::new(0),
            failed: false,
            manners: None,
            source: None,
        }
    }

    /// Follows `manners` from now on, by whose present one it was made.
    pub(super) fn follow(&mut self, mut manners: Manners) {
        self.source = manners.borrow_and_update().wake.clone();
        self.manners = Some(manners);
    }

    /// Takes over what is new. A model that cannot be had leaves the old one where it is.
    fn heed(&mut self) {
        let Some(manners) = &mut self.manners else {
            return;
        };
        if !manners.has_changed().unwrap_or(false) {
            return;
        }
        let manner = manners.borrow_and_update().clone();
        let same = match (&self.source, &manner.wake) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if same {
            if let Some(wake) = &mut self.wake {
                wake.gate = WakeGate::new(wake.model.words().len(), manner.gate);
            }
            return;
        }
        match manner.wake.as_ref().map(|make| make()).transpose() {
            Ok(model) => {
                self.wake = model.map(|model| Wake::new(model, manner.gate));
                self.source.clone_from(&manner.wake);
                if self.attention == Attention::WakeWord {
                    self.listen_from_now();
                }
            }
            Err(error) => warn!(%error, "the ear keeps the wake words that it had"),
        }
    }

    fn listen_from_now(&mut self) {
        let now = self.memory.end();
        if let Some(wake) = &mut self.wake {
            wake.begin_at(now, &self.memory);
        }
    }

    /// What to listen for from now on. Falling asleep runs the wake word model over what is
    /// remembered: on the thread of [`Ear::push`], please.
    pub fn attend(&mut self, attention: Attention) {
        self.heed();
        let before = std::mem::replace(&mut self.attention, attention);
        if before == attention {
            return;
        }
        let now = self.memory.end();
        if before == Attention::Deaf {
            self.not_before = now;
        }
        self.pass_until = SamplePos::new(0);
        match attention {
            Attention::Speech => self.speech_from(self.not_before),
            Attention::WakeWord => self.listen_from_now(),
            Attention::Deaf => {}
        }
    }

    /// Takes the next sound and calls `each` with what it brought, in order. After a model failed,
    /// which is said once, it hears nothing.
    pub fn push(&mut self, sound: &[f32], mut each: impl FnMut(EarEvent)) {
        self.heed();
        for piece in sound.chunks(PIECE) {
            self.take(piece, &mut each);
        }
    }

    fn take(&mut self, sound: &[f32], each: &mut impl FnMut(EarEvent)) {
        let from = self.memory.end();
        self.memory.push(sound);
        if self.failed {
            return;
        }
        let result = match self.attention {
            Attention::Deaf => Ok(()),
            Attention::WakeWord => self.listen_for_wake(sound, each).map_err(|e| e.to_string()),
            Attention::Speech => self
                .listen_for_speech(from, sound, each)
                .map_err(|e| e.to_string()),
        };
        if let Err(why) = result {
            self.failed = true;
            each(EarEvent::Failed { why });
        }
    }

    fn listen_for_wake(
        &mut self,
        sound: &[f32],
        each: &mut impl FnMut(EarEvent),
    ) -> Result<(), WakeError> {
        let Some(wake) = &mut self.wake else {
            return Ok(());
        };
        let Wake {
            model,
            gate,
            step,
            end,
        } = wake;
        let mut result = Ok(());
        let (not_before, word_until) = (&mut self.not_before, &mut self.speech.word_until);
        step.push(sound, |step| {
            if result.is_err() {
                return;
            }
            *end = SamplePos::new(end.samples() + step.len() as u64);
            match model.score(step) {
                Ok(scores) => {
                    let Some(event) = gate.push(*end, scores) else {
                        return;
                    };
                    *not_before = event.ends;
                    let guard = SamplePos::<Hz16k>::at(WORD_END).samples();
                    *word_until = SamplePos::new(event.at.samples() + guard);
                    let word = model.words()[event.word].clone();
                    each(EarEvent::Wake {
                        word,
                        score: event.score,
                    });
                }
                Err(error) => result = Err(error),
            }
        });
        result
    }

    /// Begins to look for speech at `from`, as far as it is remembered.
    fn speech_from(&mut self, from: SamplePos<Hz16k>) {
        let warm = SamplePos::<Hz16k>::at(WARM_UP).samples();
        let start = SamplePos::new(from.samples().saturating_sub(warm)).max(self.memory.start());
        self.speech.model.reset();
        self.speech.rules.reset();
        self.speech.window.clear();
        self.speech.doubtful = None;
        self.speech.quiet = Duration::ZERO;
        self.speech.at = start;
        self.speech.counts_from = from;
    }

    fn listen_for_speech(
        &mut self,
        from: SamplePos<Hz16k>,
        sound: &[f32],
        each: &mut impl FnMut(EarEvent),
    ) -> Result<(), VadError> {
        let Self {
            speech,
            memory,
            not_before,
            pass_until,
            ..
        } = self;
        // First the sound that came before the ear was awake, if the detector has yet to see it.
        let held = speech.window.held().len() as u64;
        let behind = memory.since(SamplePos::new(speech.at.samples() + held));
        let mut result = Ok(());
        let end = memory.end();
        if from.samples() < pass_until.samples() {
            each(EarEvent::Heard {
                from,
                sound: Pcm::new(sound.to_vec()),
            });
        }
        let Speech {
            model,
            rules,
            window,
            at,
            counts_from,
            word_until,
            doubtful,
            leave,
            quiet,
        } = speech;
        window.push(&behind, |samples| {
            if result.is_err() {
                return;
            }
            let (start, len) = (*at, SamplePos::<Hz16k>::new(samples.len() as u64));
            *at = SamplePos::new(start.samples() + len.samples());
            let probability = match model.probability(samples) {
                Ok(probability) => probability,
                Err(error) => return result = Err(error),
            };
            if start < *counts_from {
                return;
            }
            let event = rules.push(
                At::since_start(start.duration()),
                len.duration(),
                probability,
            );
            *quiet = match rules.is_quiet() {
                true => *quiet + len.duration(),
                false => Duration::ZERO,
            };
            if *quiet >= STALE {
                model.reset();
                *quiet = Duration::ZERO;
            }
            let mut begin = None;
            match event {
                Some(SpeechEvent::Started { at: began }) => {
                    let from = SamplePos::at(began.elapsed())
                        .max(*not_before)
                        .max(memory.start());
                    match *at > *word_until {
                        true => begin = Some(from),
                        false => *doubtful = Some(from),
                    }
                }
                Some(SpeechEvent::Ended { at: ended }) => {
                    let ended = SamplePos::at(ended.elapsed());
                    if doubtful.take().is_some() {
                        *not_before = ended;
                        return;
                    }
                    let pass = SamplePos::<Hz16k>::at(PASS_ON).samples();
                    *pass_until = SamplePos::new(end.samples() + pass);
                    let silent =
                        SamplePos::<Hz16k>::new(end.samples().saturating_sub(ended.samples()));
                    each(EarEvent::SpeechEnded {
                        at: ended,
                        silent_for: silent.duration(),
                    });
                }
                None if start >= *word_until && probability >= *leave => begin = doubtful.take(),
                None => {}
            }
            if let Some(from) = begin {
                *pass_until = SamplePos::new(u64::MAX);
                each(EarEvent::SpeechStarted {
                    from,
                    sound: Pcm::new(memory.since(from)),
                });
            }
        });
        result
    }
}

impl Wake {
    fn new(model: Box<dyn WakeModel>, gate: GateConfig) -> Self {
        Self {
            gate: WakeGate::new(model.words().len(), gate),
            step: Rechunker::new(model.step()),
            end: SamplePos::new(0),
            model,
        }
    }

    /// Listens from `now` on. The model is given what came before, or it would need a second or two
    /// before it can recognise anything; a word in there was said to somebody who was awake.
    fn begin_at(&mut self, now: SamplePos<Hz16k>, memory: &Preroll<Hz16k>) {
        self.model.reset();
        self.gate.reset();
        self.step.clear();
        let past = memory.since(memory.start());
        let step = self.model.step();
        for known in past[past.len() % step..].chunks_exact(step) {
            // An error comes again with the next sound, and is reported then.
            let _ = self.model.score(known);
        }
        self.end = now;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::{
        endpoint::EndpointConfig,
        llm::history::Limits,
        mind::Rules,
        session::{Clock, Manner, SessionConfig},
        stt::Language,
        tts::{Clauses, Dictionary},
        turn::TurnConfig,
    };

    /// Speech is loud.
    struct Loud;

    impl SpeechModel for Loud {
        fn window(&self) -> usize {
            512
        }

        fn probability(&mut self, window: &[f32]) -> Result<f32, VadError> {
            if window.iter().any(|s| s.is_nan()) {
                return Err(VadError::Model("not a number".to_owned()));
            }
            let loud = window.iter().filter(|s| **s > 0.05).count();
            Ok(if loud * 2 >= window.len() { 1.0 } else { 0.0 })
        }

        fn reset(&mut self) {}
    }

    /// As [`Loud`], and hears nothing any more once it has heard this many windows and not been told to forget.
    struct Tires(usize, usize);

    impl SpeechModel for Tires {
        fn window(&self) -> usize {
            512
        }

        fn probability(&mut self, window: &[f32]) -> Result<f32, VadError> {
            self.1 += 1;
            match self.1 > self.0 {
                true => Ok(0.0),
                false => Loud.probability(window),
            }
        }

        fn reset(&mut self) {
            self.1 = 0;
        }
    }

    #[test]
    fn a_detector_that_silence_makes_deaf_hears_what_is_said_after_it() {
        let models = |windows: usize| EarModels {
            speech: Box::new(Tires(windows, 0)),
            wake: None,
            turn_end: None,
        };
        let sound = sound(30_000, &[(2_000, 5_000, 0.3), (25_000, 26_000, 0.3)]);
        // Four seconds: more than the quiet after which it forgets, and more than what is said.
        let mut ear = Ear::new(models(4_000 / 32), EarConfig::default());
        let (events, _) = listen(&mut ear, &sound, 320);
        let starts = events.iter().filter(|event| event.starts_with("started"));
        assert_eq!(starts.count(), 2, "{events:?}");
        // Not while somebody speaks, however long.
        let sound = self::sound(7_000, &[(3_000, 6_000, 0.3)]);
        let mut ear = Ear::new(models(2_500 / 32), EarConfig::default());
        let (events, _) = listen(&mut ear, &sound, 320);
        assert!(
            events[1].starts_with("ended 45"),
            "it forgot in the middle of a sentence: {events:?}"
        );
    }

    /// The word has this amplitude, and is noticed in the step in which it ends.
    struct VeryLoud([String; 1], [f32; 1], f32);

    impl WakeModel for VeryLoud {
        fn step(&self) -> usize {
            1280
        }

        fn words(&self) -> &[String] {
            &self.0
        }

        fn score(&mut self, step: &[f32]) -> Result<&[f32], WakeError> {
            let ends = step.contains(&self.2) && step.last() != Some(&self.2);
            self.1 = [if ends { 1.0 } else { 0.0 }];
            Ok(&self.1)
        }

        fn reset(&mut self) {}
    }

    fn word(name: &str, amplitude: f32) -> Box<dyn WakeModel> {
        Box::new(VeryLoud([name.to_owned()], [0.0], amplitude))
    }

    /// How a conversation is held whose ear sleeps for this.
    fn manner(wake: Option<WakeSource>) -> Arc<Manner> {
        Arc::new(Manner {
            config: SessionConfig {
                turn: TurnConfig::default(),
                endpoint: EndpointConfig::default(),
                language: Language::Auto,
                hints: String::new(),
                system: Arc::new(String::new),
                frame: Arc::new(str::to_owned),
                history: Limits::default(),
                mind: Rules::default(),
                place: String::new(),
                voice: String::new(),
                speed: 1.0,
                clauses: Arc::new(|| Clauses::new(Dictionary::default())),
                woken: Arc::new(String::new),
                clock: Clock::Runtime,
            },
            wake,
            gate: GateConfig::default(),
        })
    }

    fn ear(with_wake: bool) -> Ear {
        let wake = with_wake.then(|| word("test", 0.9));
        let models = EarModels {
            speech: Box::new(Loud),
            wake,
            turn_end: None,
        };
        Ear::new(models, EarConfig::default())
    }

    /// `(from, to, amplitude)` in milliseconds; the rest is silence.
    fn sound(len: usize, spans: &[(usize, usize, f32)]) -> Vec<f32> {
        let mut sound = vec![0.0; len * 16];
        for (from, to, amplitude) in spans {
            sound[from * 16..to * 16].fill(*amplitude);
        }
        sound
    }

    /// Events without [`EarEvent::Heard`], in words; the clip of the last speech put together.
    fn listen(ear: &mut Ear, sound: &[f32], piece: usize) -> (Vec<String>, Vec<f32>) {
        let (mut events, mut clip) = (Vec::new(), Vec::new());
        for piece in sound.chunks(piece) {
            let mut woken = false;
            ear.push(piece, |event| match event {
                EarEvent::Wake { word, .. } => {
                    woken = true;
                    events.push(format!("wake {word}"));
                }
                EarEvent::SpeechStarted { from, sound } => {
                    events.push(format!("started {}", from.samples() / 16));
                    clip = sound.into_samples();
                }
                EarEvent::Heard { sound, .. } => clip.extend(sound.into_samples()),
                EarEvent::SpeechEnded { at, silent_for } => {
                    events.push(format!("ended {} {silent_for:?} ago", at.samples() / 16));
                }
                EarEvent::Failed { why } => events.push(why),
            });
            if woken {
                ear.attend(Attention::Speech); // as the session says a moment later
            }
        }
        (events, clip)
    }

    #[test]
    fn speech_is_noticed_the_same_in_pieces_of_any_size() {
        let sound = sound(3_000, &[(1_024, 2_048, 0.3)]);
        let expected = listen(&mut ear(false), &sound, 320);
        assert_eq!(expected.0[0], "started 704", "320 ms before the speech");
        assert!(expected.0[1].starts_with("ended 2048 "), "{:?}", expected.0);
        assert_eq!(expected.1.iter().filter(|s| **s == 0.3).count(), 1_024 * 16);
        for piece in [160, 480, 1_280, 48_000] {
            let (events, clip) = listen(&mut ear(false), &sound, piece);
            assert_eq!(events[0], expected.0[0], "piece {piece}");
            assert_eq!(
                clip.iter().filter(|s| **s == 0.3).count(),
                1_024 * 16,
                "piece {piece}"
            );
        }
    }

    #[test]
    fn asleep_it_hears_the_wake_word_and_nothing_else() {
        let sound = sound(3_000, &[(0, 1_000, 0.3), (2_000, 2_500, 0.9)]);
        assert_eq!(listen(&mut ear(true), &sound, 320).0, ["wake test"]);
    }

    #[test]
    fn a_question_in_the_same_breath_is_whole() {
        let sound = sound(4_000, &[(1_000, 1_500, 0.9), (1_500, 2_800, 0.3)]);
        let (events, clip) = listen(&mut ear(true), &sound, 320);
        assert_eq!(events[0], "wake test");
        assert!(events[1].starts_with("started 1"), "{events:?}");
        assert_eq!(
            clip.iter().filter(|s| **s == 0.3).count(),
            1_300 * 16,
            "{events:?}"
        );
    }

    #[test]
    fn the_end_of_the_wake_word_is_no_speech_and_a_later_question_is() {
        let sound = sound(5_000, &[(1_000, 1_500, 0.9), (3_008, 4_000, 0.3)]);
        let (events, clip) = listen(&mut ear(true), &sound, 320);
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(events[1], "started 2688");
        assert!(!clip.contains(&0.9), "the word itself is not in the clip");
    }

    #[test]
    fn deaf_it_hears_nothing_and_keeps_nothing_for_later() {
        let mut ear = ear(false);
        ear.attend(Attention::Deaf);
        assert_eq!(
            listen(&mut ear, &sound(1_000, &[(0, 1_000, 0.7)]), 320).0,
            [""; 0]
        );
        ear.attend(Attention::Speech);
        let (events, clip) = listen(&mut ear, &sound(1_000, &[(0, 600, 0.3)]), 320);
        assert!(events[0].starts_with("started 1"), "{events:?}");
        assert!(!clip.contains(&0.7), "its own voice is not in the clip");
        assert_eq!(clip.iter().filter(|s| **s == 0.3).count(), 600 * 16);
    }

    #[test]
    fn asleep_it_takes_over_another_wake_word_and_keeps_the_one_it_had_where_that_cannot_be_had() {
        let said = sound(3_000, &[(500, 900, 0.9), (2_000, 2_450, 0.8)]);
        let (sender, manners) = watch::channel(manner(None));
        let hears = |source: Option<WakeSource>| {
            let mut ear = ear(true);
            ear.follow(manners.clone());
            sender.send_replace(manner(source));
            listen(&mut ear, &said, 320).0
        };
        assert_eq!(
            hears(Some(Arc::new(|| Ok(word("other", 0.8)))))[0],
            "wake other"
        );
        let cannot = hears(Some(Arc::new(|| Err(WakeError::Model("gone".to_owned())))));
        assert_eq!(cannot[0], "wake test");
    }

    #[test]
    fn an_ear_that_always_listened_sleeps_for_the_wake_word_it_is_given() {
        let (sender, manners) = watch::channel(manner(None));
        let mut ear = ear(false);
        ear.follow(manners);
        listen(&mut ear, &sound(1_000, &[]), 320);
        sender.send_replace(manner(Some(Arc::new(|| Ok(word("new", 0.9))))));
        ear.attend(Attention::WakeWord);
        let said = sound(3_000, &[(0, 500, 0.3), (1_000, 1_500, 0.9)]);
        assert_eq!(listen(&mut ear, &said, 320).0, ["wake new"]);
    }

    #[test]
    fn another_threshold_counts_for_the_same_model() {
        let source: WakeSource = Arc::new(|| Ok(word("test", 0.9)));
        let (sender, manners) = watch::channel(manner(Some(source.clone())));
        let mut ear = ear(true);
        ear.follow(manners);
        let mut strict = (*manner(Some(source))).clone();
        strict.gate.threshold = 1.1;
        sender.send_replace(Arc::new(strict));
        let said = sound(2_000, &[(500, 900, 0.9)]);
        assert_eq!(listen(&mut ear, &said, 320).0, [""; 0]);
    }

    #[test]
    fn a_model_that_fails_is_said_once() {
        let mut ear = ear(false);
        let broken = vec![f32::NAN; 16_000];
        let (events, _) = listen(&mut ear, &broken, 320);
        assert_eq!(events.len(), 1, "{events:?}");
    }
}
