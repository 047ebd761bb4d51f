//! Pure: who is in the room and which microphone is whose, from what the server tells. A server repeats
//! itself, reorders joins and leaves of the same identity, and forgets everybody when it is restarted;
//! what comes out are the changes that mean something to a conversation.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use livekit_protocol::{
    DisconnectReason, ParticipantInfo, TrackInfo, TrackSource, TrackType,
    participant_info::{Kind, State},
};

use crate::{
    pii::Pii,
    rtc::{Departure, Identity, Participant, RoomEvent},
};

/// Longest identity that is let in, in bytes.
const LONGEST_IDENTITY: usize = 256;

/// How long people may take to come back after we had to join anew: they have to, too.
const GRACE: Duration = Duration::from_secs(30);

/// How long somebody may be missing in the list that a server gives with a resume before they count as
/// gone: the news of their leaving went to the old connection.
const MISSING: Duration = Duration::from_secs(5);

/// The attribute in which a server writes for which agent name somebody was dispatched.
pub(super) const AGENT_NAME: &str = "lk.agent_name";

/// What changed.
#[derive(Debug)]
pub(super) enum Change {
    /// The conversation is told.
    Tell(RoomEvent),
    /// This track is to be subscribed to.
    Subscribe(String),
    /// This participant's (by sid) and this identity's streams are over.
    Gone(String, Identity),
}

/// Somebody who is there.
#[derive(Debug)]
struct Person {
    sid: String,
    version: u32,
    participant: Participant,
    agent_name: Option<String>,
    joined_at_ms: i64,
    /// Their line is up, and the conversation knows of them.
    told: bool,
    microphone: Option<Microphone>,
    /// As the conversation was told.
    muted: bool,
    /// The server did not name them when it took us up again; gone at that time.
    missing: Option<Instant>,
}

#[derive(Debug)]
struct Microphone {
    track: String,
    muted: bool,
}

/// Somebody whom the conversation knows and who has not come back yet.
#[derive(Debug)]
struct Away {
    muted: bool,
    until: Instant,
}

/// The people of one room, but for ourselves.
#[derive(Debug, Default)]
pub(super) struct Roster {
    us: Option<(Identity, String)>,
    people: BTreeMap<Identity, Person>,
    away: BTreeMap<Identity, Away>,
}

impl Roster {
    /// We have joined (or joined anew) as `us`, and these are there. Who was there before and is not now
    /// has half a minute to come back.
    pub(super) fn joined(
        &mut self,
        us: &ParticipantInfo,
        others: &[ParticipantInfo],
        now: Instant,
    ) -> Vec<Change> {
        self.us = Some((Identity::new(&us.identity), us.sid.clone()));
        let until = now + GRACE;
        for (identity, person) in std::mem::take(&mut self.people) {
            if person.told {
                let muted = person.muted;
                self.away.insert(identity, Away { muted, until });
            }
        }
        self.update(others)
    }

    /// The server tells of these.
    pub(super) fn update(&mut self, list: &[ParticipantInfo]) -> Vec<Change> {
        let mut changes = Vec::new();
        for info in list {
            self.one(info, &mut changes);
        }
        changes
    }

    fn one(&mut self, info: &ParticipantInfo, changes: &mut Vec<Change>) {
        let identity = Identity::new(&info.identity);
        let ours = self.us.as_ref().is_some_and(|(us, _)| *us == identity);
        if ours
            || info.identity.is_empty()
            || info.identity.len() > LONGEST_IDENTITY
            || info.kind() == Kind::Egress
        {
            return;
        }
        let known = self.people.get(&identity).map(|p| (&p.sid, p.version));
        if info.state() == State::Disconnected {
            if known.is_some_and(|(sid, _)| *sid == info.sid) {
                self.remove(&identity, departure(info.disconnect_reason()), changes);
            }
            return;
        }
        if let Some((sid, version)) = known {
            if *sid != info.sid {
                self.remove(&identity, Departure::Replaced, changes);
            } else if info.version < version {
                return;
            }
        }
        let away = &mut self.away;
        let person = self.people.entry(identity.clone()).or_insert_with(|| {
            let agent = info.kind() == Kind::Agent;
            Person {
                sid: info.sid.clone(),
                version: info.version,
                participant: Participant {
                    identity: identity.clone(),
                    name: Pii(info.name.clone()),
                    agent,
                },
                agent_name: agent
                    .then(|| info.attributes.get(AGENT_NAME).cloned())
                    .flatten(),
                joined_at_ms: info.joined_at_ms.max(info.joined_at.saturating_mul(1000)),
                told: false,
                microphone: None,
                muted: false,
                missing: None,
            }
        });
        person.missing = None;
        person.version = info.version;
        if info.state() == State::Active && !person.told {
            person.told = true;
            match away.remove(&identity) {
                Some(back) => person.muted = back.muted,
                None => {
                    changes.push(Change::Tell(RoomEvent::Joined(person.participant.clone())));
                }
            }
        }
        if !person.participant.agent {
            person.listen(&info.tracks, changes);
        }
    }

