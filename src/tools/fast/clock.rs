//! Time and date, timers, alarms, reminders. Pure.

use serde_json::Value;

use super::{
    Now, Plan,
    times::{For, Moment, duration},
    vocabulary::NEVER_IN_A_NAME,
};
use crate::tools::spoken::{self, Word};

/// What `words` want of the clock; `low` are the same in small letters.
pub(super) fn understand(words: &[Word], low: &[&str], now: Option<Now>) -> Option<Plan> {
    asked(low)
        .or_else(|| list(low))
        .or_else(|| list_others(low))
        .or_else(|| cancel(low))
        .or_else(|| timer(low))
        .or_else(|| alarm(low, now))
        .or_else(|| reminder(words, low, now))
}

/// Time and date.
fn asked(words: &[&str]) -> Option<Plan> {
    let words = match words {
        ["tell", "me", rest @ ..] | ["do", "you", "know", rest @ ..] | ["and", rest @ ..] => rest,
        words => words,
    };
    let words = match words {
        [rest @ .., "today"] if !rest.is_empty() => rest,
        words => words,
    };
    let what = match words {
        ["what", "time", "is", "it"]
        | ["what", "time", "it", "is"]
        | ["what's", "the", "time"]
        | ["what", "is", "the", "time"]
        | ["what's", "the", "current", "time"]
        | ["what", "is", "the", "current", "time"]
        | ["the", "time"] => "time",
        ["what's", "the", "date"]
        | ["what", "is", "the", "date"]
        | ["what", "date", "is", "it"]
        | ["what", "date", "is"]
        | ["what", "is", "today's", "date"]
        | ["what's", "today's", "date"]
        | ["the", "date"]
        | ["today's", "date"] => "date",
        ["what", "day", "is", "it"]
        | ["what", "day", "it", "is"]
        | ["what", "day", "is"]
        | ["what", "day", "of", "the", "week", "is", "it"]
        | ["which", "day", "is", "it"] => "day",
        ["what", "year", "is", "it"]
        | ["what", "is", "the", "year"]
        | ["what", "year", "it", "is"] => "year",
        _ => return None,
    };
    Some(Plan::new("get_date_time", [("what", Value::from(what))]))
}

/// `alarm` and `reminder`, one of them or many.
fn other_than_timer(word: &str) -> Option<(&'static str, bool)> {
    match word {
        "alarm" => Some(("alarm", false)),
        "alarms" => Some(("alarm", true)),
        "reminder" => Some(("reminder", false)),
        "reminders" => Some(("reminder", true)),
        _ => None,
    }
}

/// Which alarms or reminders there are.
fn list_others(words: &[&str]) -> Option<Plan> {
    let (what, many) = match words {
        ["list" | "show" | "check", "my" | "the", what]
        | ["show" | "tell", "me", "my" | "the", what]
            // One alarm that is checked may be the house's.
            if *what != "alarm" =>
        {
            (what, None)
        }
        ["list" | "show", what] | ["list" | "show", "all", "my" | "the", what] => {
            (what, Some(true))
        }
        ["what" | "which", what, "do", "i", "have"]
        | ["what" | "which", what, "do", "i", "have", "set"]
        | ["what" | "which", what, "are", "set" | "there" | "active"]
        | ["what", "are", "my", what]
        | ["do", "i", "have", "any", what]
        | ["do", "i", "have", "any", what, "set"]
        | ["are", "there", "any", what] => (what, Some(true)),
        ["do", "i", "have", "an" | "a", what]
        | ["do", "i", "have", "an" | "a", what, "set"]
        | ["when", "is", "my", what]
        | ["what", "time", "is", "my", what]
        | ["what", "time", "is", "my", what, "set", "for"]
        | ["when", "does", "my", what, "go", "off"] => (what, Some(false)),
        _ => return None,
    };
    let (kind, plural) = other_than_timer(what)?;
    let fits = many.is_none_or(|many| many == plural);
    fits.then(|| Plan::new("list_timers", [("kind", Value::from(kind))]))
}

