//! From sound to a transcript: windows of up to 30 s, how much of them is heard, retries, languages,
//! prompts. Knows no network: whoever runs one is an [`Acoustics`].

use std::time::{Duration, Instant};

use tracing::debug;

use super::{
    Context, Options, Sizes, Timings,
    decode::{Stretch, circle, likeliest_language, pick, probability, segments},
    speech::{self, Verdict, judge},
    tokens::Vocabulary,
};
use crate::{
    audio::{Hz16k, Pcm, Rate},
    stt::{Language, Segment, SttError, Transcript},
};

/// The longest clip that is transcribed at once.
const MAX_CLIP: Duration = Duration::from_secs(600);
/// The encoder's window.
const WINDOW_SECONDS: f64 = 30.0;
/// Encoder positions per second: two mel frames of 10 ms each.
const POSITIONS_PER_SECOND: f64 = 50.0;
/// Where a text that ran in circles is heard again.
const RETRY_CONTEXT: usize = 768;
/// The smallest models loop below this much context (measured on tiny.en: 184 % word errors at 64
/// positions after the clip, 1.7 % at 768).
const TINY_WIDTH: usize = 384;
const TINY_CONTEXT: usize = 768;

/// A text of at most so many tokens before it ran in circles for good is no text.
const FEW_TOKENS: usize = 4;

/// A Whisper's two networks, whoever runs them. What was heard and said last is kept inside.
pub(crate) trait Acoustics: Send {
    /// Runs the encoder over `samples` (16 kHz, at most 30 s) in `context` positions of 20 ms. Forgets
    /// what was heard and said before.
    fn hear(
        &mut self,
        samples: &[f32],
        context: usize,
        timings: &mut Timings,
    ) -> Result<(), SttError>;

    /// Forgets the tokens, not the sound.
    fn rewind(&mut self) -> Result<(), SttError>;

    /// Says `tokens` and returns the logits after each of those numbered in `wanted` (none smaller
    /// than the one before), one vector of the vocabulary's length after the other.
    fn say(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, SttError>;
}

/// A Whisper on the caller's thread. See [`WhisperStt`](super::WhisperStt) for the one behind the port.
pub struct Whisper {
    name: String,
    model: Box<dyn Acoustics>,
    sizes: Sizes,
    vocabulary: Vocabulary,
    context: Context,
}

impl Whisper {
    /// Puts `model` under the rules. `name` is for people.
    pub(crate) fn new(
        name: String,
        model: Box<dyn Acoustics>,
        sizes: Sizes,
        vocabulary: Vocabulary,
        context: Context,
    ) -> Self {
        Self {
            name,
            model,
            sizes,
            vocabulary,
            context,
        }
    }

