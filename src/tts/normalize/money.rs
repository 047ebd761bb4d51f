//! Money: "$3.50", "€1,200", "3 USD", "$3.5M".

use super::{
    figures::Amount,
    number::cardinal,
    reader::Reader,
    units::{self, CURRENCIES, Currency},
};

impl Reader<'_> {
    /// `$3.50`, `€1,200`, `US$ 5`, `$3.5M`, `£2-3`.
    pub(super) fn money(&mut self) -> bool {
        let Some((sign, currency)) = self.currency_at(self.i) else {
            return false;
        };
        let after = self.i + sign;
        let gap = usize::from(self.at(after) == Some(' '));
        let start = after + gap;
        let minus = matches!(self.at(start), Some('-' | '−')) && self.digit_at(start + 1);
        let Some(amount) = self.amount(start + usize::from(minus)) else {
            return false;
        };
        if minus {
            self.out.words("minus");
        }
        self.say_money(&amount, currency, amount.end);
        true
    }

    fn currency_at(&self, at: usize) -> Option<(usize, Currency)> {
        let first = self.at(at)?;
        if first.is_ascii_lowercase() {
            return None;
        }
        CURRENCIES.iter().find_map(|(sign, currency)| {
            let len = sign.chars().count();
            let here = sign
                .chars()
                .enumerate()
                .all(|(i, c)| self.at(at + i) == Some(c));
            let letters = sign.ends_with(|c: char| c.is_ascii_alphabetic());
            (here && !(letters && self.letter_at(at + len))).then_some((len, *currency))
        })
    }

    pub(super) fn currency_after(&mut self, amount: &Amount) -> bool {
        let start = amount.end + usize::from(self.at(amount.end) == Some(' '));
        if self.at(start) == Some('¢') {
            let name = if amount.is_one() { "cent" } else { "cents" };
            let words = amount.words();
            self.say(&format!("{words} {name}"), "", true);
            self.i = start + 1;
            return true;
        }
        let Some((len, currency)) = self.currency_at(start) else {
            return false;
        };
        // "5 $10 notes": the sign belongs to what follows.
        if self.digit_at(start + len) {
            return false;
        }
        self.say_money(amount, currency, start + len);
        true
    }

    fn say_money(&mut self, amount: &Amount, currency: Currency, mut end: usize) {
        let written = self.slice(self.i, end);
        // A range: the currency is said once, after both.
        if end == amount.end && matches!(self.at(end), Some('-' | '–' | '—')) {
            let sign = self.currency_at(end + 1).map_or(0, |(len, _)| len);
            if let Some(upper) = self.amount(end + 1 + sign) {
                let words = amount.words();
                let _ = &written;
                self.say(&format!("{words} to"), &written, true);
                self.say_money(&upper, currency, upper.end);
                return;
            }
        }
        let mut scale = None;
        if end == amount.end {
            let stop = self.letters(end);
            let letters = self.slice(end, stop.min(end + 4));
            if let Some(name) = units::magnitude(&letters)
                && !self.alnum_at(stop)
            {
                scale = Some(name.to_owned());
                end = stop;
            }
        }
        if scale.is_none() {
            let (word, start) = self.next_word(end);
            if matches!(
                word.as_str(),
                "thousand" | "million" | "billion" | "trillion" | "hundred"
            ) && start == end + 1
                && !self.alnum_at(start + word.len())
            {
                end = start + word.len();
                scale = Some(word);
            }
        }
        let main = currency.main;
        let spoken = match (scale, currency.cent, amount.fraction.len()) {
            (Some(scale), _, _) => format!("{} {scale} {}", amount.words(), main.many),
            (None, Some(cent), 2) => {
                let cents: u64 = amount.fraction.parse().unwrap_or(0);
                let whole = Amount {
                    whole: amount.whole.clone(),
                    fraction: String::new(),
                    end,
                    grouped: false,
                };
                let cents_words = format!("{} {}", cardinal(cents), cent.of(cents == 1));
                match (amount.whole.as_str(), cents) {
                    (_, 0) => format!("{} {}", whole.words(), main.of(whole.is_one())),
                    ("0", _) => cents_words,
                    _ => format!(
                        "{} {} and {cents_words}",
                        whole.words(),
                        main.of(whole.is_one())
                    ),
                }
            }
            _ => format!("{} {}", amount.words(), main.of(amount.is_one())),
        };
        self.say(&spoken, &written, true);
        self.i = end;
        if self.at(end) == Some('+') {
            self.out.words("plus");
            self.i += 1;
        }
        self.per();
    }
}
