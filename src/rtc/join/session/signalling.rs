//! What the server says to a participation, and what it is told: descriptions, people, resumes,
//! farewells.

use std::time::{Duration, Instant};

use livekit_protocol::{
    DataChannelInfo, DataChannelReceiveState, DisconnectReason, LeaveRequest, ReconnectResponse,
    SessionDescription, SignalTarget, SyncState, TrackPublishedResponse, TrickleRequest,
    UpdateSubscription, leave_request::Action, signal_request::Message as Request,
    signal_response::Message as Response,
};

use super::{End, Session};
use crate::rtc::{
    Closed, RoomEvent,
    join::{
        mend::{Broken, Side},
        roster::Change,
        signal::Tell,
    },
    peer::{Label, Mid, PeerError},
    sdp::{self, Direction, Kind},
};

/// How long a client takes to have a track that others have had for long.
const SUBSCRIBES: Duration = Duration::from_millis(400);

/// How often the token on disk is replaced, at most.
const KEEP_TOKEN: Duration = Duration::from_secs(60);

impl Session<'_> {
    pub(super) fn told(&mut self, tell: Tell, now: Instant) -> Option<End> {
        match tell {
            Tell::Message(message) => self.message(*message, now),
            Tell::Lost => self.broke(Broken::Signal, now),
            Tell::Resumed(response) => {
                self.mend.resumed(now);
                self.expects_all = true;
                self.resume(&response);
                None
            }
            Tell::Failed(why) => {
                let act = self.mend.failed(why, now)?;
                self.act(act)
            }
        }
    }

    fn message(&mut self, message: Response, now: Instant) -> Option<End> {
        match message {
            Response::Answer(answer) => {
                match self.publisher.peer.apply_answer(answer.id, &answer.sdp) {
                    Ok(()) => self.offer(),
                    Err(PeerError::Stale { .. }) => {}
                    Err(error) => {
                        return Some(End::Rejoin(format!("our offer came to nothing: {error}")));
                    }
                }
                None
            }
            Response::Offer(offer) => {
                self.answer(offer);
                None
            }
            Response::Trickle(trickle) => {
                self.trickle(&trickle);
                None
            }
            Response::Update(update) => {
                let all = &update.participants;
                let changes = self.seat.roster.update(all);
                if self.expects_all && all.iter().any(|p| p.sid == self.our_sid) {
                    self.expects_all = false;
                    self.seat.roster.resumed(all, now);
                }
                self.apply(changes, now);
                None
            }
            Response::TrackPublished(published) => {
                if published.cid == self.cid
                    && let Some(track) = published.track
                {
                    self.seat.our_track = Some(track.sid.clone());
                    self.published = Some(track);
                }
                None
            }
            Response::TrackSubscribed(subscribed) => {
                if self.seat.our_track.as_ref() == Some(&subscribed.track_sid) {
                    self.subscribed = true;
                    self.audible();
                }
                None
            }
            Response::Mute(mute) => {
                if self.seat.our_track.as_ref() == Some(&mute.sid) {
                    self.hushed = mute.muted;
                }
                None
            }
            Response::RefreshToken(token) => {
                self.keep(token, now);
                None
            }
            Response::Leave(leave) => self.sent_away(&leave, now),
            Response::RequestResponse(response) if response.reason != 0 => {
                tracing::debug!(reason = ?response.reason(), "the server refused a request");
                None
            }
            _ => None,
        }
    }

    fn sent_away(&mut self, leave: &LeaveRequest, now: Instant) -> Option<End> {
        let reason = leave.reason();
        let rejoin = || Some(End::Rejoin(format!("the server says {reason:?}")));
        match leave.action() {
            // It closes the socket, too: what breaks is signalling.
            Action::Resume => self.broke(Broken::Signal, now),
            Action::Reconnect => rejoin(),
            Action::Disconnect => match reason {
                DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed => {
                    Some(End::Closed(Closed::RoomClosed))
                }
                DisconnectReason::DuplicateIdentity
                | DisconnectReason::ParticipantRemoved
                | DisconnectReason::UserRejected => Some(End::Closed(Closed::Removed)),
                DisconnectReason::ClientInitiated => Some(End::Closed(Closed::Left)),
                // A server that shuts down says DISCONNECT and is back in a moment.
                _ => rejoin(),
            },
        }
    }

    /// The server has taken us up again: it is told what we have, and gets what it lacks.
    fn resume(&mut self, response: &ReconnectResponse) {
        self.sync();
        for bytes in self.seat.outbox.missing_after(response.last_message_seq) {
            // What does not fit now is lost with the line that lost it.
            let _ = self.publisher.peer.send_data(Label::Reliable, &bytes);
        }
        // The answer to an open offer was lost with the old socket.
        self.publisher.peer.forget_offer();
        self.publisher.peer.ice_restart();
        self.offer();
    }

    fn sync(&mut self) {
        let description = |kind: &str, sdp: &str| {
            Some(SessionDescription {
                r#type: kind.to_owned(),
                sdp: sdp.to_owned(),
                ..Default::default()
            })
        };
        let channels = [SignalTarget::Publisher, SignalTarget::Subscriber];
        let channels = channels.into_iter().flat_map(|target| {
            ["_reliable", "_lossy"].map(|label| DataChannelInfo {
                label: label.to_owned(),
                target: target as i32,
                ..Default::default()
            })
        });
        let published = self.published.iter().map(|track| TrackPublishedResponse {
            cid: self.cid.clone(),
            track: Some(track.clone()),
        });
        let seen = self
            .inbox
            .seen()
            .map(|(sid, last)| DataChannelReceiveState {
                publisher_sid: sid.to_owned(),
                last_seq: last,
            });
        let state = SyncState {
            answer: description("answer", &self.last_answer),
            offer: description("offer", &self.last_offer),
            subscription: Some(UpdateSubscription {
                track_sids: self.seat.roster.microphones(),
                subscribe: true,
                ..Default::default()
            }),
            publish_tracks: published.collect(),
            data_channels: channels.collect(),
            datachannel_receive_states: seen.collect(),
            ..Default::default()
        };
        self.send(Request::SyncState(state));
    }

    pub(super) fn apply(&mut self, changes: Vec<Change>, now: Instant) {
        let mut wanted = Vec::new();
        for change in changes {
            match change {
                Change::Tell(event) => {
                    let joined = matches!(&event, RoomEvent::Joined(who) if !who.agent);
                    if joined && self.subscribed && !self.audible {
                        // The server tells only of a track's first listener ever.
                        self.audible_at = Some(now + SUBSCRIBES);
                    }
                    if matches!(event, RoomEvent::Left(..)) && self.seat.roster.listeners() == 0 {
                        self.audible = false;
                        self.audible_at = None;
                    }
                    self.seat.teller.tell(event);
                }
                Change::Subscribe(track) => wanted.push(track),
                Change::Gone(sid, who) => {
                    self.inbox.gone(&sid, &who);
                }
            }
        }
        if !wanted.is_empty() {
            self.send(Request::Subscription(UpdateSubscription {
                track_sids: wanted,
                subscribe: true,
                ..Default::default()
            }));
        }
    }

    /// The newest token is what gets us back in, also after our own death.
    fn keep(&mut self, token: String, now: Instant) {
        if let Some(record) = &self.seat.record
            && now >= self.token_kept + KEEP_TOKEN
        {
            self.token_kept = now;
            let (record, token) = (record.clone(), token.clone());
            self.tasks.spawn_blocking(move || record.renew(&token));
        }
        self.seat.token = Some(token);
    }

    pub(super) fn offer(&mut self) {
        if let Some(offer) = self.publisher.peer.offer() {
            self.send(Request::Offer(SessionDescription {
                r#type: "offer".to_owned(),
                sdp: offer.sdp,
                id: offer.id,
                ..Default::default()
            }));
        }
    }

    /// The server offers: what it sends now, and in which section whose.
    fn answer(&mut self, offer: SessionDescription) {
        let answer = match self.subscriber.peer.answer(&offer.sdp) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "the server's offer is not answered");
                return;
            }
        };
        self.mids.clear();
        for section in sdp::sections(&offer.sdp) {
            let sends = matches!(section.direction, Direction::SendRecv | Direction::SendOnly);
            if section.kind == Kind::Audio && sends {
                let told = offer.mid_to_track_id.get(&section.mid).cloned();
                let track = told.or_else(|| section.msid.map(|id| id.track));
                if let Some(track) = track {
                    self.mids.insert(Mid::new(&section.mid), track);
                }
            }
        }
        let mids = &self.mids;
        self.ears
            .retain(|mid, ear| mids.get(mid) == Some(&ear.track));
        self.last_offer = offer.sdp;
        self.last_answer.clone_from(&answer);
        self.send(Request::Answer(SessionDescription {
            r#type: "answer".to_owned(),
            sdp: answer,
            id: offer.id,
            ..Default::default()
        }));
    }

    fn trickle(&mut self, trickle: &TrickleRequest) {
        let read = serde_json::from_str::<serde_json::Value>(&trickle.candidate_init);
        let Ok(init) = read else {
            return;
        };
        let side = match trickle.target() {
            SignalTarget::Publisher => Side::Publisher,
            SignalTarget::Subscriber => Side::Subscriber,
        };
        if let Some(candidate) = init["candidate"].as_str() {
            self.line(side).peer.add_remote_candidate(candidate);
        }
    }
}
