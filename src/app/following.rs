//! Settings that live, as far as engines and conversations go: what a conversation is told, and what is
//! taken over when somebody changes it. What a change names is got ready first (a voice says a word to
//! nobody, a model is loaded and warmed), while the old goes on; where that fails the old stays, and the
//! reason is told. Conversations follow from their next turn on.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{App, Chosen, dictionary, history_limits, language, now, told, wake_greeting};
use crate::{
    cli::Failure,
    endpoint::EndpointConfig,
    engine::Device,
    llm::{fallback::Turned, prompt},
    mind,
    session::{Clock, Manner, Manners, SessionConfig},
    settings::{Live, Settings},
    telemetry,
    tools::memory::Memory,
    tts::{Clauses, SpeakRequest, Tts, TtsError},
    turn::{Activation, Duplex, TurnConfig},
    wake::GateConfig,
};

/// How long a language model that could not be had is left alone: a server may have been started, a model
/// fetched.
const AGAIN: Duration = Duration::from_secs(30);

/// Where a conversation is held, which says how much of it is set.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for a conversation, which holds much more"
)]
pub enum Place {
    /// In a room: all of it is.
    Room,
    /// At this machine, or with files: turn taking is as the command line says.
    Here {
        /// So.
        turn: TurnConfig,
        /// The wake words to sleep for, any of them; empty: always listen. None: those that are set.
        wake: Option<Vec<String>>,
    },
}

impl Place {
    /// Turn taking and wake words there.
    fn rules(&self, settings: &Settings) -> (TurnConfig, Vec<String>) {
        let (turn, wake) = match self {
            Place::Here { turn, wake } => {
                (*turn, wake.as_ref().unwrap_or(&settings.wake_words).clone())
            }
            Place::Room => {
                let (activation, wake) = match settings.wake_word_enabled {
                    true => (Activation::WakeWord, settings.wake_words.clone()),
                    false => (Activation::AlwaysOn, Vec::new()),
                };
                // Browsers and phones take the assistant's voice out of what their microphone hears.
                let duplex = match settings.allow_interruptions {
                    true => Duplex::Full,
                    false => Duplex::Half,
                };
                let turn = TurnConfig {
                    activation,
                    duplex,
                    ..TurnConfig::default()
                };
                (turn, wake)
            }
        };
        let follow_up = settings.follow_up;
        (TurnConfig { follow_up, ..turn }, wake)
    }
}

/// Conversations that are told of changes.
#[derive(Default)]
pub(super) struct Followers(Mutex<Vec<(Place, watch::Sender<Arc<Manner>>)>>);

