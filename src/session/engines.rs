//! What a session is built from: the engines it asks and the models its ear needs, all behind their
//! ports. `app` fills these; nothing here knows a concrete model.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    endpoint::TurnEndModel,
    llm::{Llm, pictures::Shown},
    stt::Stt,
    tools::Toolbox,
    tts::Tts,
    vad::SpeechModel,
    wake::WakeModel,
};

/// The engines that all sessions of a process share.
#[derive(Clone)]
pub struct Engines {
    /// Speech to words.
    pub stt: Arc<dyn Stt>,
    /// Words to words.
    pub llm: Arc<dyn Llm>,
    /// Words to sound.
    pub tts: Arc<dyn Tts>,
    /// What the language model may call.
    pub tools: Toolbox,
    /// What is shown to the assistant, for the questions of the next while.
    pub shown: Shown,
    /// What they are working on.
    pub load: Load,
}

/// What all sessions over the same engines have them do: nobody waits behind work that may not be
/// wanted.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Replies that are being made.
    pub(super) replies: InUse,
    /// Clips that are being transcribed.
    pub(super) clips: InUse,
}

impl Load {
    /// Whether an answer is being made, in any conversation.
    pub fn answering(&self) -> bool {
        !self.replies.idle()
    }
}

/// How often something is in use.
#[derive(Clone, Debug, Default)]
pub(super) struct InUse(Arc<AtomicUsize>);

impl InUse {
    /// Not at all.
    pub(super) fn idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Once more, until what is given back is dropped.
    pub(super) fn begin(&self) -> Busy {
        self.0.fetch_add(1, Ordering::Relaxed);
        Busy(self.0.clone())
    }
}

/// One use.
#[derive(Debug)]
pub(super) struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The models of one microphone stream. They keep state, so every session has its own.
pub struct EarModels {
    /// Speech or not.
    pub speech: Box<dyn SpeechModel>,
    /// The wake words; `None` where the session is always on.
    pub wake: Option<Box<dyn WakeModel>>,
    /// Is the user done? `None`: every pause waits as long as the default says.
    pub turn_end: Option<Box<dyn TurnEndModel>>,
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines")
            .field("stt", &self.stt.name())
            .field("llm", &self.llm.name())
            .field("tts", &self.tts.name())
            .finish()
    }
}
