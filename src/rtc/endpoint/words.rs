//! Pure: what the room says to its clients, as LiveKit's messages. Always whole: a client takes what it
//! gets as the present state.

use std::collections::HashMap;

use livekit_protocol as lk;
use lk::signal_response::Message;

/// Version that clients see; they switch features off below 1.8.
const VERSION: &str = "1.9.12";

/// Signalling protocol: above 17 clients would agree channel numbers beforehand, which we do not do.
const PROTOCOL: i32 = 16;

/// Seconds between a client's pings, and without an answer until it takes the line for broken.
const PING: (i32, i32) = (5, 15);

/// Somebody as others see them.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) sid: String,
    pub(super) identity: String,
    pub(super) name: String,
    pub(super) metadata: String,
    pub(super) attributes: HashMap<String, String>,
    pub(super) agent: bool,
    pub(super) active: bool,
    /// Milliseconds since 1970.
    pub(super) joined_ms: i64,
    /// Counts up with each change.
    pub(super) version: u32,
    pub(super) tracks: Vec<lk::TrackInfo>,
    pub(super) permission: lk::ParticipantPermission,
    pub(super) client_protocol: i32,
    pub(super) capabilities: Vec<i32>,
}

impl Person {
    pub(super) fn info(&self) -> lk::ParticipantInfo {
        use lk::participant_info::{Kind, State};
        lk::ParticipantInfo {
            sid: self.sid.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.clone(),
            state: match self.active {
                true => State::Active,
                false => State::Joined,
            } as i32,
            kind: match self.agent {
                true => Kind::Agent,
                false => Kind::Standard,
            } as i32,
            joined_at: self.joined_ms / 1000,
            joined_at_ms: self.joined_ms,
            version: self.version,
            is_publisher: !self.tracks.is_empty(),
            tracks: self.tracks.clone(),
            permission: Some(self.permission.clone()),
            client_protocol: self.client_protocol,
            capabilities: self.capabilities.clone(),
            ..Default::default()
        }
    }

    /// The last that others hear of them.
    pub(super) fn gone(&self, reason: lk::DisconnectReason) -> lk::ParticipantInfo {
        lk::ParticipantInfo {
            state: lk::participant_info::State::Disconnected as i32,
            disconnect_reason: reason as i32,
            tracks: Vec::new(),
            ..self.info()
        }
    }
}

/// The room as its members see it.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) sid: String,
    pub(super) name: String,
    pub(super) people: u32,
    pub(super) since_ms: i64,
}

impl About {
    pub(super) fn info(&self) -> lk::Room {
        lk::Room {
            sid: self.sid.clone(),
            name: self.name.clone(),
            num_participants: self.people,
            num_publishers: self.people,
            creation_time: self.since_ms / 1000,
            creation_time_ms: self.since_ms,
            ..Default::default()
        }
    }
}

fn server() -> lk::ServerInfo {
    lk::ServerInfo {
        version: VERSION.to_owned(),
        protocol: PROTOCOL,
        node_id: "ND_caal".to_owned(),
        ..Default::default()
    }
}

pub(super) fn join(
    about: &About,
    us: &Person,
    others: Vec<lk::ParticipantInfo>,
    single: bool,
) -> Message {
    let codec = |mime: &str| lk::Codec {
        mime: mime.to_owned(),
        ..Default::default()
    };
    Message::Join(lk::JoinResponse {
        room: Some(about.info()),
        participant: Some(us.info()),
        other_participants: others,
        server_version: VERSION.to_owned(),
        server_info: Some(server()),
        subscriber_primary: !single,
        ping_interval: PING.0,
        ping_timeout: PING.1,
        enabled_publish_codecs: vec![codec("audio/opus"), codec("audio/red")],
        ..Default::default()
    })
}

pub(super) fn reconnected(last_seen: u32) -> Message {
    Message::Reconnect(lk::ReconnectResponse {
        server_info: Some(server()),
        last_message_seq: last_seen,
        ..Default::default()
    })
}

pub(super) fn update(participants: Vec<lk::ParticipantInfo>) -> Message {
    Message::Update(lk::ParticipantUpdate { participants })
}

pub(super) fn leave(reason: lk::DisconnectReason, action: lk::leave_request::Action) -> Message {
    Message::Leave(lk::LeaveRequest {
        can_reconnect: action != lk::leave_request::Action::Disconnect,
        reason: reason as i32,
        action: action as i32,
        ..Default::default()
    })
}

pub(super) fn description(
    kind: &str,
    id: u32,
    sdp: String,
    mid_to_track_id: HashMap<String, String>,
) -> lk::SessionDescription {
    lk::SessionDescription {
        r#type: kind.to_owned(),
        sdp,
        id,
        mid_to_track_id,
    }
}

pub(super) fn answered(
    request_id: u32,
    reason: lk::request_response::Reason,
    request: Option<lk::request_response::Request>,
) -> Message {
    Message::RequestResponse(lk::RequestResponse {
        request_id,
        reason: reason as i32,
        request,
        ..Default::default()
    })
}

/// The track that a client's request to publish becomes. Its recording from before the connection is not
/// asked for: `TF_PRECONNECT_BUFFER` is not echoed.
pub(super) fn microphone(request: &lk::AddTrackRequest, sid: String) -> lk::TrackInfo {
    let mut features = request.audio_features.clone();
    features.retain(|f| *f != lk::AudioTrackFeature::TfPreconnectBuffer as i32);
    features.truncate(16);
    let mime = "audio/opus";
    lk::TrackInfo {
        sid,
        name: request.name.chars().take(256).collect(),
        r#type: lk::TrackType::Audio as i32,
        source: lk::TrackSource::Microphone as i32,
        muted: request.muted,
        mime_type: mime.to_owned(),
        stream: match request.stream.is_empty() {
            true => "camera".to_owned(),
            false => request.stream.chars().take(256).collect(),
        },
        audio_features: features,
        disable_red: request.disable_red,
        codecs: vec![lk::SimulcastCodecInfo {
            mime_type: mime.to_owned(),
            cid: request.cid.clone(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The assistant's track.
pub(super) fn voice(sid: String) -> lk::TrackInfo {
    lk::TrackInfo {
        sid,
        name: "roomio_audio".to_owned(),
        r#type: lk::TrackType::Audio as i32,
        source: lk::TrackSource::Microphone as i32,
        mime_type: "audio/opus".to_owned(),
        stream: "camera".to_owned(),
        disable_red: true,
        ..Default::default()
    }
}
