//! Cuts a language model's text, as it arrives, into clauses that can be spoken one by one. Pure.
//!
//! The cutter looks at one character after the other and decides from what it has seen, never
//! from how the characters were grouped when they came: every way of cutting the stream gives the
//! same clauses (property test in `tests/text`).
//!
//! *Latency rule.* A clause is released when the first character of the word after it arrives:
//! only then is it known that "3." was not the beginning of "3.5", or that "Dr." was not the end
//! of a sentence. The last clause is released by [`Clauses::finish`].
//!
//! *Where it cuts.* At the end of a sentence, paragraph, list item or heading, and at `, ; : —`
//! once enough is pending: little for the first clause, because someone waits for it; more for the
//! second and third, because short clauses sound chopped. Never inside a number, an abbreviation,
//! a link, a code span or bold text, unless those run on without end. Without punctuation it cuts
//! before a conjunction, then at any space.
//!
//! *In a hurry* ([`Clauses::hurried`]), for a voice that makes a clause whole and hardly faster than it
//! is heard: the first three clauses are cut inside a sentence too, before the word that begins a new
//! phrase ("The kitchen light | is on | in ..."), each about twice as long as the one before, so that each
//! is made while the one before plays.

mod cut;
mod fence;

use std::time::Duration;

use self::{
    cut::{
        begins_phrase, clings, ending, is_conjunction, joins_numbers, share, split_spoken, weight,
    },
    fence::Fence,
};
use super::{
    dictionary::Dictionary,
    normalize::{Start, speak},
};

/// Silence after a clause inside a sentence.
pub const CLAUSE_PAUSE: Duration = Duration::from_millis(100);
/// Silence after a sentence.
pub const SENTENCE_PAUSE: Duration = Duration::from_millis(250);
/// Silence after a paragraph, heading, list item or table row.
pub const PARAGRAPH_PAUSE: Duration = Duration::from_millis(350);
/// The longest spoken text of one clause, in characters (a W, three syllables, counts as ten).
/// Kokoro takes 510 phonemes, and a character is about one.
pub const LONGEST_SPOKEN: usize = 300;

/// The first clause is cut at the first chance from here on: two or three words.
const FIRST: usize = 12;
/// Least weight of the second clause at a comma: it is made while the first, about a second long,
/// plays.
const SECOND_AT_COMMA: usize = 24;
/// Least weight of later clauses at a comma.
const LATER_AT_COMMA: usize = 40;
/// Least weight of later clauses at the end of a sentence or line: about 15 phonemes, below which
/// Kokoro's voice wavers.
const LATER_AT_SENTENCE: usize = 15;
/// In a hurry, by the number of clauses before: least weight before the beginning of a phrase, and that
/// from which on any space between words that do not cling together will do.
const HURRIED: [(usize, usize); 3] = [(14, 28), (24, 44), (48, 80)];
/// From here on a conjunction is a good enough place.
const LONG: usize = 150;
/// A cut at a conjunction leaves at least this much before it.
const LEAST_BEFORE_CONJUNCTION: usize = 50;
/// From here on any space is.
const TOO_LONG: usize = 220;
/// From here on any character is.
const FAR_TOO_LONG: usize = 300;
/// Characters of any kind (marks and spaces weigh nothing) after which a cut is made anyway.
const MOST_WRITTEN: usize = 2000;
/// How long a link, code span or bold run may keep a cut away.
const OPEN_REACH: usize = 160;
/// Lines shorter than this that end without punctuation were broken on purpose (a poem, an
/// address); longer ones that go on in small letters were wrapped.
const WRAPPED: usize = 50;

/// A piece of a reply that is spoken at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// As written, with its Markdown and the space after it: the clauses' texts joined are the
    /// whole text.
    pub text: String,
    /// As spoken (see [`normalize`](super::normalize)). Empty only in a last clause that has
    /// nothing to say, such as an emoji: do not send it to a voice.
    pub spoken: String,
    /// Silence after it.
    pub pause: Duration,
}

