//! Bytes of a streamed answer → its text. Pure: the caller brings the bytes in whatever pieces the
//! network made of them.
//!
//! Ollama answers a chat with NDJSON: one JSON object per line, each with the next characters, the
//! last with `"done": true` (`docs/api.md` of Ollama 0.17). `ollama-rs` 0.3.6 has a reader for it
//! that a voice assistant cannot use: a chunk of the network that ends inside a UTF-8 character is
//! dropped as a whole, a line that is no JSON is printed to stderr and skipped, so is the line with
//! which Ollama reports an error, the buffer has no bound, and an answer that breaks off looks like
//! one that ended. Hence [`ChatDecoder`].

use std::collections::VecDeque;

use serde::Deserialize;

use super::thoughts::End;

/// The longest line that is read. Ollama's are about 150 bytes, the last one with all its counts
/// about 500.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// One thing an answer's stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatEvent {
    /// The next characters of the answer, as sent, thinking text in tags included.
    Text(String),
    /// A tool is to be called; Ollama gives calls no ids.
    Call {
        /// The tool's name.
        name: String,
        /// As the model wrote them.
        arguments: serde_json::Value,
    },
    /// The answer is complete.
    Done(Usage),
}

/// What an answer cost, where the server says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt that were evaluated.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub answer_tokens: Option<u64>,
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// No line end within [`MAX_LINE_BYTES`].
    #[error("a line of more than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// A line that is not what Ollama sends: no JSON, no UTF-8, or JSON about something else.
    #[error("a line that is no answer")]
    Garbage,
    /// The server reports its own failure.
    #[error("{0}")]
    Failed(String),
    /// The stream ended before the answer did.
    #[error("the stream ended before the answer did")]
    Cut,
}

/// Reads one answer. Give it bytes with [`push`](Self::push), say with [`finish`](Self::finish) that
/// no more come, and after each of both take events with [`next`](Self::next) until there are none.
/// The events do not depend on how the bytes were cut. After an error or [`ChatEvent::Done`] there
/// are no more.
#[derive(Debug, Default)]
pub struct ChatDecoder {
    /// What was pushed and not yet taken; lines begin at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// No line end before this place.
    searched: usize,
    input: Input,
    /// It ended at the longest answer allowed.
    cut: bool,
    /// Calls of a line that are not told yet.
    calls: VecDeque<ChatEvent>,
    /// Nothing more is said.
    over: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Input {
    #[default]
    Open,
    Ended,
}

impl ChatDecoder {
    /// A decoder at the beginning of an answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// More bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The stream has ended. An answer that had not is [`StreamError::Cut`].
    pub fn finish(&mut self) {
        self.input = Input::Ended;
    }

    /// How the answer ended, as far as its reason is known.
    pub fn end(&self) -> End {
        if self.cut { End::Cut } else { End::Whole }
    }

    /// The next event of what was pushed; `None` when more bytes are needed or nothing more comes.
    #[allow(
        clippy::should_implement_trait,
        reason = "may give more later: not an iterator"
    )]
    pub fn next(&mut self) -> Option<Result<ChatEvent, StreamError>> {
        while !self.over {
            if let Some(call) = self.calls.pop_front() {
                return Some(Ok(call));
            }
            let end = self.buffer[self.searched..]
                .iter()
                .position(|&b| b == b'\n');
            let end = end.map(|offset| self.searched + offset);
            let line = self.start..end.unwrap_or(self.buffer.len());
            if line.len() > MAX_LINE_BYTES {
                return Some(Err(self.fail(StreamError::LineTooLong)));
            }
            match (end, self.input) {
                (Some(end), _) => self.start = end + 1,
                (None, Input::Open) => {
                    self.searched = self.buffer.len();
                    return None;
                }
                // The last line may lack its line end.
                (None, Input::Ended) if !line.is_empty() => self.start = line.end,
                (None, Input::Ended) => return Some(Err(self.fail(StreamError::Cut))),
            }
            self.searched = self.start;
            match self.line(line) {
                // Half a line is not garbage but the place of the cut.
                Some(Err(StreamError::Garbage)) if end.is_none() => {
                    return Some(Err(StreamError::Cut));
                }
                Some(event) => return Some(event),
                None => {}
            }
        }
        None
    }

    fn fail(&mut self, error: StreamError) -> StreamError {
        self.over = true;
        self.buffer = Vec::new();
        (self.start, self.searched) = (0, 0);
        error
    }

    fn line(&mut self, line: std::ops::Range<usize>) -> Option<Result<ChatEvent, StreamError>> {
        let line = self.buffer[line].trim_ascii();
        if line.is_empty() {
            return None;
        }
        match serde_json::from_slice::<Line>(line) {
            Ok(Line { error: Some(e), .. }) => {
                let text = e.as_str().map_or_else(|| e.to_string(), str::to_owned);
                Some(Err(self.fail(StreamError::Failed(text))))
            }
            Ok(Line {
                message: None,
                done: None | Some(false),
                ..
            })
            | Err(_) => Some(Err(self.fail(StreamError::Garbage))),
            Ok(line) => {
                // Ollama's last line is empty of text. Were it not, its text comes first.
                let message = line.message.unwrap_or_default();
                let text = message.content.unwrap_or_default();
                let calls = message.tool_calls.unwrap_or_default().into_iter();
                self.calls.extend(calls.map(|call| ChatEvent::Call {
                    name: call.function.name,
                    arguments: call.function.arguments,
                }));
                let done = line.done.unwrap_or(false);
                self.cut |= line.done_reason.as_deref() == Some("length");
                if done && text.is_empty() && self.calls.is_empty() {
                    self.over = true;
                    return Some(Ok(ChatEvent::Done(Usage {
                        prompt_tokens: line.prompt_eval_count,
                        answer_tokens: line.eval_count,
                    })));
                }
                if done {
                    self.done_after_text();
                }
                (!text.is_empty()).then_some(Ok(ChatEvent::Text(text)))
            }
        }
    }

    /// Makes the next line an empty last one.
    fn done_after_text(&mut self) {
        self.buffer.truncate(0);
        self.buffer.extend_from_slice(b"{\"done\":true}\n");
        (self.start, self.searched) = (0, 0);
    }
}

