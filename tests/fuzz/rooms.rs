//! What fuzzing of rooms begins with: descriptions, scripts of what people say, packets of sound.

use std::time::{Duration, Instant};

use caal::{
    audio::Pcm,
    rtc::{
        audio::Voice,
        peer::{Channels, Peer, PeerConfig, Redundancy, Video},
        sdp::Msid,
    },
};
use livekit_protocol as lk;
use lk::{
    data_packet::Value,
    data_stream::{Chunk, Header, TextHeader, Trailer, header::ContentHeader},
    signal_request::Message as Ask,
};
use prost::Message as _;

fn offer() -> String {
    let config = PeerConfig {
        udp: &[([192, 0, 2, 2], 50_000).into()],
        tcp: &[],
        video: Video::Accept,
        redundancy: Redundancy::Accept,
        channels: Channels::Create,
        max_stun_retransmits: None,
    };
    let mut peer = Peer::new(&config, Instant::now());
    peer.speak(Msid {
        stream: "stream".to_owned(),
        track: "track".to_owned(),
    });
    peer.offer().expect("channels and a track to offer").sdp
}

pub(super) fn descriptions() -> Vec<Vec<u8>> {
    let offer = offer();
    let listening = offer.replace("a=sendonly", "a=recvonly");
    let candidates = "candidate:1 1 udp 2113937151 192.0.2.9 50000 typ host\r\n\
        candidate:2 1 tcp 1518280447 192.0.2.9 9 typ host tcptype active\r\n\
        candidate:3 1 udp 1 4b3f7a6c-0000.local 50000 typ srflx raddr 0.0.0.0 rport 9\r\n";
    [offer, listening, candidates.to_owned()]
        .map(String::into_bytes)
        .into()
}

fn word(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    [&[kind][..], &length.to_be_bytes(), bytes].concat()
}

fn asks(who: u8, ask: Ask) -> Vec<u8> {
    word(
        who,
        &lk::SignalRequest { message: Some(ask) }.encode_to_vec(),
    )
}

fn data(kind: u8, value: Value) -> Vec<u8> {
    let packet = lk::DataPacket {
        value: Some(value),
        sequence: 1,
        ..Default::default()
    };
    word(kind, &packet.encode_to_vec())
}

fn description(who: u8, sdp: String, kind: &str) -> Vec<u8> {
    let description = lk::SessionDescription {
        r#type: kind.to_owned(),
        sdp,
        id: 1,
        ..Default::default()
    };
    asks(
        who,
        match kind {
            "offer" => Ask::Offer(description),
            _ => Ask::Answer(description),
        },
    )
}

