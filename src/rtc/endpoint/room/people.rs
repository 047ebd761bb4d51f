//! Who is in the room: coming, coming back, changing and going, and what the others are told of it.

use std::{
    collections::HashMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use livekit_protocol as lk;
use lk::{leave_request::Action, signal_response::Message};

use super::{DEPARTURE, Join, Room, now_ms, sound::label};
use crate::{
    pii::Pii,
    rtc::{
        Departure, Identity, Participant, RoomEvent,
        endpoint::{
            keys,
            session::{Arrival, Session, Stage},
            words::{self, Person},
        },
    },
};

/// People in one room.
const PEOPLE: usize = 16;

const LONGEST_DEPARTURE: Duration = Duration::from_secs(60);

/// Somebody's attributes together, in bytes.
const ATTRIBUTES: usize = 65_536;

impl Room {
    pub(super) fn join(&mut self, join: Join, now: Instant) {
        if let Some(sid) = &join.resume {
            let mut known = self.sessions.values_mut();
            let known =
                known.find(|s| s.person.sid == *sid && s.person.identity == join.claims.sub);
            let Some(session) = known.filter(|s| s.stage != Stage::Closed) else {
                let _ = join.out.try_send(words::leave(
                    lk::DisconnectReason::StateMismatch,
                    Action::Reconnect,
                ));
                let _ = join.reply.send(None);
                return;
            };
            session.claims = join.claims;
            session.refresh_at = now + session.half_life();
            session.resume(join.out, now);
            let (id, line) = (session.id, session.connection);
            let everybody = self.everybody();
            let about = self.about.info();
            if let Some(session) = self.sessions.get_mut(&id) {
                session.say(words::update(everybody));
                session.say(Message::RoomUpdate(lk::RoomUpdate { room: Some(about) }));
                if let Some(sync) = &join.request.sync_state {
                    session.send_again(&sync.datachannel_receive_states);
                }
            }
            tracing::info!(session = id, "a person's line is back");
            let _ = join.reply.send(Some((id, line)));
            return;
        }
        let same = |s: &&Session| s.person.identity == join.claims.sub;
        let before = self.sessions.values().find(same).map(|s| s.id);
        if let Some(id) = before {
            if let Some(old) = self.sessions.get_mut(&id) {
                old.dismiss(lk::DisconnectReason::DuplicateIdentity, Action::Disconnect);
                old.work(&self.media, &self.route, now);
            }
            self.remove(
                id,
                Departure::Replaced,
                lk::DisconnectReason::DuplicateIdentity,
            );
        }
        let sid = keys::letters(12);
        let (true, Ok(sid)) = (self.sessions.len() < PEOPLE, sid) else {
            tracing::warn!(room = ?self.about.name, "the room is full");
            let _ = join.out.try_send(words::leave(
                lk::DisconnectReason::JoinFailure,
                Action::Disconnect,
            ));
            let _ = join.reply.send(None);
            return;
        };
        self.seat(join, format!("PA_{sid}"), now);
    }

    pub(super) fn seat(&mut self, join: Join, sid: String, now: Instant) {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let (claims, request) = (join.claims, join.request);
        let client = request.client_info.unwrap_or_default();
        let grants = &claims.video;
        let mut attributes = claims.attributes.clone();
        attributes.extend(request.participant_attributes);
        if size(&attributes) > ATTRIBUTES {
            attributes.clear();
        }
        let person = Person {
            sid,
            identity: claims.sub.clone(),
            name: claims.name.clone(),
            metadata: claims.metadata.clone(),
            attributes,
            agent: claims.kind == "agent" || grants.agent,
            joined_ms: now_ms(),
            version: 1,
            permission: permission(
                grants.can_publish(),
                grants.can_subscribe(),
                grants.can_publish_data(),
                grants.can_update_own_metadata(),
            ),
            client_protocol: client.client_protocol,
            capabilities: client.capabilities.into_iter().take(16).collect(),
            ..Default::default()
        };
        if let Some(config) = &claims.room_config {
            let seconds = u64::from(config.departure_timeout);
            self.departure = match seconds {
                0 => DEPARTURE,
                s => Duration::from_secs(s).min(LONGEST_DEPARTURE),
            };
        }
        let others: Vec<_> = self.everybody();
        let subscribe = grants.can_subscribe();
        let participant = Participant {
            identity: Identity::new(&person.identity),
            name: Pii(person.name.clone()),
            agent: person.agent,
        };
        let info = person.info();
        let arrival = Arrival {
            id,
            person,
            claims,
            single: join.single,
            out: join.out,
        };
        let mut session = Session::new(arrival, &self.media, now);
        self.about.people = self.sessions.len() as u32 + 2;
        session.say(words::join(
            &self.about,
            &session.person,
            others,
            join.single,
        ));
        if subscribe {
            session.hear(label(&self.agent.sid, &self.agent.tracks[0].sid));
            for other in self.sessions.values() {
                if let Some(mic) = &other.mic {
                    session.hear(label(&other.person.sid, &mic.info.sid));
                }
            }
        }
        for other in self.sessions.values_mut() {
            other.say(words::update(vec![info.clone()]));
        }
        let _ = join.reply.send(Some((id, session.connection)));
        self.sessions.insert(id, session);
        self.people
            .store(self.sessions.len() as u32 + 1, Ordering::Relaxed);
        self.empty = None;
        self.tell(RoomEvent::Joined(participant));
        tracing::info!(session = id, single = join.single, "a person joins");
        for request in request.add_track_requests.into_iter().take(8) {
            self.add_track(id, request);
        }
        if let (Some(offer), Some(session)) = (&request.publisher_offer, self.sessions.get_mut(&id))
        {
            session.take_offer(offer);
        }
    }

    pub(super) fn remove(&mut self, id: u64, why: Departure, reason: lk::DisconnectReason) {
        self.unpublish(id);
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.media.forget(id);
        let gone = session.person.gone(reason);
        for other in self.sessions.values_mut() {
            other.say(words::update(vec![gone.clone()]));
        }
        self.about.people = self.sessions.len() as u32 + 1;
        self.people.store(self.about.people, Ordering::Relaxed);
        if self.sessions.is_empty() {
            self.empty = Some(Instant::now());
        }
        self.tell(RoomEvent::Left(
            Identity::new(&session.person.identity),
            why,
        ));
        tracing::info!(session = id, ?why, "a person is gone");
    }

    pub(super) fn everybody(&self) -> Vec<lk::ParticipantInfo> {
        let people = self.sessions.values().map(|s| &s.person);
        people.chain([&self.agent]).map(Person::info).collect()
    }

    /// Tells everybody how `id` is now.
    pub(super) fn announce(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.person.version += 1;
        session.person.tracks = session.mic.iter().map(|m| m.info.clone()).collect();
        let info = session.person.info();
        for other in self.sessions.values_mut() {
            other.say(words::update(vec![info.clone()]));
        }
    }

    pub(super) fn update(&mut self, id: u64, update: lk::UpdateParticipantMetadata) {
        use lk::request_response::Reason;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut attributes = session.person.attributes.clone();
        attributes.extend(update.attributes);
        attributes.retain(|_, value| !value.is_empty());
        let fits = size(&attributes) <= ATTRIBUTES
            && update.metadata.len() <= ATTRIBUTES
            && update.name.len() <= 256;
        let reason = match session.claims.video.can_update_own_metadata() {
            false => Reason::NotAllowed,
            true if !fits => Reason::LimitExceeded,
            true => Reason::Ok,
        };
        session.say(words::answered(update.request_id, reason, None));
        if reason != Reason::Ok {
            return;
        }
        session.person.attributes = attributes;
        if !update.name.is_empty() {
            session.person.name = update.name;
        }
        if !update.metadata.is_empty() {
            session.person.metadata = update.metadata;
        }
        self.announce(id);
    }
}

fn size(attributes: &HashMap<String, String>) -> usize {
    attributes.iter().map(|(k, v)| k.len() + v.len()).sum()
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "LiveKit's four grants, in its order"
)]
pub(super) fn permission(
    publish: bool,
    subscribe: bool,
    data: bool,
    metadata: bool,
) -> lk::ParticipantPermission {
    lk::ParticipantPermission {
        can_publish: publish,
        can_subscribe: subscribe,
        can_publish_data: data,
        can_update_metadata: metadata,
        ..Default::default()
    }
}