    fn remove(&mut self, identity: &Identity, why: Departure, changes: &mut Vec<Change>) {
        if let Some(person) = self.people.remove(identity) {
            changes.push(Change::Gone(person.sid, identity.clone()));
            if person.told {
                changes.push(Change::Tell(RoomEvent::Left(identity.clone(), why)));
            }
        }
    }

    /// The first list after a resume: who is not in it left while nobody could tell us, unless they are
    /// named soon.
    pub(super) fn resumed(&mut self, list: &[ParticipantInfo], now: Instant) {
        for person in self.people.values_mut() {
            if !list.iter().any(|info| info.sid == person.sid) {
                person.missing = Some(now + MISSING);
            }
        }
    }

    /// Whose microphone the track is, if it is to be heard.
    pub(super) fn speaker(&self, track: &str) -> Option<&Identity> {
        let heard = |p: &&Person| {
            p.told
                && p.microphone
                    .as_ref()
                    .is_some_and(|m| m.track == track && !m.muted)
        };
        let person = self.people.values().find(heard)?;
        Some(&person.participant.identity)
    }

    /// The track of somebody's microphone.
    pub(super) fn microphone(&self, identity: &Identity) -> Option<&str> {
        let microphone = self.people.get(identity)?.microphone.as_ref()?;
        Some(&microphone.track)
    }

    /// All tracks we want to hear.
    pub(super) fn microphones(&self) -> Vec<String> {
        let tracks = self.people.values().filter_map(|p| p.microphone.as_ref());
        tracks.map(|m| m.track.clone()).collect()
    }

    /// How many people (no assistants) are there.
    pub(super) fn listeners(&self) -> usize {
        let people = self.people.values();
        people.filter(|p| p.told && !p.participant.agent).count()
    }

    /// Whether another assistant of the same name was here before us (who joined at `joined_at_ms`).
    pub(super) fn has_elder_twin(&self, agent_name: &str, joined_at_ms: i64) -> bool {
        let us = self.us.as_ref().map_or("", |(_, sid)| sid.as_str());
        self.people.values().any(|p| {
            p.told
                && p.agent_name.as_deref() == Some(agent_name)
                && (p.joined_at_ms, p.sid.as_str()) < (joined_at_ms, us)
        })
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let away = self.away.values().map(|away| away.until);
        let missing = self.people.values().filter_map(|p| p.missing);
        away.chain(missing).min()
    }

    /// Gives up those who have not come back.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        self.away.retain(|identity, away| {
            let waiting = now < away.until;
            if !waiting {
                let left = RoomEvent::Left(identity.clone(), Departure::Lost);
                changes.push(Change::Tell(left));
            }
            waiting
        });
        let missing = |p: &&Person| p.missing.is_some_and(|until| now >= until);
        let gone = self.people.values().filter(missing);
        let gone: Vec<_> = gone.map(|p| p.participant.identity.clone()).collect();
        for identity in gone {
            self.remove(&identity, Departure::Lost, &mut changes);
        }
        changes
    }
}

