//! What the process counts and measures, under the names by which it is asked for at `/metrics`: those
//! of OpenTelemetry's semantic conventions where there is one, else ours, in Prometheus' spelling (base
//! units, `_seconds`, `_total`). One set of meters per process, as there is one log.
//!
//! What stands in a label comes from a list in the source, from a file name or from a route's template:
//! never from what somebody said, typed or sent. All of it can be always on: a meter costs a lock that
//! is held for nanoseconds.

mod process;

pub use process::cpu_seconds;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{
        MetricType, counter::ConstCounter, counter::Counter, family::Family, gauge::Gauge,
        histogram::Histogram, info::Info,
    },
    registry::{Registry, Unit},
};

use crate::fault::Fault;

/// Names of labels with their values.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// Counters told apart by labels.
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// Histograms told apart by labels.
type Histograms<const N: usize> = Family<Labels<N>, Histogram>;

/// Bounds for a whole turn, seconds: close where people begin to notice.
const WHOLE: [f64; 16] = [
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 5.0, 10.0,
];

/// Bounds for a stage of a turn, seconds.
const STAGE: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 3.0, 10.0,
];

/// Bounds for a request, seconds: those that OpenTelemetry's conventions advise for
/// `http.server.request.duration`.
const REQUEST: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Bounds for an operation of a language model, seconds: those of `gen_ai.client.operation.duration`.
const OPERATION: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Bounds for tokens: those of `gen_ai.client.token.usage`, without what no model here takes.
const TOKENS: [f64; 10] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0,
];

/// Bounds for the lateness of a frame, seconds: a frame is 20 ms.
const LATE: [f64; 10] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.04, 0.1,
];

/// What engines are called in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Speech to text.
    Stt,
    /// The language model.
    Llm,
    /// Text to speech.
    Tts,
    /// The judge of pauses.
    TurnEnd,
    /// Speech and wake word detection of a microphone.
    Ear,
}

impl Engine {
    /// As in a label.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Stt => "stt",
            Engine::Llm => "llm",
            Engine::Tts => "tts",
            Engine::TurnEnd => "turn_end",
            Engine::Ear => "ear",
        }
    }
}

/// How an exchange came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its answer was heard to the end.
    Complete,
    /// Somebody cut in.
    Interrupted,
    /// It was taken back before anything of it was heard.
    Unheard,
}

impl Outcome {
    /// As in a label.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Interrupted => "interrupted",
            Outcome::Unheard => "unheard",
        }
    }
}

/// The meters of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

/// See the module's text.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    turn: Histogram,
    stages: Histograms<1>,
    turns: Counters<2>,
    interruptions: Counters<1>,
    false_interruptions: Counter,
    wake_words: Counters<1>,
    announcements: Counter,
    rooms: Gauge,
    sessions: Gauge,
    people: Gauge,
    engine_errors: Counters<2>,
    model_loads: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    unheard: Counter,
    lateness: Histogram,
    tokens: Histograms<1>,
    operations: Histogram,
    requests: Histograms<3>,
    tools: Histograms<1>,
    active: Gauge,
    refusals: Arc<Refusals>,
}

/// One more of something, as long as this is kept.
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn held(gauge: &Gauge) -> Held {
    gauge.inc();
    Held(gauge.clone())
}

/// A label that is known when the program is written.
const fn label<'a>(name: &'static str, value: &'static str) -> (&'static str, Cow<'a, str>) {
    (name, Cow::Borrowed(value))
}

impl Metrics {
    fn new() -> Self {
        let stage = || Histogram::new(STAGE);
        let request = || Histogram::new(REQUEST);
        let tokens = || Histogram::new(TOKENS);
        let mut metrics = Self {
            registry: Registry::default(),
            turn: Histogram::new(WHOLE),
            stages: Family::new_with_constructor(stage as fn() -> Histogram),
            turns: Family::default(),
            interruptions: Family::default(),
            false_interruptions: Counter::default(),
            wake_words: Family::default(),
            announcements: Counter::default(),
            rooms: Gauge::default(),
            sessions: Gauge::default(),
            people: Gauge::default(),
            engine_errors: Family::default(),
            model_loads: Family::default(),
            unheard: Counter::default(),
            lateness: Histogram::new(LATE),
            tokens: Family::new_with_constructor(tokens as fn() -> Histogram),
            operations: Histogram::new(OPERATION),
            requests: Family::new_with_constructor(request as fn() -> Histogram),
            tools: Family::new_with_constructor(request as fn() -> Histogram),
            active: Gauge::default(),
            refusals: Arc::default(),
        };
        metrics.begin();
        metrics.register();
        metrics
    }

