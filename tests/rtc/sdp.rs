//! Descriptions rewritten, held against what browsers were seen to take.

use std::collections::BTreeMap;

use caal::rtc::sdp::{Direction, Kind, Msid, Role, relabel, sections, ufrag};

const ANSWER: &str = "v=0\r\na=group:BUNDLE 0 1 2\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=ice-ufrag:ab12\r\na=mid:0\r\na=sendonly\r\na=msid:x y\r\na=ssrc:7 cname:y\r\na=ssrc:7 msid:x y\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=mid:1\r\na=sendrecv\r\na=msid:x z\r\na=ssrc:8 msid:x z\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sendrecv\r\n";

fn tracks() -> BTreeMap<String, Msid> {
    let id = Msid {
        stream: "PA_a|TR_b".to_owned(),
        track: "TR_b".to_owned(),
    };
    BTreeMap::from([("0".to_owned(), id)])
}

#[test]
fn an_answer_names_our_track_and_claims_no_other() {
    assert_eq!(
        relabel(ANSWER, &tracks(), Role::Answer),
        "v=0\r\na=group:BUNDLE 0 1 2\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=ice-ufrag:ab12\r\na=mid:0\r\na=sendonly\r\na=msid:PA_a|TR_b TR_b\r\na=ssrc:7 cname:y\r\na=ssrc:7 msid:PA_a|TR_b TR_b\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=mid:1\r\na=recvonly\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sendrecv\r\n"
    );
    let silent = relabel(ANSWER, &BTreeMap::new(), Role::Answer);
    assert_eq!(sections(&silent)[0].direction, Direction::Inactive);
}

#[test]
fn where_only_the_other_side_has_seen_us_is_not_told() {
    let host = "a=candidate:1 1 udp 2130706175 192.0.2.1 7882 typ host\r\n";
    let seen =
        "a=candidate:2 1 udp 1862270975 127.0.0.1 40000 typ prflx raddr 192.0.2.1 rport 7882\r\n";
    let text = format!("{ANSWER}{host}{seen}");
    for role in [Role::Answer, Role::Offer] {
        let told = relabel(&text, &tracks(), role);
        assert!(told.ends_with(host), "{told}");
    }
}

#[test]
fn an_offer_keeps_what_it_does_not_name() {
    let offer = relabel(ANSWER, &tracks(), Role::Offer);
    assert!(offer.contains("a=msid:PA_a|TR_b TR_b\r\n"));
    assert!(offer.contains("a=mid:1\r\na=sendrecv\r\na=msid:x z\r\n"));
}

#[test]
fn sections_are_read_with_either_line_end() {
    for text in [ANSWER.to_owned(), ANSWER.replace("\r\n", "\n")] {
        let found = sections(&text);
        let kinds: Vec<_> = found.iter().map(|s| (s.kind, s.mid.as_str())).collect();
        let audio = Kind::Audio;
        assert_eq!(kinds, [(audio, "0"), (audio, "1"), (Kind::Data, "2")]);
        assert_eq!(found[1].msid.as_ref().unwrap().track, "z");
        assert_eq!(ufrag(&text), Some("ab12"));
    }
}
