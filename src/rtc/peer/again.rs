//! Pure: what two peers say to each other before they can talk (DTLS, and SCTP in it) is sent three times, a
//! moment apart. Both protocols wait one to three seconds before they miss anything, and there are a dozen
//! packets of which each must arrive: over a line that loses one in five, somebody would wait for ten seconds.
//! Who gets a packet twice throws it away (RFC 6347, 4.1.2.6). Sound and what follows is sent once.

use std::time::{Duration, Instant};

use super::{Proto, Transmit};

/// When a packet is sent again: not at once, because packets are lost in bursts.
const LATER: [Duration; 2] = [Duration::from_millis(30), Duration::from_millis(100)];

/// How long after both channels are open: the last word may be lost, too.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Packets that are sent again, in a peer's life. A handshake has about twenty.
const MOST: usize = 200;

/// What waits to be sent again.
#[derive(Debug, Default)]
pub(super) struct Again {
    waiting: Vec<(Instant, Transmit)>,
    taken: usize,
    over: Option<Instant>,
}

impl Again {
    /// `packet` goes out for the first time.
    pub(super) fn sent(&mut self, packet: &Transmit, now: Instant) {
        // RFC 7983: the first byte of DTLS; the others are STUN, which tries again soon, and sound.
        let handshake = packet
            .bytes
            .first()
            .is_some_and(|first| (20..64).contains(first));
        let over = self.taken >= MOST || self.over.is_some_and(|over| over <= now);
        if handshake && packet.proto == Proto::Udp && !over {
            self.taken += 1;
            let copies = LATER.map(|later| (now + later, packet.clone()));
            self.waiting.extend(copies);
        }
    }

    /// Both sides can talk since `now`.
    pub(super) fn settled(&mut self, now: Instant) {
        self.over.get_or_insert(now + AFTERWARDS);
    }

    /// The next packet that is due.
    pub(super) fn next(&mut self, now: Instant) -> Option<Transmit> {
        let due = self.waiting.iter().position(|(at, _)| *at <= now)?;
        Some(self.waiting.remove(due).1)
    }

    /// When one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, proto: Proto) -> Transmit {
        let here = ([127, 0, 0, 1], 1).into();
        Transmit {
            proto,
            source: here,
            destination: here,
            bytes: vec![first, 1, 2],
        }
    }

    #[test]
    fn a_handshake_is_sent_three_times_and_nothing_else_is() {
        let now = Instant::now();
        let mut again = Again::default();
        again.sent(&packet(22, Proto::Udp), now);
        for other in [
            packet(0, Proto::Udp),
            packet(128, Proto::Udp),
            packet(22, Proto::Tcp),
        ] {
            again.sent(&other, now);
        }
        assert_eq!(again.next(now), None);
        let mut times = 0;
        while let Some(due) = again.due() {
            assert_eq!(again.next(due), Some(packet(22, Proto::Udp)));
            times += 1;
        }
        assert_eq!(times, 2);
    }

    #[test]
    fn it_ends_when_both_can_talk_and_is_bounded() {
        let now = Instant::now();
        let mut again = Again::default();
        for _ in 0..2 * MOST {
            again.sent(&packet(23, Proto::Udp), now);
        }
        assert_eq!(again.waiting.len(), 2 * MOST);
        let mut again = Again::default();
        again.settled(now);
        again.sent(&packet(23, Proto::Udp), now);
        assert!(again.due().is_some(), "the last word");
        let later = now + AFTERWARDS;
        while again.next(later).is_some() {}
        again.sent(&packet(23, Proto::Udp), later);
        assert_eq!(again.due(), None);
    }
}