impl Followers {
    // Held while a wake word model is loaded, on blocking threads only.
    fn lock(&self) -> MutexGuard<'_, Vec<(Place, watch::Sender<Arc<Manner>>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was set and cannot be had, by what it is.
#[derive(Default)]
pub(super) struct Troubles(watch::Sender<BTreeMap<&'static str, String>>);

impl Troubles {
    fn tell(&self, of: &'static str, why: Option<String>) {
        self.0.send_if_modified(|all| {
            if all.get(of) == why.as_ref() {
                return false;
            }
            match why {
                Some(why) => {
                    warn!("a change of the settings is not taken over: {why}");
                    all.insert(of, why);
                }
                None => drop(all.remove(of)),
            }
            true
        });
    }
}

/// What a session is told.
///
/// # Errors
///
/// When the dictionary is wrong.
pub(super) fn config(
    settings: &Arc<Settings>,
    turn: TurnConfig,
    device: Device,
    memory: &Memory,
) -> Result<SessionConfig, Failure> {
    let dictionary = dictionary(settings)?;
    Ok(SessionConfig {
        turn,
        endpoint: EndpointConfig {
            complete: settings.turn_end_short,
            incomplete: settings.turn_end_long,
            ..EndpointConfig::default()
        },
        language: language(&settings.language),
        hints: settings.stt_prompt.clone(),
        system: {
            let (settings, memory) = (settings.clone(), memory.clone());
            Arc::new(move || told(&settings, &memory))
        },
        frame: {
            let settings = settings.clone();
            Arc::new(move |words| prompt::user_message(words, &now(&settings)))
        },
        history: history_limits(settings),
        mind: mind_rules(settings),
        place: String::new(),
        voice: settings.voice.clone(),
        speed: settings.speed,
        clauses: {
            // On a processor Kokoro is hardly faster than it is heard.
            let hurried = device == Device::Cpu;
            Arc::new(move || match Clauses::new(dictionary.clone()) {
                clauses if hurried => clauses.hurried(),
                clauses => clauses,
            })
        },
        woken: {
            let settings = settings.clone();
            Arc::new(move || wake_greeting(&settings))
        },
        clock: Clock::Runtime,
    })
}

/// How answers are made.
pub(super) fn mind_rules(settings: &Settings) -> mind::Rules {
    mind::Rules {
        rounds: settings.tool_rounds,
        fillers: settings.tool_fillers,
        fast: settings.fast_path,
        context: settings.num_ctx as usize,
        budget: settings.num_ctx as usize / 4,
        zone: settings.timezone.clone(),
    }
}

/// What decides about the language model; with the same, it need not be exchanged.
fn answering(settings: &Settings) -> impl PartialEq + fmt::Debug + '_ {
    (
        settings.llm_provider,
        &settings.ollama_host,
        (&settings.ollama_model, settings.ollama_think),
        settings.num_ctx,
        settings.keep_alive,
        settings.temperature.to_bits(),
        &settings.embedded_model,
        (&settings.groq_api_key, &settings.groq_model),
        (
            &settings.openai_base_url,
            &settings.openai_api_key,
            &settings.openai_model,
        ),
    )
}

/// `settings` with the language model of `other`.
fn answered_as(settings: Settings, other: &Settings) -> Settings {
    Settings {
        llm_provider: other.llm_provider,
        ollama_host: other.ollama_host.clone(),
        ollama_model: other.ollama_model.clone(),
        ollama_think: other.ollama_think,
        num_ctx: other.num_ctx,
        keep_alive: other.keep_alive,
        temperature: other.temperature,
        embedded_model: other.embedded_model.clone(),
        groq_api_key: other.groq_api_key.clone(),
        groq_model: other.groq_model.clone(),
        openai_base_url: other.openai_base_url.clone(),
        openai_api_key: other.openai_api_key.clone(),
        openai_model: other.openai_model.clone(),
        ..settings
    }
}

/// The language model of `settings`, ready to answer.
fn get_ready(
    settings: Arc<Settings>,
) -> BoxFuture<'static, (Arc<Settings>, Result<Chosen, Failure>)> {
    async move {
        let ready = async {
            let mut chosen = super::llm(&settings).await?;
            if let Some(warm_up) = chosen.warm_up.take() {
                warm_up.await?;
            }
            Ok(chosen)
        };
        let chosen = ready.await;
        (settings, chosen)
    }
    .boxed()
}

impl App {
    /// The settings that are in force: those that were set, as far as they could be had.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// The same, whenever they change.
    pub fn watch(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// What was set and is not in force, as sentences; changes also when nothing is wrong any more.
    pub fn troubles(&self) -> watch::Receiver<BTreeMap<&'static str, String>> {
        self.troubles.0.subscribe()
    }

    /// How a conversation is held in `place`, now and from now on. May load a wake word model.
    pub(super) fn manners(&self, place: Place) -> Result<Manners, Failure> {
        let mut followers = self.followers.lock();
        followers.retain(|(_, sender)| !sender.is_closed());
        let manner = self.manner(&self.settings(), &place)?;
        let (sender, manners) = watch::channel(Arc::new(manner));
        followers.push((place, sender));
        Ok(manners)
    }

    fn manner(&self, settings: &Arc<Settings>, place: &Place) -> Result<Manner, Failure> {
        let (turn, wake) = place.rules(settings);
        Ok(Manner {
            config: config(settings, turn, self.runtime.device(), &self.keeping.memory)?,
            wake: match &wake[..] {
                [] => None,
                words => Some(self.wake_source(words)?),
            },
            gate: GateConfig {
                threshold: settings.wake_threshold,
                ..GateConfig::default()
            },
        })
    }

    /// Takes over what changes in `live`, also what has changed since the app was built. Never ends;
    /// dropping it stops it.
    pub async fn follow(self: &Arc<Self>, live: &Live) {
        tokio::join!(self.follow_settings(live), self.tend_tools(live));
    }