    /// What is known to come is there from the beginning, at 0: a rate over something that has just
    /// appeared is none.
    fn begin(&self) {
        for name in ["endpoint", "stt", "llm", "clause", "tts", "playout"] {
            drop(self.stages.get_or_create(&[label("stage", name)]));
        }
        for outcome in [Outcome::Complete, Outcome::Interrupted, Outcome::Unheard] {
            for input in ["voice", "text"] {
                let labels = [label("outcome", outcome.name()), label("input", input)];
                drop(self.turns.get_or_create(&labels));
            }
        }
        for reason in INTERRUPTIONS {
            drop(self.interruptions.get_or_create(&[label("reason", reason)]));
        }
        for engine in [
            Engine::Stt,
            Engine::Llm,
            Engine::Tts,
            Engine::TurnEnd,
            Engine::Ear,
        ] {
            let labels = [
                label("engine", engine.name()),
                label("fault", Fault::Internal.name()),
            ];
            drop(self.engine_errors.get_or_create(&labels));
        }
        for kind in ["input", "output"] {
            drop(
                self.tokens
                    .get_or_create(&[label("gen_ai_token_type", kind)]),
            );
        }
    }

    fn register(&mut self) {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let registry = &mut self.registry;
        registry.register("caal_build", "Which caal this is", version);
        registry.register_with_unit(
            "caal_turn_duration",
            "From the user's last speech to the first sample of the answer",
            Unit::Seconds,
            self.turn.clone(),
        );
        registry.register_with_unit(
            "caal_turn_stage_duration",
            "The parts of that, one after the other: endpoint (waiting for more), stt (words), llm (its first characters), clause (the first that can be spoken), tts (its first sound), playout",
            Unit::Seconds,
            self.stages.clone(),
        );
        registry.register(
            "caal_turns",
            "Questions that were answered, by how the answer ended (complete, interrupted, unheard) and how they were asked (voice, text)",
            self.turns.clone(),
        );
        registry.register(
            "caal_interruptions",
            "Answers that were cut off while they were heard: barge_in (the user spoke over them), superseded (spoke on, typed or said the wake word), stopped (a button)",
            self.interruptions.clone(),
        );
        registry.register(
            "caal_false_interruptions",
            "Answers that fell silent because of a sound that was no interruption, and went on",
            self.false_interruptions.clone(),
        );
        registry.register(
            "caal_wake_words",
            "Wake words that were heard",
            self.wake_words.clone(),
        );
        registry.register(
            "caal_announcements",
            "Announcements and greetings that were begun",
            self.announcements.clone(),
        );
        registry.register(
            "caal_rooms",
            "Rooms in which people are, now",
            self.rooms.clone(),
        );
        registry.register(
            "caal_sessions",
            "Conversations, now: those in rooms and that of this machine's own sound",
            self.sessions.clone(),
        );
        registry.register("caal_people", "People in rooms, now", self.people.clone());
        registry.register(
            "caal_engine_errors",
            "Failures of engines in conversations, by what they mean (request, remote, busy, internal)",
            self.engine_errors.clone(),
        );
        registry.register_with_unit(
            "caal_model_load",
            "How long loading took, the last time",
            Unit::Seconds,
            self.model_loads.clone(),
        );
        registry.register(
            "caal_ear_dropped_pieces",
            "Pieces of sound (20 ms) that an ear did not keep up with",
            self.unheard.clone(),
        );
        registry.register_with_unit(
            "caal_voice_frame_lateness",
            "How late frames of the voice (20 ms) left for the room",
            Unit::Seconds,
            self.lateness.clone(),
        );
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of one request to the language model: input (the question and what came before), output (the answer)",
            self.tokens.clone(),
        );
        registry.register_with_unit(
            "gen_ai_client_operation_duration",
            "One request to the language model, from the question to the end of the answer",
            Unit::Seconds,
            self.operations.clone(),
        );
        registry.register_with_unit(
            "caal_tool_duration",
            "Calls of tools, by how they ended (ok, wrong: the language model called what is none, or the fault)",
            Unit::Seconds,
            self.tools.clone(),
        );
        registry.register_with_unit(
            "http_server_request_duration",
            "HTTP requests up to the answer's head; http_route is empty for what is at no route",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "http_server_active_requests",
            "HTTP requests that wait for an answer, now",
            self.active.clone(),
        );
        registry.register_collector(Box::new(self.refusals.clone()));
        registry.register_collector(Box::new(process::Process::new()));
    }

    /// Everything, as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(32 * 1024);
        text::encode(&mut out, &self.registry).expect("writing to a string cannot fail");
        out
    }

    /// An answer became audible: how long that took in all (not for typed questions), and its stages
    /// by name, in milliseconds.
    pub fn turn_timed(
        &self,
        total_ms: Option<u32>,
        stages: impl Iterator<Item = (&'static str, u32)>,
    ) {
        let seconds = |ms: u32| f64::from(ms) / 1e3;
        if let Some(ms) = total_ms {
            self.turn.observe(seconds(ms));
        }
        for (name, ms) in stages {
            let stage = self.stages.get_or_create(&[label("stage", name)]);
            stage.observe(seconds(ms));
        }
    }

    /// A question's answer is over.
    pub fn turn_over(&self, outcome: Outcome, spoken: Input) {
        let labels = [
            label("outcome", outcome.name()),
            label("input", spoken.name()),
        ];
        self.turns.get_or_create(&labels).inc();
    }

    /// What was being heard was cut off.
    pub fn interruption(&self, why: Interruption) {
        let reason = INTERRUPTIONS[why as usize];
        let labels = [label("reason", reason)];
        self.interruptions.get_or_create(&labels).inc();
    }

    /// It fell silent for nothing, and goes on.
    pub fn false_interruption(&self) {
        self.false_interruptions.inc();
    }

    /// A wake word was heard. `word` is the name of a model's file.
    pub fn wake_word(&self, word: &str) {
        let labels = [("word", Cow::Owned(word.to_owned()))];
        self.wake_words.get_or_create(&labels).inc();
    }

    /// An announcement or greeting begins.
    pub fn announcement(&self) {
        self.announcements.inc();
    }

    /// How many rooms and people there are.
    pub fn rooms_are(&self, rooms: usize, people: usize) {
        self.rooms.set(rooms as i64);
        self.people.set(people as i64);
    }

    /// A conversation begins, and is over when what is given back is dropped.
    pub fn session(&self) -> Held {
        held(&self.sessions)
    }

    /// An engine failed in a conversation.
    pub fn engine_error(&self, engine: Engine, fault: Fault) {
        let labels = [label("engine", engine.name()), label("fault", fault.name())];
        self.engine_errors.get_or_create(&labels).inc();
    }

    /// `engine` was loaded in so long.
    pub fn model_loaded(&self, engine: &'static str, took: Duration) {
        let labels = [label("engine", engine)];
        let load = self.model_loads.get_or_create(&labels);
        load.set(took.as_secs_f64());
    }

    /// So many pieces of sound came too fast for an ear.
    pub fn ear_dropped(&self, pieces: u64) {
        self.unheard.inc_by(pieces);
    }

    /// A frame of the voice left for its room so much after its time.
    pub fn voice_late(&self, late: Duration) {
        self.lateness.observe(late.as_secs_f64());
    }

    /// The language model has answered: how long it took, and the tokens of both sides where known.
    pub fn llm_answered(&self, took: Duration, tokens: Option<(u32, u32)>) {
        self.operations.observe(took.as_secs_f64());
        let Some((input, output)) = tokens else {
            return;
        };
        for (kind, count) in [("input", input), ("output", output)] {
            let usage = self
                .tokens
                .get_or_create(&[label("gen_ai_token_type", kind)]);
            usage.observe(f64::from(count));
        }
    }

    /// A tool was called: how it ended (`ok`, `wrong` for a call that could not be one, or a fault).
    pub fn tool_called(&self, outcome: &'static str, took: Duration) {
        let labels = [label("outcome", outcome)];
        self.tools
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// A request has come, and is answered when what is given back is dropped.
    pub fn request(&self) -> Held {
        held(&self.active)
    }

    /// It was answered. `route` is the template (`/assets/{name}`), never the path.
    pub fn request_answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = [
            label("http_request_method", method),
            ("http_route", Cow::Owned(route.to_owned())),
            ("http_response_status_code", Cow::Owned(status.to_string())),
        ];
        let request = self.requests.get_or_create(&labels);
        request.observe(took.as_secs_f64());
    }

    /// Who counts the requests that are not let in, by reason. Told once; a second teller is not heard.
    pub fn refusals_from(
        &self,
        counted: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        let _ = self.refusals.0.set(Box::new(counted));
    }
}

