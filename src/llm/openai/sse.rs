//! Bytes of a streamed chat completion → its text and its calls. Pure: the caller brings the bytes in
//! whatever pieces the network made of them.
//!
//! An answer is server-sent events: lines of `data:`, a blank line behind each event, comments between
//! as signs of life, `[DONE]` at the end. Each event is a JSON chunk with the next characters, or with a
//! piece of a call. Thoughts (`reasoning_content`, `reasoning`) are left out on purpose.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::llm::{
    ToolCall,
    stream::{MAX_LINE_BYTES, StreamError, Usage},
    thoughts::End,
};

/// Most calls of one answer.
const MOST_CALLS: usize = 64;

/// One thing an answer's stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A thought came beside the text, which thus holds none. Said once.
    Apart,
    /// The next characters of the answer, as sent, thinking text in tags included.
    Text(String),
    /// A tool is to be called. Arguments that are no JSON object are kept as the text they were.
    Call(ToolCall),
    /// The answer is complete.
    Done(Usage),
}

/// Reads one answer. Give it bytes with [`push`](Self::push), say with [`finish`](Self::finish) that no
/// more come, and after each of both take events with [`next`](Self::next) until there are none. The
/// events do not depend on how the bytes were cut. After an error or [`Event::Done`] there are no more.
#[derive(Debug, Default)]
pub struct SseDecoder {
    /// What was pushed and not yet taken; lines begin at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// No line end before this place.
    searched: usize,
    /// The data of the event that is being read.
    data: Vec<u8>,
    /// Calls in pieces, by their place in the answer.
    calls: BTreeMap<u64, Pieces>,
    /// Calls that were told.
    called: usize,
    /// Read and not yet told.
    told: VecDeque<Result<Event, StreamError>>,
    usage: Usage,
    /// The model has said why it ended.
    answered: bool,
    /// That it came to the longest answer allowed.
    cut: bool,
    /// A thought has come beside the text.
    apart: bool,
    /// No more bytes come.
    ended: bool,
    /// Nothing more is said.
    over: bool,
}

/// A call as far as it has come.
#[derive(Debug, Default)]
struct Pieces {
    id: String,
    name: String,
    arguments: String,
}

