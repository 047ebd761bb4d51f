//! Pure: when the line to a server counts as up, broken and mended. Signalling (a WebSocket) and the two
//! peer connections fail one by one; a resume brings all of them back for the same participant, and
//! where it does not, only joining anew helps.

use std::time::{Duration, Instant};

/// How long a resume, or a join, may take until both connections are up. A server gives up a silent
/// participant after about 20 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two tries to reach the server for a resume.
const RETRY: Duration = Duration::from_millis(700);

/// One of the two peer connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Ours to offer: our voice and our data.
    Publisher,
    /// The server's to offer: all that comes.
    Subscriber,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Open signalling anew for the same participant.
    Resume(Broken),
    /// All works again (or for the first time).
    Up,
    /// Give this participant up and join anew.
    Rejoin,
}

/// What broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Signalling.
    Signal,
    /// A peer connection.
    Peer(Side),
}

/// How a resume failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server could not be reached.
    Unreachable,
    /// It knows us no more, or does not want us.
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Up,
    /// Signalling is being opened.
    Asking,
    /// The server could not be reached; again then.
    Resting {
        again: Instant,
    },
    /// Signalling is there, the peer connections are not yet.
    Waiting {
        publisher: bool,
        subscriber: bool,
    },
}

/// The line's state.
#[derive(Debug)]
pub(super) struct Mend {
    line: Line,
    broken: Broken,
    since: Instant,
}

impl Mend {
    /// Signalling is open for the first time, the connections are being made.
    pub(super) fn joining(now: Instant) -> Self {
        Self {
            line: Line::Waiting {
                publisher: false,
                subscriber: false,
            },
            broken: Broken::Signal,
            since: now,
        }
    }

    /// Something broke, or the server asked for a resume.
    pub(super) fn broke(&mut self, what: Broken, now: Instant) -> Option<Act> {
        match self.line {
            Line::Asking | Line::Resting { .. } => None,
            // A connection that breaks while it is mended: the wait bounds it.
            Line::Waiting { .. } if what != Broken::Signal => None,
            Line::Up | Line::Waiting { .. } => {
                (self.line, self.broken, self.since) = (Line::Asking, what, now);
                Some(Act::Resume(what))
            }
        }
    }

    /// Signalling is open again.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.since = now;
        self.line = Line::Waiting {
            publisher: false,
            subscriber: false,
        };
    }

    /// It could not be opened.
    pub(super) fn failed(&mut self, why: Refusal, now: Instant) -> Option<Act> {
        if why == Refusal::Refused || now >= self.since + PATIENCE {
            return Some(Act::Rejoin);
        }
        self.line = Line::Resting { again: now + RETRY };
        None
    }

    /// A peer connection is up.
    pub(super) fn peer_up(&mut self, side: Side) -> Option<Act> {
        let Line::Waiting {
            publisher,
            subscriber,
        } = &mut self.line
        else {
            return None;
        };
        match side {
            Side::Publisher => *publisher = true,
            Side::Subscriber => *subscriber = true,
        }
        if !(*publisher && *subscriber) {
            return None;
        }
        self.line = Line::Up;
        Some(Act::Up)
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.line {
            Line::Up | Line::Asking => None,
            Line::Resting { again } => Some(again),
            Line::Waiting { .. } => Some(self.since + PATIENCE),
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Act> {
        match self.line {
            Line::Resting { again } if now >= again => {
                self.line = Line::Asking;
                Some(Act::Resume(self.broken))
            }
            Line::Waiting { .. } if now >= self.since + PATIENCE => Some(Act::Rejoin),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(now: Instant) -> Mend {
        let mut mend = Mend::joining(now);
        assert_eq!(mend.peer_up(Side::Subscriber), None);
        assert_eq!(mend.peer_up(Side::Publisher), Some(Act::Up));
        mend
    }

    #[test]
    fn a_lost_signal_is_resumed_once_both_connections_are_back() {
        let now = Instant::now();
        let mut mend = up(now);
        let lost = mend.broke(Broken::Signal, now);
        assert_eq!(lost, Some(Act::Resume(Broken::Signal)));
        assert_eq!(mend.broke(Broken::Signal, now), None, "it is on its way");
        assert_eq!(mend.peer_up(Side::Publisher), None, "too early to count");
        mend.resumed(now);
        assert_eq!(mend.peer_up(Side::Publisher), None);
        assert_eq!(mend.peer_up(Side::Subscriber), Some(Act::Up));
    }

    #[test]
    fn an_unreachable_server_is_tried_for_fifteen_seconds() {
        let start = Instant::now();
        let mut mend = up(start);
        mend.broke(Broken::Signal, start);
        let mut now = start;
        let mut tries = 0;
        while mend.failed(Refusal::Unreachable, now).is_none() {
            now = mend.deadline().unwrap();
            assert_eq!(mend.tick(now), Some(Act::Resume(Broken::Signal)));
            tries += 1;
        }
        assert_eq!(tries, 22);
        assert!(now >= start + PATIENCE);
    }

    #[test]
    fn a_server_that_knows_us_no_more_is_joined_anew_at_once() {
        let now = Instant::now();
        let mut mend = up(now);
        mend.broke(Broken::Signal, now);
        assert_eq!(mend.failed(Refusal::Refused, now), Some(Act::Rejoin));
    }

    #[test]
    fn connections_that_do_not_come_back_are_given_up() {
        let now = Instant::now();
        let mut mend = up(now);
        let side = Broken::Peer(Side::Subscriber);
        assert_eq!(mend.broke(side, now), Some(Act::Resume(side)));
        mend.resumed(now);
        mend.peer_up(Side::Publisher);
        assert_eq!(mend.tick(now + PATIENCE / 2), None);
        assert_eq!(mend.deadline(), Some(now + PATIENCE));
        assert_eq!(mend.tick(now + PATIENCE), Some(Act::Rejoin));
    }

    #[test]
    fn a_server_that_asks_again_while_the_network_is_down_is_obeyed_again() {
        let now = Instant::now();
        let mut mend = up(now);
        mend.broke(Broken::Peer(Side::Subscriber), now);
        mend.resumed(now);
        let later = now + Duration::from_secs(5);
        let asked = mend.broke(Broken::Signal, later);
        assert_eq!(asked, Some(Act::Resume(Broken::Signal)));
        mend.resumed(later);
        assert_eq!(mend.tick(now + PATIENCE), None, "its time counts anew");
    }
}