/// The cutter for one reply.
#[derive(Debug)]
pub struct Clauses {
    dictionary: Dictionary,
    hurried: bool,
    ready: Vec<Clause>,
    /// Written text that has nothing to say, to go with the next clause.
    silent: String,
    /// Written text since the last cut.
    text: String,
    /// The same without soft line breaks: what will be spoken.
    work: String,
    start: Start,
    /// Space after the last word, not yet part of `text`.
    gap: String,
    /// About how long `work` will be when spoken, in characters.
    weight: usize,
    written: usize,
    released: usize,
    line: Line,
    open: Open,
    /// The best place for a cut should no punctuation come.
    conjunction: Option<Place>,
    after_conjunction: bool,
    /// Where the last word began.
    word: Place,
    fence: Option<Fence>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    text: usize,
    work: usize,
    weight: usize,
}

impl Place {
    /// The same place after everything before `start` has gone.
    fn shift(&mut self, start: Place) {
        self.text = self.text.saturating_sub(start.text);
        self.work = self.work.saturating_sub(start.work);
        self.weight = self.weight.saturating_sub(start.weight);
    }
}

/// The written line the head is in.
#[derive(Debug, Default)]
struct Line {
    at: Place,
    len: usize,
    head: String,
}

/// Inline marks that are open, by the number of characters written when they opened.
#[derive(Debug, Default)]
struct Open {
    code: Option<usize>,
    bold: Option<usize>,
    link: Option<usize>,
    /// A link's text has closed: an address may follow.
    link_text_closed: bool,
    in_address: bool,
    tag: Option<usize>,
    last: Option<char>,
    stars: usize,
}

/// What the text before a word ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Nothing,
    Clause,
    Sentence,
}

impl Clauses {
    /// A cutter whose spoken text follows `dictionary`.
    pub fn new(dictionary: Dictionary) -> Self {
        Self {
            dictionary,
            hurried: false,
            ready: Vec::new(),
            silent: String::new(),
            text: String::new(),
            work: String::new(),
            start: Start::Line,
            gap: String::new(),
            weight: 0,
            written: 0,
            released: 0,
            line: Line::default(),
            open: Open::default(),
            conjunction: None,
            after_conjunction: false,
            word: Place::default(),
            fence: None,
        }
    }

    /// The same, for a voice on whose first words somebody would have to wait.
    pub fn hurried(self) -> Self {
        Self {
            hurried: true,
            ..self
        }
    }

    /// Takes the next piece of text, of any length, and gives the clauses that are now complete.
    pub fn push(&mut self, text: &str) -> Vec<Clause> {
        for c in text.chars() {
            self.step(c);
        }
        std::mem::take(&mut self.ready)
    }

    /// The text has ended: what is left. The cutter is then as new.
    pub fn finish(&mut self) -> Vec<Clause> {
        if self.fence.is_some() {
            self.end_fence_line();
            self.close_fence();
        } else if self.line_is_fence() {
            // An opening fence and nothing after it.
            self.open_fence();
            self.close_fence();
        }
        let gap = std::mem::take(&mut self.gap);
        self.text.push_str(&gap);
        let pause = match ending(&self.work, None) {
            Ending::Clause => CLAUSE_PAUSE,
            _ => SENTENCE_PAUSE,
        };
        self.release_all(pause);
        if !self.silent.is_empty() {
            let text = std::mem::take(&mut self.silent);
            self.ready.push(Clause {
                text,
                spoken: String::new(),
                pause: Duration::ZERO,
            });
        }
        let ready = std::mem::take(&mut self.ready);
        *self = Self {
            hurried: self.hurried,
            ..Self::new(std::mem::take(&mut self.dictionary))
        };
        ready
    }

    fn step(&mut self, c: char) {
        if self.fence.is_some() {
            self.step_in_fence(c);
            return;
        }
        if c.is_whitespace() {
            self.gap.push(c);
            if c == '\n' && self.line_is_fence() {
                let gap = std::mem::take(&mut self.gap);
                self.text.push_str(&gap);
                self.open_fence();
            }
            return;
        }
        // A dash or a full stop of Chinese may stand without spaces.
        let joined = self.gap.is_empty()
            && self.work.ends_with(['—', '。', '！', '？'])
            && c.is_alphanumeric();
        if !self.gap.is_empty() || joined {
            self.word_begins(c);
        }
        self.text.push(c);
        self.work.push(c);
        self.written += 1;
        self.weight += weight(c, self.open.last);
        self.line.len += 1;
        if self.line.len <= 60 {
            self.line.head.push(c);
        }
        self.open.track(c, self.written);
        if self.weight >= FAR_TOO_LONG || self.written >= MOST_WRITTEN {
            self.release_all(Duration::ZERO);
        }
    }

