//! How two peers agree: tracks and channels that are wanted, offers and answers, candidates.

use str0m::{
    Candidate,
    change::{SdpAnswer, SdpApi, SdpOffer, SdpPendingOffer},
    channel::{ChannelConfig, Reliability},
    media::{Direction as Flow, MediaKind},
};

use super::{Label, LinkState, MAX_SDP, Mid, Offer, Peer, PeerError};
use crate::rtc::sdp::{self, Direction, Msid, Role};

/// Sections in one connection: an offer with more is refused.
const MAX_SECTIONS: usize = 64;

/// Candidates of the other side that are tried.
const MAX_REMOTE_CANDIDATES: usize = 40;

/// What the next offer must say.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Channels,
    Speak(Msid),
    Direction(Mid, Flow),
    IceRestart,
}

#[derive(Debug)]
pub(super) struct InFlight {
    id: u32,
    pending: SdpPendingOffer,
    changes: Vec<Change>,
}

impl Peer {
    /// The next offer is to have a section in which we speak, under these names (at most 64 letters
    /// each, of those that descriptions allow). [`Peer::mid_of`] tells the section once the offer is made.
    pub fn speak(&mut self, track: Msid) {
        self.wanted.push(Change::Speak(track));
    }

    /// Says in an existing section what `track` has to say: in the answers from now on, or, where we
    /// offer, in the next offer. The old track of the section is forgotten.
    pub fn speak_in(&mut self, mid: Mid, track: Msid) {
        self.tracks.insert(mid.as_str().to_owned(), track);
        if self.rtc.media(mid.0).is_some() {
            let ssrc = self.rtc.direct_api().new_ssrc();
            if self
                .rtc
                .direct_api()
                .reset_stream_tx(mid.0, None, ssrc, None)
                .is_some()
            {
                self.sequence.remove(&mid);
            }
            self.stirred = true;
        }
    }

    /// Forgets what is said in `mid`: its track's name no longer appears.
    pub fn hush(&mut self, mid: Mid) {
        self.tracks.remove(mid.as_str());
    }

    /// Where we offer: the next offer says that we send in `mid`, or do not.
    pub fn turn(&mut self, mid: Mid, direction: Direction) {
        self.wanted.push(Change::Direction(mid, flow(direction)));
    }

    /// The next offer starts ICE anew; media goes on over the old path until the new one works.
    pub fn ice_restart(&mut self) {
        if !self.wanted.iter().any(|c| matches!(c, Change::IceRestart)) {
            self.wanted.push(Change::IceRestart);
        }
    }

    /// The section in which the track of this name is spoken.
    pub fn mid_of(&self, track: &str) -> Option<Mid> {
        let (mid, _) = self.tracks.iter().find(|(_, id)| id.track == track)?;
        Some(Mid::new(mid))
    }

    /// Sections and the tracks that we speak in them.
    pub fn tracks(&self) -> impl Iterator<Item = (Mid, &Msid)> {
        self.tracks.iter().map(|(mid, id)| (Mid::new(mid), id))
    }

    /// An offer, if there is something to offer and none is in flight. What comes up meanwhile waits for
    /// the answer: ask again after [`Peer::apply_answer`].
    pub fn offer(&mut self) -> Option<Offer> {
        if self.in_flight.is_some() || self.wanted.is_empty() || self.link == LinkState::Closed {
            return None;
        }
        let changes = std::mem::take(&mut self.wanted);
        let mut api = self.rtc.sdp_api();
        for change in &changes {
            match change {
                Change::Channels => open_channels(&mut api),
                Change::Speak(id) => {
                    let (stream, track) = (id.stream.clone(), id.track.clone());
                    let mid = api.add_media(
                        MediaKind::Audio,
                        Flow::SendOnly,
                        Some(stream),
                        Some(track),
                        None,
                    );
                    self.tracks.insert(mid.to_string(), id.clone());
                }
                Change::Direction(mid, to) => {
                    // Also when it is so already: the flip makes it something to offer.
                    let other = match to {
                        Flow::Inactive => Flow::SendOnly,
                        _ => Flow::Inactive,
                    };
                    api.set_direction(mid.0, other);
                    api.set_direction(mid.0, *to);
                }
                Change::IceRestart => {
                    api.ice_restart(true);
                }
            }
        }
        let (offer, pending) = api.apply()?;
        let id = self.next_offer;
        self.next_offer += 1;
        self.in_flight = Some(InFlight {
            id,
            pending,
            changes,
        });
        self.stirred = true;
        let sdp = sdp::relabel(&offer.to_sdp_string(), &self.tracks, Role::Offer);
        self.learn_ufrag(&sdp);
        Some(Offer { id, sdp })
    }