impl Person {
    /// One microphone counts, the first one until it goes away: two would be one voice twice.
    fn listen(&mut self, tracks: &[TrackInfo], changes: &mut Vec<Change>) {
        let is_microphone = |t: &&TrackInfo| {
            t.source() == TrackSource::Microphone && t.r#type() == TrackType::Audio
        };
        let kept = self.microphone.as_ref().map(|m| m.track.as_str());
        let known = tracks.iter().find(|t| Some(t.sid.as_str()) == kept);
        let found = known.or_else(|| tracks.iter().find(is_microphone));
        if let (None, Some(new)) = (known, found) {
            changes.push(Change::Subscribe(new.sid.clone()));
        }
        // One that is gone is as silent as one that is off; one that never was is not off.
        let muted = match (found, &self.microphone) {
            (Some(track), _) => track.muted,
            (None, Some(_)) => true,
            (None, None) => self.muted,
        };
        self.microphone = found.map(|t| Microphone {
            track: t.sid.clone(),
            muted: t.muted,
        });
        if self.told && self.muted != muted {
            self.muted = muted;
            let identity = self.participant.identity.clone();
            changes.push(Change::Tell(RoomEvent::Muted(identity, muted)));
        }
    }
}

fn departure(reason: DisconnectReason) -> Departure {
    match reason {
        DisconnectReason::ClientInitiated
        | DisconnectReason::ParticipantRemoved
        | DisconnectReason::RoomDeleted
        | DisconnectReason::RoomClosed
        | DisconnectReason::UserRejected => Departure::Left,
        DisconnectReason::DuplicateIdentity => Departure::Replaced,
        _ => Departure::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(identity: &str, sid: &str, state: State) -> ParticipantInfo {
        ParticipantInfo {
            identity: identity.into(),
            sid: sid.into(),
            state: state as i32,
            ..Default::default()
        }
    }

    fn track(sid: &str, source: TrackSource, muted: bool) -> TrackInfo {
        TrackInfo {
            sid: sid.into(),
            source: source as i32,
            r#type: TrackType::Audio as i32,
            muted,
            ..Default::default()
        }
    }

    fn said(changes: &[Change]) -> Vec<String> {
        let say = |c: &Change| match c {
            Change::Tell(RoomEvent::Joined(p)) => format!("joined {}", p.identity.as_str()),
            Change::Tell(RoomEvent::Left(id, why)) => format!("left {} {why:?}", id.as_str()),
            Change::Tell(RoomEvent::Muted(id, off)) => format!("muted {} {off}", id.as_str()),
            Change::Subscribe(sid) => format!("subscribe {sid}"),
            Change::Gone(sid, _) => format!("gone {sid}"),
            other => format!("{other:?}"),
        };
        changes.iter().map(say).collect()
    }

    fn with_anna() -> Roster {
        let mut roster = Roster::default();
        let us = info("agent", "PA_us", State::Joined);
        let mut anna = info("anna", "PA_1", State::Active);
        anna.tracks = vec![
            track("TR_cam", TrackSource::ScreenShareAudio, false),
            track("TR_mic", TrackSource::Microphone, false),
        ];
        let changes = roster.joined(&us, &[anna], Instant::now());
        assert_eq!(said(&changes), ["joined anna", "subscribe TR_mic"]);
        roster
    }

    #[test]
    fn only_microphones_of_people_are_subscribed_to() {
        let mut roster = with_anna();
        let mut agent = info("other", "PA_2", State::Active);
        agent.kind = Kind::Agent as i32;
        agent.tracks = vec![track("TR_a", TrackSource::Microphone, false)];
        assert_eq!(said(&roster.update(&[agent])), ["joined other"]);
        assert_eq!(roster.speaker("TR_mic").unwrap().as_str(), "anna");
        assert_eq!(roster.speaker("TR_a"), None);
        assert_eq!(roster.listeners(), 1);
    }

    #[test]
    fn who_is_only_joining_is_told_when_their_line_is_up() {
        let mut roster = with_anna();
        let early = roster.update(&[info("bob", "PA_3", State::Joined)]);
        assert_eq!(said(&early), [""; 0]);
        let bob = info("bob", "PA_3", State::Active);
        assert_eq!(
            said(&roster.update(std::slice::from_ref(&bob))),
            ["joined bob"]
        );
        assert_eq!(said(&roster.update(&[bob])), [""; 0], "said once");
    }

    #[test]
    fn a_microphone_that_is_muted_or_withdrawn_ends_what_is_said() {
        let mut roster = with_anna();
        let mut anna = info("anna", "PA_1", State::Active);
        anna.tracks = vec![track("TR_mic", TrackSource::Microphone, true)];
        assert_eq!(
            said(&roster.update(std::slice::from_ref(&anna))),
            ["muted anna true"]
        );
        assert_eq!(roster.speaker("TR_mic"), None);
        anna.tracks[0].muted = false;
        assert_eq!(
            said(&roster.update(std::slice::from_ref(&anna))),
            ["muted anna false"]
        );
        anna.tracks.clear();
        assert_eq!(
            said(&roster.update(std::slice::from_ref(&anna))),
            ["muted anna true"]
        );
        anna.tracks = vec![track("TR_new", TrackSource::Microphone, false)];
        let back = roster.update(&[anna]);
        assert_eq!(said(&back), ["subscribe TR_new", "muted anna false"]);
    }

    #[test]
    fn a_page_reloaded_is_another_participant_of_the_same_identity() {
        let mut roster = with_anna();
        let new = roster.update(&[info("anna", "PA_9", State::Active)]);
        assert_eq!(
            said(&new),
            ["gone PA_1", "left anna Replaced", "joined anna"]
        );
        let mut old = info("anna", "PA_1", State::Disconnected);
        old.disconnect_reason = DisconnectReason::DuplicateIdentity as i32;
        assert_eq!(said(&roster.update(&[old])), [""; 0], "the late farewell");
    }

    #[test]
    fn a_farewell_tells_whether_it_was_meant() {
        for (reason, why) in [
            (DisconnectReason::ClientInitiated, "Left"),
            (DisconnectReason::ConnectionTimeout, "Lost"),
            (DisconnectReason::DuplicateIdentity, "Replaced"),
        ] {
            let mut roster = with_anna();
            let mut anna = info("anna", "PA_1", State::Disconnected);
            anna.disconnect_reason = reason as i32;
            let told = said(&roster.update(&[anna]));
            assert_eq!(told, ["gone PA_1".to_owned(), format!("left anna {why}")]);
        }
    }

    #[test]
    fn after_joining_anew_people_have_half_a_minute_to_come_back() {
        let now = Instant::now();
        let mut roster = with_anna();
        let us = info("agent", "PA_us2", State::Joined);
        assert_eq!(said(&roster.joined(&us, &[], now)), [""; 0]);
        assert_eq!(said(&roster.expire(now + GRACE / 2)), [""; 0]);
        let mut anna = info("anna", "PA_7", State::Active);
        anna.tracks = vec![track("TR_7", TrackSource::Microphone, false)];
        let back = said(&roster.update(&[anna]));
        assert_eq!(back, ["subscribe TR_7"], "the conversation goes on");

        roster.joined(&us, &[], now);
        assert_eq!(said(&roster.expire(now + GRACE)), ["left anna Lost"]);
    }

    #[test]
    fn who_left_while_the_signal_was_gone_is_missed_after_it() {
        let now = Instant::now();
        let mut roster = with_anna();
        let bob = info("bob", "PA_2", State::Active);
        roster.update(std::slice::from_ref(&bob));
        roster.resumed(&[info("agent", "PA_us", State::Active)], now);
        assert_eq!(roster.deadline(), Some(now + MISSING));
        roster.update(&[bob]);
        let gone = said(&roster.expire(now + MISSING));
        assert_eq!(gone, ["gone PA_1", "left anna Lost"], "bob was named late");
    }

    #[test]
    fn the_later_of_two_assistants_of_one_name_knows_it() {
        let mut roster = with_anna();
        let mut twin = info("agent-2", "PA_2", State::Active);
        twin.kind = Kind::Agent as i32;
        twin.joined_at_ms = 1000;
        twin.attributes.insert(AGENT_NAME.into(), "caal".into());
        roster.update(&[twin]);
        assert!(roster.has_elder_twin("caal", 2000));
        assert!(!roster.has_elder_twin("caal", 500));
        assert!(!roster.has_elder_twin("other", 2000));
    }

    #[test]
    fn old_news_changes_nothing() {
        let mut roster = with_anna();
        let mut new = info("anna", "PA_1", State::Active);
        (new.version, new.tracks) = (5, vec![track("TR_mic", TrackSource::Microphone, true)]);
        roster.update(std::slice::from_ref(&new));
        (new.version, new.tracks[0].muted) = (4, false);
        assert_eq!(said(&roster.update(&[new])), [""; 0]);
    }
}
