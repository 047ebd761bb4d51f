//! Quantities with their units: "5 km/h", "20 °C", feet and inches, minutes of arc.

use super::{
    figures::Amount,
    reader::Reader,
    units::{self, When},
};

impl Reader<'_> {
    /// A unit after the number at `self.i`.
    pub(super) fn unit(&mut self, amount: &Amount) -> bool {
        let end = amount.end;
        let written = self.slice(self.i, end);
        if self.at(end) == Some('\'') || self.at(end) == Some('"') {
            return self.feet_and_inches(amount);
        }
        if let Some((spoken, stop)) = self.meridiem(end)
            && amount.value().is_some_and(|h| (1..=12).contains(&h))
        {
            self.say(&format!("{} {spoken}", amount.words()), &written, true);
            self.i = stop;
            return true;
        }
        // "a 10-km run", "a 5-min break".
        if self.at(end) == Some('-') && self.letter_at(end + 1) {
            let stop = self.letters(end + 1);
            let letters = self.slice(end + 1, stop);
            if let Some((unit, When::Always)) = units::lookup(&letters)
                && !self.alnum_at(stop)
                && letters != "s"
            {
                self.say(&format!("{} {}", amount.words(), unit.one), &written, true);
                self.i = stop;
                return true;
            }
            return false;
        }
        let Some((unit, stop)) = self.unit_at(end, false) else {
            return false;
        };
        self.say(
            &format!("{} {}", amount.words(), unit.of(amount.is_one())),
            &written,
            true,
        );
        self.i = stop;
        if self.at(stop - 1) == Some('°') {
            self.arc();
        }
        self.per();
        // "5°C-10°C", "20%–30%".
        if matches!(self.at(self.i), Some('-' | '–')) && self.digit_at(self.i + 1) {
            self.out.words("to");
            self.i += 1;
        }
        true
    }

    /// The unit that stands at `from`, after at most one space, and where it ends.
    pub(super) fn unit_at(&self, from: usize, touching_only: bool) -> Option<(units::Unit, usize)> {
        let touching = !self.space_at(from);
        if touching_only && !touching {
            return None;
        }
        let start = from + usize::from(self.at(from) == Some(' '));
        let is_unit = |c: char| c.is_alphabetic() || matches!(c, '°' | '%' | '‰' | '^');
        let mut end = self.run(start, is_unit);
        if end == start || end > start + 12 {
            return None;
        }
        let raised = self.at(end - 1) == Some('^') && self.digit_at(end);
        if raised || matches!(self.at(end), Some('2' | '3')) && !self.alnum_at(end + 1) {
            end += 1;
        }
        // "° C", "sq ft", "fl. oz.": two words, then one with its full stop, then one.
        let second = self.skip_spaces(end + usize::from(self.at(end) == Some('.')));
        let two = self.run(second, char::is_alphabetic);
        let two_dot = two + usize::from(self.at(two) == Some('.'));
        for stop in [two_dot, two] {
            if stop > second && stop < start + 12 {
                let letters = self.slice(start, stop).replace("° ", "°");
                if let Some((unit, _)) = units::lookup(&letters)
                    && !self.alnum_at(stop)
                {
                    return Some((unit, stop));
                }
            }
        }
        let bare = self.slice(start, end);
        let (unit, when) = units::lookup(&bare)?;
        if self.alnum_at(end) && bare != "°" {
            return None;
        }
        // A full stop after "lbs" in mid-sentence belongs to it.
        let mut stop = end;
        if self.at(end) == Some('.') && units::lookup(&format!("{bare}.")).is_some() {
            let (_, next) = self.next_word(end + 1);
            if self.at(next).is_some_and(|c| c.is_lowercase() || c == ',') {
                stop += 1;
            }
        }
        let good = match when {
            When::Always => true,
            When::Apart => !touching,
            When::Touching => {
                let next = self.skip_spaces(end);
                touching
                    || self
                        .at(next)
                        .is_none_or(|c| !c.is_alphanumeric() && c != '\'' && c != '"')
            }
        };
        // "5 m people"? No; but "5 s" after a space and "3 A grades" are rare enough.
        good.then_some((unit, stop))
    }

    /// `/h`, `/month` after a unit or an amount.
    pub(super) fn per(&mut self) {
        if self.at(self.i) != Some('/') {
            return;
        }
        let start = self.i + 1;
        let mut end = self.run(start, char::is_alphabetic);
        if self.at(end) == Some('^') && self.digit_at(end + 1) {
            end += 2;
        } else if self.digit_at(end) && !self.alnum_at(end + 1) {
            end += 1;
        }
        let letters = self.slice(start, end);
        let bare = letters.trim_end_matches(|c: char| c.is_ascii_digit() || c == '^');
        if let Some(name) = units::per(&letters) {
            self.out.words(&format!("per {name}"));
        } else if let Some(name) = units::per(bare) {
            let power = if letters.ends_with('3') {
                "cubed"
            } else {
                "squared"
            };
            self.out.words(&format!("per {name} {power}"));
        } else if self.run(start, char::is_alphabetic) - start > 2 {
            self.out.words("per");
            self.i = start;
            return;
        } else {
            return;
        }
        self.i = end;
    }

    /// Minutes, seconds and direction after degrees: `40°26'46"N`.
    fn arc(&mut self) {
        for (mark, unit) in [('\'', ("minute", "minutes")), ('"', ("second", "seconds"))] {
            let start = self.skip_spaces(self.i);
            let Some(amount) = self.amount(start) else {
                break;
            };
            if self.at(amount.end) != Some(mark) {
                break;
            }
            let name = if amount.is_one() { unit.0 } else { unit.1 };
            self.out.words(&format!("{} {name}", amount.words()));
            self.i = amount.end + 1;
        }
        let start = self.skip_spaces(self.i);
        let direction = match self.at(start) {
            Some('N') => "north",
            Some('S') => "south",
            Some('E') => "east",
            Some('W') => "west",
            _ => return,
        };
        if !self.alnum_at(start + 1) {
            self.out.words(direction);
            self.i = start + 1;
        }
    }

    /// `6'2"`, `5'`, `27"`.
    fn feet_and_inches(&mut self, amount: &Amount) -> bool {
        let end = amount.end;
        let written = self.slice(self.i, end);
        if self.at(end) == Some('"') {
            if self.in_quotation() || amount.whole.len() > 3 {
                return false;
            }
            self.say(
                &format!(
                    "{} {}",
                    amount.words(),
                    if amount.is_one() { "inch" } else { "inches" }
                ),
                &written,
                true,
            );
            self.i = end + 1;
            return true;
        }
        let Some(inches) = self.amount(self.skip_spaces(end + 1)) else {
            return false;
        };
        if amount.whole.len() > 3 || !matches!(self.at(inches.end), Some('"' | '\'')) {
            return false;
        }
        self.say(
            &format!("{} foot {}", amount.words(), inches.words()),
            &written,
            true,
        );
        self.i = inches.end + 1;
        if self.at(self.i) == Some('\'') {
            self.i += 1;
        }
        true
    }
}
