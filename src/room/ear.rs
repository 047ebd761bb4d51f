//! The ear of a room, as a task of its own: while its models work, the voice goes on being paced.

use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    session::{Ear, Event},
    telemetry,
    turn::Attention,
};

/// What an ear is given, in the order of the sound.
pub(super) enum Heard {
    /// The next sound, 16 kHz.
    Sound(Vec<f32>),
    /// What to listen for from the next sound on.
    Attend(Attention),
}

/// Pieces that may wait for an ear that is busy: falling asleep takes the wake word model through
/// seconds of sound. Five seconds of sound; beyond it sound is lost, and said so.
pub(super) const QUEUE: usize = 256;

/// Listens until there is nothing more to hear, or nobody to tell.
///
/// Sound that waits is taken all at once: one trip to a blocking thread, however late the ear is.
pub(super) async fn listen(
    mut ear: Ear,
    mut sounds: mpsc::Receiver<Heard>,
    events: mpsc::Sender<Event>,
) {
    let mut batch = Vec::new();
    while sounds.recv_many(&mut batch, QUEUE).await > 0 {
        let given = std::mem::take(&mut batch);
        let span = tracing::Span::current();
        let listening = tokio::task::spawn_blocking(move || {
            let _in_span = span.entered();
            let mut told = Vec::new();
            for heard in given {
                match heard {
                    Heard::Sound(sound) => ear.push(&sound, |event| told.push(event)),
                    Heard::Attend(attention) => ear.attend(attention),
                }
            }
            (ear, told)
        });
        let told;
        (ear, told) = match listening.await {
            Ok(both) => both,
            Err(error) => {
                warn!(error = telemetry::ended(&error), "the ear has ended");
                return;
            }
        };
        for event in told {
            if events.send(Event::Ear(event)).await.is_err() {
                return;
            }
        }
    }
}
