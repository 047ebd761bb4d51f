//! Who hears whom: microphones that are published, their packets on the way to the house and to the
//! others, the assistant's voice on its way to everybody, and who is heard to speak.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use livekit_protocol as lk;
use lk::signal_response::Message;

use super::Room;
use crate::{
    audio::{Hz24k, Pcm},
    rtc::{
        Identity, RoomEvent,
        audio::{Hearing, Outgoing, red},
        endpoint::{keys, media::Packet, session::Mic, words},
        peer::{Opus, Rtp},
        sdp::Msid,
    },
};

/// Louder than this somebody speaks: -45 dBov.
const SPEAKS: f32 = 0.0056;

impl Room {
    pub(super) fn add_track(&mut self, id: u64, request: lk::AddTrackRequest) {
        use lk::request_response::{Reason, Request};
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let sources = &session.claims.video.can_publish_sources;
        let may = session.claims.video.can_publish()
            && (sources.is_empty() || sources.iter().any(|s| s == "microphone"));
        let microphone = request.r#type == lk::TrackType::Audio as i32
            && matches!(
                lk::TrackSource::try_from(request.source),
                Ok(lk::TrackSource::Microphone | lk::TrackSource::Unknown)
            );
        let made = (keys::letters(12).ok(), Hearing::new().ok());
        let (true, true, (Some(sid), Some(hearing))) =
            (may && request.cid.len() <= 256, microphone, made)
        else {
            session.say(words::answered(
                0,
                Reason::NotAllowed,
                Some(Request::AddTrack(request)),
            ));
            return;
        };
        self.unpublish(id);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let info = words::microphone(&request, format!("TR_AM{sid}"));
        session.say(Message::TrackPublished(lk::TrackPublishedResponse {
            cid: request.cid,
            track: Some(info.clone()),
        }));
        let label = label(&session.person.sid, &info.sid);
        session.mic = Some(Mic {
            info,
            hearing,
            ssrc: None,
            mid: None,
            loud: 0.0,
        });
        self.announce(id);
        for other in self.sessions.values_mut() {
            if other.id != id && other.claims.video.can_subscribe() {
                other.hear(label.clone());
            }
        }
    }

    pub(super) fn unpublish(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(mic) = session.mic.take() else {
            return;
        };
        let who = Identity::new(&session.person.identity);
        for other in self.sessions.values_mut() {
            other.unhear(&mic.info.sid);
        }
        self.announce(id);
        self.tell(RoomEvent::Muted(who, true));
    }

    pub(super) fn mute(&mut self, id: u64, mute: &lk::MuteTrackRequest) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(mic) = session.mic.as_mut().filter(|m| m.info.sid == mute.sid) else {
            return;
        };
        if mic.info.muted == mute.muted {
            return;
        }
        mic.info.muted = mute.muted;
        mic.hearing.restart();
        mic.loud = 0.0;
        let who = Identity::new(&session.person.identity);
        self.announce(id);
        self.tell(RoomEvent::Muted(who, mute.muted));
    }

    pub(in crate::rtc::endpoint) fn packet(&mut self, packet: &Packet, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&packet.session) {
            session.take_packet(packet, now);
        }
    }

    pub(super) fn sound(&mut self, id: u64, rtp: Rtp, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(mic) = &mut session.mic else {
            return;
        };
        if mic.ssrc != Some(rtp.ssrc) {
            let first = mic.ssrc.is_none();
            mic.hearing.restart();
            (mic.ssrc, mic.mid) = (Some(rtp.ssrc), Some(rtp.mid));
            let track_sid = mic.info.sid.clone();
            if first {
                session.say(Message::TrackSubscribed(lk::TrackSubscribed { track_sid }));
            }
        }
        let Some(mic) = &mut session.mic else {
            return;
        };
        if mic.info.muted {
            return;
        }
        let traffic = &self.media.traffic;
        traffic.sound.fetch_add(1, Ordering::Relaxed);
        traffic
            .redundant
            .fetch_add(u64::from(rtp.red), Ordering::Relaxed);
        let (payload, red) = match rtp.red {
            true => {
                mic.hearing.push_red(rtp.seq, rtp.time, &rtp.payload, now);
                let Some(own) = red::own(&rtp.payload) else {
                    return;
                };
                (own.into(), Some(rtp.payload))
            }
            false => {
                mic.hearing.push(rtp.seq, rtp.time, &rtp.payload, now);
                (rtp.payload, None)
            }
        };
        let track = mic.info.sid.clone();
        let opus = Opus {
            time: rtp.time as u32,
            payload,
            red,
            talkspurt: false,
            level: rtp.level,
        };
        for other in self.sessions.values_mut().filter(|s| s.id != id) {
            other.play(&track, &opus, now);
        }
    }

    pub(in crate::rtc::endpoint) fn tick(&mut self, now: Instant) {
        self.ticks += 1;
        let mut heard = Vec::new();
        for session in self.sessions.values_mut() {
            let Some(mic) = session.mic.as_mut().filter(|m| !m.info.muted) else {
                continue;
            };
            if let Some(sound) = mic.hearing.tick(now) {
                mic.loud = sound.rms();
                heard.push((Identity::new(&session.person.identity), sound));
            }
        }
        for (who, sound) in heard {
            self.tell(RoomEvent::Sound(who, sound));
        }
        if self.ticks.is_multiple_of(20) {
            self.speakers();
        }
    }

    pub(super) fn say(&mut self, sound: &Pcm<Hz24k>, now: Instant) {
        self.loud = sound.rms();
        let packet = self.voice.encode(sound, now);
        self.speak(&packet, now);
        self.sending = true;
    }

    /// The silence after the voice, where some is due.
    pub(super) fn trail_off(&mut self, now: Instant) {
        while let Some(packet) = self.voice.idle(now) {
            self.loud = 0.0;
            self.speak(&packet, now);
            self.sending = true;
        }
    }

    pub(super) fn speak(&mut self, packet: &Outgoing, now: Instant) {
        let opus = Opus {
            time: packet.time as u32,
            payload: Arc::clone(&packet.payload),
            red: None,
            talkspurt: packet.talkspurt,
            level: Some(packet.level),
        };
        let track = &self.agent.tracks[0].sid;
        for session in self.sessions.values_mut() {
            session.play(track, &opus, now);
        }
    }

    /// Tells who speaks, when that has changed.
    pub(super) fn speakers(&mut self) {
        let people = self.sessions.values();
        let mics = people.filter_map(|s| Some((s.person.sid.clone(), s.mic.as_ref()?.loud)));
        let all: Vec<(String, f32)> = mics.chain([(self.agent.sid.clone(), self.loud)]).collect();
        let loud: Vec<String> = all
            .iter()
            .filter(|(_, l)| *l > SPEAKS)
            .map(|(sid, _)| sid.clone())
            .collect();
        if loud == self.speaking {
            return;
        }
        let changed = all
            .iter()
            .filter(|(sid, _)| loud.contains(sid) != self.speaking.contains(sid));
        let speakers: Vec<_> = changed
            .map(|(sid, level)| lk::SpeakerInfo {
                sid: sid.clone(),
                level: (level * 4.0).min(1.0),
                active: loud.contains(sid),
            })
            .collect();
        for session in self.sessions.values_mut() {
            session.say(Message::SpeakersChanged(lk::SpeakersChanged {
                speakers: speakers.clone(),
            }));
        }
        self.speaking = loud;
    }
}

/// `PA_…|TR_…`: the form in which every client finds the track.
pub(super) fn label(person: &str, track: &str) -> Msid {
    Msid {
        stream: format!("{person}|{track}"),
        track: track.to_owned(),
    }
}
