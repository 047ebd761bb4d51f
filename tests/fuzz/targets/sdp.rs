//! Any text as a description: refused, or answered by one whose sections can be read; never a panic.
#![cfg_attr(fuzzing, no_main)]

use std::{collections::BTreeMap, time::Instant};

use caal::rtc::{
    peer::{Channels, Mid, Peer, PeerConfig, Redundancy, Video, addressee},
    sdp::{self, Msid, Role},
};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

/// One description, offered twice and then taken for an answer; its lines as candidates.
pub(crate) fn run(bytes: &[u8]) {
    addressee(bytes);
    let text = String::from_utf8_lossy(bytes);
    let voice = Msid {
        stream: "PA_a|TR_b".to_owned(),
        track: "TR_b".to_owned(),
    };
    let tracks = BTreeMap::from([("1".to_owned(), voice.clone())]);
    let again = sdp::relabel(&text, &tracks, Role::Answer);
    assert_eq!(
        sdp::sections(&again).len(),
        sdp::sections(&text).len(),
        "names change no sections"
    );
    let config = PeerConfig {
        udp: &[([192, 0, 2, 1], 7882).into()],
        tcp: &[([192, 0, 2, 1], 7881).into()],
        video: Video::Accept,
        redundancy: Redundancy::Accept,
        channels: Channels::Await,
        max_stun_retransmits: None,
    };
    let mut peer = Peer::new(&config, Instant::now());
    peer.speak_in(Mid::new("1"), voice.clone());
    for _ in 0..2 {
        if let Ok(answer) = peer.answer(&text) {
            sdp::sections(&answer);
        }
    }
    text.lines()
        .for_each(|line| peer.add_remote_candidate(line));
    let channels = Channels::Create;
    let mut asker = Peer::new(&PeerConfig { channels, ..config }, Instant::now());
    asker.speak(voice);
    if let Some(offer) = asker.offer() {
        let _ = asker.apply_answer(offer.id, &text);
    }
}
