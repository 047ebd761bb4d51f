//! Engines that cost nothing: words that were known before, and sound that was there before. With them a
//! machine's rooms can be measured that Kokoro alone would fill with two or three speakers.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream, stream::BoxStream};

use crate::{
    audio::{Hz24k, Pcm},
    stt::{Stt, SttError, TranscribeRequest, Transcript},
    tts::{SpeakRequest, Tts, TtsError, Voice},
};

/// Samples of a letter: 65 ms, Kokoro's pace.
const LETTER: usize = 24_000 * 65 / 1_000;

/// Hears the same in every clip.
pub(super) struct Known;

impl Stt for Known {
    fn transcribe(
        &self,
        request: TranscribeRequest,
    ) -> BoxFuture<'static, Result<Transcript, SttError>> {
        let transcript = Transcript {
            text: "What time is it?".to_owned(),
            language: "en".to_owned(),
            duration: request.clip.duration(),
            ..Transcript::default()
        };
        std::future::ready(Ok(transcript)).boxed()
    }

    fn name(&self) -> String {
        "known words (bench)".to_owned()
    }
}

/// Says everything with the sound of one recording, as long as the text takes.
pub(super) struct Prepared(pub(super) Arc<Pcm<Hz24k>>);

impl Tts for Prepared {
    fn speak(&self, request: SpeakRequest) -> BoxStream<'static, Result<Pcm<Hz24k>, TtsError>> {
        let length = request.text.chars().count() * LETTER;
        let sound: Vec<f32> = self
            .0
            .samples()
            .iter()
            .copied()
            .cycle()
            .take(length)
            .collect();
        stream::iter([Ok(Pcm::new(sound))]).boxed()
    }

    fn voices(&self) -> Vec<Voice> {
        Vec::new()
    }

    fn name(&self) -> String {
        "prepared sound (bench)".to_owned()
    }
}
