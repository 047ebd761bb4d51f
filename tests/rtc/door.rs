//! Strangers at the door of our own room: those who come without end, talk nonsense, or come twice.

use std::time::Duration;

use caal::rtc::{Departure, RoomEvent};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as lk;
use lk::{signal_request::Message as Ask, signal_response::Message as Answer};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

use super::embedded::{ROOM, Server, soon, told};
use crate::support::{self, Dice};

struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    async fn open(server: &Server, identity: &str, more: &str) -> Result<Self, u16> {
        let token = server.keys.mint(identity, "", ROOM).unwrap();
        let url = format!("{}/rtc?access_token={token}&protocol=16{more}", server.url);
        match soon(connect_async(url)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    async fn say(&mut self, ask: Ask) {
        let request = lk::SignalRequest { message: Some(ask) };
        self.raw(request.encode_to_vec()).await;
    }

    async fn raw(&mut self, bytes: Vec<u8>) {
        let _ = self.0.send(Message::Binary(bytes.into())).await;
    }

    /// The next message; `None` when the line is closed.
    async fn hear(&mut self) -> Option<Answer> {
        let next = async {
            while let Some(Ok(frame)) = self.0.next().await {
                if let Message::Binary(bytes) = frame {
                    return lk::SignalResponse::decode(&bytes[..]).unwrap().message;
                }
            }
            None
        };
        soon(next).await
    }

    /// The goodbye that comes next but for other things.
    async fn goodbye(&mut self) -> lk::LeaveRequest {
        loop {
            match self.hear().await {
                Some(Answer::Leave(leave)) => return leave,
                Some(_) => {}
                None => panic!("closed without a word"),
            }
        }
    }

    async fn is_answered(&mut self) -> bool {
        self.say(Ask::Ping(1)).await;
        while let Some(answer) = self.hear().await {
            if matches!(answer, Answer::Pong(_)) {
                return true;
            }
        }
        false
    }
}

#[tokio::test]
async fn who_joins_without_end_is_held_back_and_others_come_in() {
    let server = Server::start(true).await;
    let mut refused = 0;
    for _ in 0..45 {
        match Line::open(&server, "eager", "").await {
            Ok(_) => {}
            Err(status) => {
                assert_eq!(status, 429);
                refused += 1;
            }
        }
    }
    assert!((10..=15).contains(&refused), "{refused}");
    let mut other = Line::open(&server, "other", "").await.unwrap();
    assert!(matches!(other.hear().await, Some(Answer::Join(_))));
}

#[tokio::test]
async fn the_same_identity_takes_its_own_place_and_the_room_stays() {
    let mut server = Server::start(true).await;
    let mut first = Line::open(&server, "ada", "").await.unwrap();
    let Some(Answer::Join(join)) = first.hear().await else {
        panic!("the first message is the join");
    };
    let mut link = server.link().await;
    let mut second = Line::open(&server, "ada", "").await.unwrap();
    let leave = first.goodbye().await;
    assert_eq!(leave.reason(), lk::DisconnectReason::DuplicateIdentity);
    let Some(Answer::Join(again)) = second.hear().await else {
        panic!("the first message is the join");
    };
    let room = |j: &lk::JoinResponse| j.room.as_ref().unwrap().sid.clone();
    assert_eq!(room(&join), room(&again));
    assert_eq!(again.other_participants.len(), 1, "only the assistant");
    told(&mut link, |e| {
        matches!(e, RoomEvent::Left(_, Departure::Replaced))
    })
    .await;
    told(&mut link, |e| matches!(e, RoomEvent::Joined(_))).await;
}

#[tokio::test]
async fn who_resumes_what_is_not_there_is_told_to_join_anew() {
    let server = Server::start(true).await;
    for sid in ["PA_nobody", ""] {
        let more = format!("&reconnect=1&sid={sid}");
        let mut line = Line::open(&server, "ada", &more).await.unwrap();
        let leave = line.goodbye().await;
        assert_eq!(leave.reason(), lk::DisconnectReason::StateMismatch);
        assert_eq!(leave.action(), lk::leave_request::Action::Reconnect);
        assert_eq!(line.hear().await, None);
    }
}

#[tokio::test]
async fn nobody_takes_up_the_session_of_another() {
    let server = Server::start(true).await;
    let mut ada = Line::open(&server, "ada", "").await.unwrap();
    let Some(Answer::Join(join)) = ada.hear().await else {
        panic!("the first message is the join");
    };
    let sid = join.participant.unwrap().sid;
    let more = format!("&reconnect=1&sid={sid}");
    let mut thief = Line::open(&server, "mallory", &more).await.unwrap();
    let leave = thief.goodbye().await;
    assert_eq!(leave.reason(), lk::DisconnectReason::StateMismatch);
    assert!(ada.is_answered().await);
}

#[tokio::test]
async fn pictures_are_not_published() {
    let server = Server::start(true).await;
    let mut ada = Line::open(&server, "ada", "").await.unwrap();
    for (kind, source) in [
        (lk::TrackType::Video, lk::TrackSource::Camera),
        (lk::TrackType::Audio, lk::TrackSource::ScreenShareAudio),
    ] {
        let request = lk::AddTrackRequest {
            cid: "x".to_owned(),
            r#type: kind as i32,
            source: source as i32,
            ..Default::default()
        };
        ada.say(Ask::AddTrack(request)).await;
        loop {
            match ada.hear().await.expect("an answer") {
                Answer::RequestResponse(r) => {
                    assert_eq!(r.reason(), lk::request_response::Reason::NotAllowed);
                    break;
                }
                Answer::TrackPublished(_) => panic!("published"),
                _ => {}
            }
        }
    }
}

/// Messages that are nearly right, mutated, from people who each come for themselves.
#[tokio::test]
async fn no_message_brings_a_room_down() {
    let mut server = Server::start(true).await;
    let mut witness = Line::open(&server, "witness", "").await.unwrap();
    let link = server.link().await;
    let offer = loop {
        if let Some(Answer::Offer(offer)) = witness.hear().await {
            break offer;
        }
    };
    let seeds = [
        Ask::Offer(offer.clone()),
        Ask::Answer(offer),
        Ask::Trickle(lk::TrickleRequest {
            candidate_init:
                "{\"candidate\":\"candidate:1 1 udp 2113937151 10.0.0.1 5000 typ host\"}".to_owned(),
            ..Default::default()
        }),
        Ask::AddTrack(lk::AddTrackRequest {
            cid: "c".to_owned(),
            source: lk::TrackSource::Microphone as i32,
            ..Default::default()
        }),
        Ask::UpdateMetadata(lk::UpdateParticipantMetadata {
            name: "n".to_owned(),
            attributes: [("a".to_owned(), "b".to_owned())].into(),
            ..Default::default()
        }),
        Ask::SyncState(lk::SyncState::default()),
        Ask::Mute(lk::MuteTrackRequest::default()),
    ];
    let seeds: Vec<Vec<u8>> = seeds
        .map(|message| {
            let message = Some(message);
            lk::SignalRequest { message }.encode_to_vec()
        })
        .into();
    let people = if support::long() { 25 } else { 8 };
    for person in 0..people {
        let mut line = Line::open(&server, &format!("p{person}"), "")
            .await
            .unwrap();
        let mut dice = Dice::new(person);
        for _ in 0..120 {
            let mut bytes = seeds[dice.below(seeds.len())].clone();
            for _ in 0..dice.below(4) {
                let at = dice.below(bytes.len());
                match dice.below(3) {
                    0 => bytes[at] = dice.below(256) as u8,
                    1 => drop(bytes.drain(at..(at + 1 + dice.below(8)).min(bytes.len()))),
                    _ => bytes.insert(at, dice.below(256) as u8),
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            line.raw(bytes).await;
        }
        // Who is still there is answered; a line may have been closed, too.
        line.is_answered().await;
    }
    assert!(witness.is_answered().await);
    assert!(!link.commands.is_closed());
}

#[tokio::test]
async fn a_line_on_which_nothing_is_said_is_given_up() {
    let mut server = Server::start(true).await;
    let mut mute = Line::open(&server, "mute", "").await.unwrap();
    let mut link = server.link().await;
    let leave = tokio::time::timeout(Duration::from_secs(40), async {
        while mute.hear().await.is_some() {}
    });
    leave.await.expect("closed");
    told(&mut link, |e| {
        matches!(e, RoomEvent::Left(_, Departure::Lost))
    })
    .await;
}
