//! Two peers and the network between them, with a clock that is moved by hand and dice with a written
//! seed that lose, double and reorder packets.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use caal::rtc::peer::{
    Channels, Datagram, Event, Output, Peer, PeerConfig, Redundancy, Transmit, Video,
};

use crate::support::Dice;

/// How bad the line is, in percent.
#[derive(Clone, Copy, Default)]
pub(super) struct Line {
    pub(super) lost: usize,
    pub(super) doubled: usize,
    /// Packets that come up to 60 ms late.
    pub(super) late: usize,
}

pub(super) struct Net {
    pub(super) now: Instant,
    pub(super) peers: [Peer; 2],
    pub(super) line: Line,
    dice: Dice,
    /// When it arrives, at whom, what.
    under_way: VecDeque<(Instant, usize, Transmit)>,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side as u8], 7882))
}

impl Net {
    /// The first offers and opens the channels.
    pub(super) fn new(seed: u64, video: Video) -> Self {
        Self::with(seed, video, Redundancy::Accept)
    }

    /// The second takes redundant sound or does not.
    pub(super) fn with(seed: u64, video: Video, redundancy: Redundancy) -> Self {
        let now = Instant::now();
        let peer = |side, channels, redundancy| {
            let config = PeerConfig {
                udp: &[address(side)],
                tcp: &[],
                video,
                redundancy,
                channels,
                max_stun_retransmits: Some(4),
            };
            Peer::new(&config, now)
        };
        Self {
            now,
            peers: [
                peer(0, Channels::Create, Redundancy::Accept),
                peer(1, Channels::Await, redundancy),
            ],
            line: Line::default(),
            dice: Dice::new(seed),
            under_way: VecDeque::new(),
        }
    }

    /// One offer of the first and its answer.
    pub(super) fn agree(&mut self) -> (String, String) {
        let offer = self.peers[0].offer().unwrap();
        let answer = self.peers[1].answer(&offer.sdp).unwrap();
        self.peers[0].apply_answer(offer.id, &answer).unwrap();
        (offer.sdp, answer)
    }

    /// Lets `time` go by in steps of 5 ms; what happened, with the side at which it did.
    pub(super) fn run(&mut self, time: Duration) -> Vec<(usize, Event)> {
        let end = self.now + time;
        let mut seen = Vec::new();
        while self.now < end {
            self.now += Duration::from_millis(5);
            self.deliver();
            for side in 0..2 {
                loop {
                    match self.peers[side].poll(self.now) {
                        Output::Transmit(t) => self.send(1 - side, t),
                        Output::Event(e) => seen.push((side, e)),
                        Output::Deadline(_) => break,
                    }
                }
            }
        }
        seen
    }

    fn send(&mut self, to: usize, packet: Transmit) {
        assert_eq!(packet.source, address(1 - to));
        if self.dice.below(100) < self.line.lost {
            return;
        }
        let copies = 1 + usize::from(self.dice.below(100) < self.line.doubled);
        for _ in 0..copies {
            let late = match self.dice.below(100) < self.line.late {
                true => self.dice.below(60) as u64,
                false => 0,
            };
            let at = self.now + Duration::from_millis(5 + late);
            self.under_way.push_back((at, to, packet.clone()));
        }
    }

    fn deliver(&mut self) {
        let (due, later) = self
            .under_way
            .drain(..)
            .partition(|(at, ..)| *at <= self.now);
        self.under_way = later;
        let due: VecDeque<(Instant, usize, Transmit)> = due;
        for (_, to, packet) in due {
            let datagram = Datagram {
                proto: packet.proto,
                source: packet.source,
                destination: address(to),
                bytes: &packet.bytes,
            };
            self.peers[to].handle_datagram(self.now, &datagram);
        }
    }
}
