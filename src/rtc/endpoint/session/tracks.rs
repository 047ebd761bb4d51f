//! Which tracks a person hears, and the descriptions in which both sides agree on it.

use std::{collections::HashMap, time::Instant};

use livekit_protocol as lk;
use lk::signal_response::Message;

use super::{Session, Stage};
use crate::rtc::{
    endpoint::words,
    peer::{Mid, Opus, Peer},
    sdp::{self, Direction, Kind, Msid},
};

impl Session {
    /// This person is to hear `track`.
    pub(in crate::rtc::endpoint) fn hear(&mut self, track: Msid) {
        self.dirty = true;
        if self.single {
            self.unplaced.push(track);
            self.ask_for_sections();
            return;
        }
        self.fence(|s| {
            let Some(peer) = &mut s.subscriber else {
                return;
            };
            match s.free.pop() {
                Some(mid) => {
                    peer.speak_in(mid, track);
                    peer.turn(mid, Direction::SendOnly);
                }
                None => peer.speak(track),
            }
        });
    }

    /// `track` is no more.
    pub(in crate::rtc::endpoint) fn unhear(&mut self, track: &str) {
        self.dirty = true;
        self.unplaced.retain(|id| id.track != track);
        self.fence(|s| {
            let single = s.single;
            let peer = s.speaker();
            let Some(mid) = peer.mid_of(track) else {
                return;
            };
            peer.hush(mid);
            if !single {
                peer.turn(mid, Direction::Inactive);
            }
            s.free.push(mid);
        });
        if self.single {
            self.ask_for_sections();
        }
    }

    /// `/rtc/v1`: only the client can offer; ask it to, with as many sections more as are missing.
    pub(super) fn ask_for_sections(&mut self) {
        // Before its first offer has come there is nothing to change.
        if self.publisher.ufrags().is_empty() {
            return;
        }
        let missing = self.unplaced.len().saturating_sub(self.free.len());
        self.say(Message::MediaSectionsRequirement(
            lk::MediaSectionsRequirement {
                num_audios: missing as u32,
                num_videos: 0,
            },
        ));
    }

    /// Whether the track reaches them now.
    pub(in crate::rtc::endpoint) fn hears(&mut self, track: &str) -> bool {
        let connected = self.stage == Stage::Active || matches!(self.stage, Stage::Parked(_));
        let peer = self.speaker();
        connected && peer.is_connected() && peer.mid_of(track).is_some()
    }

    /// Sends them a packet of `track`.
    pub(in crate::rtc::endpoint) fn play(&mut self, track: &str, opus: &Opus, now: Instant) {
        let sent = self.fence(|s| {
            let peer = s.speaker();
            let mid = peer.mid_of(track)?;
            peer.write_opus(mid, opus, now).then_some(())
        });
        self.dirty |= sent.flatten().is_some();
    }

    /// Takes the client's offer and answers it.
    pub(in crate::rtc::endpoint) fn take_offer(&mut self, offer: &lk::SessionDescription) {
        let single = self.single;
        let answered = self.fence(|s| {
            if single {
                s.place(&offer.sdp);
            }
            s.publisher.answer(&offer.sdp)
        });
        self.dirty = true;
        match answered {
            Some(Ok(sdp)) => {
                let tracks = match single {
                    true => tracks_of(&self.publisher),
                    false => HashMap::new(),
                };
                let answer = words::description("answer", offer.id, sdp, tracks);
                self.say(Message::Answer(answer));
                if single && !self.unplaced.is_empty() {
                    self.ask_for_sections();
                }
            }
            Some(Err(e)) => tracing::warn!(session = self.id, "offer refused: {e}"),
            None => {}
        }
    }

    /// Gives the tracks without a section those that the client's offer has to spare.
    pub(super) fn place(&mut self, offer: &str) {
        let taken: Vec<Mid> = self.publisher.tracks().map(|(mid, _)| mid).collect();
        self.free = sdp::sections(offer)
            .into_iter()
            .filter(|s| s.kind == Kind::Audio && s.direction == Direction::RecvOnly)
            .map(|s| Mid::new(&s.mid))
            .filter(|mid| !taken.contains(mid))
            .collect();
        while !self.free.is_empty() && !self.unplaced.is_empty() {
            let (mid, track) = (self.free.remove(0), self.unplaced.remove(0));
            self.publisher.speak_in(mid, track);
        }
    }

    /// Takes the client's answer to our offer.
    pub(in crate::rtc::endpoint) fn take_answer(&mut self, answer: &lk::SessionDescription) {
        self.dirty = true;
        let taken = self.fence(|s| match &mut s.subscriber {
            Some(peer) => peer.apply_answer(answer.id, &answer.sdp),
            None => Ok(()),
        });
        if let Some(Err(e)) = taken {
            tracing::warn!(session = self.id, "answer refused: {e}");
        }
    }

    /// Takes a candidate: JSON, as browsers write it.
    pub(in crate::rtc::endpoint) fn take_candidate(&mut self, trickle: &lk::TrickleRequest) {
        if trickle.candidate_init.len() > 2048 {
            return;
        }
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&trickle.candidate_init) else {
            return;
        };
        let line = json["candidate"].as_str().unwrap_or_default();
        let ours = self.single || trickle.target == lk::SignalTarget::Publisher as i32;
        self.dirty = true;
        self.fence(|s| match (&mut s.subscriber, ours) {
            (Some(peer), false) => peer.add_remote_candidate(line),
            _ => s.publisher.add_remote_candidate(line),
        });
    }
}

pub(super) fn tracks_of(peer: &Peer) -> HashMap<String, String> {
    peer.tracks()
        .map(|(mid, id)| (mid.as_str().to_owned(), id.track.clone()))
        .collect()
}
