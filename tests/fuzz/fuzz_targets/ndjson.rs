//! Any bytes, cut anywhere, as Ollama's stream: no panic, and the cuts do not matter.
//! `cargo +nightly fuzz run ndjson --fuzz-dir tests/fuzz`
#![no_main]

use caal::llm::stream::{ChatDecoder, ChatEvent, StreamError, ThinkFilter};
use libfuzzer_sys::fuzz_target;

type Events = Vec<Result<ChatEvent, StreamError>>;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Events {
    let mut decoder = ChatDecoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        events.extend(std::iter::from_fn(|| decoder.next()));
    }
    decoder.finish();
    events.extend(std::iter::from_fn(|| decoder.next()));
    events
}

fn said<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut filter = ThinkFilter::new();
    let mut said: String = pieces.into_iter().map(|piece| filter.push(piece)).collect();
    said.push_str(&filter.finish());
    said
}

fuzz_target!(|input: (usize, &[u8])| {
    let (size, bytes) = input;
    let size = size % 64 + 1;
    let whole = decode([bytes]);
    assert_eq!(decode(bytes.chunks(size)), whole);

    let text: String = whole
        .iter()
        .filter_map(|event| match event {
            Ok(ChatEvent::Text(text)) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let chars: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = chars.chunks(size).map(|c| c.iter().collect()).collect();
    assert_eq!(said(pieces.iter().map(String::as_str)), said([text.as_str()]));
});