    /// Which model this is, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's sizes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Transcribes `clip`. Asks `abandoned` between decoder steps; when it is true, returns what there
    /// is so far.
    ///
    /// # Errors
    ///
    /// A clip over 10 minutes, a language that the model does not know, or a failure of the model.
    pub fn transcribe(
        &mut self,
        clip: &Pcm<Hz16k>,
        options: &Options,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<(Transcript, Timings), SttError> {
        if clip.duration() > MAX_CLIP {
            return Err(SttError::ClipTooLong {
                len: clip.duration(),
                max: MAX_CLIP,
            });
        }
        let mut job = Job {
            language: self.language(&options.language)?,
            prompt: self.prompt(&options.prompt),
            timings: Timings::default(),
            abandoned,
        };
        let mut heard: Vec<Stretch> = Vec::new();
        let mut logprob = (0.0, 0);
        let window = (WINDOW_SECONDS * f64::from(Hz16k::HZ)) as usize;
        let mut at = 0;
        while at < clip.len() && !abandoned() {
            // Silence before the first sound costs time, and Whisper's first timestamp is at most 1 s.
            at += speech::silence_before(&clip.samples()[at..]);
            let rest = &clip.samples()[at..];
            let samples = &rest[..rest.len().min(window)];
            let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
            let offset = at as f64 / f64::from(Hz16k::HZ);
            let mut next = seconds;
            if !speech::is_silent(samples) {
                let attempt = self.window(samples, &mut job)?;
                let evidence = attempt.evidence();
                let verdict = judge(&evidence);
                debug!(
                    no_speech = evidence.no_speech,
                    logprob = evidence.logprob,
                    seconds,
                    ?verdict,
                    "window"
                );
                if verdict == Verdict::Speech {
                    let more = rest.len() > window;
                    let (stretches, after) =
                        segments(&self.vocabulary, &attempt.tokens, seconds, more);
                    next = after;
                    heard.extend(stretches.into_iter().map(|s| Stretch {
                        start: s.start + offset,
                        end: s.end + offset,
                        tokens: s.tokens,
                    }));
                    logprob.0 += attempt.logprob_sum;
                    logprob.1 += attempt.tokens.len() + 1;
                }
            }
            // A tenth of a second at least: time must go on.
            at += ((next * f64::from(Hz16k::HZ)) as usize).max(Hz16k::HZ as usize / 10);
        }
        let transcript = self.transcript(clip, &job, heard, logprob);
        Ok((transcript, job.timings))
    }

    fn transcript(
        &self,
        clip: &Pcm<Hz16k>,
        job: &Job<'_>,
        heard: Vec<Stretch>,
        (logprob, tokens): (f32, usize),
    ) -> Transcript {
        let all: Vec<u32> = heard
            .iter()
            .flat_map(|s| s.tokens.iter().copied())
            .collect();
        let segments: Vec<Segment> = heard
            .into_iter()
            .map(|s| Segment {
                start: Duration::from_secs_f64(s.start),
                end: Duration::from_secs_f64(s.end),
                text: self.vocabulary.text(&s.tokens).trim().to_owned(),
            })
            .filter(|s| !s.text.is_empty())
            .collect();
        let text = if segments.is_empty() {
            String::new()
        } else {
            self.vocabulary.text(&all).trim().to_owned()
        };
        Transcript {
            confidence: (!text.is_empty() && tokens > 0).then(|| logprob / tokens as f32),
            text,
            language: job.language.code(&self.vocabulary).to_owned(),
            duration: clip.duration(),
            segments,
        }
    }

    fn language(&self, asked: &Language) -> Result<Spoken, SttError> {
        let known = &self.vocabulary.languages;
        match asked {
            Language::Auto if known.is_empty() => Ok(Spoken::Fixed),
            Language::Auto => Ok(Spoken::Unknown),
            Language::Code(code) => {
                let code = code.trim().to_lowercase();
                if let Some((_, token)) = known.iter().find(|(c, _)| *c == code) {
                    Ok(Spoken::Token(*token))
                } else if known.is_empty() && code == "en" {
                    Ok(Spoken::Fixed)
                } else {
                    Err(SttError::Language {
                        model: self.name.clone(),
                        hint: self.vocabulary.language_hint(&code),
                        language: code,
                    })
                }
            }
        }
    }

    /// The prompt's last tokens: half of the decoder's context is for them, as in OpenAI's.
    fn prompt(&self, text: &str) -> Vec<u32> {
        let text = text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let tokens = self.vocabulary.tokens(&format!(" {text}"));
        let room = self.sizes.text_context / 2 - 1;
        let mut prompt = vec![self.vocabulary.special.previous];
        prompt.extend(&tokens[tokens.len().saturating_sub(room)..]);
        prompt
    }

    /// The contexts in which to hear a window of `seconds`, least first; the last is the whole.
    fn contexts(&self, seconds: f64) -> Vec<usize> {
        let whole = self.sizes.audio_context;
        let Context::Clip { margin, least } = self.context else {
            return vec![whole];
        };
        let clip = (seconds * POSITIONS_PER_SECOND).ceil() as usize + margin;
        let least = if self.sizes.width <= TINY_WIDTH {
            least.max(TINY_CONTEXT)
        } else {
            least
        };
        let first = clip.max(least).min(whole);
        let mut contexts = vec![first];
        contexts.extend(
            [RETRY_CONTEXT, whole]
                .into_iter()
                .filter(|&c| c > first && c <= whole),
        );
        contexts.dedup();
        contexts
    }

    /// Hears one window; again with more context if the text runs in circles, and with the whole if
    /// it is doubtful.
    fn window(&mut self, samples: &[f32], job: &mut Job<'_>) -> Result<Attempt, SttError> {
        let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
        let contexts = self.contexts(seconds);
        let whole = self.sizes.audio_context;
        let mut kept: Option<Attempt> = None;
        for context in contexts {
            // Some context more mends a circle, but not what was misheard: that takes the whole.
            if context < whole && kept.as_ref().is_some_and(|a| a.sound) {
                continue;
            }
            let attempt = self.attempt(samples, context, job)?;
            let finished = attempt.sound && !self.doubtful(&attempt, samples);
            if kept
                .as_ref()
                .is_none_or(|k| self.replaces(&attempt, k, samples))
            {
                kept = Some(attempt);
            }
            if finished || (job.abandoned)() {
                break;
            }
        }
        let mut attempt = kept.expect("there is at least one context");
        // Still in circles: say the stretch once. If the model ended by itself it was really said so.
        if !attempt.ended {
            attempt.cut_circle(&self.vocabulary);
        }
        Ok(attempt)
    }

    /// Whether `attempt` may have misheard `samples` or left out their end.
    fn doubtful(&self, attempt: &Attempt, samples: &[f32]) -> bool {
        speech::doubtful(&attempt.evidence()) || self.broke_off(attempt, samples)
    }

    /// Whether speech seems to go on after the last word.
    fn broke_off(&self, attempt: &Attempt, samples: &[f32]) -> bool {
        let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
        let (stretches, _) = segments(&self.vocabulary, &attempt.tokens, seconds, false);
        let Some(last) = stretches.last() else {
            return false;
        };
        let until = (last.end * f64::from(Hz16k::HZ)) as usize;
        judge(&attempt.evidence()) == Verdict::Speech && speech::goes_on(samples, until)
    }

    /// Whether what was heard again is taken instead of what was kept.
    fn replaces(&self, again: &Attempt, kept: &Attempt, samples: &[f32]) -> bool {
        match (again.sound, kept.sound) {
            // What ended well is never given up for what did not.
            (false, true) => false,
            (_, false) => true,
            (true, true) if self.broke_off(kept, samples) => {
                judge(&again.evidence()) == Verdict::Speech
            }
            (true, true) => speech::replaces(&again.evidence(), &kept.evidence()),
        }
    }

    fn attempt(
        &mut self,
        samples: &[f32],
        context: usize,
        job: &mut Job<'_>,
    ) -> Result<Attempt, SttError> {
        self.model.hear(samples, context, &mut job.timings)?;
        job.timings.encodes += 1;
        let mark = Instant::now();
        let attempt = self.decode(samples, job);
        job.timings.decode += mark.elapsed();
        attempt
    }

    fn decode(&mut self, samples: &[f32], job: &mut Job<'_>) -> Result<Attempt, SttError> {
        let special = self.vocabulary.special;
        if job.language == Spoken::Unknown {
            let logits = self.model.say(&[special.start], &[0])?;
            self.model.rewind()?;
            job.language = likeliest_language(&self.vocabulary, &logits)
                .map_or(Spoken::Fixed, |(_, token)| Spoken::Token(token));
        }
        let mut prompt = job.prompt.clone();
        let start = prompt.len();
        prompt.push(special.start);
        if let Spoken::Token(token) = job.language {
            prompt.extend([token, special.transcribe]);
        }
        let mut logits = self.model.say(&prompt, &[start, prompt.len() - 1])?;
        let mut first = logits.split_off(self.sizes.vocabulary);
        let no_speech = probability(&logits, special.no_speech);
        let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
        // The model likes to end on a whole second after the clip; forbidding that changed its words.
        let last_timestamp = ((seconds + 1.0) * POSITIONS_PER_SECOND).ceil() as u32;
        let room = self.sizes.text_context / 2;
        let ceiling = (10.0 + 8.0 * seconds) as usize;
        let ceiling = ceiling
            .min(room)
            .min(self.sizes.text_context - prompt.len());
        let mut attempt = Attempt {
            tokens: Vec::new(),
            logprob_sum: 0.0,
            certainty: (0.0, 0),
            no_speech,
            ended: false,
            sound: false,
            circle_only: false,
        };
        while attempt.tokens.len() < ceiling && !(job.abandoned)() {
            let next = pick(
                &self.vocabulary,
                &mut first,
                &attempt.tokens,
                last_timestamp,
            );
            attempt.logprob_sum += next.logprob;
            if !self.vocabulary.is_timestamp(next.token) {
                attempt.certainty.0 += next.logprob;
                attempt.certainty.1 += 1;
            }
            job.timings.steps += 1;
            if next.token == special.end {
                attempt.ended = true;
                break;
            }
            attempt.tokens.push(next.token);
            first = self.model.say(&[next.token], &[0])?;
        }
        attempt.sound = attempt.ended && circle(&attempt.words(&self.vocabulary)).is_none();
        Ok(attempt)
    }
}

/// What one transcription carries from window to window.
struct Job<'a> {
    language: Spoken,
    /// `<|startofprev|>` and the prompt, or nothing.
    prompt: Vec<u32>,
    timings: Timings,
    abandoned: &'a dyn Fn() -> bool,
}

/// The language of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    /// The model knows only English and has no token for it.
    Fixed,
    /// To be heard from the first window with speech in it.
    Unknown,
    Token(u32),
}

