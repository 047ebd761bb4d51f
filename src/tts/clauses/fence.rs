//! Fenced code in the stream: short code is read, long code announced.

use super::{Clauses, Line, Open, PARAGRAPH_PAUSE, Place};
use crate::tts::normalize::{Start, speak};

/// Code up to this many characters, in at most two lines, is read out; more is announced.
const SHORT_CODE: usize = 80;

#[derive(Debug)]
pub(super) struct Fence {
    mark: char,
    language: String,
    code: String,
    line: String,
    lines: usize,
    announced: bool,
}

impl Fence {
    fn is_closing(&self) -> bool {
        let line = self.line.trim();
        line.len() >= 3 && line.chars().all(|c| c == self.mark)
    }
}

impl Clauses {
    pub(super) fn line_is_fence(&self) -> bool {
        let head = self.line.head.as_str();
        match head.strip_prefix("```") {
            Some(rest) => !rest.trim_start_matches('`').contains('`'),
            None => head.starts_with("~~~"),
        }
    }

    pub(super) fn open_fence(&mut self) {
        let head = std::mem::take(&mut self.line.head);
        // What stands before the fence's line is a clause of its own.
        if self.line.at.work > 0 && self.line.at.work <= self.work.len() {
            let at = self.line.at;
            let fence_text = self.text.split_off(at.text);
            self.work.truncate(at.work);
            self.release_all(PARAGRAPH_PAUSE);
            self.text = fence_text;
        }
        let mark = head.chars().next().unwrap_or('`');
        // The first word after the marks, if it is a name at all: "python", "c++".
        let language: String = head
            .trim_start_matches(mark)
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "+#-".contains(*c))
            .take(20)
            .collect();
        self.work.clear();
        self.weight = 0;
        self.fence = Some(Fence {
            mark,
            language,
            code: String::new(),
            line: String::new(),
            lines: 0,
            announced: false,
        });
    }

    pub(super) fn step_in_fence(&mut self, c: char) {
        self.text.push(c);
        let Some(fence) = &mut self.fence else { return };
        if c == '\n' {
            if fence.is_closing() {
                self.close_fence();
            } else {
                self.end_fence_line();
            }
        } else if fence.line.len() <= 2 * SHORT_CODE {
            fence.line.push(c);
        }
        let announce = self.fence.as_ref().is_some_and(|f| {
            !f.announced && (f.lines > 2 || f.code.len() + f.line.len() > SHORT_CODE)
        });
        if announce {
            self.announce_code();
        }
    }

    pub(super) fn end_fence_line(&mut self) {
        let Some(fence) = &mut self.fence else { return };
        let line = std::mem::take(&mut fence.line);
        let closing = line.trim().len() >= 3 && line.trim().chars().all(|c| c == fence.mark);
        if !closing && !line.trim().is_empty() {
            fence.lines += 1;
            if fence.code.len() <= SHORT_CODE {
                fence.code.push_str(line.trim());
                fence.code.push('\n');
            }
        }
    }

    fn announce_code(&mut self) {
        let Some(fence) = &mut self.fence else { return };
        fence.announced = true;
        let language = match fence.language.as_str() {
            "" | "text" | "txt" | "plaintext" => String::new(),
            language => match speak(language, Start::Within, &self.dictionary).as_str() {
                "" => String::new(),
                spoken => format!(" in {spoken}"),
            },
        };
        let text = std::mem::take(&mut self.text);
        self.emit(
            &text,
            format!("Here is a code block{language}."),
            PARAGRAPH_PAUSE,
        );
    }

    pub(super) fn close_fence(&mut self) {
        let code = match &self.fence {
            Some(fence) if fence.announced => None,
            Some(fence) if fence.lines > 2 || fence.code.len() > SHORT_CODE => {
                self.announce_code();
                None
            }
            Some(fence) => Some(fence.code.trim_end().to_owned()),
            None => return,
        };
        let text = std::mem::take(&mut self.text);
        let spoken =
            code.map(|code| speak(&code.replace('`', ""), Start::Within, &self.dictionary));
        self.emit(&text, spoken.unwrap_or_default(), PARAGRAPH_PAUSE);
        self.fence = None;
        self.start = Start::Line;
        self.line = Line::default();
        self.word = Place::default();
        self.open = Open::default();
        self.written = 0;
    }
}
