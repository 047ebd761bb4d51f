//! History holds the words that were heard, ± 1: Kokoro's sound is cut at a random sample by an interruption,
//! through a whole session, and what was played up to there is given to Whisper, which says how many words of
//! the answer are in it. The sound of each clause is made once and played again for every cut.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use caal::{
    audio::{self, AnyPcm, Hz16k, Hz24k, Pcm},
    endpoint::EndpointConfig,
    llm::{ChatRequest, Delta, Llm, LlmError, Message, history::Limits},
    session::{
        Clock, Effect, Engines, Event, FRAME, Load, Playout, PlayoutEvent, Session, SessionConfig,
    },
    stt::{Language, TranscribeRequest},
    tts::{Clauses, Dictionary, SpeakRequest, Tts, TtsError, Voice},
    turn::TurnConfig,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{conversation, support::Dice};

/// Plain words, long and short, in sentences that Whisper spells as they are written.
const ANSWER: &str = "The old fisherman walked slowly along the empty beach. He found a bottle with a \
    letter inside, and he opened it carefully. It was written many years ago by a young woman who lived \
    on the other side of the ocean. She wanted to know if anybody would ever read her words.";

/// How many cuts: each takes Whisper about a second of two cores.
const CUTS: usize = 24;

/// Answers with the same, and keeps what it was asked.
#[derive(Default)]
struct Storyteller(Mutex<Vec<ChatRequest>>);

impl Llm for Storyteller {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        self.0.lock().unwrap().push(request);
        stream::iter([Ok(Delta::Text(ANSWER.to_owned()))]).boxed()
    }

    fn name(&self) -> String {
        "storyteller".to_owned()
    }
}

type Sounds = Arc<Mutex<HashMap<String, Vec<Pcm<Hz24k>>>>>;

/// Kokoro, whose sound of a clause is played again when it was made before.
struct Again {
    kokoro: Arc<dyn Tts>,
    made: Sounds,
}

impl Tts for Again {
    fn speak(&self, request: SpeakRequest) -> BoxStream<'static, Result<Pcm<Hz24k>, TtsError>> {
        let text = request.text.clone();
        if let Some(sound) = self.made.lock().unwrap().get(&text) {
            return stream::iter(sound.clone().into_iter().map(Ok)).boxed();
        }
        let (made, kokoro) = (self.made.clone(), self.kokoro.clone());
        let making = async move {
            let sound: Vec<_> = kokoro.speak(request).map(|s| s.unwrap()).collect().await;
            made.lock().unwrap().insert(text, sound.clone());
            stream::iter(sound.into_iter().map(Ok))
        };
        stream::once(making).flatten().boxed()
    }

    fn voices(&self) -> Vec<Voice> {
        self.kokoro.voices()
    }

    fn name(&self) -> String {
        self.kokoro.name()
    }
}

/// A session and its loudspeaker.
struct Talk {
    events: mpsc::Sender<Event>,
    effects: mpsc::Receiver<Effect>,
    playout: Playout,
    played: Pcm<Hz24k>,
    _tasks: JoinSet<()>,
}

impl Talk {
    fn begin(engines: Engines) -> Self {
        let config = SessionConfig {
            turn: TurnConfig::default(),
            endpoint: EndpointConfig::default(),
            language: Language::default(),
            hints: String::new(),
            system: Arc::new(String::new),
            frame: Arc::new(str::to_owned),
            history: Limits::default(),
            mind: caal::mind::Rules::default(),
            place: String::new(),
            voice: String::new(),
            speed: 1.0,
            clauses: Arc::new(|| Clauses::new(Dictionary::default())),
            woken: Arc::new(String::new),
            clock: Clock::Runtime,
        };
        let (events, heard) = mpsc::channel(64);
        let (told, effects) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        let session = Session::new(config, engines, None, CancellationToken::new());
        tasks.spawn(session.run(heard, told));
        Self {
            events,
            effects,
            playout: Playout::new(),
            played: Pcm::default(),
            _tasks: tasks,
        }
    }

    async fn tell(&self, event: Event) {
        self.events.send(event).await.expect("the session lives");
    }

