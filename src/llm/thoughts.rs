//! An answer without what its model thought first. Pure.
//!
//! Most servers take thoughts out themselves, or let them stand between tags. Some models' templates
//! begin the answer with `<think>` as part of the question (DeepSeek R1, QwQ, the thinking ones of Qwen),
//! so that only the closing tag is in the answer, and a server that was started without a parser for
//! thoughts sends it all as text. [`Habit`] is what is known of a model in that regard.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What may wait for its closing tag. Longer is taken for thoughts, whatever comes.
const MOST_HELD_BYTES: usize = 256 << 10;

/// Whether the answers of a model begin within a thought that no tag opens. Learnt from its answers;
/// clones share it.
#[derive(Clone, Debug, Default)]
pub struct Habit(Arc<AtomicBool>);

impl Habit {
    /// What the name of a model makes one expect, until its first answer says.
    pub fn of(model: &str) -> Self {
        let model = model.to_lowercase();
        let mut words = model.split(|c: char| !c.is_alphanumeric());
        let begins = words.any(|word| matches!(word, "r1" | "qwq" | "thinking"));
        Self(Arc::new(AtomicBool::new(begins)))
    }

    fn begins(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn learn(&self, begins: bool) {
        self.0.store(begins, Ordering::Relaxed);
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model had said all.
    Whole,
    /// In its middle: by a call, or at the longest allowed.
    Cut,
}

/// Takes thinking text out of an answer: what stands between `<think>` and `</think>` (or
/// `<thinking>`), however the stream cut the tags, and white space before the first word. A block
/// that is never closed is thinking to the end.
///
/// A closing tag alone, with words behind it, is dropped, and says that this model's answers begin within a thought:
/// what came before it was said already, of the answers after it nothing is before such a tag. One of them without
/// any tag is said as a whole when it ends, and the habit is forgotten.
#[derive(Debug)]
pub struct ThinkFilter {
    habit: Habit,
    /// A `<` and what follows, while it may still become a tag.
    held: String,
    /// What an answer without an opening tag began with, by habit, until a tag says what it was.
    begun: Option<String>,
    thinking: bool,
    /// There was a tag.
    tagged: bool,
    /// What stood before a closing tag alone: the answer itself, where nothing follows.
    alone: Option<String>,
    spoke: bool,
}

const TAGS: [(&str, bool); 4] = [
    ("<think>", true),
    ("</think>", false),
    ("<thinking>", true),
    ("</thinking>", false),
];

impl ThinkFilter {
    /// A filter at the beginning of an answer.
    pub fn new(habit: &Habit) -> Self {
        Self {
            habit: habit.clone(),
            held: String::new(),
            begun: habit.begins().then(String::new),
            thinking: false,
            tagged: false,
            alone: None,
            spoke: false,
        }
    }

    /// The server sends thoughts apart from the text: none are in it. What of the text was held back can
    /// be said.
    pub fn apart(&mut self) -> String {
        let Some(begun) = self.begun.take() else {
            return String::new();
        };
        self.habit.learn(false);
        let mut said = String::new();
        self.say(&begun, &mut said);
        said
    }

    /// What of `piece`, and of what was held back before, can be said now.
    pub fn push(&mut self, piece: &str) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(piece);
        let mut rest = text.as_str();
        let mut said = String::new();
        while let Some(at) = rest.find('<') {
            self.say(&rest[..at], &mut said);
            rest = &rest[at..];
            if let Some((tag, opens)) = TAGS.iter().find(|(tag, _)| rest.starts_with(tag)) {
                self.tag(*opens, &mut said);
                rest = &rest[tag.len()..];
            } else if TAGS.iter().any(|(tag, _)| tag.starts_with(rest)) {
                self.held = rest.to_owned();
                return said;
            } else {
                self.say("<", &mut said);
                rest = &rest[1..];
            }
        }
        self.say(rest, &mut said);
        said
    }

    /// The answer has ended: half a tag was none.
    pub fn finish(&mut self, end: End) -> String {
        let held = std::mem::take(&mut self.held);
        let mut said = String::new();
        self.say(&held, &mut said);
        match (self.begun.take(), end) {
            // The model does not think, or its server takes thoughts out now.
            (Some(begun), End::Whole) if !begun.trim().is_empty() => {
                self.habit.learn(false);
                self.say(&begun, &mut said);
            }
            (None, End::Whole) if !self.thinking => {
                if let Some(answer) = self.alone.take() {
                    self.habit.learn(false);
                    self.say(&answer, &mut said);
                }
            }
            // A thought that led to a call or took all the room.
            _ => {}
        }
        said
    }

    fn tag(&mut self, opens: bool, said: &mut String) {
        match (self.begun.take(), opens) {
            // With a tag of its own, so what stood before it was none.
            (Some(begun), true) => {
                self.habit.learn(false);
                self.say(&begun, said);
            }
            (Some(begun), false) => self.alone = Some(begun),
            (None, false) if !self.tagged => self.alone = Some(String::new()),
            (None, _) => {}
        }
        self.tagged = true;
        self.thinking = opens;
    }

    fn say(&mut self, text: &str, said: &mut String) {
        if self.thinking {
            return;
        }
        if let Some(begun) = &mut self.begun {
            if begun.len() + text.len() <= MOST_HELD_BYTES {
                begun.push_str(text);
            } else {
                self.begun = None;
                self.thinking = true;
            }
            return;
        }
        if !text.trim().is_empty() && self.alone.take().is_some() {
            self.habit.learn(true);
        }
        let text = if self.spoke { text } else { text.trim_start() };
        self.spoke |= !text.is_empty();
        said.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_habit<'a>(habit: &Habit, pieces: impl IntoIterator<Item = &'a str>, end: End) -> String {
        let mut filter = ThinkFilter::new(habit);
        let mut said: String = pieces.into_iter().map(|p| filter.push(p)).collect();
        said.push_str(&filter.finish(end));
        said
    }

    fn filtered<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
        of_habit(&Habit::default(), pieces, End::Whole)
    }
    #[test]
    fn thinking_is_not_said_however_it_is_cut() {
        for (whole, said) in [
            ("<think>\nhm\n</think>\n\nYes.", "Yes."),
            ("<think></think>Yes.", "Yes."),
            ("  Yes <think>or</think> no.", "Yes  no."),
            ("<thinking>a < b <think x</thinking>é", "é"),
            ("<think>never closed", ""),
            ("said before</think>Yes.", "said beforeYes."),
            ("1 < 2 <b> <thin", "1 < 2 <b> <thin"),
            ("<<think>x</think>>", "<>"),
            ("<think>a</think>b<think>c</think>d", "bd"),
            ("", ""),
        ] {
            assert_eq!(filtered([whole]), said);
            let chars: Vec<String> = whole.chars().map(String::from).collect();
            assert_eq!(filtered(chars.iter().map(String::as_str)), said, "{whole}");
            for (at, _) in whole.char_indices() {
                let (a, b) = whole.split_at(at);
                assert_eq!(filtered([a, b]), said, "{a} | {b}");
            }
        }
    }