impl SseDecoder {
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
        self.ended = true;
    }

    /// Whether all of the answer is there, and only its end was not said.
    pub fn answered(&self) -> bool {
        self.answered
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
    pub fn next(&mut self) -> Option<Result<Event, StreamError>> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // Behind what was read before it.
                    self.told.push_back(Err(error));
                    self.close();
                }
            }
        }
    }

    /// Nothing more is read.
    fn close(&mut self) {
        self.over = true;
        (self.buffer, self.data) = (Vec::new(), Vec::new());
        (self.start, self.searched) = (0, 0);
    }

    /// Reads a line, or the end; whether there was something to read.
    fn step(&mut self) -> Result<bool, StreamError> {
        let end = self.buffer[self.searched..]
            .iter()
            .position(|&b| b == b'\n')
            .map(|offset| self.searched + offset);
        let line = self.start..end.unwrap_or(self.buffer.len());
        if line.len() > MAX_LINE_BYTES {
            return Err(StreamError::LineTooLong);
        }
        if end.is_none() && !self.ended {
            self.searched = self.buffer.len();
            return Ok(false);
        }
        let text = self.buffer[line.clone()].to_vec();
        self.start = end.map_or(line.end, |end| end + 1);
        self.searched = self.start;
        let read = self.line(text.strip_suffix(b"\r").unwrap_or(&text));
        if end.is_some() {
            return read.map(|()| true);
        }
        // The last event may lack its blank line, and half of one is no garbage but the place of the cut.
        match read.and_then(|()| self.event()) {
            Err(StreamError::Garbage) if !self.answered => return Err(StreamError::Cut),
            Err(error) if !self.answered => return Err(error),
            _ => {}
        }
        match self.over || self.answered {
            true => self.done(),
            false => return Err(StreamError::Cut),
        }
        Ok(true)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), StreamError> {
        if line.is_empty() {
            return self.event();
        }
        let colon = line.iter().position(|&b| b == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        match field {
            b"data" => {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                if self.data.len() + value.len() > MAX_LINE_BYTES {
                    return Err(StreamError::LineTooLong);
                }
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                Ok(())
            }
            // A comment, which keeps the connection alive.
            b"" | b"event" | b"id" | b"retry" => Ok(()),
            // Some servers report a failure as if nothing was streamed.
            _ => match serde_json::from_slice::<Value>(line) {
                Ok(said) => Err(reason(&said).map_or(StreamError::Garbage, StreamError::Failed)),
                Err(_) => Err(StreamError::Garbage),
            },
        }
    }

    /// The event whose lines were read.
    fn event(&mut self) -> Result<(), StreamError> {
        let data = std::mem::take(&mut self.data);
        let data = data.trim_ascii();
        if data.is_empty() || self.over {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.done();
            return Ok(());
        }
        let said: Value = serde_json::from_slice(data).map_err(|_| StreamError::Garbage)?;
        if let Some(reason) = reason(&said) {
            return Err(StreamError::Failed(reason));
        }
        let chunk: Chunk = serde_json::from_value(said).map_err(|_| StreamError::Garbage)?;
        if chunk.choices.is_none() && chunk.usage.is_none() {
            return Err(StreamError::Garbage);
        }
        if let Some(usage) = chunk.usage {
            self.usage = Usage {
                prompt_tokens: usage.prompt_tokens,
                answer_tokens: usage.completion_tokens,
            };
        }
        let Some(choice) = chunk.choices.and_then(|all| all.into_iter().next()) else {
            return Ok(());
        };
        let delta = choice.delta.unwrap_or_default();
        let thought = [&delta.reasoning_content, &delta.reasoning];
        let thought = thought
            .into_iter()
            .flatten()
            .any(|text| text.as_str() != Some("") && !text.is_null());
        if thought && !std::mem::replace(&mut self.apart, true) {
            self.told.push_back(Ok(Event::Apart));
        }
        if let Some(text) = delta.content.filter(|text| !text.is_empty()) {
            self.told.push_back(Ok(Event::Text(text)));
        }
        for piece in delta.tool_calls.unwrap_or_default() {
            self.piece(piece)?;
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_null()) {
            self.answered = true;
            self.cut = reason == "length";
            self.call();
        }
        Ok(())
    }

    /// Adds a piece to the call it belongs to.
    fn piece(&mut self, piece: CallPiece) -> Result<(), StreamError> {
        let last = self.calls.last_key_value();
        let id = piece.id.unwrap_or_default();
        let index = piece.index.unwrap_or_else(|| match last {
            // Without a place: a new id is a new call.
            Some((at, call)) if id.is_empty() || call.id == id => *at,
            Some((at, _)) => at.saturating_add(1),
            None => 0,
        });
        let held: usize = self.calls.values().map(|c| c.arguments.len()).sum();
        let call = self.calls.entry(index).or_default();
        if call.id.is_empty() {
            call.id = id;
        }
        let function = piece.function.unwrap_or_default();
        // Some servers say the name with every piece.
        if let Some(name) = function.name.filter(|name| *name != call.name) {
            call.name.push_str(&name);
        }
        match function.arguments {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => call.arguments.push_str(&text),
            Some(whole) => call.arguments.push_str(&whole.to_string()),
        }
        let grown = held + call.arguments.len().max(call.name.len());
        if grown > 2 * MAX_LINE_BYTES || self.calls.len() > MOST_CALLS {
            return Err(StreamError::LineTooLong);
        }
        Ok(())
    }

    /// Tells the calls that have come.
    fn call(&mut self) {
        for (_, pieces) in std::mem::take(&mut self.calls) {
            self.called += 1;
            let id = match pieces.id.is_empty() {
                true => format!("call_{}", self.called),
                false => pieces.id,
            };
            self.told.push_back(Ok(Event::Call(ToolCall {
                id,
                name: pieces.name,
                arguments: arguments(pieces.arguments),
            })));
        }
    }

    fn done(&mut self) {
        if !self.over {
            self.call();
            self.told.push_back(Ok(Event::Done(self.usage)));
            self.close();
        }
    }
}

/// Arguments as they were written: an object, or the text, which may be repaired.
fn arguments(written: String) -> Value {
    if written.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(&written) {
        Ok(object @ Value::Object(_)) => object,
        _ => Value::String(written),
    }
}

/// What a server says of its own failure, where `said` is about one.
pub fn reason(said: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match said.get("error") {
        None | Some(Value::Null) => {
            let failed = said.get("object").and_then(Value::as_str) == Some("error");
            failed.then(|| text(&said["message"]).unwrap_or_else(|| "an error".to_owned()))
        }
        Some(Value::String(reason)) => Some(reason.clone()),
        Some(error) => Some(text(&error["message"]).unwrap_or_else(|| error.to_string())),
    }
}

/// A chunk. Only what is used: a field more or less at another server must not matter.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<ChunkDelta>,
    finish_reason: Option<Value>,
}

#[derive(Default, Deserialize)]
struct ChunkDelta {
    content: Option<String>,
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
struct CallPiece {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Default, Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Events = Vec<Result<Event, StreamError>>;