    /// Takes effects until `until` finds what it wants.
    async fn effect<T>(&mut self, until: impl Fn(&Effect) -> Option<T>) -> T {
        loop {
            let effect = self.effects.recv().await.expect("the session lives");
            self.carry_out(&effect);
            if let Some(found) = until(&effect) {
                return found;
            }
        }
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Play { reply, sound } => self.playout.push(*reply, sound),
            Effect::PlayEnd { reply } => self.playout.end(*reply),
            Effect::Flush(reply) => drop(self.playout.flush(*reply)),
            _ => {}
        }
    }

    /// Plays on until so many samples were heard; false where the answer was over before.
    async fn play_until(&mut self, samples: usize) -> bool {
        while self.played.len() < samples {
            while let Ok(effect) = self.effects.try_recv() {
                self.carry_out(&effect);
            }
            if self.playout.is_idle() || self.playout.starving() {
                self.effect(|effect| {
                    matches!(effect, Effect::Play { .. } | Effect::PlayEnd { .. }).then_some(())
                })
                .await;
                continue;
            }
            let mut events = Vec::new();
            if let Some(frame) = self.playout.frame(&mut events) {
                self.played.append(&frame);
            }
            for event in events {
                let over = matches!(event, PlayoutEvent::Over { .. });
                self.tell(Event::Playout(event)).await;
                if over {
                    return false;
                }
            }
        }
        true
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// How many words differ, at the least.
fn distance(one: &[String], other: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let change = before + usize::from(a != b);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// How many of the first words of the answer these may be: where Whisper made something of a word that was cut
/// in the middle, either number.
fn may_be(heard: &[String]) -> Vec<usize> {
    let answer = words(ANSWER);
    let distances: Vec<_> = (0..=answer.len())
        .map(|n| distance(heard, &answer[..n]))
        .collect();
    let least = distances.iter().min().copied().unwrap_or_default();
    let numbered = distances.iter().enumerate();
    let alike = numbered.filter(|(_, d)| **d == least);
    alike.map(|(n, _)| n).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_an_answer_is_cut_history_has_the_words_that_were_heard() {
    let real = conversation::engines();
    let made = Sounds::default();
    let mut dice = Dice::new(11);
    let all = words(ANSWER).len();
    let (mut total, mut close) = (0, 0);
    let (mut off, mut cuts) = (Vec::new(), Vec::new());
    for cut in 0..=CUTS {
        let teller = Arc::new(Storyteller::default());
        let engines = Engines {
            stt: real.stt.clone(),
            llm: teller.clone(),
            tts: Arc::new(Again {
                kokoro: real.tts.clone(),
                made: made.clone(),
            }),
            tools: caal::tools::Toolbox::default(),
            shown: Default::default(),
            load: Load::default(),
        };
        let mut talk = Talk::begin(engines);
        talk.tell(Event::Typed("Tell me a story.".to_owned())).await;
        if cut == 0 {
            // How long it is; and heard whole it is remembered whole.
            assert!(!talk.play_until(usize::MAX).await);
            total = talk.played.len();
            let whole = talk.effect(said).await;
            assert_eq!(words(&whole).len(), all);
            continue;
        }
        // Sooner than a frame nothing is heard at all.
        let at = FRAME + dice.below(total - 2 * FRAME);
        assert!(talk.play_until(at).await);
        talk.tell(Event::Interrupt).await;
        let told = talk.effect(said).await;
        // What the language model is told of it next.
        talk.tell(Event::Typed("Go on.".to_owned())).await;
        talk.effect(|effect| matches!(effect, Effect::Saying { .. }).then_some(()))
            .await;
        let history = teller
            .0
            .lock()
            .unwrap()
            .last()
            .expect("asked")
            .messages
            .clone();
        let remembered = history.iter().find_map(|message| match message {
            Message::Assistant(text) => Some(text.clone()),
            _ => None,
        });
        let remembered = remembered.unwrap_or_default();
        assert_eq!(remembered.trim_end_matches('…').trim(), told.trim());
        assert!(ANSWER.starts_with(told.trim()), "{told}");

        let sound: Pcm<Hz16k> = audio::resample(&AnyPcm {
            rate_hz: 24_000,
            samples: talk.played.samples().to_vec(),
        });
        let request = TranscribeRequest {
            language: Language::Code("en".to_owned()),
            ..TranscribeRequest::new(sound)
        };
        let heard = real.stt.transcribe(request).await.expect("it hears").text;
        let kept = words(&told).len();
        let heard_words = may_be(&words(&heard));
        let by = |made_up: usize| {
            let by = heard_words
                .iter()
                .map(|n| n.saturating_sub(made_up).abs_diff(kept));
            by.min().expect("at least one")
        };
        let seconds = at as f64 / 24_000.0;
        cuts.push(format!(
            "{seconds:5.2} s: {kept} kept, {heard_words:?} heard: {heard:?}"
        ));
        close += usize::from(by(0) <= 1);
        // Whisper makes a whole word of one that was cut: that one was not heard.
        if by(0).min(by(1)) > 1 {
            off.push(cuts.last().cloned().expect("pushed"));
        }
    }
    println!("{}", cuts.join("\n"));
    assert!(off.is_empty(), "of {CUTS} cuts: {off:#?}");
    assert!(close * 10 >= CUTS * 9, "{close} of {CUTS}: {cuts:#?}");
}

fn said(effect: &Effect) -> Option<String> {
    match effect {
        Effect::AssistantSaid { text, .. } => Some(text.clone()),
        _ => None,
    }
}