    /// The first character of a word has come: is there a cut before it?
    fn word_begins(&mut self, c: char) {
        let gap = std::mem::take(&mut self.gap);
        let lines = gap.chars().filter(|&c| c == '\n').count();
        let hard = lines > 0 && self.is_hard_break(c, lines);
        let pause = if self.weight == 0 {
            None
        } else if hard {
            self.pause_at_line(c, lines)
        } else {
            self.pause_in_line(c)
        };
        self.text.push_str(&gap);
        if let Some(pause) = pause {
            self.release_all(pause);
            self.start = if lines > 0 {
                Start::Line
            } else {
                Start::Within
            };
        } else if !self.work.is_empty() && !gap.is_empty() {
            self.work.push(if hard { '\n' } else { ' ' });
            self.weight += 1;
            if hard {
                self.open = Open::default();
            }
        } else if lines > 0 {
            self.start = Start::Line;
        }
        let here = self.here();
        let conjunction = is_conjunction(&self.work[self.word.work.min(self.work.len())..]);
        // "and | then" is no place: the first of two counts.
        if conjunction && !self.after_conjunction && !self.open.is_open(self.written) {
            self.conjunction = Some(self.word);
        }
        self.after_conjunction = conjunction;
        self.word = here;
        if lines > 0 {
            self.line = Line {
                at: here,
                len: 0,
                head: String::new(),
            };
        }
    }

    /// Whether a line break is meant, or only there because the line was full.
    fn is_hard_break(&self, next: char, lines: usize) -> bool {
        let wrapped = self.line.len >= WRAPPED
            && (next.is_lowercase()
                || ending(&self.work, Some(next)) == Ending::Nothing && next.is_alphanumeric())
            && !self.line.head.starts_with(['#', '|']);
        lines > 1 || !wrapped
    }

    fn pause_at_line(&self, next: char, lines: usize) -> Option<Duration> {
        let block = self
            .line
            .head
            .starts_with(['#', '|', '>', '-', '*', '+', '•'])
            || self.line.head.starts_with(|c: char| c.is_ascii_digit())
            || matches!(next, '#' | '|' | '-' | '*' | '+' | '•');
        let least = if self.released == 0 {
            FIRST
        } else {
            LATER_AT_SENTENCE
        };
        let least = if lines > 1 { least.min(FIRST) } else { least };
        (self.weight >= least).then_some(if lines > 1 || block {
            PARAGRAPH_PAUSE
        } else {
            SENTENCE_PAUSE
        })
    }

    fn pause_in_line(&mut self, next: char) -> Option<Duration> {
        // A list's mark is no dash, its number no sentence.
        let marker = self.line.len <= 4 && !self.line.head.contains(char::is_alphabetic);
        let kept = self.open.is_open(self.written);
        let (least_comma, least_sentence) = match self.released {
            0 => (FIRST, FIRST),
            1 => (SECOND_AT_COMMA, LATER_AT_SENTENCE),
            _ => (LATER_AT_COMMA, LATER_AT_SENTENCE),
        };
        if !kept && !marker {
            match ending(&self.work, Some(next)) {
                Ending::Sentence if self.weight >= least_sentence => return Some(SENTENCE_PAUSE),
                Ending::Clause if self.weight >= least_comma => return Some(CLAUSE_PAUSE),
                _ => {}
            }
        }
        if self.hurried && !kept && !marker && self.cut_in_a_hurry(next) {
            return None;
        }
        if self.weight >= LONG
            && let Some(place) = self.conjunction.take()
            && place.weight >= LEAST_BEFORE_CONJUNCTION
        {
            self.release_until(place, Duration::ZERO);
            return None;
        }
        let digits = next.is_numeric() || self.work.ends_with(|c: char| c.is_numeric());
        (self.weight >= TOO_LONG && !kept && !digits).then_some(Duration::ZERO)
    }

