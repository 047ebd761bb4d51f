//! Collects spoken words and the pauses between them, so that there is never a pause at the
//! beginning, never two in a row, and never a space before one.

/// A comma between words, nothing at the end: what a bracket or a bar becomes.
pub(crate) const BRACKET: char = '(';

/// Spoken text under construction.
#[derive(Debug, Default)]
pub(crate) struct Out {
    text: String,
    /// A pause waiting for the next word, or for the end.
    pause: Option<char>,
}

/// Which of two pauses that meet is kept.
fn strength(pause: char) -> u8 {
    match pause {
        '?' | '!' => 6,
        '.' => 5,
        ':' => 4,
        ';' => 3,
        '—' => 2,
        ',' => 1,
        _ => 0,
    }
}

impl Out {
    /// Words of the alphabet; spaces between them are made right.
    pub(crate) fn words(&mut self, words: &str) {
        for word in words.split_ascii_whitespace() {
            self.word(word);
        }
    }

    /// One word, or one dictionary marker.
    pub(crate) fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        if let Some(pause) = self.pause.take() {
            if pause == '—' {
                self.text.push(' ');
            }
            self.text.push(if pause == BRACKET { ',' } else { pause });
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    /// A pause, one of `. , ; : ? ! —` or [`BRACKET`]. None is made before the first word.
    pub(crate) fn pause(&mut self, pause: char) {
        if self.text.is_empty() {
            return;
        }
        match self.pause {
            Some(there) if strength(there) >= strength(pause) => {}
            _ => self.pause = Some(pause),
        }
    }

    /// Letters that belong to the last word ("'s").
    pub(crate) fn suffix(&mut self, suffix: &str) {
        if self.pause.is_none() && !self.text.is_empty() {
            self.text.push_str(suffix);
        } else {
            self.word(suffix.trim_start_matches('\''));
        }
    }

    /// Whether a sentence begins here.
    pub(crate) fn at_sentence_start(&self) -> bool {
        self.text.is_empty() || matches!(self.pause, Some('.' | '?' | '!' | ':'))
    }

    /// The whole. A dash or bracket at the end means nothing to the voice.
    pub(crate) fn finish(mut self) -> String {
        if let Some(pause) = self.pause.filter(|&pause| pause != '—' && pause != BRACKET) {
            self.text.push(pause);
        }
        self.text
    }
}