    #[test]
    fn a_model_that_begins_within_a_thought_is_found_out_once() {
        let habit = Habit::default();
        let said = |text: &str, end| {
            let chars: Vec<String> = text.chars().map(String::from).collect();
            of_habit(&habit, chars.iter().map(String::as_str), end)
        };
        // Nobody could know.
        assert_eq!(said("Hm.</think>Yes.", End::Whole), "Hm.Yes.");
        assert!(habit.begins());
        // A tag at the end closes nothing.
        assert_eq!(said("It is nine.</think>\n", End::Whole), "It is nine.");
        assert!(!habit.begins());
        assert_eq!(said("It is nine.</think>", End::Whole), "It is nine.");
        assert!(!habit.begins());
        assert_eq!(said("Hm.</think>Yes.", End::Whole), "Hm.Yes.");
        // Now one does.
        assert_eq!(said("Hm < 3.</think>\n\nNo.", End::Whole), "No.");
        assert_eq!(said("Hm. The lamp", End::Cut), "");
        assert_eq!(said("Hm.</think>A lamp.", End::Cut), "A lamp.");
        assert_eq!(said("</think>Yes </think> yes.", End::Whole), "Yes  yes.");
        // An answer without a tag is one, and all after it come at once.
        assert_eq!(said("It is nine.", End::Whole), "It is nine.");
        assert!(!habit.begins());
        let mut filter = ThinkFilter::new(&habit);
        assert_eq!(filter.push("It"), "It");
    }

    #[test]
    fn what_opens_its_thoughts_or_sends_them_apart_does_not_begin_within_one() {
        let habit = Habit::of("QwQ-32B");
        assert!(habit.begins());
        let said = of_habit(&habit, ["So. <think>hm</think>Yes."], End::Whole);
        assert_eq!((said.as_str(), habit.begins()), ("So. Yes.", false));
        let habit = Habit::of("deepseek-r1:8b");
        let mut filter = ThinkFilter::new(&habit);
        assert_eq!(filter.push("It "), "");
        assert_eq!(filter.apart(), "It ");
        assert_eq!(filter.push("is"), "is");
        assert!(!habit.begins());
        for plain in ["qwen3:4b", "starling", "r12", ""] {
            assert!(!Habit::of(plain).begins(), "{plain}");
        }
    }

    #[test]
    fn a_thought_without_end_is_not_kept() {
        let habit = Habit::of("qwq");
        let mut filter = ThinkFilter::new(&habit);
        for _ in 0..10 {
            assert_eq!(filter.push(&"x".repeat(MOST_HELD_BYTES / 4)), "");
        }
        assert_eq!(filter.begun, None);
        assert_eq!(filter.finish(End::Whole), "");
    }
}
