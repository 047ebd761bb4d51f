//! Reads one line of clean text from left to right and says it: the loop, the signs, and the
//! look-ahead that the other readers share. Numbers are in `figures` and its siblings, dates and times in `when`,
//! addresses and files in `web`, words in `lexis`.

use super::{
    out::{BRACKET, Out},
    translit::transliterate,
    units::CURRENCIES,
    words::{Caps, capitals as capitals_of, is_emoticon, spell},
};
use crate::tts::dictionary::{Dictionary, Say};

/// How far a look-ahead for a token's end goes: longer tokens are read as they come.
pub(super) const TOKEN_REACH: usize = 300;

/// The last thing that was read, for those whose sense depends on it.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// As written, without punctuation.
    pub(super) written: String,
    pub(super) lower: String,
    pub(super) number: bool,
    /// Whether the thing before it was a number: "221 Baker" is an address.
    pub(super) after_number: bool,
}

/// A reading head over one line.
pub(super) struct Reader<'a> {
    pub(super) c: &'a [char],
    pub(super) i: usize,
    pub(super) out: Out,
    pub(super) dictionary: &'a Dictionary,
    pub(super) last: Last,
    /// Most words of the line are in capitals.
    pub(super) shouting: bool,
    /// Double quotes passed so far, to tell 6'2" from the end of a quotation.
    quotes: usize,
}

/// Speaks a line of clean text.
pub(super) fn read(text: &str, dictionary: &Dictionary) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader {
        c: &chars,
        i: 0,
        out: Out::default(),
        dictionary,
        last: Last::default(),
        shouting: is_shouting(text),
        quotes: 0,
    };
    while reader.i < chars.len() {
        let before = reader.i;
        reader.step();
        debug_assert!(reader.i > before, "no progress at {before}");
        reader.i = reader.i.max(before + 1);
    }
    reader.out.finish()
}

fn is_shouting(text: &str) -> bool {
    let (mut capitals, mut real, mut others) = (0, 0, 0);
    for word in text
        .split(|c: char| !c.is_alphabetic())
        .filter(|w| w.len() > 1)
    {
        if word.bytes().all(|b| b.is_ascii_uppercase()) {
            capitals += 1;
            real += usize::from(matches!(capitals_of(word, false), Caps::Word(_)));
        } else {
            others += 1;
        }
    }
    // A list of acronyms is no shouting: some of it must be words for certain.
    capitals >= 3 && capitals > 3 * others && 2 * real >= capitals
}

