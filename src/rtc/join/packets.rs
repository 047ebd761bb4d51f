//! Pure: data packets as they go over the reliable channel, numbered, kept until the server has them, and
//! read. Bounded whatever comes: the oldest goes first.

use std::collections::{HashMap, VecDeque};

use livekit_protocol::{DataPacket, UserPacket, data_packet::Value};
use prost::Message;

use crate::{
    pii::Pii,
    rtc::{
        Identity,
        texts::{CHAT, Reader},
    },
};

/// Bytes that wait for the channel, at most.
const MAX_WAITING: usize = 2 * 1024 * 1024;

/// Bytes kept for a resume, at most.
const MAX_SENT: usize = 512 * 1024;

/// Senders whose last number is remembered.
const MAX_SENDERS: usize = 1_000;

/// People who type at once.
const MAX_TYPING: usize = 64;

/// Longest topic and payload that are passed on, in bytes.
const MAX_TOPIC: usize = 256;
const MAX_PAYLOAD: usize = 64 * 1024;

/// Packets on their way out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<DataPacket>,
    waiting_bytes: usize,
    last: u32,
    sent: VecDeque<(u32, Vec<u8>)>,
    sent_bytes: usize,
}

impl Outbox {
    /// Adds a packet; `false`: an old one had to go for it.
    pub(super) fn push(&mut self, packet: DataPacket) -> bool {
        self.waiting_bytes += packet.encoded_len();
        self.waiting.push_back(packet);
        let mut kept_all = true;
        while self.waiting_bytes > MAX_WAITING
            && let Some(old) = self.waiting.pop_front()
        {
            self.waiting_bytes -= old.encoded_len();
            kept_all = false;
        }
        kept_all
    }

    /// The next packet as bytes, numbered; the same again until [`Self::sent`] is said.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        let mut packet = self.waiting.front()?.clone();
        packet.sequence = self.last + 1;
        Some(packet.encode_to_vec())
    }

    /// The next packet has gone out as `bytes`.
    pub(super) fn sent(&mut self, bytes: Vec<u8>) {
        if let Some(packet) = self.waiting.pop_front() {
            self.waiting_bytes -= packet.encoded_len();
            self.last += 1;
            self.sent_bytes += bytes.len();
            self.sent.push_back((self.last, bytes));
        }
        while self.sent_bytes > MAX_SENT
            && let Some((_, old)) = self.sent.pop_front()
        {
            self.sent_bytes -= old.len();
        }
    }

    /// What the server lacks, by the last number that it has.
    pub(super) fn missing_after(&self, last: u32) -> Vec<Vec<u8>> {
        let missing = self.sent.iter().filter(|(number, _)| *number > last);
        missing.map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Another participant begins at one again; what waits goes on waiting.
    pub(super) fn renumber(&mut self) {
        self.last = 0;
        self.sent.clear();
        self.sent_bytes = 0;
    }
}

/// What came.
pub(super) enum Received {
    /// A packet for the conversation.
    Data {
        from: Option<Identity>,
        topic: String,
        payload: Vec<u8>,
    },
    /// What somebody typed, whole.
    Chat(Identity, Pii<String>),
}

/// Packets on their way in.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    seen: HashMap<String, u32>,
    typing: HashMap<String, Reader>,
}

impl Inbox {
    /// Reads a packet from the reliable or the lossy channel. `None`: it is nothing for us, or was here
    /// already.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Received> {
        let packet = DataPacket::decode(bytes).ok()?;
        if packet.sequence > 0 && !self.is_new(&packet.participant_sid, packet.sequence) {
            return None;
        }
        let who = packet.participant_identity;
        match packet.value? {
            Value::User(user) => data(user, &who, &packet.participant_sid),
            other => {
                let text = self.typed(&who, &other)?;
                Some(Received::Chat(Identity::new(&who), Pii(text)))
            }
        }
    }

    fn typed(&mut self, who: &str, piece: &Value) -> Option<String> {
        if !self.typing.contains_key(who) {
            if self.typing.len() >= MAX_TYPING {
                return None;
            }
            self.typing.insert(who.to_owned(), Reader::default());
        }
        let reader = self.typing.get_mut(who)?;
        let text = reader.take(piece, CHAT);
        if reader.is_idle() {
            self.typing.remove(who);
        }
        text
    }

    /// Somebody is gone; what they were typing is not finished.
    pub(super) fn gone(&mut self, sid: &str, who: &Identity) {
        self.seen.remove(sid);
        self.typing.remove(who.as_str());
    }

    /// The last number of each sender, for a resume.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&str, u32)> {
        self.seen.iter().map(|(sid, last)| (sid.as_str(), *last))
    }

    fn is_new(&mut self, sid: &str, number: u32) -> bool {
        let room_for_more = self.seen.len() < MAX_SENDERS;
        match self.seen.get_mut(sid) {
            Some(last) if number <= *last => return false,
            Some(last) => *last = number,
            None if room_for_more => {
                self.seen.insert(sid.to_owned(), number);
            }
            None => {}
        }
        true
    }
}

