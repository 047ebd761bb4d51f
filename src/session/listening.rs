//! What a session has done about the user's sound: pauses judged, clips transcribed, and words shown
//! while they are spoken. Whatever is asked here comes back as a `Done`.

use std::{sync::Arc, time::Duration};

use tokio::{task::AbortHandle, time::Instant};
use tracing::{Instrument, info_span};

use super::{Done, Effect, Session, Work, pace::Clock};
use crate::{
    audio::{Hz16k, Pcm, SamplePos},
    endpoint::EndpointError,
    stt::{SttError, TranscribeRequest, Transcript},
    turn::{Take, TurnId},
};

/// Least new sound between two transcriptions for displays.
const OVERHEAR: Duration = Duration::from_millis(1_000);

/// A transcription may take this long where people are shown their words while they speak.
const BRISK: Duration = Duration::from_millis(500);

/// A transcription that nobody but a display waits for. Dropped, it ends.
pub(super) struct Overhearing(AbortHandle);

impl Drop for Overhearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    pub(super) fn drop_work(&mut self, of: impl Fn(Take) -> bool) {
        self.work.retain(|work, task| {
            let (Work::Transcribe(take) | Work::Judge(take)) = *work;
            let dropped = of(take);
            if dropped {
                task.abort();
            }
            !dropped
        });
    }

    pub(super) fn judge(&mut self, take: Take) {
        let (Some(judge), Some(clip)) = (&self.judge, &self.clip) else {
            return;
        };
        let (judge, sound) = (judge.clone(), clip.sound().clone());
        let span = info_span!("judge", turn = take.turn.0);
        let task = self.tasks.spawn_blocking(move || {
            let _in_span = span.entered();
            let result = match judge.lock() {
                Ok(mut model) => model.probability(sound.samples()),
                Err(_) => Err(EndpointError::Model("it panicked before".to_owned())),
            };
            Done::Judged(take, result)
        });
        self.work.insert(Work::Judge(take), task);
    }

    pub(super) fn transcribe(&mut self, take: Take) {
        self.overhearing = None; // it would be in the way
        let Some(clip) = self.clip.as_ref().filter(|clip| clip.turn == take.turn) else {
            return;
        };
        let work = self.words(clip.speech());
        let task = self.tasks.spawn(
            async move {
                let (result, took) = work.await;
                Done::Transcribed(take, result, took)
            }
            .instrument(info_span!("stt", turn = take.turn.0)),
        );
        self.work.insert(Work::Transcribe(take), task);
    }

    /// For displays: transcribes what one who speaks on has said so far, about once a second, and only
    /// where that is quick and nothing else is to be done.
    pub(super) fn overhear(&mut self) {
        let Some(took) = self.took.filter(|took| *took <= BRISK) else {
            return; // slow, or not known yet
        };
        let Some(clip) = self.clip.as_ref().filter(|clip| clip.is_open()) else {
            return;
        };
        let heard = clip.sound().len();
        let every = SamplePos::<Hz16k>::at(OVERHEAR.max(took * 3)).index();
        let busy = self.config.clock == Clock::Driven
            || self.overhearing.is_some()
            || self.live.is_some()
            || !self.work.is_empty()
            || !self.engines.load.replies.idle()
            || !self.engines.load.clips.idle();
        if busy || heard < self.overheard + every {
            return;
        }
        let turn = clip.turn;
        let work = self.words(clip.speech());
        self.overheard = heard;
        let task = self.tasks.spawn(
            async move {
                let (result, took) = work.await;
                Done::Overheard(turn, result, took)
            }
            .instrument(info_span!("stt", turn = turn.0, interim = true)),
        );
        self.overhearing = Some(Overhearing(task));
    }

    /// The words of `clip`, and how long they took.
    fn words(
        &self,
        clip: Pcm<Hz16k>,
    ) -> impl Future<Output = (Result<Transcript, SttError>, Duration)> + use<> {
        let busy = self.engines.load.clips.begin();
        let work = self.engines.stt.transcribe(TranscribeRequest {
            clip: Arc::new(clip),
            language: self.config.language.clone(),
            prompt: self.config.hints.clone(),
        });
        async move {
            let begun = Instant::now();
            let result = work.await;
            drop(busy);
            (result, begun.elapsed())
        }
    }

    pub(super) fn show_heard(&mut self, turn: TurnId, transcript: &Transcript) {
        if !transcript.text.trim().is_empty() {
            self.hearing = Some(Effect::Hearing {
                turn,
                text: transcript.text.clone(),
            });
        }
    }
}
