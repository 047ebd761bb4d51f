//! Words as text streams: what our voice says grows word by word in one stream for each utterance, what
//! a user said goes out whole under their identity, and what people type is put together from its pieces.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use livekit_common::{ClientCapability, ParticipantIdentity, RemoteParticipantRegistry};
use livekit_data_stream::{
    api::{
        AnyStreamReader, SendTextOptions, StreamReader, StreamTextOptions, StreamWriter,
        TextStreamWriter,
    },
    backend::{
        incoming::{self, InputEvent, ManagerInput, OutputEvent},
        outgoing::Manager,
    },
};
use livekit_protocol::DataPacket;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::packets::CHAT;
use crate::{pii::Pii, rtc::Identity};

/// The topic of captions.
const TRANSCRIPTION: &str = "lk.transcription";
const SEGMENT: &str = "lk.segment_id";
const FINAL: &str = "lk.transcription_final";
const TRACK: &str = "lk.transcribed_track_id";

/// Utterances of ours at once: there is one voice, and the one that it cut short.
const MAX_OPEN: usize = 16;

/// Longest typed text, in bytes.
const LONGEST_CHAT: usize = 64 * 1024;

/// How long a typed text may take to arrive.
const CHAT_WITHIN: Duration = Duration::from_secs(30);

/// What is to be said in text.
#[derive(Debug)]
pub(super) enum Text {
    /// What a user said, under their identity.
    User {
        who: Identity,
        track: Option<String>,
        segment: String,
        text: Pii<String>,
        last: bool,
    },
    /// More of what our voice says.
    Voice {
        track: Option<String>,
        segment: String,
        more: Pii<String>,
        last: bool,
    },
    /// We joined anew: nobody knows the open streams.
    Anew,
}

/// What other clients can read, as livekit-data-stream asks for it. Behind a lock that is held for a
/// look-up: the session writes it, the text task reads it.
#[derive(Clone, Debug, Default)]
pub(super) struct Readers(Arc<Mutex<HashMap<String, Reads>>>);

/// The protocol between clients, and capabilities beyond it.
type Reads = (i32, Vec<i32>);

impl Readers {
    /// These are there now.
    pub(super) fn set<'a>(&self, all: impl Iterator<Item = (&'a Identity, i32, &'a [i32])>) {
        let all = all.map(|(id, protocol, can)| (id.as_str().to_owned(), (protocol, can.to_vec())));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
    }

    fn get(&self, identity: &ParticipantIdentity) -> Option<Reads> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(identity.as_str()).cloned()
    }
}

impl RemoteParticipantRegistry for Readers {
    fn remote_client_protocol(&self, identity: &ParticipantIdentity) -> i32 {
        self.get(identity).map_or(0, |(protocol, _)| protocol)
    }

    fn remote_capabilities(&self, identity: &ParticipantIdentity) -> Vec<ClientCapability> {
        let can = self.get(identity).map(|(_, can)| can).unwrap_or_default();
        can.into_iter().filter_map(|c| c.try_into().ok()).collect()
    }

    fn remote_identities(&self) -> Vec<ParticipantIdentity> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().map(|id| id.as_str().into()).collect()
    }
}

