//! Data on its way to a person: in order, held back when they read slowly, kept for when their line
//! comes back.

use std::time::{Duration, Instant};

use livekit_protocol as lk;
use prost::Message as _;

use super::Session;
use crate::rtc::peer::{Label, Sent};

/// Data that waits for a slow reader, and data kept for a line that comes back.
const MOST_WAITING: usize = 1 << 20;
const KEPT: Duration = Duration::from_secs(60);

/// Data that a person may send: bytes a second, and at once. A packet counts as [`SMALLEST`] at least.
const SMALLEST: usize = 256;
pub(super) const DATA_RATE: (f64, f64) = (256.0 * 1024.0, 1024.0 * 1024.0);

/// One data packet that was sent.
#[derive(Debug)]
pub(super) struct Kept {
    sequence: u32,
    sender: String,
    bytes: Vec<u8>,
    at: Instant,
}

impl Session {
    /// Sends again what the client did not get, by what it says it got of each sender.
    pub(in crate::rtc::endpoint) fn send_again(&mut self, got: &[lk::DataChannelReceiveState]) {
        let missed = |k: &Kept| {
            got.iter()
                .find(|g| g.publisher_sid == k.sender)
                .is_none_or(|g| k.sequence > g.last_seq)
        };
        let again: Vec<Kept> = self.kept.drain(..).filter(missed).collect();
        for kept in again.into_iter().rev() {
            self.waiting.push_front(kept);
        }
        self.dirty = true;
    }

    /// Whether so much data may be taken.
    pub(in crate::rtc::endpoint) fn may_send(&mut self, bytes: usize, now: Instant) -> bool {
        let fine = self.data.take(bytes.max(SMALLEST) as f64, now);
        if !fine && self.complaint.now(now) {
            tracing::warn!(session = self.id, "sends too much data: dropped");
        }
        fine
    }

    /// Sends a data packet. A reliable one waits for its turn; a lossy one goes now or not at all.
    pub(in crate::rtc::endpoint) fn send(
        &mut self,
        label: Label,
        mut packet: lk::DataPacket,
        now: Instant,
    ) {
        self.dirty = true;
        if label == Label::Lossy {
            let bytes = packet.encode_to_vec();
            self.fence(|s| s.speaker().send_data(label, &bytes));
            return;
        }
        self.sequence += 1;
        packet.sequence = self.sequence;
        let size: usize = self.waiting.iter().map(|k| k.bytes.len()).sum();
        if size > MOST_WAITING {
            if self.complaint.now(now) {
                tracing::warn!(session = self.id, "reads too slowly: data dropped");
            }
            return;
        }
        self.waiting.push_back(Kept {
            sequence: packet.sequence,
            sender: packet.participant_sid.clone(),
            bytes: packet.encode_to_vec(),
            at: now,
        });
    }

    pub(super) fn flush(&mut self, now: Instant) {
        while let Some(next) = self.waiting.front() {
            let sent = match self.single {
                true => self.publisher.send_data(Label::Reliable, &next.bytes),
                false => match &mut self.subscriber {
                    Some(peer) => peer.send_data(Label::Reliable, &next.bytes),
                    None => Sent::NotOpen,
                },
            };
            match sent {
                Sent::WouldBlock | Sent::NotOpen => break,
                Sent::TooLong => drop(self.waiting.pop_front()),
                Sent::Sent => self.kept.extend(self.waiting.pop_front()),
            }
        }
        let mut size: usize = self.kept.iter().map(|k| k.bytes.len()).sum();
        while let Some(oldest) = self.kept.front()
            && (size > MOST_WAITING || now.duration_since(oldest.at) > KEPT)
        {
            size -= oldest.bytes.len();
            self.kept.pop_front();
        }
    }
}
