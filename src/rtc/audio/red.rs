//! RED (RFC 2198, `audio/red`): an RTP payload that carries, before its own block, blocks of packets
//! sent before it. Taken apart, or passed on as it came. Our own voice is not wrapped: in-band FEC does it
//! cheaper.

/// Most blocks taken from one payload. Browsers send two; libwebrtc takes at most 32 apart.
const MAX_BLOCKS: usize = 32;

/// Longest header and offset there is: 14 bits.
const OFFSET_BITS: u32 = 14;

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Payload type of the bytes.
    pub payload_type: u8,
    /// How long before the packet's own RTP time the block begins, in ticks; 0 for the last.
    pub offset: u16,
    /// The payload.
    pub payload: &'a [u8],
}

/// Takes a RED payload apart: the oldest block first, the packet's own last. `None` when the bytes are
/// no RED payload, or end too early.
pub fn unpack(payload: &[u8]) -> Option<Vec<Block<'_>>> {
    let mut heads = Vec::with_capacity(2);
    let mut at = 0;
    // Redundant blocks: F=1, 7 bits type, 14 bits offset, 10 bits length. The last: F=0 and the type.
    let own = loop {
        let first = *payload.get(at)?;
        if first & 0x80 == 0 {
            at += 1;
            break first;
        }
        let head: [u8; 4] = payload.get(at..at + 4)?.try_into().ok()?;
        if heads.len() + 1 == MAX_BLOCKS {
            return None;
        }
        heads.push(u32::from_be_bytes(head));
        at += 4;
    };
    let mut rest = &payload[at..];
    let mut blocks = Vec::with_capacity(heads.len() + 1);
    for head in heads {
        let (block, after) = rest.split_at_checked((head & 0x3ff) as usize)?;
        rest = after;
        blocks.push(Block {
            payload_type: (head >> 24) as u8 & 0x7f,
            offset: (head >> 10) as u16 & ((1 << OFFSET_BITS) - 1),
            payload: block,
        });
    }
    blocks.push(Block {
        payload_type: own,
        offset: 0,
        payload: rest,
    });
    Some(blocks)
}

/// The same payload with all its blocks of type `payload_type`: what is Opus has another number at each
/// listener. `None` when it is no RED payload.
pub fn retype(payload: &[u8], payload_type: u8) -> Option<Vec<u8>> {
    let older = unpack(payload)?.len() - 1;
    let mut bytes = payload.to_vec();
    for head in (0..=older).map(|block| 4 * block) {
        bytes[head] = bytes[head] & 0x80 | payload_type & 0x7f;
    }
    Some(bytes)
}

/// The packet's own block.
pub fn own(payload: &[u8]) -> Option<&[u8]> {
    Some(unpack(payload)?.last()?.payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload of blocks `(type, offset, bytes)` and the packet's own `(type, bytes)`.
    fn pack(older: &[(u8, u16, &[u8])], own: (u8, &[u8])) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, offset, block) in older {
            let head =
                1 << 31 | u32::from(*kind) << 24 | u32::from(*offset) << 10 | block.len() as u32;
            bytes.extend(head.to_be_bytes());
        }
        bytes.push(own.0);
        older.iter().for_each(|(_, _, block)| bytes.extend(*block));
        bytes.extend(own.1);
        bytes
    }

    #[test]
    fn blocks_come_oldest_first_with_their_offsets() {
        let packed = pack(
            &[(111, 1_920, b"older"), (111, 960, b"old")],
            (111, b"packet"),
        );
        let blocks = unpack(&packed).unwrap();
        let seen: Vec<_> = blocks.iter().map(|b| (b.offset, b.payload)).collect();
        assert_eq!(
            seen,
            [(1_920, &b"older"[..]), (960, b"old"), (0, b"packet")]
        );
        assert!(blocks.iter().all(|b| b.payload_type == 111));
    }

    #[test]
    fn blocks_get_another_listeners_number_and_are_else_as_they_were() {
        let packed = pack(&[(111, 1_920, b"older"), (111, 960, b"old")], (111, b"new"));
        let again = retype(&packed, 109).unwrap();
        assert_eq!(again.len(), packed.len());
        for (before, after) in unpack(&packed).unwrap().iter().zip(unpack(&again).unwrap()) {
            assert_eq!(after.payload_type, 109);
            assert_eq!(
                (after.offset, after.payload),
                (before.offset, before.payload)
            );
        }
        assert_eq!(own(&again), Some(&b"new"[..]));
        assert_eq!((retype(&[0x80], 109), own(&[])), (None, None));
    }

    #[test]
    fn a_payload_without_redundancy_is_its_own_block() {
        let packed = pack(&[], (109, b"x"));
        let blocks = unpack(&packed).unwrap();
        assert_eq!(blocks.len(), 1);
        assert_eq!(
            (blocks[0].payload_type, blocks[0].payload),
            (109, &b"x"[..])
        );
    }

    #[test]
    fn the_largest_numbers_of_a_header_are_read_whole() {
        let block = [7; 1_023];
        let packed = pack(&[(127, 16_383, &block)], (0, b""));
        let blocks = unpack(&packed).unwrap();
        assert_eq!((blocks[0].payload_type, blocks[0].offset), (127, 16_383));
        assert_eq!(blocks[0].payload.len(), 1_023);
        assert!(blocks[1].payload.is_empty());
    }

    #[test]
    fn what_ends_too_early_is_nothing() {
        let packed = pack(&[(111, 960, b"old")], (111, b"new"));
        for len in 0..packed.len() - b"new".len() {
            assert_eq!(unpack(&packed[..len]), None, "{len} bytes");
        }
        assert_eq!(unpack(&[0xff; 1_000]), None, "headers without end");
    }
}
