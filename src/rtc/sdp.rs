//! Pure: session descriptions as text, read and rewritten section by section. What LiveKit's clients
//! expect in them differs in two points from what a peer connection writes by itself: who speaks where
//! (`a=msid`), and that a section in which nobody speaks says so.

use std::{collections::BTreeMap, fmt::Write as _};

/// What a section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures: accepted where a client insists on offering them, never sent.
    Video,
    /// The data channels.
    Data,
}

/// Who sends, seen from the side that wrote the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Both ways.
    SendRecv,
    /// Nothing flows.
    Inactive,
}

/// The two names of a track in a description: `a=msid:<stream> <track>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    /// LiveKit: `PA_…|TR_…`, or whatever the client chose.
    pub stream: String,
    /// LiveKit: `TR_…`, or the `cid` of the client's `add_track`.
    pub track: String,
}

/// One `m=` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, unique in the connection.
    pub mid: String,
    /// What it carries.
    pub kind: Kind,
    /// Who sends.
    pub direction: Direction,
    /// The track it carries, if it says.
    pub msid: Option<Msid>,
}

/// Which kind of description is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We ask: directions stay.
    Offer,
    /// We answer: where we have nothing to say, we do not claim to.
    Answer,
}

/// The sections of a description, in its order; those without a name are left out.
pub fn sections(sdp: &str) -> Vec<Section> {
    let read = |lines: &Vec<&str>| {
        let kind = match lines.first()? {
            m if m.starts_with("m=audio") => Kind::Audio,
            m if m.starts_with("m=video") => Kind::Video,
            m if m.starts_with("m=application") => Kind::Data,
            _ => return None,
        };
        Some(Section {
            mid: value(lines, "a=mid:")?.to_owned(),
            kind,
            direction: lines
                .iter()
                .find_map(|l| direction(l))
                .unwrap_or(Direction::SendRecv),
            msid: value(lines, "a=msid:").and_then(msid),
        })
    };
    split(sdp).iter().filter_map(read).collect()
}

/// The name by which the other side's first packets say that they are for us.
pub fn ufrag(sdp: &str) -> Option<&str> {
    lines(sdp).find_map(|l| l.strip_prefix("a=ice-ufrag:"))
}

/// `sdp` with our tracks' names in the sections of `tracks` (by mid). In an answer every other section
/// loses its track and says that we do not send: `sendrecv` becomes `recvonly`, `sendonly` becomes
/// `inactive`. Addresses at which only the other side has seen us (`prflx`) are left out: where a NAT
/// between the two showed it a port, nobody else reaches us there (RFC 8839 has no such candidates).
pub fn relabel(sdp: &str, tracks: &BTreeMap<String, Msid>, role: Role) -> String {
    let mut out = String::with_capacity(sdp.len() + 64 * tracks.len());
    for section in split(sdp) {
        let media = section.first().is_some_and(|m| m.contains(" UDP/TLS/RTP/"));
        let label = value(&section, "a=mid:").and_then(|mid| tracks.get(mid));
        for line in section {
            match (media, label) {
                _ if line.starts_with("a=candidate:") && line.contains(" typ prflx") => {}
                (true, Some(id)) => named(&mut out, line, id),
                (true, None) if role == Role::Answer => silent(&mut out, line),
                _ => push(&mut out, line),
            }
        }
    }
    out
}

fn named(out: &mut String, line: &str, Msid { stream, track }: &Msid) {
    let source = line.strip_prefix("a=ssrc:").and_then(|l| l.split_once(' '));
    match source {
        _ if line.starts_with("a=msid:") => {
            let _ = write!(out, "a=msid:{stream} {track}\r\n");
        }
        Some((ssrc, rest)) if rest.starts_with("msid:") => {
            let _ = write!(out, "a=ssrc:{ssrc} msid:{stream} {track}\r\n");
        }
        _ => push(out, line),
    }
}

fn silent(out: &mut String, line: &str) {
    match line {
        _ if line.starts_with("a=msid:") || line.starts_with("a=ssrc") => {}
        "a=sendrecv" => push(out, "a=recvonly"),
        "a=sendonly" => push(out, "a=inactive"),
        _ => push(out, line),
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

fn direction(line: &str) -> Option<Direction> {
    Some(match line {
        "a=sendonly" => Direction::SendOnly,
        "a=recvonly" => Direction::RecvOnly,
        "a=sendrecv" => Direction::SendRecv,
        "a=inactive" => Direction::Inactive,
        _ => return None,
    })
}

fn msid(value: &str) -> Option<Msid> {
    let (stream, track) = value.split_once(' ')?;
    Some(Msid {
        stream: stream.to_owned(),
        track: track.trim().to_owned(),
    })
}

fn value<'a>(lines: &[&'a str], key: &str) -> Option<&'a str> {
    lines.iter().find_map(|l| l.strip_prefix(key))
}

fn lines(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.split('\n')
        .map(|l| l.trim_end_matches('\r'))
        .filter(|l| !l.is_empty())
}

/// The description's head and then its sections, each as its lines.
fn split(sdp: &str) -> Vec<Vec<&str>> {
    let mut found = vec![Vec::new()];
    for line in lines(sdp) {
        if line.starts_with("m=") {
            found.push(Vec::new());
        }
        if let Some(last) = found.last_mut() {
            last.push(line);
        }
    }
    found
}