impl Spoken {
    fn code(self, vocabulary: &Vocabulary) -> &str {
        match self {
            Spoken::Fixed => "en",
            // Nothing was said in it.
            Spoken::Unknown => "",
            Spoken::Token(token) => vocabulary
                .languages
                .iter()
                .find(|(_, t)| *t == token)
                .map_or("", |(code, _)| code),
        }
    }
}

/// What the decoder said to one window.
struct Attempt {
    tokens: Vec<u32>,
    logprob_sum: f32,
    /// The sum and the number of the log-probabilities of all but the timestamps.
    certainty: (f32, usize),
    no_speech: f32,
    /// Whether the model ended by itself, below the ceiling.
    ended: bool,
    /// Whether it ended by itself and not in circles.
    sound: bool,
    /// Whether it said hardly anything but one circle.
    circle_only: bool,
}

impl Attempt {
    fn words(&self, vocabulary: &Vocabulary) -> Vec<u32> {
        let words = self.tokens.iter().copied();
        words.filter(|&t| !vocabulary.is_timestamp(t)).collect()
    }

    fn cut_circle(&mut self, vocabulary: &Vocabulary) {
        let Some(range) = circle(&self.words(vocabulary)) else {
            return;
        };
        self.circle_only = range.start <= FEW_TOKENS;
        let mut words = 0;
        self.tokens.retain(|&t| {
            words += usize::from(!vocabulary.is_timestamp(t));
            words <= range.start
        });
    }