/// A line of `/api/chat`. Only what is used: a field more or less in another version of Ollama must
/// not matter. `message.thinking` is left out on purpose: nobody wants to hear it.
#[derive(Deserialize)]
struct Line {
    message: Option<LineMessage>,
    done: Option<bool>,
    done_reason: Option<String>,
    error: Option<serde_json::Value>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

#[derive(Default, Deserialize)]
struct LineMessage {
    content: Option<String>,
    tool_calls: Option<Vec<LineCall>>,
}

#[derive(Deserialize)]
struct LineCall {
    function: LineFunction,
}

#[derive(Deserialize)]
struct LineFunction {
    name: String,
    #[serde(default)]
    arguments: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Events = Vec<Result<ChatEvent, StreamError>>;

    /// All events of `pieces`, the end of the stream included.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Events {
        let mut decoder = ChatDecoder::new();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            while let Some(event) = decoder.next() {
                events.push(event);
            }
        }
        decoder.finish();
        while let Some(event) = decoder.next() {
            events.push(event);
        }
        events
    }

    fn text(text: &str) -> Result<ChatEvent, StreamError> {
        Ok(ChatEvent::Text(text.to_owned()))
    }

    fn done() -> Result<ChatEvent, StreamError> {
        Ok(ChatEvent::Done(Usage::default()))
    }

    /// A small generator with a written seed (xorshift64*, Vigna 2016).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let x = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
            usize::try_from((x >> 33) % n as u64).expect("below n")
        }
    }

    /// `whole` in random pieces, empty ones among them.
    fn cut<'a>(whole: &'a [u8], dice: &mut Dice) -> Vec<&'a [u8]> {
        let (mut pieces, mut rest) = (Vec::new(), whole);
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(dice.below(rest.len().min(40) + 1));
            pieces.push(piece);
            rest = tail;
        }
        pieces
    }

    const ANSWER: &str = concat!(
        r#"{"model":"m","created_at":"t","message":{"role":"assistant","content":"Grüß "},"done":false}"#,
        "\n",
        r#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
        "\r\n\n",
        r#"{"message":{"content":"dich 👋\u00e9\n"},"done":false}"#,
        "\n",
        r#"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":3}"#,
        "\n",
    );

    #[test]
    fn an_answer_is_its_pieces_of_text_and_an_end() {
        let usage = Usage {
            prompt_tokens: Some(7),
            answer_tokens: Some(3),
        };
        let expected = [
            text("Grüß "),
            text("dich 👋é\n"),
            Ok(ChatEvent::Done(usage)),
        ];
        assert_eq!(decode([ANSWER.as_bytes()]), expected);
    }

    #[test]
    fn the_cutting_of_the_bytes_does_not_matter() {
        let error = "{\"error\":\"model runner has stopped\"}\n";
        let inputs: Vec<Vec<u8>> = vec![
            ANSWER.into(),
            ANSWER.as_bytes()[..ANSWER.len() - 40].into(),
            ANSWER.trim_end().into(),
            format!("{ANSWER}{ANSWER}").into(),
            [&ANSWER.as_bytes()[..100], error.as_bytes()].concat(),
            [ANSWER.lines().next().expect("a line"), "\n", error]
                .concat()
                .into(),
            [
                ANSWER.as_bytes()[..95].to_vec(),
                vec![b'\n', 0xff, 0xfe, b'\n'],
            ]
            .concat(),
            b"{\"message\":{\"content\":\"\xc3\"},\"done\":false}\n".to_vec(),
            b"<html>\n<body>no</body>\n".to_vec(),
            Vec::new(),
        ];
        let mut dice = Dice(20_261_122);
        for whole in &inputs {
            let expected = decode([whole.as_slice()]);
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            assert_eq!(decode(bytes), expected, "byte by byte");
            for _ in 0..200 {
                let pieces = cut(whole, &mut dice);
                assert_eq!(decode(pieces.clone()), expected, "{pieces:?}");
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let garbage = vec![Err(StreamError::Garbage)];
        for line in [
            &b"<html>\n"[..],
            b"5\n",
            b"[]\n",
            b"{}\n",
            b"{\"models\":[]}\n",
            b"{\"done\":false}\n",
            b"{\"message\":\"text\"}\n",
            b"\xff\n",
            b"{\"message\":{\"content\":\"\xc3\"}}\n",
        ] {
            assert_eq!(decode([line]), garbage, "{}", line.escape_ascii());
        }
        assert_eq!(
            decode([&b"{\"error\":\"out of memory\"}\n"[..]]),
            [Err(StreamError::Failed("out of memory".to_owned()))]
        );
        assert_eq!(
            decode([&b"{\"error\":{\"code\":7}}\n"[..]]),
            [Err(StreamError::Failed("{\"code\":7}".to_owned()))]
        );
    }

    #[test]
    fn an_answer_without_its_end_is_cut_and_one_without_the_last_line_end_is_not() {
        assert_eq!(decode([]), [Err(StreamError::Cut)]);
        let first = ANSWER.lines().next().expect("a line");
        let line = format!("{first}\n");
        assert_eq!(
            decode([line.as_bytes()]),
            [text("Grüß "), Err(StreamError::Cut)]
        );
        assert_eq!(
            decode([first.as_bytes()]),
            [text("Grüß "), Err(StreamError::Cut)]
        );
        let half = &first.as_bytes()[..first.len() - 5];
        assert_eq!(decode([half]), [Err(StreamError::Cut)]);
        let last = br#"{"message":{"content":""},"done":true}"#;
        assert_eq!(decode([&last[..]]), [done()]);
    }

    #[test]
    fn calls_are_told_one_by_one_behind_the_text_of_their_line() {
        let call = |name: &str| {
            Ok(ChatEvent::Call {
                name: name.to_owned(),
                arguments: serde_json::json!({"on": true}),
            })
        };
        let one = r#"{"function":{"name":"a","arguments":{"on":true}}}"#;
        let other = r#"{"id":"x","function":{"index":1,"name":"b","arguments":{"on":true}}}"#;
        for done in [true, false] {
            let line = format!(
                r#"{{"message":{{"content":"So.","tool_calls":[{one},{other}]}},"done":{done}}}"#
            );
            let lines = format!("{line}\n{{\"message\":{{}},\"done\":true}}\n");
            let bytes: Vec<&[u8]> = lines.as_bytes().chunks(7).collect();
            assert_eq!(
                decode(bytes),
                [text("So."), call("a"), call("b"), self::done()]
            );
        }
        let null = br#"{"message":{"content":null,"tool_calls":null},"done":true}"#;
        assert_eq!(decode([&null[..]]), [self::done()]);
    }

    #[test]
    fn text_in_the_last_line_is_not_lost() {
        let line = b"{\"message\":{\"content\":\"Yes.\"},\"done\":true}\nmore";
        assert_eq!(decode([&line[..]]), [text("Yes."), done()]);
        let line = &line[..line.len() - 5];
        assert_eq!(decode([line]), [text("Yes."), done()]);
    }

    #[test]
    fn a_line_without_end_is_given_up_before_it_fills_the_memory() {
        let piece = [b'x'; 64 * 1024];
        let mut decoder = ChatDecoder::new();
        let mut pushed = 0;
        let error = loop {
            decoder.push(&piece);
            pushed += piece.len();
            if let Some(event) = decoder.next() {
                break event;
            }
            assert!(pushed <= MAX_LINE_BYTES + piece.len());
        };
        assert_eq!(error, Err(StreamError::LineTooLong));
        decoder.push(&piece);
        assert_eq!(decoder.next(), None);
        assert!(decoder.buffer.is_empty());
        // The same line in one piece, with its end.
        let mut line = vec![b'x'; MAX_LINE_BYTES + 1];
        line.push(b'\n');
        assert_eq!(decode([line.as_slice()]), [Err(StreamError::LineTooLong)]);
    }
}