    /// All events of `pieces`, the end of the stream included; pieces of text as one.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Events {
        let mut decoder = SseDecoder::new();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            events.extend(std::iter::from_fn(|| decoder.next()));
        }
        decoder.finish();
        events.extend(std::iter::from_fn(|| decoder.next()));
        events
    }

    fn all(text: &str) -> Events {
        decode([text.as_bytes()])
    }

    fn text(text: &str) -> Result<Event, StreamError> {
        Ok(Event::Text(text.to_owned()))
    }

    fn call(id: &str, name: &str, arguments: Value) -> Result<Event, StreamError> {
        Ok(Event::Call(ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments,
        }))
    }

    fn done(usage: Option<(u64, u64)>) -> Result<Event, StreamError> {
        Ok(Event::Done(Usage {
            prompt_tokens: usage.map(|u| u.0),
            answer_tokens: usage.map(|u| u.1),
        }))
    }

    const ANSWER: &str = concat!(
        ": keep-alive\r\n\r\n",
        "event: message\nid: 7\nretry: 3\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data:{\"choices\":[{\"delta\":{\"reasoning_content\":\"loud\",\"reasoning\":\"x\"}}]}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":\n",
        "data: {\"content\":\"Grü\"},\"finish_reason\":null}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"ße 👋\"}}]}\n\n: ping\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"type\":\"function\",",
        "\"function\":{\"name\":\"clock\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":",
        "{\"name\":\"la\",\"arguments\":\"{\\\"on\\\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":",
        "{\"name\":\"mp\",\"arguments\":\":true}\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    );

    fn answered() -> Events {
        vec![
            Ok(Event::Apart),
            text("Grü"),
            text("ße 👋"),
            call("a", "lamp", json!({"on": true})),
            call("b", "clock", json!({})),
            done(Some((26, 3))),
        ]
    }

    #[test]
    fn an_answer_is_the_same_wherever_it_is_cut() {
        let bytes = ANSWER.as_bytes();
        assert_eq!(decode([bytes]), answered());
        for size in 1..=9 {
            assert_eq!(decode(bytes.chunks(size)), answered(), "by {size}");
        }
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(decode([first, second]), answered(), "at {at}");
        }
    }

    #[test]
    fn what_ends_too_soon_is_cut_and_what_lacks_only_its_last_word_is_not() {
        let bytes = ANSWER.as_bytes();
        let last = r#""finish_reason":"tool_calls"}]}"#;
        let finished = ANSWER.find(last).expect("it is there") + last.len();
        for at in 0..bytes.len() {
            let events = decode([&bytes[..at]]);
            let complete = matches!(events.last(), Some(Ok(Event::Done(_))));
            let cut = matches!(events.last(), Some(Err(StreamError::Cut)));
            assert!(complete != cut, "at {at}: {events:?}");
            assert_eq!(complete, at >= finished, "at {at}: {events:?}");
        }
    }

    #[test]
    fn a_failure_in_mid_stream_is_told_in_the_servers_words() {
        let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"So\"}}]}\n\n";
        for failure in [
            "data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n",
            "event: error\ndata: {\"error\":\"out of memory\"}\n\n",
            "data: {\"object\":\"error\",\"message\":\"out of memory\"}\n\n",
            "{\"error\":{\"message\":\"out of memory\"}}\n",
            "{\"error\":{\"message\":\"out of memory\"}}",
        ] {
            let failed = Err(StreamError::Failed("out of memory".to_owned()));
            assert_eq!(all(&format!("{begun}{failure}")), [text("So"), failed]);
        }
    }

    #[test]
    fn what_is_no_such_stream_is_garbage() {
        for garbage in [
            "<html>\n",
            "data: <html>\n\n",
            "data: {\"done\":true}\n\n",
            "{\"message\":{\"content\":\"Hi\"},\"done\":false}\n",
            "data: {\"choices\":3}\n\n",
            "data: \u{0}\n\n",
        ] {
            assert_eq!(all(garbage), [Err(StreamError::Garbage)], "{garbage:?}");
        }
        let not_utf8 =
            decode([&b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n"[..]]);
        assert_eq!(not_utf8, [Err(StreamError::Garbage)]);
    }

    #[test]
    fn nothing_grows_without_a_bound() {
        let long = vec![b'x'; MAX_LINE_BYTES + 10];
        assert_eq!(decode([&long[..]]), [Err(StreamError::LineTooLong)]);
        let half = format!("data: {}\n", "x".repeat(MAX_LINE_BYTES / 2 + 1));
        assert_eq!(all(&half.repeat(2)), [Err(StreamError::LineTooLong)]);
        let arguments = "x".repeat(MAX_LINE_BYTES / 2);
        let piece = json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "function": {"arguments": arguments}}]}}]});
        let endless = format!("data: {piece}\n\n").repeat(6);
        assert_eq!(all(&endless), [Err(StreamError::LineTooLong)]);
    }

    #[test]
    fn arguments_that_are_no_object_are_kept_as_they_were_written() {
        assert_eq!(arguments(" ".to_owned()), json!({}));
        assert_eq!(arguments("{\"a\":1}".to_owned()), json!({"a": 1}));
        for written in ["{\"a\":", "[1]", "\"x\""] {
            assert_eq!(arguments(written.to_owned()), json!(written));
        }
    }

    #[test]
    fn calls_without_a_place_or_an_id_are_told_apart_all_the_same() {
        let stream = concat!(
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[",
            "{\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"{}\"}},",
            "{\"id\":\"b\",\"function\":{\"name\":\"y\",\"arguments\":{\"n\":1}}}]}}]}\n\n",
            "data: [DONE]\n\n",
        );
        let expected = [
            call("a", "x", json!({})),
            call("b", "y", json!({"n": 1})),
            done(None),
        ];
        assert_eq!(all(stream), expected);
        let stream = concat!(
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,",
            "\"function\":{\"name\":\"x\"}}]}}]}\n\ndata: [DONE]\n\n",
        );
        assert_eq!(all(stream), [call("call_1", "x", json!({})), done(None)]);
    }
}