/// Ends alarms or reminders; `words` stand behind "cancel".
fn cancel_others(words: &[&str]) -> Option<Plan> {
    let all = |kind: &str| {
        let arguments = [("all", Value::from(true)), ("kind", Value::from(kind))];
        Some(Plan::new("cancel_timer", arguments))
    };
    let one = |kind: &str, name: Option<String>| {
        let plan = Plan::new("cancel_timer", [("kind", Value::from(kind))]);
        Some(plan.with("name", name))
    };
    match words {
        [what]
        | ["the" | "my" | "that" | "this" | "all" | "every", what]
        | ["all", "the" | "my", what]
        | ["all", "of", "the" | "my", what] => {
            let (kind, plural) = other_than_timer(what)?;
            let every = matches!(words, ["every", _]);
            match (plural, words.first()) {
                (true, _) if !every => all(kind),
                (false, _) if every => all(kind),
                (false, Some(&"all")) | (true, _) => None,
                (false, _) => one(kind, None),
            }
        }
        [
            "the" | "my",
            what @ ("alarm" | "reminder"),
            "for" | "at",
            time @ ..,
        ] => one(what, Some(said_time(time)?)),
        [
            "the" | "my",
            what @ ("alarm" | "reminder"),
            "to" | "called",
            name @ ..,
        ] => one(what, Some(named(name)?)),
        ["the" | "my", name @ .., "alarm"] if of_the_house(name) => None,
        ["the" | "my", name @ .., what @ ("alarm" | "reminder")] => {
            one(what, Some(said_time(name).or_else(|| named(name))?))
        }
        _ => None,
    }
}

/// "the seven thirty alarm" is called by its time. Which day it is on is not a name.
fn said_time(words: &[&str]) -> Option<String> {
    let (moment, used) = Moment::read(words)?;
    moment.time().filter(|_| used == words.len())
}

/// Whether `name` calls something that is no alarm of a clock.
fn of_the_house(name: &[&str]) -> bool {
    let house = [
        "house", "home", "burglar", "intruder", "smoke", "fire", "gas", "carbon", "monoxide", "co",
        "water", "flood", "leak", "security", "door", "window", "motion", "garage", "car", "panic",
    ];
    name.iter().any(|word| house.contains(word))
}

/// What is left, what is set.
fn list(words: &[&str]) -> Option<Plan> {
    let all = || Some(Plan::new("list_timers", []));
    let of = |name: &[&str]| {
        let name = named(name)?;
        Some(Plan::new("list_timers", [("name", Value::from(name))]))
    };
    let on = match words {
        ["how", "much", "time", "is", "left", rest @ ..]
        | ["how", "much", "time", "left", rest @ ..]
        | ["how", "much", "time", "do", "i", "have", "left", rest @ ..]
        | ["how", "long", "is", "left", rest @ ..]
        | ["how", "long", "left", rest @ ..]
        | ["how", "much", "longer", rest @ ..]
        | ["how", "much", "is", "left", rest @ ..] => rest,
        ["timer" | "timers", "status"]
        | ["list", "timers"]
        | ["list", "my" | "the" | "all", "timers"]
        | ["check", "the" | "my", "timer" | "timers"]
        | ["what", "timers", "are", "set" | "running" | "active"]
        | ["what", "timers", "do", "i", "have"]
        | ["which", "timers", "are", "set" | "running" | "active"]
        | ["do", "i", "have", "any", "timers"]
        | ["are", "there", "any", "timers"] => return all(),
        ["check", "the" | "my", name @ .., "timer"] => return of(name),
        [
            "how",
            "long",
            "until",
            "the" | "my",
            name @ ..,
            "timer",
            "goes" | "is",
            "off" | "done" | "up",
        ] => {
            return if name.is_empty() { all() } else { of(name) };
        }
        _ => return None,
    };
    match on {
        // "how much longer" alone may be about anything.
        [] if words.contains(&"left") => all(),
        ["on" | "of" | "for", "the" | "my", "timer" | "timers"] => all(),
        ["on" | "of" | "for", "the" | "my", name @ .., "timer"] => of(name),
        _ => None,
    }
}

