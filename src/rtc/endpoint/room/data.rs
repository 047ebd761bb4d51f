//! What is written in the room: the house's commands and texts, people's data packets and chat, and what
//! comes through the server's API.

use std::{collections::HashMap, time::Instant};

use livekit_protocol as lk;
use lk::data_packet::Value;
use prost::Message as _;

use super::{Room, now_ms};
use crate::{
    pii::Pii,
    rtc::{
        AgentState, Closed, Identity, RoomCommand, RoomEvent,
        endpoint::{
            keys,
            session::Session,
            words::{self, Person},
        },
        peer::Label,
        texts,
    },
};

impl Room {
    pub(super) fn obey(&mut self, command: RoomCommand) {
        let now = Instant::now();
        match command {
            RoomCommand::Voice(sound) => self.say(&sound, now),
            RoomCommand::VoicePause => self.voice.over(),
            RoomCommand::State(new) => {
                self.agent.attributes = state(new);
                self.agent.version += 1;
                let info = self.agent.info();
                for session in self.sessions.values_mut() {
                    session.say(words::update(vec![info.clone()]));
                }
            }
            RoomCommand::Data { topic, payload, to } => {
                let value = Value::User(lk::UserPacket {
                    payload,
                    topic: Some(topic.to_owned()),
                    ..Default::default()
                });
                let to = to.iter().map(|i| i.as_str().to_owned()).collect();
                let packet = packet(&self.agent, value, to);
                self.spread(Label::Reliable, &packet, None, now);
            }
            RoomCommand::UserText {
                who,
                segment,
                text,
                last,
            } => self.user_text(&who, &segment, &text.0, last, now),
            RoomCommand::VoiceText {
                segment,
                more,
                last,
            } => self.voice_text(segment, &more.0, last, now),
            RoomCommand::Leave => self.over = Some(Closed::Left),
        }
    }

    pub(super) fn user_text(
        &mut self,
        who: &Identity,
        segment: &str,
        text: &str,
        last: bool,
        now: Instant,
    ) {
        let same = |s: &&Session| s.person.identity == who.as_str();
        let Some(session) = self.sessions.values().find(same) else {
            return;
        };
        let track = session.mic.as_ref().map(|m| m.info.sid.as_str());
        let Ok(id) = keys::letters(20) else { return };
        let values = texts::said(id, segment, track, text, last, now_ms());
        let person = session.person.clone();
        for value in values {
            let packet = packet(&person, value, Vec::new());
            self.spread(Label::Reliable, &packet, None, now);
        }
    }

    fn voice_text(&mut self, segment: String, more: &str, last: bool, now: Instant) {
        let track = Some(self.agent.tracks[0].sid.as_str());
        let id = || keys::letters(20).ok();
        let values = self.spoken.more(segment, more, last, track, id, now_ms());
        for value in values {
            let packet = packet(&self.agent, value, Vec::new());
            self.spread(Label::Reliable, &packet, None, now);
        }
    }

    /// To all to whom it is addressed, but for `except`.
    pub(super) fn spread(
        &mut self,
        label: Label,
        packet: &lk::DataPacket,
        except: Option<u64>,
        now: Instant,
    ) {
        let to = &packet.destination_identities;
        for session in self.sessions.values_mut() {
            let meant = to.is_empty() || to.contains(&session.person.identity);
            if meant && Some(session.id) != except {
                session.send(label, packet.clone(), now);
            }
        }
    }

    pub(in crate::rtc::endpoint) fn data(
        &mut self,
        id: u64,
        channel: Label,
        bytes: &[u8],
        now: Instant,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if !session.may_send(bytes.len(), now) || !session.claims.video.can_publish_data() {
            return;
        }
        let Ok(mut packet) = lk::DataPacket::decode(bytes) else {
            return;
        };
        if channel == Label::Reliable && packet.sequence > 0 {
            if packet.sequence <= session.last_seen {
                return; // sent again after a resume
            }
            session.last_seen = packet.sequence;
        }
        // Who it is from is for the room to say.
        packet.participant_identity = session.person.identity.clone();
        packet.participant_sid = session.person.sid.clone();
        packet.sequence = 0;
        let who = Identity::new(&session.person.identity);
        let to = &packet.destination_identities;
        let for_us = to.is_empty() || to.contains(&self.agent.identity);
        let chat = match &packet.value {
            Some(value) if for_us => session.reader.take(value, texts::CHAT),
            _ => None,
        };
        if let Some(text) = chat {
            self.tell(RoomEvent::Chat(who.clone(), Pii(text)));
        }
        if let Some(Value::User(user)) = &packet.value {
            let topic = user.topic.clone().unwrap_or_default();
            if for_us && topic.len() <= 256 && user.payload.len() <= 65_536 {
                self.tell(RoomEvent::Data {
                    from: Some(who),
                    topic,
                    payload: user.payload.clone(),
                });
            }
        }
        // What only a server may say is not passed on.
        let theirs = matches!(
            packet.value,
            Some(
                Value::User(_)
                    | Value::ChatMessage(_)
                    | Value::RpcRequest(_)
                    | Value::RpcAck(_)
                    | Value::RpcResponse(_)
                    | Value::StreamHeader(_)
                    | Value::StreamChunk(_)
                    | Value::StreamTrailer(_)
                    | Value::EncryptedPacket(_)
            )
        );
        if theirs {
            self.spread(channel, &packet, Some(id), now);
        }
    }

    pub(super) fn data_of_api(&mut self, request: lk::SendDataRequest, now: Instant) {
        let topic = request.topic.clone().unwrap_or_default();
        let to = &request.destination_identities;
        if to.is_empty() || to.contains(&self.agent.identity) {
            self.tell(RoomEvent::Data {
                from: None,
                topic,
                payload: request.data.clone(),
            });
        }
        let packet = lk::DataPacket {
            destination_identities: request.destination_identities,
            value: Some(Value::User(lk::UserPacket {
                payload: request.data,
                topic: request.topic,
                ..Default::default()
            })),
            ..Default::default()
        };
        let label = match request.kind == lk::data_packet::Kind::Lossy as i32 {
            true => Label::Lossy,
            false => Label::Reliable,
        };
        self.spread(label, &packet, None, now);
    }
}

fn packet(from: &Person, value: Value, to: Vec<String>) -> lk::DataPacket {
    lk::DataPacket {
        participant_identity: from.identity.clone(),
        participant_sid: from.sid.clone(),
        destination_identities: to,
        value: Some(value),
        ..Default::default()
    }
}

pub(super) fn state(state: AgentState) -> HashMap<String, String> {
    HashMap::from([("lk.agent.state".to_owned(), state.as_str().to_owned())])
}
