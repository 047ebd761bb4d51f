//! Packets that have come and are not yet due, in the order of their sequence numbers; which came twice
//! and which too late.

use std::collections::BTreeMap;

/// Most packets held: 5 s of 20 ms, 640 ms of 2.5 ms. A bound on memory, not on delay, which is bounded
/// in time.
const CAPACITY: usize = 256;

/// Sequence numbers after which a late packet is no longer told from one that came twice.
const MEMORY: u64 = u128::BITS as u64;

/// One packet.
#[derive(Debug)]
pub(super) struct Packet {
    /// Where it begins, in ticks since the stream began.
    pub(super) time: i64,
    /// How much sound it holds, in ticks; 0: none.
    pub(super) duration: i64,
    /// Opus.
    pub(super) payload: Box<[u8]>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is held.
    Held,
    /// It is held or was played already.
    Twice,
    /// One after it was played.
    Late,
}

/// Packets by sequence number.
#[derive(Debug, Default)]
pub(super) struct Queue {
    held: BTreeMap<u64, Packet>,
    /// The sequence number after the last one played; none before the first.
    next: Option<u64>,
    /// Bit `i`: `next - 1 - i` has come.
    came: u128,
}

impl Queue {
    /// Takes a packet. When full, the oldest is dropped.
    pub(super) fn push(&mut self, seq: u64, packet: Packet) -> Arrival {
        if let Some(back) = self
            .next
            .and_then(|next| next.checked_sub(seq.saturating_add(1)))
        {
            // A number that is too long ago to be remembered counts as late: nothing is played twice.
            let bit = if back < MEMORY { 1 << back } else { 0 };
            if self.came & bit != 0 {
                return Arrival::Twice;
            }
            self.came |= bit;
            return Arrival::Late;
        }
        // Of sound and padding under one number, the sound: a later packet's redundancy brought it.
        let free = match self.held.get(&seq) {
            Some(held) => held.duration == 0 && packet.duration > 0,
            None => true,
        };
        if !free {
            return Arrival::Twice;
        }
        self.held.insert(seq, packet);
        if self.held.len() > CAPACITY {
            self.held.pop_first();
        }
        Arrival::Held
    }

    /// Whether the sound that begins at `time` is held.
    pub(super) fn holds(&self, time: i64) -> bool {
        let mut held = self.held.values();
        held.any(|p| p.time == time && p.duration > 0)
    }

    /// The oldest packet held.
    pub(super) fn first(&self) -> Option<(u64, &Packet)> {
        self.held.first_key_value().map(|(&seq, p)| (seq, p))
    }

    /// How many packets between the last one played and `seq` have not come. The sender's first has no
    /// predecessor.
    pub(super) fn missing_before(&self, seq: u64) -> u64 {
        self.next.map_or(0, |next| seq.saturating_sub(next))
    }

    /// Gives up the packets before `seq`, the oldest held, and says how many they were.
    pub(super) fn give_up_before(&mut self, seq: u64) -> u64 {
        let missing = self.missing_before(seq);
        self.came = self
            .came
            .checked_shl(u32::try_from(missing).unwrap_or(u32::MAX))
            .unwrap_or(0);
        self.next = Some(seq);
        missing
    }

    /// Takes the oldest out; what has not come before it is given up first.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let (seq, packet) = self.held.pop_first()?;
        self.give_up_before(seq);
        self.came = self.came << 1 | 1;
        self.next = Some(seq.saturating_add(1));
        Some(packet)
    }

    /// The sequence number expected next.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut Queue, seq: u64) -> Arrival {
        let packet = Packet {
            time: seq as i64 * 960,
            duration: 960,
            payload: Box::default(),
        };
        queue.push(seq, packet)
    }

    #[test]
    fn packets_leave_in_order_and_only_once() {
        let mut queue = Queue::default();
        for seq in [12, 10, 11, 13] {
            assert_eq!(push(&mut queue, seq), Arrival::Held);
        }
        assert_eq!(push(&mut queue, 11), Arrival::Twice, "held");
        for seq in 10..14 {
            assert_eq!(queue.missing_before(seq), 0);
            assert_eq!(queue.pop().unwrap().time, seq as i64 * 960);
        }
        assert_eq!(push(&mut queue, 11), Arrival::Twice, "played");
        assert!(queue.pop().is_none());
    }

    #[test]
    fn a_packet_that_was_given_up_is_late_the_first_time_and_twice_then() {
        let mut queue = Queue::default();
        [1, 4].iter().for_each(|&seq| _ = push(&mut queue, seq));
        queue.pop();
        assert_eq!(queue.missing_before(4), 2);
        assert_eq!(queue.give_up_before(4), 2);
        assert_eq!(push(&mut queue, 3), Arrival::Late);
        assert_eq!(push(&mut queue, 3), Arrival::Twice);
        queue.pop();
        assert_eq!(push(&mut queue, 2), Arrival::Late);
        assert_eq!(push(&mut queue, 4), Arrival::Twice);
    }

    #[test]
    fn a_gap_wider_than_the_memory_forgets_and_plays_nothing_twice() {
        let mut queue = Queue::default();
        [1, 1_000].iter().for_each(|&seq| _ = push(&mut queue, seq));
        queue.pop();
        queue.pop();
        assert_eq!(push(&mut queue, 1), Arrival::Late);
        assert_eq!(push(&mut queue, 1_000), Arrival::Twice);
    }

    #[test]
    fn however_many_come_a_bounded_number_is_held() {
        let mut queue = Queue::default();
        (0..10_000).for_each(|seq| _ = push(&mut queue, seq));
        assert_eq!(queue.held.len(), CAPACITY);
        assert_eq!(queue.first().unwrap().0, 10_000 - CAPACITY as u64);
    }
}