/// A packet of the server's own API has no sender: the server writes a participant's name into every
/// packet that comes from one.
fn data(user: UserPacket, identity: &str, sid: &str) -> Option<Received> {
    let topic = user.topic.unwrap_or_default();
    if topic.len() > MAX_TOPIC || user.payload.len() > MAX_PAYLOAD {
        return None;
    }
    let nobody = identity.is_empty() && sid.is_empty();
    Some(Received::Data {
        from: (!nobody).then(|| Identity::new(identity)),
        topic,
        payload: user.payload,
    })
}

/// A packet for the topic.
pub(super) fn user_packet(topic: &str, payload: Vec<u8>, to: &[Identity]) -> DataPacket {
    DataPacket {
        destination_identities: to.iter().map(|id| id.as_str().to_owned()).collect(),
        value: Some(Value::User(UserPacket {
            payload,
            topic: Some(topic.to_owned()),
            ..Default::default()
        })),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(who: &str, sid: &str, sequence: u32, value: Value) -> Vec<u8> {
        let packet = DataPacket {
            participant_identity: who.into(),
            participant_sid: sid.into(),
            sequence,
            value: Some(value),
            ..Default::default()
        };
        packet.encode_to_vec()
    }

    fn word(topic: &str) -> Value {
        user_packet(topic, b"{}".to_vec(), &[]).value.unwrap()
    }

    #[test]
    fn packets_are_numbered_and_repeated_from_where_the_server_is() {
        let mut outbox = Outbox::default();
        for n in 0..3u8 {
            assert!(outbox.push(user_packet("t", vec![n], &[])));
            let bytes = outbox.next().unwrap();
            assert_eq!(outbox.next().as_ref(), Some(&bytes), "until it has gone");
            outbox.sent(bytes);
        }
        let missing = outbox.missing_after(1);
        let numbers: Vec<_> = missing
            .iter()
            .map(|b| DataPacket::decode(&b[..]).unwrap().sequence)
            .collect();
        assert_eq!(numbers, [2, 3]);
        outbox.renumber();
        outbox.push(user_packet("t", vec![], &[]));
        let first = DataPacket::decode(&outbox.next().unwrap()[..]).unwrap();
        assert_eq!(first.sequence, 1);
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let mut outbox = Outbox::default();
        let kept: Vec<_> = (0..50)
            .map(|n| outbox.push(user_packet("t", vec![n; 60_000], &[])))
            .collect();
        assert!(kept[0] && !kept[49]);
        assert!(outbox.waiting_bytes <= MAX_WAITING);
        let next = DataPacket::decode(&outbox.next().unwrap()[..]).unwrap();
        let Some(Value::User(user)) = next.value else {
            panic!("a user packet");
        };
        assert!(user.payload[0] > 0, "the first ones are gone");
    }

    #[test]
    fn only_the_servers_api_has_no_sender() {
        let mut inbox = Inbox::default();
        let sender = |received| match received {
            Some(Received::Data { from, .. }) => from,
            _ => panic!("data"),
        };
        let api = inbox.read(&from("", "", 0, word("webhook_command")));
        assert_eq!(sender(api), None);
        let somebody = inbox.read(&from("anna", "PA_1", 0, word("webhook_command")));
        assert_eq!(sender(somebody).unwrap().as_str(), "anna");
        let nameless = inbox.read(&from("", "PA_1", 0, word("webhook_command")));
        assert!(sender(nameless).is_some(), "a participant is no API");
    }

    #[test]
    fn what_was_here_already_is_not_read_again() {
        let mut inbox = Inbox::default();
        assert!(inbox.read(&from("anna", "PA_1", 7, word("t"))).is_some());
        assert!(inbox.read(&from("anna", "PA_1", 7, word("t"))).is_none());
        assert!(inbox.read(&from("bob", "PA_2", 7, word("t"))).is_some());
        inbox.gone("PA_1", &Identity::new("anna"));
        assert!(inbox.read(&from("anna", "PA_1", 1, word("t"))).is_some());
    }

    #[test]
    fn only_chat_is_read_and_only_of_so_many_people_at_once() {
        use livekit_protocol::data_stream::{Header, TextHeader, Trailer, header::ContentHeader};
        let header = |topic: &str| {
            Value::StreamHeader(Header {
                stream_id: "1".to_owned(),
                topic: topic.into(),
                content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
                ..Default::default()
            })
        };
        let end = Value::StreamTrailer(Trailer {
            stream_id: "1".to_owned(),
            ..Default::default()
        });
        let mut inbox = Inbox::default();
        let mut read =
            |who: usize, value| inbox.read(&from(&who.to_string(), "", 0, value)).is_some();
        assert!(!read(0, header("files")));
        assert!(!read(0, end.clone()), "no chat");
        for who in 0..MAX_TYPING {
            read(who, header(CHAT));
        }
        read(999, header(CHAT));
        assert!(!read(999, end.clone()), "one too many");
        assert!(read(0, end.clone()), "an empty text, but a whole one");
        read(999, header(CHAT));
        assert!(read(999, end));
    }

    #[test]
    fn too_long_and_senseless_packets_are_nothing() {
        let mut inbox = Inbox::default();
        let long = user_packet("t", vec![0; MAX_PAYLOAD + 1], &[]);
        assert!(
            inbox
                .read(&from("a", "s", 0, long.value.unwrap()))
                .is_none()
        );
        assert!(
            inbox
                .read(&from("a", "s", 0, word(&"t".repeat(300))))
                .is_none()
        );
        assert!(inbox.read(&[0xff; 40]).is_none());
    }
}
