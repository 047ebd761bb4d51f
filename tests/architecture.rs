//! Which room may know which, and which files are pure. Adding an arrow is a decision: change the
//! table in the same commit and say why. docs/ARCHITECTURE.md explains it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms that everybody may use: they know nothing of voice.
const CELLAR: &[&str] = &["clock", "fault", "pii", "telemetry", "tls"];

/// Every room of `src/` with the rooms it may use beside the cellar.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("fault", &[]),
    ("pii", &[]),
    ("telemetry", &[]),
    ("tls", &[]),
    ("audio", &[]),
    ("turn", &[]),
    ("engine", &[]),
    ("onnx", &[]),
    ("models", &[]),
    ("settings", &["engine", "llm", "models"]), // its values are theirs: a device, a hub, a prompt
    ("wake", &["audio", "engine", "onnx"]),
    ("vad", &["audio", "engine"]),
    ("endpoint", &["audio", "engine"]),
    ("stt", &["audio", "engine", "onnx"]),
    ("tts", &["audio", "engine"]),
    ("llm", &["engine"]),
    ("store", &[]),
    ("tools", &["llm", "store"]), // what is called, and where it is kept
    ("mind", &["llm", "tools"]),
    (
        "session",
        &[
            "audio", "turn", "wake", "vad", "endpoint", "stt", "llm", "tts", "tools", "mind",
        ],
    ),
    ("local", &["audio", "endpoint", "mind", "session", "turn"]),
    ("rtc", &["audio"]), // no speech, no model
    ("room", &["audio", "mind", "rtc", "session", "turn"]),
    ("wizard", &[]),
    (
        "http",
        // What is kept and remembered is shown to its owner.
        &[
            "mind", "models", "room", "rtc", "session", "settings", "wizard", "store", "tools",
        ],
    ),
    ("app", &["*"]),
    ("cli", &["*"]),
    ("main", &["*"]),
];

/// Engines by their own names: only `app`, `cli` and their own rooms may say them.
const CONCRETE: &[&str] = &[
    "Kokoro",
    "OpenWakeWord",
    "SmartTurn",
    "Silero",
    "Whisper",
    "Ollama",
    "OpenAi",
    "ort::",
];

/// Files (or folders) that decide and do not wait.
const PURE: &[&str] = &[
    "clock.rs",
    "fault.rs",
    "pii.rs",
    "turn",
    "onnx.rs",
    "audio/pcm.rs",
    "audio/preroll.rs",
    "audio/rechunk.rs",
    "audio/resample.rs",
    "wake/gate.rs",
    "wake/energy.rs",
    "vad/hysteresis.rs",
    "endpoint/policy.rs",
    "stt/whisper/decode.rs",
    "stt/whisper/quantize.rs",
    "stt/whisper/speech.rs",
    "mind/arguments.rs",
    "llm/acts.rs",
    "llm/calls.rs",
    "llm/calls",
    "llm/history.rs",
    "llm/openai/sse.rs",
    "llm/prompt.rs",
    "llm/stream.rs",
    "llm/thoughts.rs",
    "llm/embedded/sample.rs",
    "tts/align.rs",
    "tts/clauses.rs",
    "tts/clauses",
    "tts/dictionary.rs",
    "tts/normalize",
    "tts/kokoro/letters.rs",
    "tts/kokoro/spelling.rs",
    "tts/kokoro/trim.rs",
    "room/caption.rs",
    "room/mix.rs",
    "room/topics.rs",
    "tools/memory/matching.rs",
    "rtc/audio",
    "rtc/pacing.rs",
    "rtc/peer/again.rs",
    "rtc/endpoint/words.rs",
    "rtc/sdp.rs",
    "rtc/texts.rs",
    "session/clip.rs",
    "session/playout.rs",
    "session/timings.rs",
    "tools/mcp/answer.rs",
    "tools/mcp/backoff.rs",
    "tools/mcp/config.rs",
    "tools/mcp/name.rs",
    "tools/n8n/parameters.rs",
    "tools/n8n/result.rs",
    "tools/n8n/workflow.rs",
    "rtc/join/backoff.rs",
    "rtc/join/desk.rs",
    "rtc/join/mend.rs",
    "rtc/join/packets.rs",
    "rtc/join/roster.rs",
    "tools/choice.rs",
    "tools/fast",
    "tools/hass/action.rs",
    "tools/hass/context.rs",
    "tools/hass/names.rs",
    "tools/hass/reply.rs",
    "tools/hass/state.rs",
    "tools/spoken.rs",
    "tools/timers/ask.rs",
    "tools/timers/book.rs",
    "tools/timers/names.rs",
    "tools/timers/say.rs",
    "tools/timers/words.rs",
    "tools/web_search/html.rs",
];

