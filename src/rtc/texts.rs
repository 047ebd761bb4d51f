//! Pure: texts in data packets, for our own rooms and a real server's: what people type, in; what was said,
//! out. LiveKit cuts a text into a header, chunks and a trailer; a short one may come whole in its header,
//! deflated or not. We write header, chunks and trailer, which every client reads.

use std::{collections::HashMap, fmt, io::Read as _};

use livekit_protocol as lk;
use lk::{
    data_packet::Value,
    data_stream::{Chunk, Header, OperationType, TextHeader, Trailer, header::ContentHeader},
};

use crate::pii::Pii;

/// The topic of what people type.
pub(super) const CHAT: &str = "lk.chat";

/// The topic of what is said.
const TRANSCRIPTION: &str = "lk.transcription";
const FINAL: &str = "lk.transcription_final";

/// Longest text that is taken from a stranger.
const LONGEST: usize = 64 * 1024;

/// Texts of one sender that are open at once; the oldest goes when another begins.
const OPEN: usize = 4;

/// Utterances of ours at once: there is one voice, and the ones that it cut short.
const MAX_SPOKEN: usize = 16;

/// Most bytes of a chunk.
const CHUNK: usize = 15_000;

/// Collects one sender's chat from packets.
#[derive(Default)]
pub(super) struct Reader {
    open: Vec<Open>,
}

struct Open {
    id: String,
    next: u64,
    bytes: Vec<u8>,
}

impl fmt::Debug for Reader {
    /// No words: they are personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("open", &self.open.len())
            .finish()
    }
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

    /// Whether no text is open.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
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

/// A text that a user said, whole: its packets. `id` is the stream's, unique; `segment` the utterance;
/// `track` the microphone in which it was heard; `now_ms` since 1970.
pub(super) fn said(
    id: String,
    segment: &str,
    track: Option<&str>,
    text: &str,
    last: bool,
    now_ms: i64,
) -> Vec<Value> {
    let (mut writer, begin) = Writer::begin(id, segment, track, last, now_ms);
    let mut values = vec![begin];
    values.extend(writer.more(text));
    values.push(writer.end(last));
    values
}

/// What our voice says: one stream for each utterance, which grows while it is spoken.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    open: HashMap<String, Utterance>,
}

#[derive(Debug, Default)]
struct Utterance {
    writer: Option<Writer>,
    text: Pii<String>,
    /// Bytes of it that are in the stream.
    sent: usize,
}

impl Spoken {
    /// More of the utterance `segment`, nothing after this when `last`: the packets that say so. `id`
    /// names a stream where one begins; `None` says nothing until the next time.
    pub(super) fn more(
        &mut self,
        segment: String,
        more: &str,
        last: bool,
        track: Option<&str>,
        id: impl FnOnce() -> Option<String>,
        now_ms: i64,
    ) -> Vec<Value> {
        let mut utterance = self.open.remove(&segment).unwrap_or_default();
        utterance.text.0.push_str(more);
        let mut values = Vec::new();
        if utterance.writer.is_none()
            && let Some(id) = id()
        {
            let (writer, begin) = Writer::begin(id, &segment, track, false, now_ms);
            utterance.writer = Some(writer);
            values.push(begin);
        }
        if let Some(writer) = &mut utterance.writer {
            values.extend(writer.more(&utterance.text.0[utterance.sent..]));
            utterance.sent = utterance.text.0.len();
        }
        if last {
            values.extend(utterance.writer.map(|w| w.end(true)));
        } else if self.open.len() < MAX_SPOKEN {
            self.open.insert(segment, utterance);
        }
        values
    }

    /// Nobody knows the open streams any more: each begins anew, from its first word, when it goes on.
    pub(super) fn anew(&mut self) {
        for utterance in self.open.values_mut() {
            (utterance.writer, utterance.sent) = (None, 0);
        }
    }
}

/// One text on its way out: what was said, on topic `lk.transcription`.
#[derive(Debug)]
struct Writer {
    id: String,
    next: u64,
}

impl Writer {
    fn begin(
        id: String,
        segment: &str,
        track: Option<&str>,
        last: bool,
        now_ms: i64,
    ) -> (Self, Value) {
        let mut attributes = HashMap::from([
            ("lk.segment_id".to_owned(), segment.to_owned()),
            (FINAL.to_owned(), last.to_string()),
        ]);
        if let Some(track) = track {
            attributes.insert("lk.transcribed_track_id".to_owned(), track.to_owned());
        }
        let header = Header {
            stream_id: id.clone(),
            timestamp: now_ms,
            topic: TRANSCRIPTION.to_owned(),
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
    fn more(&mut self, text: &str) -> Vec<Value> {
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
    fn end(self, last: bool) -> Value {
        let last = (FINAL.to_owned(), last.to_string());
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
        let (mut writer, _) = Writer::begin("x".to_owned(), "SG_1", None, false, 0);
        let pieces = writer.more(&text);
        assert!(pieces.len() > 1);
        assert_eq!(reader.take(&Value::StreamHeader(header("x")), CHAT), None);
        for piece in &pieces {
            assert_eq!(reader.take(piece, CHAT), None);
            assert_eq!(reader.take(piece, CHAT), None, "a second time");
        }
        assert_eq!(reader.take(&writer.end(true), CHAT), Some(text.clone()));

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
                reader.take(&Value::StreamHeader(whole), CHAT),
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
        assert_eq!(reader.take(&Value::StreamHeader(whole), CHAT), None);
        for n in 0..1000 {
            reader.take(&Value::StreamHeader(header(&n.to_string())), CHAT);
        }
        assert_eq!(reader.open.len(), OPEN);
        let (mut writer, _) = Writer::begin("999".to_owned(), "SG_1", None, false, 0);
        for piece in writer.more(&"x".repeat(2 * LONGEST)) {
            reader.take(&piece, CHAT);
        }
        assert_eq!(reader.take(&writer.end(true), CHAT), None);
    }

    #[test]
    fn an_utterance_grows_in_one_stream_and_begins_anew_from_its_first_word() {
        let mut spoken = Spoken::default();
        let mut ids = 0;
        let mut say = |spoken: &mut Spoken, more: &str, last| {
            let id = || {
                ids += 1;
                Some(format!("S{ids}"))
            };
            let values = spoken.more("SG_1".to_owned(), more, last, Some("TR_1"), id, 0);
            values.into_iter().map(piece).collect::<Vec<_>>()
        };
        assert_eq!(say(&mut spoken, "Good ", false), ["S1 begins", "S1 Good "]);
        assert_eq!(say(&mut spoken, "morning", false), ["S1 morning"]);
        spoken.anew();
        assert_eq!(
            say(&mut spoken, ".", true),
            ["S2 begins", "S2 Good morning.", "S2 ends"]
        );
        assert!(spoken.open.is_empty());
        for n in 0..100 {
            spoken.more(n.to_string(), "x", false, None, || None, 0);
        }
        assert_eq!(spoken.open.len(), MAX_SPOKEN);
    }

    fn piece(value: Value) -> String {
        match value {
            Value::StreamHeader(h) => format!("{} begins", h.stream_id),
            Value::StreamChunk(c) => {
                format!("{} {}", c.stream_id, String::from_utf8(c.content).unwrap())
            }
            Value::StreamTrailer(t) => format!("{} ends", t.stream_id),
            other => panic!("{other:?}"),
        }
    }
}