    async fn follow_settings(self: &Arc<Self>, live: &Live) {
        let mut changes = live.watch();
        changes.mark_changed();
        let mut turned = self.first_turned.clone();
        let mut getting_ready = None;
        let mut again = None;
        loop {
            tokio::select! {
                biased;
                Ok(()) = changes.changed() => {
                    let wanted = changes.borrow_and_update().clone();
                    self.take_over(&wanted).await;
                    again = None;
                    getting_ready = None; // and what was under way ends
                    let present = self.settings();
                    if answering(&wanted) != answering(&present) {
                        getting_ready = Some(get_ready(wanted));
                    } else {
                        self.troubles.tell("language model", None);
                    }
                }
                (wanted, chosen) = ready(&mut getting_ready) => {
                    getting_ready = None;
                    match chosen {
                        Ok(chosen) => {
                            turned = self.exchange(chosen);
                            self.hold(answered_as((*self.settings()).clone(), &wanted)).await;
                            self.troubles.tell("language model", None);
                        }
                        Err(failure) => {
                            let why = format!("the language model: {failure}");
                            self.troubles.tell("language model", Some(why));
                            again = Some(Instant::now() + AGAIN);
                        }
                    }
                }
                () = at(again) => {
                    again = None;
                    getting_ready = Some(get_ready(live.current()));
                }
                news = passed_on(&mut turned) => drop(self.turned.send_replace(news)),
            }
        }
    }

    /// `chosen` answers from now on; what tells when another takes over from it.
    fn exchange(&self, chosen: Chosen) -> Option<watch::Receiver<Turned>> {
        info!("the language model was exchanged: {}", chosen.sentence);
        self.llm.put(chosen.llm);
        // Nobody is told that the old one is back.
        self.turned.send_if_modified(|turned| {
            *turned = Turned::First;
            false
        });
        chosen.turned
    }

    /// Takes over all of `wanted` but the language model, as far as it can be had.
    async fn take_over(self: &Arc<Self>, wanted: &Settings) {
        let before = self.settings();
        let mut settings = answered_as(wanted.clone(), &before);
        let mut why = None;
        if settings.voice != before.voice
            && let Err(error) = say_a_word(&*self.engines.tts, &settings.voice).await
        {
            why = Some(format!("the voice {:?}: {error}", settings.voice));
            settings.voice.clone_from(&before.voice);
        }
        self.troubles.tell("voice", why);
        self.hold(settings).await;
    }

    /// Has `settings` in force from now on, and tells every conversation.
    async fn hold(self: &Arc<Self>, settings: Settings) {
        let app = self.clone();
        // A wake word model may have to be loaded.
        let held = tokio::task::spawn_blocking(move || app.hold_blocking(settings)).await;
        if let Err(ended) = held {
            let why = format!("taking it over {}; see the log", telemetry::ended(&ended));
            self.troubles.tell("conversations", Some(why));
        } else {
            self.troubles.tell("conversations", None);
        }
    }

    fn hold_blocking(&self, mut settings: Settings) {
        let before = self.settings();
        let mut followers = self.followers.lock();
        let mut why = None;
        if let Err(failure) = dictionary(&settings) {
            why = Some(failure.to_string());
            settings.pronunciation.clone_from(&before.pronunciation);
        }
        self.troubles.tell("pronunciation", why);
        let mut why = None;
        let sleeps = |place: &Place| !place.rules(&settings).1.is_empty();
        if (sleeps(&Place::Room) || followers.iter().any(|(place, _)| sleeps(place)))
            && let Err(failure) = self.wake_source(&settings.wake_words)
        {
            why = Some(format!("the wake word: {failure}"));
            settings.wake_words.clone_from(&before.wake_words);
            settings.wake_word_enabled = before.wake_word_enabled;
        }
        self.troubles.tell("wake word", why);
        let settings = Arc::new(settings);
        self.settings.send_replace(settings.clone());
        self.equip(&settings);
        followers.retain(|(place, sender)| match self.manner(&settings, place) {
            Ok(manner) => sender.send(Arc::new(manner)).is_ok(),
            Err(failure) => {
                warn!("a conversation goes on as it was: {failure}");
                !sender.is_closed()
            }
        });
    }
}

/// Whether `tts` can speak with `voice`.
async fn say_a_word(tts: &dyn Tts, voice: &str) -> Result<(), TtsError> {
    let request = SpeakRequest {
        text: "Hello.".to_owned(),
        voice: voice.to_owned(),
        speed: 1.0,
        pause: Duration::ZERO,
    };
    let mut sound = tts.speak(request);
    while let Some(piece) = sound.next().await {
        piece?;
    }
    Ok(())
}

