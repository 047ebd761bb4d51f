//! What the assistant says, word by word as it is heard: captions that run with the voice. Pure; the
//! samples that were played are the clock.
//!
//! A clause is known before its sound, its length only when the sound is complete. Until then words
//! go by the usual speed of speech, a little late rather than early: what was shown and not heard
//! cannot be taken back.

use crate::turn::ReplyId;

/// Samples (24 kHz) of a letter where nothing better is known: 14 letters a second.
const SAMPLES_PER_LETTER: u64 = 24_000 / 14;

#[derive(Debug)]
struct Clause {
    /// First sample, counted from the reply's first.
    from: u64,
    text: String,
    /// Bytes of `text` that were shown.
    shown: usize,
}

/// The caption of one reply.
#[derive(Debug)]
pub(super) struct Caption {
    reply: ReplyId,
    clauses: Vec<Clause>,
    /// Samples that have come.
    sound: u64,
    /// Samples that were played.
    played: u64,
    /// All that was shown.
    all: String,
}

impl Caption {
    pub(super) fn new(reply: ReplyId) -> Self {
        Self {
            reply,
            clauses: Vec::new(),
            sound: 0,
            played: 0,
            all: String::new(),
        }
    }

    pub(super) fn reply(&self) -> ReplyId {
        self.reply
    }

    /// The sound that comes from now on says `text`.
    pub(super) fn clause(&mut self, text: &str) {
        self.clauses.push(Clause {
            from: self.sound,
            text: text.trim().to_owned(),
            shown: 0,
        });
    }

    /// So many more samples have come.
    pub(super) fn sound(&mut self, samples: usize) {
        self.sound += samples as u64;
    }

    /// So many more samples were played; gives the words to show now, with the space before them.
    pub(super) fn play(&mut self, samples: usize) -> Option<String> {
        self.played += samples as u64;
        let mut more = String::new();
        for i in 0..self.clauses.len() {
            let end = self.clauses.get(i + 1).map_or(self.sound, |next| next.from);
            let last = i + 1 == self.clauses.len();
            let clause = &mut self.clauses[i];
            if self.played <= clause.from || clause.shown == clause.text.len() {
                continue;
            }
            let usual = clause.text.chars().count() as u64 * SAMPLES_PER_LETTER;
            // The last one's sound may still be coming.
            let length = match end.saturating_sub(clause.from) {
                known if last => known.max(usual / 2).max(1),
                known => known.max(1),
            };
            let share = (self.played - clause.from) as f64 / length as f64;
            let upto = words_upto(&clause.text, share);
            if upto > clause.shown {
                let words = &clause.text[clause.shown..upto];
                if clause.shown == 0 && !(self.all.is_empty() && more.is_empty()) {
                    more.push(' ');
                }
                more.push_str(words);
                clause.shown = upto;
            }
        }
        self.all.push_str(&more);
        (!more.is_empty()).then_some(more)
    }

    /// The reply is over and `heard` is what was heard of it: the words that are still missing.
    pub(super) fn rest(&self, heard: &str) -> String {
        let heard = heard.trim();
        let shown = self.all.as_str();
        if let Some(rest) = heard.strip_prefix(shown) {
            return rest.to_owned();
        }
        // The same words with other spaces or marks: as many words as are missing.
        let known = shown.split_whitespace().count();
        let missing: Vec<_> = heard.split_whitespace().skip(known).collect();
        match (missing.is_empty(), shown.is_empty()) {
            (true, _) => String::new(),
            (false, true) => missing.join(" "),
            (false, false) => format!(" {}", missing.join(" ")),
        }
    }
}

/// Bytes of `text` up to the end of the word that is being said at `share` of its time.
fn words_upto(text: &str, share: f64) -> usize {
    if share >= 1.0 {
        return text.len();
    }
    let letters = text.chars().count();
    let said = (letters as f64 * share) as usize;
    text.char_indices()
        .skip(said)
        .find(|(_, c)| c.is_whitespace())
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 480;

    #[test]
    fn words_come_as_they_are_heard_and_none_is_missing() {
        let mut caption = Caption::new(ReplyId(1));
        caption.clause("It is half past nine,");
        caption.sound(24_000);
        caption.clause(" and the kettle is on.");
        caption.sound(36_000);
        let mut shown = String::new();
        let mut at = Vec::new();
        for frame in 0..125 {
            if let Some(more) = caption.play(FRAME) {
                shown.push_str(&more);
                at.push(frame);
            }
        }
        assert_eq!(shown, "It is half past nine, and the kettle is on.");
        assert!(at.len() >= 9, "word by word: {at:?}");
        assert!(at[0] < 5 && *at.last().expect("some") > 100, "{at:?}");
        assert_eq!(caption.rest(&shown), "");
    }

    #[test]
    fn a_reply_that_was_cut_shows_what_was_heard_and_no_more() {
        let mut caption = Caption::new(ReplyId(1));
        caption.clause("One two three four five six seven.");
        caption.sound(48_000);
        let mut shown = String::new();
        for _ in 0..30 {
            shown.extend(caption.play(FRAME));
        }
        assert!(
            shown.starts_with("One two") && !shown.contains("five"),
            "{shown}"
        );
        assert_eq!(
            caption.rest("One two three"),
            &"One two three"[shown.len()..]
        );
        assert_eq!(caption.rest("One"), "", "what is shown stays");
    }

    #[test]
    fn a_reply_without_sound_is_shown_at_its_end() {
        let caption = Caption::new(ReplyId(1));
        assert_eq!(caption.rest(" Good morning. "), "Good morning.");
    }

    #[test]
    fn letters_of_several_bytes_are_never_cut() {
        let mut caption = Caption::new(ReplyId(1));
        caption.clause("Grüße aus Köln — schön ist’s.");
        caption.sound(48_000);
        let mut shown = String::new();
        for _ in 0..100 {
            shown.extend(caption.play(FRAME));
        }
        assert_eq!(shown, "Grüße aus Köln — schön ist’s.");
    }
}
