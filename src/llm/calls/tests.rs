//! The filter with every form of a call, cut everywhere.

use serde_json::json;

use super::*;

fn tools() -> Vec<Arc<ToolSpec>> {
    ["lamp", "get_time", "house__open-door"]
        .map(|name| {
            Arc::new(ToolSpec {
                name: name.to_owned(),
                description: String::new(),
                parameters: json!({"type": "object", "properties": {"room": {"type": "string"}}}),
            })
        })
        .to_vec()
}

/// All that comes of `pieces`: what is said, what is called, and how many calls were bad.
fn filtered<'a>(
    pieces: impl IntoIterator<Item = &'a str>,
) -> (String, Vec<(String, String, Value)>, usize) {
    let mut filter = CallFilter::new(&tools());
    let mut deltas = Vec::new();
    for piece in pieces {
        deltas.extend(filter.push(piece));
    }
    deltas.extend(filter.finish());
    assert_eq!(filter.finish(), []);
    let (mut text, mut calls, mut bad) = (String::new(), Vec::new(), 0);
    for delta in deltas {
        match delta {
            Delta::Text(piece) => text.push_str(&piece),
            Delta::Call(call) => calls.push((call.id, call.name, call.arguments)),
            Delta::BadCall(why) => {
                assert!(!why.contains('{'), "{why}");
                bad += 1;
            }
            Delta::Usage(_) => panic!("a filter knows no cost"),
        }
    }
    (text, calls, bad)
}

/// One call of the lamp with `{"on": true}`, each.
const LAMPS: [&str; 34] = [
    r#"<tool_call>{"name": "lamp", "arguments": {"on": true}}</tool_call>"#,
    "<tool_call>\n{\"name\": \"lamp\", \"arguments\": {\"on\": true}}\n</tool_call>",
    r#"<tool_call>{"name": "lamp", "arguments": {"on": true}</tool_call>"#,
    r#"<tool_call>{'name': 'lamp', 'arguments': {'on': True,},}</tool_call>"#,
    r#"<tool_call>{"name": "lamp", "arguments": "{\"on\": true}"}</tool_call>"#,
    r#"<tool_call>[{"name": "lamp", "parameters": {"on": true}}]</tool_call>"#,
    "<tool_call>lamp\n{\"on\": true}</tool_call>",
    r#"<tool_call>{"function": {"name": "lamp", "arguments": {"on": true}}}</tool_call>"#,
    "<tool_call>\n<function=lamp>\n<parameter=on>\ntrue\n</parameter>\n</function>\n</tool_call>",
    r#"<tool_calls>[{"name": "lamp", "arguments": {"on": true}}]</tool_calls>"#,
    r#"[TOOL_CALLS][{"name": "lamp", "arguments": {"on": true}}]"#,
    r#"[TOOL_CALLS] [{"name": "lamp", "arguments": {"on": true}}]"#,
    r#"[TOOL_CALLS]lamp{"on": true}"#,
    r#"[TOOL_CALLS]lamp[CALL_ID]x7[ARGS]{"on": true}"#,
    r#"<|python_tag|>{"name": "lamp", "parameters": {"on": true}}<|eom_id|>"#,
    r#"<|python_tag|>{"type": "function", "name": "lamp", "parameters": {"on": true}}"#,
    r#"<function=lamp>{"on": true}</function>"#,
    "<function=lamp>\n<parameter=on>True</parameter>\n</function>",
    "```json\n{\"name\": \"lamp\", \"arguments\": {\"on\": true}}\n```",
    "```\n{\"name\": \"lamp\", \"parameters\": {\"on\": true}}\n```",
    "```tool_call\n[{\"name\": \"lamp\", \"parameters\": {\"on\": true}}]\n```",
    r#"{"name": "lamp", "arguments": {"on": true}}"#,
    r#"{"name": "lamp", "arguments": {"on": true}}}}"#,
    "{\n  \"name\": \"lamp\",\n  \"parameters\": {\n    \"on\": true\n  }\n}",
    r#"[{"name": "lamp", "arguments": {"on": true}}]"#,
    r#"{"name": "functions.lamp", "arguments": {"on": true}}"#,
    r#"{"name": "Lamp", "arguments": {"on": true}}"#,
    r#"{"arguments": {"on": true}, "name": "lamp"}"#,
    r#"{"function": {"name": "lamp", "arguments": {"on": true}}}"#,
    r#"{"function": "lamp", "arguments": {"on": true}}"#,
    r#"{"type": "function", "function": {"name": "lamp", "arguments": {"on": true}}}"#,
    r#"{"id": "1", "type": "function", "name": "lamp", "arguments": {"on": true}}"#,
    r#"{"tool_calls": [{"function": {"name": "lamp", "arguments": "{\"on\": true}"}}]}"#,
    r#"{'name': 'lamp', 'arguments': {'on': True}}"#,
];