impl Reader<'_> {
    pub(super) fn at(&self, i: usize) -> Option<char> {
        self.c.get(i).copied()
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> String {
        self.c[from.min(self.c.len())..to.min(self.c.len())]
            .iter()
            .collect()
    }

    /// Where the run of characters that satisfy `is` ends.
    pub(super) fn run(&self, from: usize, is: impl Fn(char) -> bool) -> usize {
        self.c[from.min(self.c.len())..]
            .iter()
            .position(|&c| !is(c))
            .map_or(self.c.len(), |n| from + n)
    }

    pub(super) fn digits(&self, from: usize) -> usize {
        self.run(from, |c| c.is_ascii_digit())
    }

    pub(super) fn letters(&self, from: usize) -> usize {
        self.run(from, |c| c.is_ascii_alphabetic())
    }

    pub(super) fn digit_at(&self, i: usize) -> bool {
        self.at(i).is_some_and(|c| c.is_ascii_digit())
    }

    pub(super) fn letter_at(&self, i: usize) -> bool {
        self.at(i).is_some_and(|c| c.is_ascii_alphabetic())
    }

    pub(super) fn alnum_at(&self, i: usize) -> bool {
        self.at(i).is_some_and(char::is_alphanumeric)
    }

    pub(super) fn space_at(&self, i: usize) -> bool {
        self.at(i).is_none_or(char::is_whitespace)
    }

    pub(super) fn skip_spaces(&self, from: usize) -> usize {
        self.run(from, char::is_whitespace)
    }

    /// Where the token that begins at `from` ends: at the next space.
    pub(super) fn token_end(&self, from: usize) -> usize {
        let reach = (from + TOKEN_REACH).min(self.c.len());
        self.c[from..reach]
            .iter()
            .position(|c| c.is_whitespace())
            .map_or(reach, |n| from + n)
    }

    /// The next word's letters after spaces, and where it begins.
    pub(super) fn next_word(&self, from: usize) -> (String, usize) {
        let start = self.skip_spaces(from);
        (
            self.slice(start, self.letters(start).min(start + 40)),
            start,
        )
    }

    /// Says words and remembers what they stood for.
    pub(super) fn say(&mut self, spoken: &str, written: &str, number: bool) {
        self.out.words(spoken);
        let after_number =
            self.last.number || self.last.written.starts_with(|c: char| c.is_ascii_digit());
        self.last = Last {
            written: written.to_owned(),
            lower: written.to_ascii_lowercase(),
            number,
            after_number,
        };
    }

    pub(super) fn last_but_one_number(&self) -> bool {
        self.last.after_number
    }

    fn previous(&self) -> Option<char> {
        self.i.checked_sub(1).and_then(|i| self.at(i))
    }

    fn step(&mut self) {
        let c = self.c[self.i];
        if c.is_whitespace() {
            self.i += 1;
            return;
        }
        let fresh = self.previous().is_none_or(|p| !p.is_alphanumeric());
        if fresh && (self.emoticon() || self.entry() || self.web()) {
            return;
        }
        match c {
            '0'..='9' => self.figure(),
            'A'..='Z' if fresh && self.money() => {}
            'a'..='z' | 'A'..='Z' => self.word(),
            _ if self.money() => {}
            _ if c.is_alphabetic() || c.is_numeric() => self.foreign(),
            _ => self.sign(c),
        }
    }

    fn emoticon(&mut self) -> bool {
        if self.letter_at(self.i) && !matches!(self.c[self.i], 'X' | 'x' | 'o' | 'O' | 'T' | 'B')
            || self.digit_at(self.i) && self.c[self.i] != '8'
            || !self.previous().is_none_or(char::is_whitespace)
        {
            return false;
        }
        let end = self.token_end(self.i);
        if end - self.i > 6 {
            return false;
        }
        let token = self.slice(self.i, end);
        let bare = token.trim_end_matches(['.', ',', '!', '?']);
        if !is_emoticon(&token) && !is_emoticon(bare) {
            return false;
        }
        self.i += if is_emoticon(&token) {
            token.len()
        } else {
            bare.len()
        };
        true
    }

    /// A word of the user's dictionary.
    fn entry(&mut self) -> bool {
        if self.dictionary.is_empty() {
            return false;
        }
        let Some((say, len)) = self.dictionary.find(&self.c[self.i..]) else {
            return false;
        };
        let written = self.slice(self.i, self.i + len);
        let after = self.i + len;
        let possessive = self.at(after) == Some('\'')
            && matches!(self.at(after + 1), Some('s' | 'S'))
            && !self.alnum_at(after + 2);
        match say.clone() {
            Say::Words(words) => {
                self.say(&words, &written, false);
                if possessive {
                    self.out.suffix("'s");
                }
            }
            Say::Phonemes(phonemes) => {
                let ending = match phonemes.chars().last() {
                    _ if !possessive => "",
                    Some('p' | 't' | 'k' | 'f' | 'θ') => "s",
                    Some('s' | 'z' | 'ʃ' | 'ʒ' | 'ʧ' | 'ʤ') => "ᵻz",
                    _ => "z",
                };
                let mark = if possessive { "'s" } else { "" };
                let shown: String = written
                    .chars()
                    .filter(|c| c.is_alphanumeric() || *c == '\'')
                    .collect();
                let marker = format!("[{shown}{mark}](/{}{ending}/)", phonemes.replace(' ', ""));
                self.out.word(&marker);
                self.say("", &written, false);
            }
        }
        self.i = after + if possessive { 2 } else { 0 };
        true
    }

    /// Letters of another script.
    fn foreign(&mut self) {
        let end = self.run(self.i, |c| {
            (c.is_alphabetic() || c.is_numeric()) && !c.is_ascii()
        });
        let run = &self.c[self.i..end];
        // Digits of other scripts have their value.
        let digits: Option<String> = run
            .iter()
            .map(|&c| decimal_digit(c).map(|d| char::from(b'0' + d)))
            .collect();
        let spoken = match digits {
            Some(digits) => super::number::cardinal_digits(&digits),
            None => transliterate(run),
        };
        let written = self.slice(self.i, end);
        self.i = end;
        self.say(&spoken, &written, false);
    }

    /// Punctuation and symbols.
    fn sign(&mut self, c: char) {
        let before = self.previous();
        let apart = before.is_none_or(char::is_whitespace) && self.space_at(self.i + 1);
        let next = self.at(self.i + 1);
        let digit_next = next.is_some_and(|c| c.is_ascii_digit());
        let after_digit = before.is_some_and(|c| c.is_ascii_digit());
        if matches!(c, '(' | '+')
            && digit_next
            && let Some((groups, end)) = self.digit_groups(self.i)
        {
            if c == '+' {
                self.out.words("plus");
            }
            return self.say_groups(&groups, end);
        }
        match c {
            '.' => return self.full_stop(),
            ',' | ';' | ':' | '?' | '!' | '—' => self.out.pause(c),
            '"' => self.quotes += 1,
            '(' | ')' | '[' | ']' | '{' | '}' | '|' | '•' | '¶' => self.out.pause(BRACKET),
            '-' | '–' | '−' => return self.dash(c),
            '+' if apart
                || digit_next
                || after_digit
                || before == Some('+')
                || next == Some('+') =>
            {
                self.out.words("plus");
            }
            '=' => {
                let end = self.run(self.i, |c| c == '=');
                match self.at(end) {
                    _ if end - self.i > 2 => {}
                    Some('>') => return self.arrow(end + 1, "to"),
                    _ => self.out.words("equals"),
                }
                self.i = end;
                return;
            }
            '<' | '>' => return self.angle(c),
            '≤' => self.out.words("is at most"),
            '≥' => self.out.words("is at least"),
            '≠' => self.out.words("is not equal to"),
            '≈' | '≃' | '≅' => self.out.words("approximately"),
            '~' if digit_next || next == Some('$') => self.out.words("about"),
            '~' if apart => self.out.words("tilde"),
            '±' => self.out.words("plus or minus"),
            '×' => self.out.words("times"),
            '÷' => self.out.words("divided by"),
            '*' if (apart || after_digit || digit_next)
                && (self.last.number || before.is_some() && self.next_is_operand()) =>
            {
                self.out.words("times");
            }
            '/' if apart && self.last.number => self.out.words("divided by"),
            '/' if apart => self.out.words("slash"),
            '\\' if apart => self.out.words("backslash"),
            '^' => return self.power(),
            '√' => self.out.words("the square root of"),
            '∞' => self.out.words("infinity"),
            '∑' => self.out.words("the sum of"),
            '∏' => self.out.words("the product of"),
            '∫' => self.out.words("the integral of"),
            '∂' => self.out.words("partial"),
            '∆' => self.out.words("delta"),
            '∈' => self.out.words("in"),
            '∪' => self.out.words("union"),
            '∩' => self.out.words("intersection"),
            '∧' => self.out.words("and"),
            '∨' => self.out.words("or"),
            '¬' => self.out.words("not"),
            '∀' => self.out.words("for all"),
            '∃' => self.out.words("there is"),
            '→' => return self.arrow(self.i + 1, "to"),
            '←' => return self.arrow(self.i + 1, "from"),
            '↔' => return self.arrow(self.i + 1, "to and from"),
            '↑' => self.out.words("up"),
            '↓' => self.out.words("down"),
            '&' => self.out.words("and"),
            '@' => self.out.words("at"),
            '#' => return self.hash(),
            '%' => self.out.words("percent"),
            '‰' => self.out.words("per thousand"),
            '°' => self.out.words("degrees"),
            '§' => self.out.words("section"),
            '¢' => self.out.words("cents"),
            '_' if apart => self.out.words("underscore"),
            '$' if apart => self.out.words("dollar"),
            '€' => self.out.words("euros"),
            '£' => self.out.words("pounds"),
            '\'' => return self.quote(),
            // Marks between or around words: a space.
            _ => {}
        }
        if !matches!(c, ',' | ';' | ':' | '?' | '!' | '"' | '(' | ')' | '*' | '+') {
            self.last.number = false;
        }
        self.i += 1;
    }

    fn next_is_operand(&self) -> bool {
        let next = self.skip_spaces(self.i + 1);
        let single = self.last.written.chars().count() == 1;
        self.digit_at(next) || single && self.letter_at(next) && !self.alnum_at(next + 1)
    }

    /// An arrow between things is "to"; at the edge it only points.
    fn arrow(&mut self, end: usize, word: &str) {
        if self.out.at_sentence_start() || self.skip_spaces(end) >= self.c.len() {
            self.out.pause(',');
        } else {
            self.out.words(word);
        }
        self.i = end;
    }

    fn full_stop(&mut self) {
        let end = self.run(self.i, |c| c == '.');
        if end - self.i == 1 && self.digit_at(end) {
            self.out.words("point");
        } else if end - self.i == 1 && self.letter_at(end) {
            // ".NET", ".env", "file.name": a dot that is said.
            self.out.words("dot");
        } else if end - self.i > 1 && self.skip_spaces(end) < self.c.len() {
            self.out.pause(',');
        } else {
            self.out.pause('.');
        }
        self.i = end;
    }

    /// Minus, a range, a dash, or nothing.
    fn dash(&mut self, c: char) {
        let end = self.run(self.i, |x| x == c);
        let count = end - self.i;
        let before = self.previous();
        let number_next = self.digit_at(end)
            || self.at(end) == Some('.') && self.digit_at(end + 1)
            || self.at(end).is_some_and(|c| {
                CURRENCIES
                    .iter()
                    .any(|(sign, _)| sign.starts_with(c) && !c.is_ascii_alphabetic())
            });
        let opens = before.is_none_or(|p| p.is_whitespace() || "([{\"'=<>≤≥≈~×÷*/^:,".contains(p));
        if count == 1 && self.at(end) == Some('>') {
            return self.arrow(end + 1, "to");
        }
        if count > 2 {
            self.out.pause(',');
        } else if c == '−'
            || (number_next && count == 1 && matches!(self.last.lower.as_str(), "utc" | "gmt"))
            || (count == 1 && opens && number_next && c != '–')
        {
            self.out.words("minus");
        } else if self.space_at(end) && opens {
            let arithmetic = self.last.number && self.digit_at(self.skip_spaces(end));
            if arithmetic && count == 1 {
                let sum = self.c[end..].iter().take(40).any(|&c| c == '=')
                    || self.c[..self.i]
                        .iter()
                        .rev()
                        .take(40)
                        .any(|c| "=+×÷*".contains(*c));
                self.out.words(if sum { "minus" } else { "to" });
            } else {
                self.out.pause('—');
            }
        } else if count == 2 || self.space_at(end) && before.is_some_and(|p| !p.is_alphanumeric()) {
            self.out.pause('—');
        } else if c == '–'
            && !self.last.number
            && self.letter_at(end)
            && !self.last.lower.is_empty()
        {
            // "Paris–Berlin", "Mon–Fri".
            self.out.words("to");
        }
        self.i = end;
    }

    fn angle(&mut self, c: char) {
        let (text, used) = match (c, self.at(self.i + 1)) {
            ('<', Some('=')) => ("is at most", 2),
            ('>', Some('=')) => ("is at least", 2),
            ('<', Some('-')) => return self.arrow(self.i + 2, "from"),
            ('<', Some('<')) | ('>', Some('>')) => ("", self.run(self.i, |x| x == c) - self.i),
            // A quotation mark of e-mail, or a comparison without a left side.
            ('>', _)
                if self.out.at_sentence_start()
                    && self.last.lower.is_empty()
                    && !self.digit_at(self.skip_spaces(self.i + 1)) =>
            {
                ("", 1)
            }
            ('<', _) => (
                if self.out.at_sentence_start() {
                    "less than"
                } else {
                    "is less than"
                },
                1,
            ),
            _ => (
                if self.out.at_sentence_start() {
                    "more than"
                } else {
                    "is greater than"
                },
                1,
            ),
        };
        // "a value < 5", "temperatures > 30": "is" would be one verb too many after a verb.
        let verb = matches!(
            self.last.lower.as_str(),
            "is" | "are" | "was" | "be" | "for" | "of" | "at" | "with" | "if"
        );
        self.out.words(if verb && self.last.lower != "if" {
            text.trim_start_matches("is ")
        } else {
            text
        });
        self.i += used;
    }

    /// `x^2`, `10^-6`, `2^n`.
    fn power(&mut self) {
        let sign = matches!(self.at(self.i + 1), Some('-' | '−'));
        let start = self.i + 1 + usize::from(sign);
        let digits = self.digits(start);
        let minus = if sign { "minus " } else { "" };
        if digits > start {
            let power = self.slice(start, digits);
            match power.as_str() {
                "2" if !sign => self.out.words("squared"),
                "3" if !sign => self.out.words("cubed"),
                _ => {
                    let power = super::number::cardinal_digits(&power);
                    self.out.words(&format!("to the power of {minus}{power}"));
                }
            }
            self.i = digits;
            self.last.number = true;
        } else if self.alnum_at(start)
            && self
                .previous()
                .is_some_and(|p| p.is_alphanumeric() || p == ')')
        {
            self.out.words(&format!("to the power of {minus}"));
            self.i = start;
        } else {
            if self.space_at(self.i + 1) && self.previous().is_none_or(char::is_whitespace) {
                self.out.words("caret");
            }
            self.i += 1;
        }
    }

    /// `#5`, `#topic`, or a lone hash.
    fn hash(&mut self) {
        let end = self.run(self.i, |c| c == '#');
        if self.digit_at(end) {
            self.out.words("number");
        } else if self.letter_at(end) && end - self.i == 1 {
            self.out.words("hashtag");
        } else if end - self.i == 1 && self.space_at(end) && self.i > 0 && end < self.c.len() {
            self.out.words("hash");
        }
        self.i = end;
    }

    /// An apostrophe that is not inside a word: `'90s`, `'tis`, `rock 'n' roll`, `dogs'`, or a
    /// quotation mark.
    fn quote(&mut self) {
        let rest = self.slice(self.i, self.i + 6).to_ascii_lowercase();
        if rest.starts_with("'n'") && self.i > 0 {
            self.out.words("and");
            self.i += 3;
        } else if rest.starts_with("'tis") || rest.starts_with("'twas") {
            self.out.words(if rest.starts_with("'tis") {
                "it is"
            } else {
                "it was"
            });
            self.i += if rest.starts_with("'tis") { 4 } else { 5 };
        } else if rest.starts_with("'s")
            && !self.alnum_at(self.i + 2)
            && self.previous().is_some_and(|p| !p.is_whitespace())
        {
            self.out.suffix("'s");
            self.i += 2;
        } else {
            self.i += 1;
        }
    }

    /// Whether a double quote here would close a quotation.
    pub(super) fn in_quotation(&self) -> bool {
        self.quotes % 2 == 1
    }

    /// Says a piece of a name (in an address, a file, an identifier): a word, or its letters.
    pub(super) fn piece(&self, piece: &str) -> String {
        use super::{number, words};
        if piece.bytes().all(|b| b.is_ascii_digit()) {
            return if piece.len() <= 4 {
                number::grouped(piece)
            } else {
                number::digits(piece)
            };
        }
        let lower = piece.to_ascii_lowercase();
        match words::short(piece).or_else(|| words::pronounced(piece)) {
            Some(said) => said.to_owned(),
            None if lower == "com" || lower == "org" || lower == "net" || lower == "app" => lower,
            None if piece.len() > 2 && words::is_pronounceable(&lower) => piece.to_owned(),
            None if matches!(
                lower.as_str(),
                "me" | "my"
                    | "to"
                    | "in"
                    | "of"
                    | "at"
                    | "on"
                    | "is"
                    | "no"
                    | "go"
                    | "up"
                    | "we"
                    | "us"
                    | "it"
                    | "or"
                    | "by"
                    | "an"
                    | "as"
                    | "be"
                    | "do"
                    | "if"
                    | "so"
            ) =>
            {
                lower
            }
            None => spell(piece),
        }
    }
}

/// The value of a decimal digit of the scripts that have their own.
fn decimal_digit(c: char) -> Option<u8> {
    const ZEROS: [u32; 12] = [
        0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xc66, 0xce6, 0xe50, 0xed0, 0x1040,
    ];
    let code = u32::from(c);
    ZEROS
        .iter()
        .find(|&&zero| (zero..zero + 10).contains(&code))
        .map(|zero| (code - zero) as u8)
}