fn cancel(words: &[&str]) -> Option<Plan> {
    let rest = match words {
        [
            "cancel" | "stop" | "delete" | "remove" | "clear" | "end",
            rest @ ..,
        ] => rest,
        ["turn", "off", rest @ ..] => rest,
        ["turn", rest @ .., "off"] if rest.last() == Some(&"alarm") => rest,
        _ => return None,
    };
    match rest {
        ["all", "timers"]
        | ["all", "the" | "my", "timers"]
        | ["all", "of", "the" | "my", "timers"]
        | ["every", "timer"]
        | ["the" | "my", "timers"]
        | ["timers"] => Some(Plan::new("cancel_timer", [("all", Value::from(true))])),
        ["timer"] | ["the" | "my" | "that" | "this", "timer"] => {
            Some(Plan::new("cancel_timer", []))
        }
        ["the" | "my", name @ .., "timer"] | [name @ .., "timer"] => Some(Plan::new(
            "cancel_timer",
            [("name", Value::from(length_or_name(name)?))],
        )),
        ["the" | "my", "timer", "for", "the" | "my", name @ ..] => Some(Plan::new(
            "cancel_timer",
            [("name", Value::from(named(name)?))],
        )),
        // What is stopped may as well be the siren of the house.
        [
            "the" | "my" | "that" | "this",
            what @ ("alarm" | "reminder"),
        ]
        | [what @ ("alarm" | "reminder")]
            if matches!(words.first(), Some(&("stop" | "end" | "clear" | "turn"))) =>
        {
            let arguments = [("kind", Value::from(*what)), ("ringing", Value::from(true))];
            Some(Plan::new("cancel_timer", arguments))
        }
        _ if words.first() == Some(&"turn") => None,
        rest => cancel_others(rest),
    }
}

/// "the ten minute timer" is called by its length.
fn length_or_name(words: &[&str]) -> Option<String> {
    match duration(words) {
        Some((_, used)) if used == words.len() => Some(words.join(" ")),
        _ => named(words),
    }
}

/// A name of one to three words.
fn named(words: &[&str]) -> Option<String> {
    let words = match words {
        ["the" | "my", rest @ ..] => rest,
        words => words,
    };
    let plain = |(i, word): (usize, &&str)| {
        let other = [
            "the", "my", "in", "of", "timer", "timers", "alarm", "reminder", "minus",
        ];
        let amount = words
            .get(i..)
            .is_some_and(|rest| spoken::number(rest).is_some());
        !NEVER_IN_A_NAME.contains(word) && !other.contains(word) && !amount
    };
    let fits = (1..=3).contains(&words.len()) && words.iter().enumerate().all(plain);
    fits.then(|| words.join(" "))
}

fn timer(words: &[&str]) -> Option<Plan> {
    let (rest, ordered) = match words {
        [
            "set" | "start" | "create" | "make" | "begin",
            "me",
            rest @ ..,
        ]
        | ["set" | "start" | "create" | "make" | "begin", rest @ ..] => (rest, true),
        words => (words, false),
    };
    // "The ten minute timer." is an answer to "Which one?".
    if !ordered && matches!(words.first(), Some(&("the" | "my"))) {
        return None;
    }
    let rest = match rest {
        // "an hour timer" has its article for the hour
        rest if duration(rest).is_some() => rest,
        ["a" | "an" | "the" | "another" | "my", rest @ ..] => rest,
        rest => rest,
    };
    let at = rest.iter().position(|word| *word == "timer")?;
    let (before, mut behind) = (rest.get(..at)?, rest.get(at + 1..)?);
    let (mut seconds, mut name) = (None, None);
    if !before.is_empty() {
        match duration(before) {
            Some((length, used)) => {
                seconds = Some(length);
                let rest = before.get(used..).filter(|rest| !rest.is_empty());
                name = rest.map(|rest| named(rest).ok_or(())).transpose().ok()?;
            }
            None => name = Some(named(before)?),
        }
    }
    while let Some((first, rest)) = behind.split_first() {
        let length = match *first {
            "for" | "of" => duration(rest).map(|(length, used)| (length, used + 1)),
            _ => duration(behind),
        };
        if let Some((length, used)) = length {
            if seconds.replace(length).is_some() {
                return None;
            }
            behind = behind.get(used..)?;
            continue;
        }
        let named_so = ["called", "named", "for"].contains(first) && name.is_none();
        // The name ends where the length begins.
        let end = (1..rest.len())
            .find(|i| rest.get(*i) == Some(&"for"))
            .unwrap_or(rest.len());
        name = Some(named(rest.get(..end)?).filter(|_| named_so)?);
        behind = rest.get(end..)?;
    }
    let bare = before.is_empty() && !ordered && words.first() != Some(&"timer");
    let plan = Plan::new("set_timer", [("seconds", Value::from(seconds?))]);
    (!bare).then(|| plan.with("name", name))
}

