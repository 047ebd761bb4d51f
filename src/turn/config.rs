//! What may be set about turn taking, with the defaults and where they come from. Every wait of the
//! machine has its bound here.

use std::time::Duration;

/// What opens the assistant's ears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Asleep until the wake word; after an exchange awake for a follow-up.
    WakeWord,
    /// Always listening.
    AlwaysOn,
}

/// Whether the microphone hears the assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplex {
    /// Loudspeakers: while the assistant speaks, and for [`TurnConfig::echo_tail`] after, what the
    /// microphone hears is taken for its echo. No barge-in.
    Half,
    /// Headphones, or an echo canceller in front of us: the user may interrupt.
    Full,
}

/// The rules' numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnConfig {
    /// What opens the ears.
    pub activation: Activation,
    /// Whether the user may interrupt.
    pub duplex: Duplex,
    /// Silence that ends the user's turn when nobody has judged the pause. Counted from the last
    /// speech, like all waits of a pause.
    pub default_wait: Duration,
    /// The longest silence that any judgement may ask for.
    pub max_wait: Duration,
    /// Silence after which the words so far are transcribed when the pause was not judged by then. The
    /// two would only take each other's cores.
    pub draft_after: Duration,
    /// The longest turn, pauses included; then what is there is transcribed.
    pub max_turn: Duration,
    /// A turn with less speech than this, counted from the moment at which speech was certain, is
    /// a click and is thrown away without asking anybody.
    pub min_speech: Duration,
    /// Speech over a reply that ends it. Shorter overlaps end it when they hold
    /// words. Must exceed a cough plus the silence that the speech detector needs to see its end.
    pub barge_in_delay: Duration,
    /// How long a hushed reply waits for the words of a shorter overlap: words end it, none resume it.
    pub doubt_limit: Duration,
    /// How long to stay awake after the wake word and after a reply.
    pub follow_up: Duration,
    /// How long whoever said the wake word may take to speak on before they are greeted: a question in
    /// the same breath is not talked over.
    pub greet_after: Duration,
    /// How long a room rings after the assistant's last sample, output latency included.
    pub echo_tail: Duration,
    /// The longest transcription, on top of the turn's own length.
    pub transcribe_limit: Duration,
    /// The longest silence between a question and the first sound of its answer. Generous: a
    /// server may have to load its model first.
    pub think_limit: Duration,
    /// The longest gap inside an answer.
    pub stall_limit: Duration,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            activation: Activation::AlwaysOn,
            duplex: Duplex::Half,
            default_wait: Duration::from_millis(700),
            max_wait: Duration::from_secs(3),
            draft_after: Duration::from_millis(300),
            max_turn: Duration::from_secs(60),
            min_speech: Duration::from_millis(60),
            barge_in_delay: Duration::from_millis(500),
            doubt_limit: Duration::from_millis(1_500),
            follow_up: Duration::from_secs(8),
            greet_after: Duration::from_millis(700),
            echo_tail: Duration::from_millis(400),
            transcribe_limit: Duration::from_secs(20),
            think_limit: Duration::from_secs(90),
            stall_limit: Duration::from_secs(30),
        }
    }
}