/// What is no call, and said as it is.
const PROSE: [&str; 17] = [
    "It is 5 < 6, and [maybe] `so` {or not}.",
    "Is a<b or a<tool? A <b>bold</b> [TOOL] word.",
    "{\"age\": 3}\nand\n{ x }",
    "{\"name\": \"Ada\", \"age\": 3}",
    "[{\"name\": \"Ada\"}, 2] and so on",
    "```python\nprint({\"name\": 1})\n```\nDone.",
    "```json\n{\"type\": \"object\"}\n```",
    "{\"name\" of the game",
    "{\"name\": oops}",
    "You write {\"name\": \"Ada Lovelace\", \"born\": 1815} for it.",
    "You write {\"name\": \"the lamp\", \"arguments\": {}} for it.",
    "[1] is a note.\n[2] too.\n[",
    "``",
    "<tool_",
    "{",
    "  \n",
    "Grüße 👋\n{ 世界 }",
];

fn corpus() -> Vec<String> {
    let mut all: Vec<String> = PROSE.map(str::to_owned).to_vec();
    for lamp in LAMPS {
        all.push(lamp.to_owned());
        all.push(format!("So.\n{lamp}\nGrüße 👋."));
        all.push(format!("{lamp}\n{lamp}"));
    }
    for bad in BAD {
        all.push(format!("So.\n{bad}"));
    }
    all
}

/// Calls that cannot be read.
const BAD: [&str; 10] = [
    "<tool_call>hello there</tool_call>",
    "<tool_call>{\"name\": \"lamp\", oops}</tool_call>",
    "<tool_call>",
    "<tool_call>{\"name\": \"la",
    "{\"name\": \"lamp\", \"arguments\": {\"room\": \"kit",
    "{\"na",
    "{\"name\": \"lamp\", \"arguments\": {\"room\": kitchen}} and {\"more\": 1}",
    "{\"name\": \"lamp\", \"arguments\": 5}",
    "<|python_tag|>lamp.call(on=True)",
    "```json\n{\"name\": \"lamp\", \"arguments\": {on}}\n```",
];

#[test]
fn every_form_of_a_call_is_found_and_not_a_syllable_of_it_said() {
    let call = |n: usize| {
        let id = format!("call_text_{n}");
        (id, "lamp".to_owned(), json!({"on": true}))
    };
    for lamp in LAMPS {
        let (text, calls, bad) = filtered([lamp]);
        assert_eq!(
            (text.as_str(), calls, bad),
            ("", vec![call(1)], 0),
            "{lamp}"
        );
        let (text, calls, _) = filtered([&*format!("So.\n{lamp}\nGrüße 👋.")]);
        assert_eq!(calls, [call(1)], "{lamp}");
        assert_eq!(text, "So.\nGrüße 👋.", "{lamp}");
        let (text, calls, _) = filtered([&*format!("{lamp}\n{lamp}")]);
        assert_eq!(
            (text.as_str(), calls),
            ("", vec![call(1), call(2)]),
            "{lamp}"
        );
    }
    let two = r#"<|python_tag|>{"name": "lamp"}; {"name": "open_door"}"#;
    let (text, calls, bad) = filtered([two]);
    assert_eq!((text.as_str(), calls.len(), bad), ("", 2, 0));
    assert_eq!(calls[1].1, "house__open-door");
    let unknown = r#"<tool_call>{"name": "sauna", "arguments": {}}</tool_call>"#;
    assert_eq!(filtered([unknown]).1[0].1, "sauna");
    let room = "<function=lamp><parameter=room>12</parameter></function> Fine.";
    let (text, calls, _) = filtered([room]);
    assert_eq!(
        (text.as_str(), &calls[0].2),
        ("Fine.", &json!({"room": "12"}))
    );
    let mid = r#"Sure.<tool_call>{"name": "lamp"}</tool_call>Done."#;
    assert_eq!(filtered([mid]).0, "Sure. Done.");
}

