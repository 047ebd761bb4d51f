//! How times and lengths of time are said. Pure. Times of day stand in figures, which the voice reads as such
//! (`4:05 PM`); lengths stand in words, because sentences begin with them.

use jiff::{Zoned, civil::Time};

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// `n` in words, below a hundred; else in figures.
pub(in crate::tools) fn number(n: i64) -> String {
    let word = |words: &[&str], i: i64| {
        usize::try_from(i)
            .ok()
            .and_then(|i| words.get(i).copied().map(str::to_owned))
    };
    match n {
        0..20 => word(&ONES, n),
        20..100 if n % 10 == 0 => word(&TENS, n / 10),
        20..100 => word(&TENS, n / 10)
            .zip(word(&ONES, n % 10))
            .map(|(tens, ones)| format!("{tens}-{ones}")),
        _ => None,
    }
    .unwrap_or_else(|| n.to_string())
}

/// What a number word is worth; none for other words.
pub(super) fn worth(word: &str) -> Option<i64> {
    let place = |words: &[&str]| words.iter().position(|known| *known == word);
    let ones = place(&ONES).map(|i| i as i64);
    ones.or_else(|| place(&TENS).filter(|i| *i >= 2).map(|i| 10 * i as i64))
}

/// The parts of `seconds` that are not zero, the largest first: how many, and the unit.
fn parts(seconds: i64) -> Vec<(i64, &'static str)> {
    let units = [
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest / size > 0 {
            parts.push((rest / size, unit));
        }
        rest %= size;
    }
    parts
}

/// `one hour, two minutes and ten seconds`.
pub(super) fn length(seconds: i64) -> String {
    let said = parts(seconds).into_iter().map(|(n, unit)| {
        let plural = if n == 1 { "" } else { "s" };
        format!("{} {unit}{plural}", number(n))
    });
    match &listed(&said.collect::<Vec<_>>(), "and")[..] {
        "" => "zero seconds".to_owned(),
        said => said.to_owned(),
    }
}

/// As a timer is called by it: `ten minute`.
pub(super) fn adjective(seconds: i64) -> String {
    let said = parts(seconds).into_iter();
    let said: Vec<String> = said
        .map(|(n, unit)| format!("{} {unit}", number(n)))
        .collect();
    said.join(" ")
}

/// What is left, as exactly as people want it: without seconds from an hour on.
pub(super) fn left(seconds: i64) -> String {
    let seconds = match seconds {
        s @ ..3600 => s,
        s @ 3600..86_400 => (s + 30) / 60 * 60,
        s => (s + 1800) / 3600 * 3600,
    };
    length(seconds)
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// `4:05 PM`, `9 AM`, `noon`, `midnight`.
pub(in crate::tools) fn clock(time: Time) -> String {
    let half = if time.hour() < 12 { "AM" } else { "PM" };
    let hour = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match (time.hour(), time.minute()) {
        (0, 0) => "midnight".to_owned(),
        (12, 0) => "noon".to_owned(),
        (_, 0) => format!("{hour} {half}"),
        (_, minute) => format!("{hour}:{minute:02} {half}"),
    }
}

/// The day of `then`, seen from `now`: `today`, `tomorrow`, `on Friday`, `on Friday, January 2`.
pub(super) fn day(then: &Zoned, now: &Zoned) -> String {
    let days = now
        .date()
        .until(then.date())
        .map_or(i32::MAX, |span| span.get_days());
    match days {
        -1 => "yesterday".to_owned(),
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        2..7 => then.strftime("on %A").to_string(),
        _ if then.year() == now.year() => then.strftime("on %A, %B %-d").to_string(),
        _ => then.strftime("on %A, %B %-d, %Y").to_string(),
    }
}

/// With a capital letter at the beginning.
pub(in crate::tools) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_people_do() {
        assert_eq!(length(250), "four minutes and ten seconds");
        assert_eq!(length(3723), "one hour, two minutes and three seconds");
        assert_eq!(length(1500), "twenty-five minutes");
        assert_eq!(length(0), "zero seconds");
        assert_eq!(adjective(600), "ten minute");
        assert_eq!(adjective(5400), "one hour thirty minute");
        assert_eq!(left(3599), "fifty-nine minutes and fifty-nine seconds");
        assert_eq!(left(7231), "two hours and one minute");
        assert_eq!(left(86_400 * 2 + 3500), "two days and one hour");
    }

    #[test]
    fn times_and_days_are_said_from_where_one_stands() {
        let now: Zoned = "2026-12-30T22:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let after = |hours| &now + jiff::SignedDuration::from_hours(hours);
        assert_eq!(clock(now.time()), "10 PM");
        assert_eq!(clock(jiff::civil::time(0, 5, 0, 0)), "12:05 AM");
        assert_eq!(clock(jiff::civil::time(12, 0, 0, 0)), "noon");
        assert_eq!(day(&after(1), &now), "today");
        assert_eq!(day(&after(2), &now), "tomorrow");
        assert_eq!(day(&after(50), &now), "on Saturday");
        assert_eq!(day(&after(24 * 8), &now), "on Thursday, January 7, 2027");
        assert_eq!(day(&after(-24), &now), "yesterday");
    }

    #[test]
    fn number_words_are_worth_what_they_say() {
        for n in (0..20).chain([20, 30, 90]) {
            assert_eq!(worth(&number(n)), Some(n));
        }
        assert_eq!(number(42), "forty-two");
        assert_eq!(number(120), "120");
        assert_eq!(worth("pasta"), None);
    }
}