async fn ready<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What `turned` says when it changes; never anything, where there is none.
async fn passed_on(turned: &mut Option<watch::Receiver<Turned>>) -> Turned {
    if let Some(turned) = turned
        && turned.changed().await.is_ok()
    {
        return turned.borrow_and_update().clone();
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pii::Pii,
        settings::{Applies, Kind, ROWS, Row, Sources},
    };

    fn resolved(flags: &[(&'static str, &str)]) -> Settings {
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let sources = Sources {
            flags: flags.collect(),
            ..Sources::default()
        };
        Settings::resolve(&sources).expect("right")
    }

    /// All that the next turn is made of.
    fn made_of(flags: &[(&'static str, &str)]) -> String {
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let sources = Sources {
            flags: flags.collect(),
            custom_prompt: Some(Pii("{{ASSISTANT_NAME}} {{TIMEZONE}}".to_owned())),
            ..Sources::default()
        };
        let settings = Settings::resolve(&sources).expect("right");
        let settings = Arc::new(settings);
        let (turn, wake) = Place::Room.rules(&settings);
        let told = config(&settings, turn, Device::Cpu, &Memory::default()).expect("right");
        let mut clauses = (told.clauses)();
        let mut spoken = clauses.push("Nguyen is here. ");
        spoken.extend(clauses.finish());
        format!(
            "{turn:?} {wake:?} {:?} {:?} {:?} {:?} {} {:?} {} {} {spoken:?} {:?} {} {:?} {}",
            told.mind,
            told.endpoint,
            told.language,
            told.hints,
            (told.system)(),
            told.history,
            told.voice,
            told.speed,
            settings.wake_greetings,
            settings.wake_threshold,
            answering(&settings),
            super::super::greeting(&settings),
        )
    }

    /// A value of `row` that it does not have.
    fn other(row: &Row) -> &'static str {
        match (row.key, row.kind) {
            ("prompt", _) => "default",
            ("language", _) => "de",
            ("keep_alive", _) => "10m",
            ("timezone", _) => "Asia/Tokyo",
            ("llm_provider", _) => "embedded",
            (_, Kind::Bool) if row.default == "true" || row.key == "wake_word_enabled" => "false",
            (_, Kind::Bool) => "true",
            (_, Kind::Int(_, high)) if high >= 1024 => "1024",
            (_, Kind::Number(low, high)) if low <= 0.9 && high >= 0.9 => "0.9",
            (_, Kind::Number(..) | Kind::Int(..)) => "2",
            (_, Kind::Url | Kind::OptionalUrl) => "http://other:1",
            (_, Kind::Map) => r#"{"Nguyen": "win"}"#,
            _ => "other",
        }
    }

    #[test]
    fn whatever_is_said_to_count_from_the_next_turn_on_changes_what_that_is_made_of() {
        let base = [("prompt", "custom"), ("wake_word_enabled", "true")];
        let before = made_of(&base);
        assert_eq!(made_of(&base), before, "nothing else changes it");
        let next_turn = |row: &&Row| row.applies == Applies::NextTurn;
        // Secrets do not show; those of the next turn are the language model's.
        for row in ROWS.iter().filter(next_turn).filter(|row| row.is_secret()) {
            let (plain, keyed) = (resolved(&[]), resolved(&[(row.key, "other")]));
            assert!(answering(&plain) != answering(&keyed), "{}", row.key);
            assert!(answering(&answered_as(keyed, &plain)) == answering(&plain));
        }
        for row in ROWS.iter().filter(next_turn).filter(|row| !row.is_secret()) {
            let with = [&base[..], &[(row.key, other(row))]].concat();
            assert_ne!(made_of(&with), before, "{}", row.key);
        }
    }

    #[test]
    fn a_language_model_that_could_not_be_had_leaves_the_old_ones_settings_and_no_others() {
        let old = resolved(&[("ollama_model", "a"), ("num_ctx", "2048")]);
        let new = resolved(&[("ollama_model", "b"), ("agent_name", "Ada")]);
        let held = answered_as(new.clone(), &old);
        assert!(answering(&held) == answering(&old) && answering(&held) != answering(&new));
        assert_eq!(held.agent_name, "Ada");
    }
}
