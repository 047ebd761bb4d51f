//! What a conversation looks like: one live line on a terminal, plain lines elsewhere, or one JSON
//! object per line for programs. Words of the conversation are shown here on purpose; they go to
//! standard output, never to the log.

use std::io::Write;

use serde_json::{Value, json};

use crate::{
    session::{Effect, TurnTimings, Watch},
    turn::Phase,
};

/// How to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A live line with a level meter, for a terminal of this many columns.
    Live {
        /// Columns.
        width: usize,
    },
    /// A line for each thing said.
    Plain,
    /// A JSON object for each event.
    Json,
}

/// Writes to `out` as things happen.
pub struct Display<W> {
    out: W,
    style: Style,
    phase: Phase,
    level: f32,
    saying: String,
    /// Steps until the meter moves again: ten times a second is enough for eyes.
    wait: u8,
    live: bool,
}

impl<W: Write + Send> Display<W> {
    /// A display with nothing on it.
    pub fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            phase: Phase::Listening,
            level: 0.0,
            saying: String::new(),
            wait: 0,
            live: false,
        }
    }

    /// Leaves the terminal tidy.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.live) {
            self.write("\r\x1b[2K");
        }
    }

    /// A reader that has gone away is no reason to end the conversation.
    fn write(&mut self, text: &str) {
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }

    fn line(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.live) {
            "\r\x1b[2K"
        } else {
            ""
        };
        self.write(&format!("{clear}{}\n", printable(text)));
        self.redraw();
    }

    fn json(&mut self, value: &Value) {
        self.write(&format!("{value}\n"));
    }

    fn redraw(&mut self) {
        let Style::Live { width } = self.style else {
            return;
        };
        let text = format!(
            "{:<9} {} {}",
            self.phase.name(),
            meter(self.level),
            self.saying
        );
        let shown: String = printable(&text)
            .chars()
            .take(width.saturating_sub(1))
            .collect();
        self.live = true;
        self.write(&format!("\r\x1b[2K{shown}"));
    }
}

impl<W: Write + Send> Watch for Display<W> {
    fn effect(&mut self, effect: &Effect) {
        if self.style == Style::Json {
            if let Some(value) = as_json(effect) {
                self.json(&value);
            }
            return;
        }
        match effect {
            Effect::Show(phase) => {
                self.phase = *phase;
                self.saying.clear();
                self.redraw();
            }
            Effect::Woken { word, .. } => self.line(&format!("(heard {})", word.replace('_', " "))),
            Effect::UserSaid { text, .. } => self.line(&format!("you:  {text}")),
            Effect::Saying { text, .. } => {
                self.saying = text.trim().to_owned();
                self.redraw();
            }
            Effect::AssistantSaid { text, complete, .. } => {
                let cut = if *complete { "" } else { " — (interrupted)" };
                self.line(&format!("caal: {}{cut}", text.trim()));
            }
            Effect::Timings(timings) => self.line(&stages(timings)),
            Effect::Trouble(why) => self.line(&format!("caal: [{why}]")),
            _ => {}
        }
    }

    fn level(&mut self, rms: f32) {
        self.level = self.level.max(rms);
        self.wait = self.wait.saturating_sub(1);
        if self.wait == 0 {
            self.wait = 5;
            self.redraw();
            self.level = 0.0;
        }
    }

    fn note(&mut self, text: &str) {
        match self.style {
            Style::Json => self.json(&json!({ "event": "note", "text": text })),
            _ => self.line(text),
        }
    }
}

/// `(1.24 s: endpoint 0.25, stt 0.31, …)`
fn stages(timings: &TurnTimings) -> String {
    let seconds = |ms: u32| format!("{:.2}", f64::from(ms) / 1_000.0);
    let stages: Vec<_> = timings
        .stages()
        .map(|(name, ms)| format!("{name} {}", seconds(ms)))
        .collect();
    let total = timings
        .total_ms
        .map_or(String::new(), |ms| format!("{} s: ", seconds(ms)));
    format!("      ({total}{})", stages.join(", "))
}

/// A level meter of eight steps, 6 dB each, up from -48 dB.
fn meter(rms: f32) -> String {
    let db = 20.0 * rms.max(1e-6).log10();
    let on = ((db + 48.0) / 6.0).clamp(0.0, 8.0) as usize;
    format!("[{}{}]", "#".repeat(on), "-".repeat(8 - on))
}

/// Without control characters: what a model writes must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn as_json(effect: &Effect) -> Option<Value> {
    Some(match effect {
        Effect::Show(phase) => json!({ "event": "state", "state": phase.name() }),
        Effect::Woken { word, score } => {
            json!({ "event": "wake", "word": word, "score": score })
        }
        Effect::Hearing { turn, text } => {
            json!({ "event": "hearing", "turn": turn.0, "text": text })
        }
        Effect::UserSaid { turn, text } => {
            json!({ "event": "user", "turn": turn.map(|t| t.0), "text": text })
        }
        Effect::Saying { reply, text } => {
            json!({ "event": "saying", "reply": reply.0, "text": text })
        }
        Effect::AssistantSaid {
            reply,
            text,
            complete,
        } => json!({
            "event": "assistant", "reply": reply.0, "text": text, "complete": complete,
        }),
        Effect::Timings(timings) => json!({ "event": "timings", "timings": timings }),
        Effect::Trouble(why) => json!({ "event": "trouble", "text": why }),
        Effect::Doing(doing) => json!({
            "event": "tools", "status": doing.progress.name(),
            "calls": doing.calls.iter().map(|(name, arguments)| json!({ "tool": name, "arguments": arguments })).collect::<Vec<_>>(),
        }),
        Effect::Attend(_)
        | Effect::Play { .. }
        | Effect::PlayEnd { .. }
        | Effect::Hush(_)
        | Effect::Unhush(_)
        | Effect::Flush(_)
        | Effect::Answered(_)
        | Effect::Settled { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{ReplyId, TurnId};

    fn show(style: Style) -> String {
        let mut out = Vec::new();
        let mut display = Display::new(&mut out, style);
        let turn = Some(TurnId(1));
        display.effect(&Effect::Show(Phase::Thinking));
        display.effect(&Effect::UserSaid {
            turn,
            text: "what\x1b[2J time".to_owned(),
        });
        let text = "It is noon. ".to_owned();
        display.effect(&Effect::AssistantSaid {
            reply: ReplyId(1),
            text,
            complete: true,
        });
        display.level(0.5);
        display.finish();
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_file_gets_plain_lines_without_control_characters() {
        assert_eq!(
            show(Style::Plain),
            "you:  what [2J time\ncaal: It is noon.\n"
        );
    }

    #[test]
    fn a_terminal_gets_one_live_line_that_is_wiped_at_the_end() {
        let text = show(Style::Live { width: 40 });
        assert!(text.contains("thinking"), "{text:?}");
        assert!(text.contains("[######--]"), "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"), "{text:?}");
    }

    #[test]
    fn a_program_gets_an_object_per_line() {
        let text = show(Style::Json);
        let events: Vec<Value> = text
            .lines()
            .map(|l| serde_json::from_str(l).expect("JSON"))
            .collect();
        assert_eq!(events[0]["state"], "thinking");
        assert_eq!(events[1]["turn"], 1);
        assert_eq!(events[2]["text"], "It is noon. ");
    }
}
