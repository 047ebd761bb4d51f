//! Pure: texts in data packets: what people type, in; what was said, out. LiveKit cuts a text into a
//! header, chunks and a trailer; a short one may come whole in its header, deflated or not.

use std::{collections::HashMap, io::Read as _};

use livekit_protocol as lk;
use lk::{
    data_packet::Value,
    data_stream::{Chunk, Header, OperationType, TextHeader, Trailer, header::ContentHeader},
};

/// Longest text that is taken from a stranger.
const LONGEST: usize = 64 * 1024;

/// Texts of one sender that are open at once; the oldest goes when another begins.
const OPEN: usize = 4;

/// Most bytes of a chunk.
const CHUNK: usize = 15_000;

/// Collects one sender's chat from packets.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    id: String,
    next: u64,
    bytes: Vec<u8>,
}

impl Reader {
    /// Takes a packet's content; a whole text on `topic` when this was its last piece. Others are left
    /// alone, and so is what is too long or out of order.
    pub(super) fn take(&mut self, value: &Value, topic: &str) -> Option<String> {
        match value {
            Value::StreamHeader(h) if h.topic == topic => self.begin(h),
            Value::StreamChunk(c) => {
                let at = self.open.iter().position(|o| o.id == c.stream_id)?;
                let open = &mut self.open[at];
                if c.chunk_index < open.next {
                    return None; // again
                }
                if c.chunk_index > open.next || open.bytes.len() + c.content.len() > LONGEST {
                    self.open.remove(at);
                    return None;
                }
                open.next += 1;
                open.bytes.extend(&c.content);
                None
            }
            Value::StreamTrailer(t) => {
                let at = self.open.iter().position(|o| o.id == t.stream_id)?;
                let open = self.open.remove(at);
                // A reason says that it broke off.
                t.reason
                    .is_empty()
                    .then(|| String::from_utf8(open.bytes).ok())?
            }
            _ => None,
        }
    }

    fn begin(&mut self, h: &Header) -> Option<String> {
        if !matches!(h.content_header, Some(ContentHeader::TextHeader(_))) {
            return None;
        }
        if let Some(content) = &h.inline_content {
            let deflated = h.compression == lk::data_stream::CompressionType::DeflateRaw as i32;
            let bytes = match deflated {
                true => inflate(content)?,
                false => content.clone(),
            };
            return (bytes.len() <= LONGEST).then(|| String::from_utf8(bytes).ok())?;
        }
        if h.compression != 0 || h.stream_id.len() > 256 {
            return None;
        }
        self.open.retain(|o| o.id != h.stream_id);
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push(Open {
            id: h.stream_id.clone(),
            next: 0,
            bytes: Vec::new(),
        });
        None
    }
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(LONGEST as u64 + 1)
        .read_to_end(&mut out)
        .ok()?;
    (out.len() <= LONGEST).then_some(out)
}

/// One text on its way out: what was said, on topic `lk.transcription`.
#[derive(Debug)]
pub(super) struct Writer {
    id: String,
    next: u64,
}

impl Writer {
    /// Begins a text with a unique `id`; `now_ms` since 1970. `segment` is the utterance, `track` the
    /// microphone in which it was heard.
    pub(super) fn begin(
        id: String,
        segment: &str,
        track: &str,
        last: bool,
        now_ms: i64,
    ) -> (Self, Value) {
        let attributes = HashMap::from([
            ("lk.segment_id".to_owned(), segment.to_owned()),
            ("lk.transcribed_track_id".to_owned(), track.to_owned()),
            ("lk.transcription_final".to_owned(), last.to_string()),
        ]);
        let header = Header {
            stream_id: id.clone(),
            timestamp: now_ms,
            topic: "lk.transcription".to_owned(),
            mime_type: "text/plain".to_owned(),
            attributes,
            content_header: Some(ContentHeader::TextHeader(TextHeader {
                operation_type: OperationType::Create as i32,
                generated: true,
                ..Default::default()
            })),
            ..Default::default()
        };
        (Self { id, next: 0 }, Value::StreamHeader(header))
    }

    /// More of it, in as many packets as needed; none for no text. Letters stay whole.
    pub(super) fn more(&mut self, text: &str) -> Vec<Value> {
        let mut rest = text;
        let mut out = Vec::new();
        while !rest.is_empty() {
            let mut end = rest.len().min(CHUNK);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            out.push(Value::StreamChunk(Chunk {
                stream_id: self.id.clone(),
                chunk_index: self.next,
                content: piece.as_bytes().to_vec(),
                ..Default::default()
            }));
            self.next += 1;
            rest = after;
        }
        out
    }

    /// Its end: no more will follow, of the utterance neither when `last`.
    pub(super) fn end(self, last: bool) -> Value {
        let last = ("lk.transcription_final".to_owned(), last.to_string());
        Value::StreamTrailer(Trailer {
            stream_id: self.id,
            attributes: HashMap::from([last]),
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn header(id: &str) -> Header {
        Header {
            stream_id: id.to_owned(),
            topic: "lk.chat".to_owned(),
            content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
            ..Default::default()
        }
    }

    #[test]
    fn a_text_comes_whole_in_pieces_inline_or_deflated() {
        let text = "wie geht’s? ".repeat(2000);
        let mut reader = Reader::default();
        let (mut writer, _) = Writer::begin("x".to_owned(), "SG_1", "TR_1", false, 0);
        let pieces = writer.more(&text);
        assert!(pieces.len() > 1);
        assert_eq!(
            reader.take(&Value::StreamHeader(header("x")), "lk.chat"),
            None
        );
        for piece in &pieces {
            assert_eq!(reader.take(piece, "lk.chat"), None);
            assert_eq!(reader.take(piece, "lk.chat"), None, "a second time");
        }
        assert_eq!(
            reader.take(&writer.end(true), "lk.chat"),
            Some(text.clone())
        );

        let mut deflater =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflater.write_all(text.as_bytes()).unwrap();
        for (content, compression) in [
            (text.clone().into_bytes(), 0),
            (deflater.finish().unwrap(), 1),
        ] {
            let whole = Header {
                inline_content: Some(content),
                compression,
                ..header("y")
            };
            assert_eq!(
                reader.take(&Value::StreamHeader(whole), "lk.chat"),
                Some(text.clone())
            );
        }
    }

    #[test]
    fn what_is_too_long_or_unfinished_is_no_text() {
        let mut reader = Reader::default();
        let bomb = vec![0; 40_000_000];
        let mut deflater =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        deflater.write_all(&bomb).unwrap();
        let whole = Header {
            inline_content: Some(deflater.finish().unwrap()),
            compression: 1,
            ..header("y")
        };
        assert_eq!(reader.take(&Value::StreamHeader(whole), "lk.chat"), None);
        for n in 0..1000 {
            reader.take(&Value::StreamHeader(header(&n.to_string())), "lk.chat");
        }
        assert_eq!(reader.open.len(), OPEN);
        let (mut writer, _) = Writer::begin("999".to_owned(), "SG_1", "TR_1", false, 0);
        for piece in writer.more(&"x".repeat(2 * LONGEST)) {
            reader.take(&piece, "lk.chat");
        }
        assert_eq!(reader.take(&writer.end(true), "lk.chat"), None);
    }
}