    /// Takes the answer to offer `id`; 0 means the open one.
    ///
    /// # Errors
    /// It fits no open offer ([`PeerError::Stale`]: the open one stays open), or cannot be used.
    pub fn apply_answer(&mut self, id: u32, sdp: &str) -> Result<(), PeerError> {
        let expected = self.in_flight.as_ref().map(|f| f.id);
        if expected.is_none() || (id != 0 && Some(id) != expected) {
            return Err(PeerError::Stale { got: id, expected });
        }
        let answer = SdpAnswer::from_sdp_string(readable(sdp)?).map_err(describe)?;
        self.stirred = true;
        if let Some(open) = self.in_flight.take() {
            self.rtc
                .sdp_api()
                .accept_answer(open.pending, answer)
                .map_err(describe)?;
        }
        Ok(())
    }

    /// Forgets the open offer, because its answer will not come; its changes are in the next offer.
    pub fn forget_offer(&mut self) {
        let Some(open) = self.in_flight.take() else {
            return;
        };
        for change in &open.changes {
            if let Change::Speak(id) = change {
                self.tracks.retain(|_, other| other.track != id.track);
            }
        }
        self.wanted.splice(0..0, open.changes);
    }

    /// Answers an offer. Sections for which [`Peer::speak_in`] was said carry that track; in all others
    /// we do not send.
    ///
    /// # Errors
    /// The offer cannot be read or met; the connection is as before, or closed.
    pub fn answer(&mut self, offer: &str) -> Result<String, PeerError> {
        let parsed = SdpOffer::from_sdp_string(readable(offer)?).map_err(describe)?;
        self.stirred = true;
        let answer = self
            .rtc
            .sdp_api()
            .accept_offer(parsed)
            .map_err(describe)?
            .to_sdp_string();
        let answer = sdp::relabel(&answer, &self.tracks, Role::Answer);
        self.learn_ufrag(&answer);
        Ok(answer)
    }

    /// A candidate of the other side, as in a description (`candidate:…`). What cannot be read is left
    /// out: browsers send names that only they can resolve, and an empty line at the end.
    pub fn add_remote_candidate(&mut self, line: &str) {
        if self.remote_candidates >= MAX_REMOTE_CANDIDATES || line.len() > 512 {
            return;
        }
        if let Ok(candidate) = Candidate::from_sdp_string(line) {
            self.remote_candidates += 1;
            self.rtc.add_remote_candidate(candidate);
            self.stirred = true;
        }
    }

    pub(super) fn learn_ufrag(&mut self, sdp: &str) {
        let Some(ufrag) = sdp::ufrag(sdp) else {
            return;
        };
        if self.ufrags.iter().any(|known| known == ufrag) {
            return;
        }
        self.ufrags.push(ufrag.to_owned());
        // The path before the newest restart may still be in use.
        let old = self.ufrags.len().saturating_sub(3);
        self.ufrags.drain(..old);
    }
}

fn open_channels(api: &mut SdpApi<'_>) {
    api.add_channel_with_config(ChannelConfig {
        label: Label::Reliable.name().to_owned(),
        ordered: true,
        ..Default::default()
    });
    api.add_channel_with_config(ChannelConfig {
        label: Label::Lossy.name().to_owned(),
        ordered: false,
        reliability: Reliability::MaxRetransmits { retransmits: 0 },
        ..Default::default()
    });
}

fn readable(sdp: &str) -> Result<&str, PeerError> {
    let fault = match sdp.len() {
        len if len > MAX_SDP => Some(format!("it has {len} bytes, more than {MAX_SDP}")),
        _ if sdp.matches("m=").count() > 4 * MAX_SECTIONS => {
            Some(format!("it has more than {MAX_SECTIONS} sections"))
        }
        _ if sdp::sections(sdp).len() > MAX_SECTIONS => {
            Some(format!("it has more than {MAX_SECTIONS} sections"))
        }
        _ => None,
    };
    fault.map_or(Ok(sdp), |f| Err(PeerError::Description(f)))
}

fn describe(error: impl std::fmt::Display) -> PeerError {
    // A stranger's text may be in it: cut, and no control characters.
    let text: String = error.to_string().chars().take(200).collect();
    PeerError::Description(text.escape_debug().to_string())
}

fn flow(direction: Direction) -> Flow {
    match direction {
        Direction::SendOnly => Flow::SendOnly,
        Direction::RecvOnly => Flow::RecvOnly,
        Direction::SendRecv => Flow::SendRecv,
        Direction::Inactive => Flow::Inactive,
    }
}