/// How a question was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// By voice.
    Voice,
    /// In writing.
    Text,
}

impl Input {
    /// As in a label.
    pub const fn name(self) -> &'static str {
        match self {
            Input::Voice => "voice",
            Input::Text => "text",
        }
    }
}

/// Why an answer was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The user spoke over it.
    BargeIn,
    /// The user spoke on, typed, or said the wake word.
    Superseded,
    /// Somebody asked for silence.
    Stopped,
}

/// The same in labels, in that order.
const INTERRUPTIONS: [&str; 3] = ["barge_in", "superseded", "stopped"];

/// Counts by reason.
type Counted = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>;

/// Requests that were not let in, counted elsewhere and asked for when somebody looks.
#[derive(Default)]
struct Refusals(OnceLock<Counted>);

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals")
    }
}

impl Collector for Refusals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut family = encoder.encode_descriptor(
            "caal_http_refusals",
            "HTTP requests that were not let in, by reason",
            None,
            MetricType::Counter,
        )?;
        let counted = self.0.get().map(|counted| counted()).unwrap_or_default();
        for (reason, count) in counted {
            let labels = [("reason", reason)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of the sample whose line begins with `name`.
    fn value(metrics: &Metrics, name: &str) -> Option<f64> {
        let text = metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    }

    #[test]
    fn a_turn_is_counted_in_its_stages() {
        let metrics = Metrics::new();
        metrics.turn_timed(Some(1_410), [("stt", 200), ("tts", 500)].into_iter());
        metrics.turn_timed(None, [("llm", 100)].into_iter());
        metrics.turn_over(Outcome::Interrupted, Input::Voice);
        assert_eq!(
            value(&metrics, "caal_turn_duration_seconds_sum "),
            Some(1.41)
        );
        assert_eq!(
            value(&metrics, "caal_turn_duration_seconds_count "),
            Some(1.0)
        );
        let stt = "caal_turn_stage_duration_seconds_bucket{le=\"0.2\",stage=\"stt\"} ";
        assert_eq!(value(&metrics, stt), Some(1.0));
        let turns = "caal_turns_total{outcome=\"interrupted\",input=\"voice\"} ";
        assert_eq!(value(&metrics, turns), Some(1.0));
        let never = "caal_turns_total{outcome=\"unheard\",input=\"text\"} ";
        assert_eq!(
            value(&metrics, never),
            Some(0.0),
            "there from the beginning"
        );
    }

    #[test]
    fn what_is_held_counts_until_it_is_let_go() {
        let metrics = Metrics::new();
        let (one, other) = (metrics.session(), metrics.session());
        assert_eq!(value(&metrics, "caal_sessions "), Some(2.0));
        drop(one);
        assert_eq!(value(&metrics, "caal_sessions "), Some(1.0));
        drop(other);
    }

    #[test]
    fn refusals_are_asked_for_when_somebody_looks() {
        let metrics = Metrics::new();
        metrics.refusals_from(|| vec![("no_key", 3)]);
        let refused = "caal_http_refusals_total{reason=\"no_key\"} ";
        assert_eq!(value(&metrics, refused), Some(3.0));
    }

    #[test]
    fn every_meter_tells_its_type_and_its_meaning_and_has_a_prefix() {
        let text = Metrics::new().text();
        assert!(text.ends_with("# EOF\n"));
        let names = |what: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(what));
            lines
                .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(names("# TYPE "), names("# HELP "));
        for name in names("# TYPE ") {
            let known = ["caal_", "gen_ai_", "http_server_", "process_"];
            assert!(
                known.iter().any(|prefix| name.starts_with(prefix)),
                "{name}"
            );
        }
    }
}