/// Turns texts into packets until nobody has texts, or wants packets, any more.
pub(super) async fn write(
    mut texts: mpsc::Receiver<Text>,
    packets: mpsc::Sender<DataPacket>,
    readers: Readers,
) {
    let (streams, mut requests) = Manager::new();
    let pump = async {
        while let Ok((batch, done)) = requests.recv().await {
            for packet in batch {
                if packets.send(packet).await.is_err() {
                    return;
                }
            }
            // Nobody waits for it: the stream was dropped.
            let _ = done.respond(Ok(()));
        }
    };
    let speak = async {
        let mut open: HashMap<String, Utterance> = HashMap::new();
        while let Some(text) = texts.recv().await {
            match text {
                Text::User {
                    who,
                    track,
                    segment,
                    text,
                    last,
                } => {
                    let mut options = SendTextOptions::new_with_topic(TRANSCRIPTION)
                        .with_attribute(SEGMENT, segment)
                        .with_attribute(FINAL, last.to_string())
                        .with_sender_identity(who.as_str());
                    if let Some(track) = track {
                        options = options.with_attribute(TRACK, track);
                    }
                    if let Err(error) = streams.send_text(&text.0, options, &readers).await {
                        tracing::warn!(%error, "a caption could not be sent");
                    }
                }
                Text::Voice {
                    track,
                    segment,
                    more,
                    last,
                } => {
                    let mut utterance = open.remove(&segment).unwrap_or_default();
                    utterance.text.0.push_str(&more.0);
                    if let Err(error) = utterance.go_on(&streams, &segment, track, last).await {
                        tracing::warn!(%error, "a caption could not be sent");
                    }
                    if !last && open.len() < MAX_OPEN {
                        open.insert(segment, utterance);
                    }
                }
                Text::Anew => {
                    for utterance in open.values_mut() {
                        (utterance.stream, utterance.sent) = (None, 0);
                    }
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = pump => {}
        () = speak => {}
    }
}

/// One utterance of our voice.
#[derive(Default)]
struct Utterance {
    stream: Option<TextStreamWriter>,
    text: Pii<String>,
    /// Bytes of it that are in the stream.
    sent: usize,
}

impl Utterance {
    async fn go_on(
        &mut self,
        streams: &Manager,
        segment: &str,
        track: Option<String>,
        last: bool,
    ) -> Result<(), livekit_data_stream::api::StreamError> {
        if self.stream.is_none() {
            let mut options = StreamTextOptions::new_with_topic(TRANSCRIPTION)
                .with_attribute(SEGMENT, segment)
                .with_attribute(FINAL, "false");
            if let Some(track) = track {
                options = options.with_attribute(TRACK, track);
            }
            self.stream = Some(streams.stream_text(options).await?);
        }
        let Some(stream) = self.stream.as_ref() else {
            return Ok(());
        };
        let more = &self.text.0[self.sent..];
        if !more.is_empty() {
            stream.write(more).await?;
            self.sent = self.text.0.len();
        }
        if last && let Some(stream) = self.stream.take() {
            let done = HashMap::from([(FINAL.to_owned(), "true".to_owned())]);
            stream.close_with_options(None, Some(done)).await?;
        }
        Ok(())
    }
}

/// What became of a stream that somebody typed into.
#[derive(Debug)]
pub(super) struct Typed {
    /// Which stream is over.
    pub(super) stream: String,
    /// Who typed, and what; `None`: it did not arrive whole.
    pub(super) text: Option<(Identity, Pii<String>)>,
}

/// The way in for pieces of chat. Its tasks end when it is dropped.
#[derive(Debug)]
pub(super) struct ChatReader {
    input: Input,
    _tasks: JoinSet<()>,
}

/// [`ManagerInput`] tells nothing of itself.
struct Input(ManagerInput);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ManagerInput")
    }
}

impl ChatReader {
    /// A reader that gives what was typed to `typed`.
    pub(super) fn start(typed: mpsc::Sender<Typed>) -> Self {
        let (manager, input, mut opened) = incoming::Manager::new(Some(LONGEST_CHAT));
        let mut tasks = JoinSet::new();
        tasks.spawn(manager.run());
        tasks.spawn(async move {
            let mut reading = JoinSet::new();
            loop {
                tokio::select! {
                    Some(_) = reading.join_next() => {}
                    event = opened.recv() => match event {
                        Some(OutputEvent::StreamOpened(stream)) => {
                            let who = Identity::new(stream.participant_identity.as_str());
                            reading.spawn(read(stream.stream_reader, who, typed.clone()));
                        }
                        Some(_) => {}
                        None => return,
                    },
                }
            }
        });
        Self {
            input: Input(input),
            _tasks: tasks,
        }
    }

    /// A piece came.
    pub(super) fn push(&self, piece: incoming::PacketReceived) {
        // It ends only with us.
        let _ = self.input.0.send(InputEvent::PacketReceived(piece));
    }

    /// Somebody is gone; what they were typing is not finished.
    pub(super) fn gone(&self, who: &Identity) {
        let who = ParticipantIdentity::from(who.as_str());
        let _ = self.input.0.send(InputEvent::AbortStreamsFrom(who));
    }
}

async fn read(stream: AnyStreamReader, who: Identity, typed: mpsc::Sender<Typed>) {
    let AnyStreamReader::Text(stream) = stream else {
        return;
    };
    let (id, topic) = (stream.info().id.clone(), stream.info().topic.clone());
    let until = Instant::now() + CHAT_WITHIN;
    let text = match timeout_at(until, stream.read_all()).await {
        Ok(Ok(text)) if topic == CHAT => Some((who, Pii(text))),
        _ => None,
    };
    let _ = typed.send(Typed { stream: id, text }).await;
}