#[test]
fn what_is_no_call_is_said_as_it_is() {
    for prose in PROSE {
        assert_eq!(filtered([prose]), (prose.to_owned(), vec![], 0));
    }
    let mut filter = CallFilter::new(&[]);
    let said = filter.push(LAMPS[0]);
    assert_eq!(said, [Delta::Text(LAMPS[0].to_owned())]);
    assert_eq!(filter.finish(), []);
}

#[test]
fn a_call_behind_words_and_of_a_tool_that_is_not_there_is_one() {
    let (text, calls, bad) =
        filtered(["Sure! {\"name\": \"lamp\", \"arguments\": {\"on\": true}} Done."]);
    let lamp = (
        "call_text_1".to_owned(),
        "lamp".to_owned(),
        json!({"on": true}),
    );
    assert_eq!((text.as_str(), calls, bad), ("Sure! Done.", vec![lamp], 0));
    let (text, calls, _) = filtered(["`{\"name\": \"lamp\", \"arguments\": {\"on\": true}}`"]);
    assert_eq!(calls.len(), 1);
    assert!(!text.contains("lamp"), "{text}");
    let invented = "{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}";
    let (text, calls, _) = filtered([invented]);
    let weather = (
        "call_text_1".to_owned(),
        "weather".to_owned(),
        json!({"city": "Rome"}),
    );
    assert_eq!((text.as_str(), calls), ("", vec![weather]));
}

#[test]
fn what_cannot_be_read_is_told_and_never_said() {
    for bad in BAD {
        let (text, calls, count) = filtered([&*format!("So.\n{bad}")]);
        assert_eq!((text.trim_end(), calls, count), ("So.", vec![], 1), "{bad}");
    }
    let (text, _, count) = filtered(["<tool_call>?</tool_call>\nYes."]);
    assert_eq!((text.as_str(), count), ("Yes.", 1));
    let long = format!(
        "<tool_call>{{\"name\": \"{}\"}}</tool_call>",
        "x".repeat(MAX_BYTES)
    );
    let pieces = long.as_bytes().chunks(100);
    let pieces = pieces.map(|piece| std::str::from_utf8(piece).expect("ASCII"));
    assert_eq!(filtered(pieces), (String::new(), vec![], 1));
    assert_eq!(filtered([&*long]), (String::new(), vec![], 1));
}

#[test]
fn the_cutting_of_the_text_does_not_matter() {
    // xorshift64*, Vigna 2016.
    let mut seed = 20_261_123_u64;
    let mut below = |n: usize| {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        let x = seed.wrapping_mul(0x2545_F491_4F6C_DD1D);
        usize::try_from((x >> 33) % n as u64).expect("below n")
    };
    for whole in corpus() {
        let expected = filtered([&*whole]);
        let bounds: Vec<usize> = whole.char_indices().map(|(at, _)| at).collect();
        for &at in &bounds {
            let (a, b) = whole.split_at(at);
            assert_eq!(filtered([a, b]), expected, "{a:?} {b:?}");
        }
        let chars: Vec<String> = whole.chars().map(String::from).collect();
        assert_eq!(
            filtered(chars.iter().map(String::as_str)),
            expected,
            "{whole}"
        );
        for _ in 0..20 {
            let mut cuts: Vec<usize> = (0..5).map(|_| bounds[below(bounds.len())]).collect();
            cuts.sort_unstable();
            let (mut pieces, mut from) = (Vec::new(), 0);
            for cut in cuts {
                pieces.push(&whole[from..cut]);
                from = cut;
            }
            pieces.push(&whole[from..]);
            assert_eq!(filtered(pieces.clone()), expected, "{pieces:?}");
        }
    }
}

#[test]
fn prose_is_not_held_back() {
    let mut filter = CallFilter::new(&tools());
    for piece in [
        "Once", " upon", " a {", " time", "\n{", "x", " [", "so] ", "{\"z",
    ] {
        let held = [" a {", "\n{", " ["].contains(&piece);
        let said: String = filter
            .push(piece)
            .into_iter()
            .map(|delta| match delta {
                Delta::Text(text) => text,
                other => panic!("{other:?}"),
            })
            .collect();
        match held {
            true => assert_eq!(said, piece[..piece.len() - 1], "the sign waits"),
            false => assert!(said.ends_with(piece), "{piece:?}: {said:?}"),
        }
    }
}