fn alarm(words: &[&str], now: Option<Now>) -> Option<Plan> {
    let what = match words {
        ["wake", ..] => For::Waking,
        _ => For::Alarm,
    };
    let rest = match words {
        ["wake", "me", "up", rest @ ..] | ["wake", "me", rest @ ..] => rest,
        [
            "set" | "create" | "make",
            "an" | "the" | "my" | "a",
            rest @ ..,
        ] => match rest {
            ["alarm", rest @ ..] => rest,
            // "set a 7 am alarm"
            rest => {
                let (moment, used) = Moment::read(rest)?;
                let ["alarm", behind @ ..] = rest.get(used..)? else {
                    return None;
                };
                return alarm_at(moment, called(behind)?, what, now);
            }
        },
        ["set", "alarm", rest @ ..] | ["alarm", rest @ ..] => rest,
        _ => return None,
    };
    let rest = match rest {
        ["for", rest @ ..] => rest,
        rest => rest,
    };
    let (moment, used) = Moment::read(rest)?;
    alarm_at(moment, called(rest.get(used..)?)?, what, now)
}

/// The name in `called x`; nothing is no name.
fn called(words: &[&str]) -> Option<Option<String>> {
    match words {
        [] => Some(None),
        ["called" | "named", name @ ..] => named(name).map(Some),
        _ => None,
    }
}

fn alarm_at(moment: Moment, name: Option<String>, what: For, now: Option<Now>) -> Option<Plan> {
    let (time, date) = moment.resolve(now, what)?;
    Some(
        Plan::new("set_alarm", [("time", Value::from(time))])
            .with("date", date)
            .with("name", name),
    )
}

fn reminder(words: &[Word], low: &[&str], now: Option<Now>) -> Option<Plan> {
    let start = match low {
        ["remind", "me", ..] => 2,
        ["set" | "create" | "make", "a", "reminder", ..] => 3,
        _ => return None,
    };
    let rest = low.get(start..)?;
    // "in ten minutes to …", "at seven to …"
    if let Some((when, used)) = When::read(rest)
        && rest.get(used) == Some(&"to")
    {
        return when.plan(text(words.get(start + used + 1..)?)?, now);
    }
    // "to … in ten minutes": what stands last.
    let ["to", rest @ ..] = rest else {
        return None;
    };
    let start = start + 1;
    (1..rest.len()).find_map(|at| {
        let (when, used) = When::read(rest.get(at..)?)?;
        let text = text(words.get(start..start + at)?)?;
        (at + used == rest.len()).then(|| when.plan(text, now))?
    })
}

/// When to be reminded.
enum When {
    In(i64),
    At(Moment),
}

impl When {
    fn read(words: &[&str]) -> Option<(Self, usize)> {
        match words {
            ["in", rest @ ..] => {
                duration(rest).map(|(seconds, used)| (Self::In(seconds), used + 1))
            }
            // Not a bare number: "remind me to buy 7".
            [
                "at" | "tomorrow" | "today" | "tonight" | "this" | "on" | "the",
                ..,
            ] => Moment::read(words).map(|(moment, used)| (Self::At(moment), used)),
            _ => None,
        }
    }

    fn plan(self, text: String, now: Option<Now>) -> Option<Plan> {
        let plan = Plan::new("set_reminder", [("text", Value::from(text))]);
        Some(match self {
            Self::In(seconds) => plan.with("seconds", Some(seconds)),
            Self::At(moment) => {
                let (time, date) = moment.resolve(now, For::Reminder)?;
                plan.with("time", Some(time)).with("date", date)
            }
        })
    }
}

/// What to remind of: one thought, without a condition, a repetition or a second order.
fn text(words: &[Word]) -> Option<String> {
    let doubtful = [
        ",", "when", "if", "unless", "until", "before", "after", "every", "each", "then", "daily",
        "weekly", "tomorrow", "today", "tonight", "again", "while", "once", "whenever", "not",
    ];
    let orders = [
        "turn", "set", "switch", "open", "close", "play", "remind", "tell", "wake", "cancel",
    ];
    let low: Vec<&str> = words.iter().map(|word| word.low.as_str()).collect();
    let second = low
        .windows(2)
        .any(|pair| matches!(pair, ["and", next] if orders.contains(next)));
    let timed = (0..low.len()).any(|at| low.get(at..).and_then(When::read).is_some());
    let plain =
        !low.is_empty() && !second && !timed && !low.iter().any(|word| doubtful.contains(word));
    plain.then(|| {
        words
            .iter()
            .map(|word| word.said.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    })
}