    fn evidence(&self) -> speech::Evidence {
        speech::Evidence {
            no_speech: self.no_speech,
            logprob: self.logprob_sum / (self.tokens.len() + 1) as f32,
            certainty: self.certainty.0 / self.certainty.1.max(1) as f32,
            circle_only: self.circle_only,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is said in one context: (token, log-probability), the end included.
    type Script = Vec<(u32, f32)>;

    /// Networks that say what is written for the context in which they hear.
    struct Scripted {
        vocabulary: usize,
        scripts: Vec<(usize, Script)>,
        at: Option<(Script, usize)>,
        heard: Arc<Mutex<Vec<usize>>>,
    }

    impl Acoustics for Scripted {
        fn hear(&mut self, _: &[f32], context: usize, _: &mut Timings) -> Result<(), SttError> {
            self.heard.lock().expect("one thread").push(context);
            let script = self.scripts.iter().find(|(c, _)| *c == context);
            self.at = Some((script.expect("a script for the context").1.clone(), 0));
            Ok(())
        }

        fn rewind(&mut self) -> Result<(), SttError> {
            Ok(())
        }

        fn say(&mut self, _: &[u32], wanted: &[usize]) -> Result<Vec<f32>, SttError> {
            let (script, at) = self.at.as_mut().expect("it heard first");
            let (token, logprob) = script[*at];
            *at += 1;
            // The rest of the probability lies on one text token.
            let mut logits = vec![-30.0; self.vocabulary];
            logits[OTHER] = (1.0 - logprob.exp()).max(1e-9).ln();
            logits[token as usize] = logprob;
            // After the start token: hardly any probability of "no speech".
            let mut all = vec![0.0; self.vocabulary * (wanted.len() - 1)];
            all.extend(logits);
            Ok(all)
        }
    }

    const OTHER: usize = 70;
    const SURE: f32 = -0.05;
    const UNSURE: f32 = -0.65;

    /// `words` from 0.0 s to `end` (in 20 ms), each with `logprob`.
    fn script(v: &Vocabulary, words: &[u32], end: u32, logprob: f32) -> Script {
        let stamp = |n| v.special.first_timestamp + n;
        let mut script = vec![(stamp(0), SURE)];
        script.extend(words.iter().map(|&w| (w, logprob)));
        script.extend([(stamp(end), SURE), (v.special.end, SURE)]);
        script
    }

    /// What is heard of 2 s of a tone, and in which contexts.
    fn heard(scripts: &dyn Fn(&Vocabulary) -> Vec<(usize, Script)>) -> (String, Vec<usize>) {
        let vocabulary = Vocabulary::for_tests(200);
        let contexts = Arc::new(Mutex::new(Vec::new()));
        let networks = Scripted {
            vocabulary: vocabulary.len(),
            scripts: scripts(&vocabulary),
            at: None,
            heard: Arc::clone(&contexts),
        };
        let sizes = Sizes {
            mels: 80,
            width: 512,
            encoder_heads: 8,
            decoder_heads: 8,
            encoder_layers: 1,
            decoder_layers: 1,
            audio_context: 1500,
            text_context: 448,
            vocabulary: vocabulary.len(),
        };
        let context = Context::Clip {
            margin: 192,
            least: 384,
        };
        let mut whisper = Whisper::new(
            "scripted".into(),
            Box::new(networks),
            sizes,
            vocabulary,
            context,
        );
        let tone = (0..32_000).map(|i| 0.2 * (i as f32 * 0.3).sin()).collect();
        let options = Options {
            language: Language::Code("en".into()),
            prompt: String::new(),
        };
        let (transcript, _) = whisper
            .transcribe(&Pcm::new(tone), &options, &|| false)
            .expect("it hears");
        let contexts = contexts.lock().expect("one thread").clone();
        (transcript.text, contexts)
    }

    #[test]
    fn sure_words_are_heard_once() {
        let (text, contexts) = heard(&|v| vec![(384, script(v, &[65, 66], 95, SURE))]);
        assert_eq!((text.len(), contexts), (2, vec![384]));
    }

    #[test]
    fn unsure_words_are_heard_again_in_the_whole_context_and_the_surer_ones_stay() {
        let two = |v: &Vocabulary, again| {
            vec![
                (384, script(v, &[65, 66], 95, UNSURE)),
                (1500, script(v, &[67, 68, 69], 95, again)),
            ]
        };
        let (text, contexts) = heard(&|v| two(v, SURE));
        assert_eq!((text.len(), contexts), (3, vec![384, 1500]));
        let (text, _) = heard(&|v| two(v, UNSURE - 0.03));
        assert_eq!(text.len(), 2, "the second hearing was less sure");
    }

    #[test]
    fn a_sentence_that_broke_off_is_heard_again() {
        let (text, contexts) = heard(&|v| {
            vec![
                (384, script(v, &[65, 66], 40, SURE)),
                (1500, script(v, &[65, 66, 67], 95, SURE - 0.1)),
            ]
        });
        assert_eq!((text.len(), contexts), (3, vec![384, 1500]));
    }
}