    /// A cut inside a sentence, among the first clauses: before the last word, when it begins a phrase,
    /// or after it.
    fn cut_in_a_hurry(&mut self, next: char) -> bool {
        let Some(&(phrase, any)) = HURRIED.get(self.released) else {
            return false;
        };
        let (before, last) = self.work.split_at(self.word.work.min(self.work.len()));
        let before = before.trim_end();
        let numeric = |text: &str| text.ends_with(|c: char| c.is_numeric());
        let place = if self.word.weight >= phrase
            && begins_phrase(last)
            && !clings(before)
            && !(numeric(before) && joins_numbers(last))
        {
            self.word
        } else if self.weight >= any && !clings(last) && !numeric(last) && !next.is_numeric() {
            self.here()
        } else {
            return false;
        };
        self.release_until(place, Duration::ZERO);
        true
    }

    fn here(&self) -> Place {
        Place {
            text: self.text.len(),
            work: self.work.len(),
            weight: self.weight,
        }
    }

    fn release_all(&mut self, pause: Duration) {
        self.release_until(self.here(), pause);
    }

    /// Makes a clause of what is pending before `place`; the rest stays.
    fn release_until(&mut self, place: Place, pause: Duration) {
        let rest = self.text.split_off(place.text);
        let text = std::mem::replace(&mut self.text, rest);
        let rest = self.work.split_off(place.work);
        let work = std::mem::replace(&mut self.work, rest);
        self.weight = self.weight.saturating_sub(place.weight);
        self.line.at.shift(place);
        self.word.shift(place);
        self.written = self.text.chars().count();
        let mut spoken = speak(&work, self.start, &self.dictionary);
        // The voice is told that the sentence goes on.
        if pause.is_zero() && spoken.ends_with(char::is_alphanumeric) {
            spoken.push(',');
        }
        self.start = Start::Within;
        self.conjunction = None;
        self.open = Open {
            last: self.open.last,
            ..Open::default()
        };
        self.emit(&text, spoken, pause);
    }

    fn emit(&mut self, text: &str, spoken: String, pause: Duration) {
        let mut text = std::mem::take(&mut self.silent) + text;
        if !spoken.contains(|c: char| c.is_ascii_alphabetic()) {
            self.silent = text;
            return;
        }
        self.released += 1;
        let mut parts = split_spoken(spoken);
        let last = parts.pop().unwrap_or_default();
        let count = parts.len() + 1;
        for (i, spoken) in parts.into_iter().enumerate() {
            let rest = text.split_off(share(&text, count - i));
            let text = std::mem::replace(&mut text, rest);
            self.ready.push(Clause {
                text,
                spoken,
                pause: Duration::ZERO,
            });
        }
        self.ready.push(Clause {
            text,
            spoken: last,
            pause,
        });
    }
}

impl Open {
    fn track(&mut self, c: char, now: usize) {
        let last = self.last.replace(c);
        if c == '*' {
            self.stars += 1;
            if self.stars == 2 {
                self.bold = if self.bold.is_some() { None } else { Some(now) };
            }
        } else {
            self.stars = 0;
        }
        if c == '`' && last != Some('`') {
            self.code = if self.code.is_some() { None } else { Some(now) };
        }
        if self.link_text_closed {
            self.link_text_closed = false;
            self.in_address = c == '(';
            if !self.in_address {
                self.link = None;
            }
        }
        match c {
            '[' if self.link.is_none() => self.link = Some(now),
            ']' if self.link.is_some() && !self.in_address => self.link_text_closed = true,
            ')' if self.in_address => {
                self.in_address = false;
                self.link = None;
            }
            '>' => self.tag = None,
            _ if last == Some('<') && (c.is_ascii_alphabetic() || c == '/' || c == '!') => {
                self.tag = Some(now);
            }
            _ => {}
        }
    }

    fn is_open(&self, now: usize) -> bool {
        let link = if self.link_text_closed {
            None
        } else {
            self.link
        };
        [self.code, self.bold, link, self.tag]
            .into_iter()
            .flatten()
            .any(|since| now.saturating_sub(since) < OPEN_REACH)
    }
}