pub(super) fn scripts() -> Vec<Vec<u8>> {
    let track = |who| {
        let track = lk::AddTrackRequest {
            cid: "track".to_owned(),
            source: lk::TrackSource::Microphone as i32,
            ..Default::default()
        };
        asks(who, Ask::AddTrack(track))
    };
    let trickle = lk::TrickleRequest {
        candidate_init: r#"{"candidate":"candidate:1 1 udp 1 192.0.2.9 50000 typ host"}"#
            .to_owned(),
        ..Default::default()
    };
    let metadata = lk::UpdateParticipantMetadata {
        name: "Ada".to_owned(),
        attributes: [("a".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    let mute = lk::MuteTrackRequest {
        sid: "TR_AM".to_owned(),
        muted: true,
    };
    let header = |content: Option<Vec<u8>>| Header {
        stream_id: "S".to_owned(),
        topic: "lk.chat".to_owned(),
        compression: i32::from(content.is_some()),
        inline_content: content,
        content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
        ..Default::default()
    };
    let chunk = Chunk {
        stream_id: "S".to_owned(),
        content: b"hello".to_vec(),
        ..Default::default()
    };
    let trailer = Trailer {
        stream_id: "S".to_owned(),
        ..Default::default()
    };
    let user = lk::UserPacket {
        payload: b"{}".to_vec(),
        topic: Some("webhook_command".to_owned()),
        ..Default::default()
    };
    let api = lk::SendDataRequest {
        data: b"{}".to_vec(),
        ..Default::default()
    };
    let stun = [
        &[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..],
        &[7; 12],
        &[0, 6, 0, 3, b'a', b':', b'b', 0],
    ]
    .concat();
    let rtp = [
        0x90, 111, 0, 1, 0, 0, 3, 192, 1, 2, 3, 4, 0xbe, 0xde, 0, 1, 0x10, 30, 0, 0, 9,
    ];
    let rtcp = [
        0x80, 200, 0, 6, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let later = word(11, &[200]);
    let resume = lk::JoinRequest {
        reconnect: true,
        participant_sid: "PA_".to_owned(),
        publisher_offer: Some(lk::SessionDescription {
            sdp: offer(),
            ..Default::default()
        }),
        ..Default::default()
    };
    vec![
        [
            track(0),
            description(0, offer(), "offer"),
            word(6, &stun),
            word(8, &stun),
            later.clone(),
        ]
        .concat(),
        [
            track(1),
            description(1, offer(), "offer"),
            word(7, &rtp),
            word(7, &rtcp),
            later.clone(),
        ]
        .concat(),
        [
            description(0, offer(), "answer"),
            asks(0, Ask::Trickle(trickle)),
            asks(1, Ask::SyncState(lk::SyncState::default())),
        ]
        .concat(),
        [
            asks(0, Ask::UpdateMetadata(metadata)),
            track(0),
            asks(0, Ask::Mute(mute)),
            asks(1, Ask::Ping(1)),
        ]
        .concat(),
        [
            data(2, Value::StreamHeader(header(None))),
            data(2, Value::StreamChunk(chunk)),
            data(2, Value::StreamTrailer(trailer)),
            data(3, Value::StreamHeader(header(Some(vec![0x4b, 4, 0])))),
        ]
        .concat(),
        [
            data(4, Value::User(user)),
            word(10, &api.encode_to_vec()),
            later.clone(),
            later,
        ]
        .concat(),
        [
            word(12, &resume.encode_to_vec()),
            word(13, &resume.encode_to_vec()),
            asks(1, Ask::Leave(lk::LeaveRequest::default())),
        ]
        .concat(),
    ]
}

pub(super) fn queries() -> Vec<Vec<u8>> {
    [
        "access_token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln&protocol=16&reconnect=1&sid=PA_x&client_protocol=2&capabilities=CAP_PACKET_TRAILER&attributes=eyJhIjoiYiJ9",
        // WrappedJoinRequest with a JoinRequest inside, plain and marked as gzip.
        "join_request=EgIoAQ==&access_token=x",
        "join_request=CAESFB%2BLCAAAAAAAAAMDAAAAAAAAAAAA",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwidmlkZW8iOnsicm9vbSI6ImIifX0.c2ln",
    ]
    .map(|q| q.as_bytes().to_vec())
    .into()
}

pub(super) fn streams() -> Vec<Vec<u8>> {
    let start = Instant::now();
    let mut voice = Voice::new().expect("memory for an encoder");
    let packets: Vec<_> = (0..8u16)
        .map(|n| {
            let wave = |i: u16| (f32::from(i + 480 * n) * 0.1).sin() * 0.3;
            let sound = Pcm::new((0..480).map(wave).collect());
            voice
                .encode(&sound, start + Duration::from_millis(20 * u64::from(n)))
                .payload
        })
        .collect();
    let stream = |kind: u8, payload: &dyn Fn(usize) -> Vec<u8>| -> Vec<u8> {
        let one = |n: usize| {
            let (seq, time, payload) = (n as u16, 10 * n as u16, payload(n));
            let length = payload.len() as u16;
            [
                &[kind | 2 << 2][..],
                &seq.to_be_bytes(),
                &time.to_be_bytes(),
                &length.to_be_bytes(),
                &payload,
            ]
            .concat()
        };
        (0..packets.len()).flat_map(one).collect()
    };
    let plain = |n: usize| packets[n].to_vec();
    let red = |n: usize| {
        let old = &packets[n.saturating_sub(1)];
        let head = 1 << 31 | 111 << 24 | 960 << 10 | old.len() as u32;
        [&head.to_be_bytes()[..], &[111], old, &packets[n]].concat()
    };
    vec![stream(0, &plain), stream(1, &red)]
}