/// Words of the runtime, the machine and the outside world.
const IMPURE: &[&str] = &[
    "tokio",
    "Instant::now",
    "SystemTime",
    "std::thread",
    "std::net",
    "std::fs",
    "std::env",
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn rooms_use_only_what_they_may() {
    let known: BTreeSet<_> = MAY_USE.iter().map(|(room, _)| (*room).to_owned()).collect();
    let mut there: BTreeSet<_> = rooms();
    there.remove("lib");
    let unlisted: Vec<_> = there.difference(&known).collect();
    assert!(unlisted.is_empty(), "{unlisted:?} need a row in this table");
    for (room, allowed) in MAY_USE {
        if allowed.contains(&"*") {
            continue;
        }
        for file in files_of(room) {
            let used = crate_uses(&code(&file));
            let extra: Vec<_> = used
                .iter()
                .map(String::as_str)
                .filter(|u| u != room && !CELLAR.contains(u) && !allowed.contains(u))
                .filter(|u| known.contains(*u))
                .collect();
            assert!(
                extra.is_empty(),
                "{} uses {extra:?}, which the row of {room} does not allow",
                file.display()
            );
        }
    }
}

#[test]
fn the_session_and_its_rooms_name_no_engine() {
    for room in ["session", "local", "turn", "http"] {
        for file in files_of(room) {
            let text = code(&file);
            for word in CONCRETE {
                assert!(!text.contains(word), "{} names {word}", file.display());
            }
        }
    }
}

#[test]
fn pure_files_do_not_name_the_runtime() {
    for part in PURE {
        let path = src().join(part);
        let files = match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        };
        // Tests may look at the clock.
        let files = files.into_iter().filter(|f| !f.ends_with("tests.rs"));
        for file in files {
            let text = code(&file); // which fails where there is no such file
            for word in IMPURE {
                assert!(
                    !text.contains(word),
                    "{} is pure but says {word}",
                    file.display()
                );
            }
        }
    }
}

/// A file whose first paragraph says "Pure." or "Pure:" is held to it.
#[test]
fn files_that_call_themselves_pure_are_in_the_list() {
    for file in sources(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().take_while(|l| l.starts_with("//! "));
        let first: Vec<_> = first.flat_map(|l| l.split_whitespace().skip(1)).collect();
        let says = first
            .iter()
            .any(|word| ["Pure.", "Pure:", "Pure;"].contains(word));
        let listed = PURE.iter().any(|part| file.starts_with(src().join(part)));
        let exempt = file.ends_with("audio/mod.rs"); // the room's list; its `wav` reads files
        assert!(
            !says || listed || exempt,
            "{} is not in PURE",
            file.display()
        );
    }
}

#[test]
fn every_file_says_what_belongs_in_it() {
    for file in sources(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} has no first paragraph",
            file.display()
        );
    }
}

/// Top-level modules: files and folders of `src/`.
fn rooms() -> BTreeSet<String> {
    fs::read_dir(src())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn files_of(room: &str) -> Vec<PathBuf> {
    let folder = src().join(room);
    match folder.is_dir() {
        true => sources(&folder),
        false => vec![src().join(format!("{room}.rs"))],
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The file without comments and without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .take_while(|l| *l != "#[cfg(test)]")
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// First path segments after `crate::`, in plain and in grouped imports.
fn crate_uses(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (i, _) in text.match_indices("crate::") {
        let rest = &text[i + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    found.insert(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::audio::Pcm;\nuse crate::{\n    clock::At,\n    llm::{Llm, history::Limits},\n    pii,\n};\nfn f(x: crate::turn::TurnId) {}";
    let found: Vec<_> = crate_uses(text).into_iter().collect();
    assert_eq!(found, ["audio", "clock", "llm", "pii", "turn"]);
}
