//! Any bytes, cut anywhere, as Ollama's stream: no panic, and the cuts do not matter.
//! The first byte is the size of the pieces.
#![cfg_attr(fuzzing, no_main)]

use caal::llm::{
    stream::{ChatDecoder, ChatEvent, StreamError},
    thoughts::{End, Habit, ThinkFilter},
};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

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

fn said<'a>(model: &str, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut filter = ThinkFilter::new(&Habit::of(model));
    let mut said: String = pieces.into_iter().map(|piece| filter.push(piece)).collect();
    said.push_str(&filter.finish(End::Whole));
    said
}

/// One input.
pub(crate) fn run(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let size = usize::from(size % 64) + 1;
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
    for model in ["m", "r1"] {
        assert_eq!(
            said(model, pieces.iter().map(String::as_str)),
            said(model, [text.as_str()])
        );
    }
}
