//! Commands to and questions about the things of a home. Pure.

use serde_json::Value;

use super::{
    Plan,
    vocabulary::{
        CLIMATE, COLOURS, COVERS, LIGHTS, NEVER_IN_A_NAME, OTHERS, PLAYED, PLAYERS, ROOMS, any,
        device,
    },
};
use crate::tools::spoken;

/// Stands for the player that plays, where nobody says which.
const MUSIC: &str = "music";

/// What `words` want of the home.
pub(super) fn understand(words: &[&str]) -> Option<Plan> {
    volume(words)
        .or_else(|| media(words))
        .or_else(|| set(words))
        .or_else(|| switch(words))
        .or_else(|| cover(words))
        .or_else(|| question(words))
}

fn control(action: &str, target: impl Into<String>) -> Plan {
    let target = Value::from(target.into());
    Plan::new(
        "hass_control",
        [("action", Value::from(action)), ("target", target)],
    )
}

/// The name that `words` can be: without articles in front, at most six words, none of a second thought.
fn name(words: &[&str]) -> Option<String> {
    let words = bare(words);
    let articles = |i: usize| {
        // "in the kitchen", "of the garage": elsewhere an article begins a second thing.
        i.checked_sub(1)
            .and_then(|i| words.get(i))
            .is_some_and(|word| ["in", "of"].contains(word))
    };
    let edge = |word: Option<&&str>| word.is_some_and(|word| ["in", "of", "the"].contains(word));
    let number = |i: usize| spoken::number(words.get(i..).unwrap_or_default()).is_some();
    let fits = !words.is_empty()
        && words.len() <= 6
        && !edge(words.first())
        && !edge(words.last())
        && words.iter().enumerate().all(|(i, word)| {
            let never = NEVER_IN_A_NAME.contains(word);
            let article = ["the", "my", "all"].contains(word) && !(i == 0 && *word == "all");
            // "lamp 2" is a name, "lamp in two hours" is not.
            let amount = number(i) && (i == 0 || i + 1 < words.len());
            !never && (!article || articles(i)) && !amount
        });
    fits.then(|| words.join(" "))
}

/// `words` without articles in front; "all of the lights" are `all lights`, as are "all the lights".
fn bare<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let all = words.first() == Some(&"all") || words.starts_with(&["the", "all"]);
    let rest = words
        .iter()
        .skip_while(|word| ["the", "my", "our", "all", "of"].contains(word));
    let all = all.then_some("all");
    all.into_iter().chain(rest.copied()).collect()
}

/// `words` behind `on`, `of` or `in` as a player's name; nothing said is [`MUSIC`].
fn player(words: &[&str]) -> Option<String> {
    match words {
        [] => Some(MUSIC.to_owned()),
        ["on" | "of" | "in", rest @ ..] => name(rest),
        _ => None,
    }
}

/// A name that is surely a player's.
fn sure_player(words: &[&str]) -> Option<String> {
    match any(words, &[PLAYERS]) {
        true => name(words),
        false => any(words, &[PLAYED])
            .then_some(())
            .filter(|()| bare(words).len() == 1 || words.first() == Some(&"this"))
            .map(|()| MUSIC.to_owned()),
    }
}

fn volume(words: &[&str]) -> Option<Plan> {
    let relative = |up: bool, target: Option<String>| {
        target.map(|target| control(if up { "volume_up" } else { "volume_down" }, target))
    };
    let way = |word: &str| match word {
        "up" => Some(true),
        "down" => Some(false),
        _ => None,
    };
    match words {
        ["louder"] => relative(true, player(&[])),
        ["quieter" | "softer"] => relative(false, player(&[])),
        ["mute", rest @ ..] => players(rest).map(|target| control("mute", target)),
        ["unmute", rest @ ..] => players(rest).map(|target| control("unmute", target)),
        // "turn up the volume on the tv", "turn the volume up", "turn it down", "turn the tv up"
        ["volume", to, rest @ ..] if way(to).is_some() => relative(way(to)?, player(rest)),
        ["turn", to, rest @ ..] if way(to).is_some() => match rest {
            ["it"] => relative(way(to)?, player(&[])),
            ["the", "volume", rest @ ..] | ["volume", rest @ ..] => {
                relative(way(to)?, player(rest))
            }
            rest => relative(way(to)?, sure_player(rest)),
        },
        ["turn", middle @ .., to] if way(to).is_some() => match middle {
            ["it"] => relative(way(to)?, player(&[])),
            ["the", "volume", rest @ ..] | ["volume", rest @ ..] => {
                relative(way(to)?, player(rest))
            }
            [whose @ .., "volume"] => relative(way(to)?, name(whose)),
            middle => relative(way(to)?, sure_player(middle)),
        },
        [whose @ .., "volume", to] if way(to).is_some() => {
            relative(way(to)?, sure_player(whose).filter(|_| !whose.is_empty()))
        }
        // "volume 20", "volume to twenty percent", "set the tv volume to 5"
        ["volume", "to" | "at", value @ ..] | ["volume", value @ ..] => {
            let target = MUSIC;
            Some(control("set_volume", target).with("value", Some(percent(value)?)))
        }
        _ => None,
    }
}

fn players(words: &[&str]) -> Option<String> {
    match words {
        [] | ["it"] | ["the", "volume"] => Some(MUSIC.to_owned()),
        rest => sure_player(rest),
    }
}

fn media(words: &[&str]) -> Option<Plan> {
    let onto = |action: &str, target: Option<String>| target.map(|target| control(action, target));
    match words {
        ["pause", rest @ ..] => onto("pause", players(rest)),
        ["stop", rest @ ..] if rest.first() != Some(&"it") && !rest.is_empty() => {
            onto("pause", players(rest))
        }
        ["play"] | ["play", "the", "music"] => onto("play", player(&[])),
        ["resume" | "unpause", rest @ ..] => onto("play", players(rest)),
        ["continue", rest @ ..] if !rest.is_empty() => onto("play", players(rest)),
        ["next" | "skip"] => onto("next", player(&[])),
        ["next", "song" | "track", rest @ ..] => onto("next", player(rest)),
        ["skip", "this" | "the", "song" | "track", rest @ ..]
        | ["skip", "song" | "track", rest @ ..]
        | ["skip", "to", "the", "next", "song" | "track", rest @ ..]
        | ["play", "the", "next", "song" | "track", rest @ ..] => onto("next", player(rest)),
        ["skip", "on", rest @ ..] => onto("next", name(rest)),
        ["previous", "song" | "track", rest @ ..]
        | [
            "play" | "go",
            "back" | "the",
            "previous",
            "song" | "track",
            rest @ ..,
        ]
        | [
            "go",
            "back",
            "to",
            "the",
            "previous",
            "song" | "track",
            rest @ ..,
        ] => onto("previous", player(rest)),
        _ => None,
    }
}

/// What something is set to.
enum To {
    Percent(i64),
    Degrees(f64),
    Plain(f64),
    Colour(String),
}

fn value(words: &[&str]) -> Option<To> {
    if COLOURS.contains(&words) {
        return Some(To::Colour(words.join(" ")));
    }
    match words {
        ["half" | "halfway"] => return Some(To::Percent(50)),
        ["full" | "maximum" | "max"] | ["full" | "maximum", "brightness"] => {
            return Some(To::Percent(100));
        }
        _ => {}
    }
    let (number, used) = spoken::number(words)?;
    match words.get(used..)? {
        ["percent"] | ["per", "cent"] if number <= 100.0 => {
            Some(To::Percent(number.round() as i64))
        }
        ["degrees" | "degree"] | ["degrees", "celsius" | "fahrenheit"] => Some(To::Degrees(number)),
        [] => Some(To::Plain(number)),
        _ => None,
    }
}

/// A number from 0 to 100, with or without `percent`.
fn percent(words: &[&str]) -> Option<i64> {
    match value(words)? {
        To::Percent(value) => Some(value),
        To::Plain(value) if value <= 100.0 && value.fract() == 0.0 => Some(value as i64),
        _ => None,
    }
}

fn set(words: &[&str]) -> Option<Plan> {
    let (verb, rest) = words.split_first()?;
    if ![
        "set", "change", "turn", "make", "dim", "put", "adjust", "brighten", "raise", "lower",
        "open", "close",
    ]
    .contains(verb)
    {
        return None;
    }
    let light = |what: &[&str]| any(what, &[LIGHTS]);
    // "dim the lights", "make the lamp brighter"
    match (*verb, rest) {
        ("dim" | "brighten", what) if light(what) && !what.contains(&"to") => {
            let step = if *verb == "dim" { "down" } else { "up" };
            return Some(control("set_brightness", name(what)?).with("value", Some(step)));
        }
        ("make", [what @ .., "brighter"]) if light(what) => {
            return Some(control("set_brightness", name(what)?).with("value", Some("up")));
        }
        ("make", [what @ .., "darker" | "dimmer"]) if light(what) => {
            return Some(control("set_brightness", name(what)?).with("value", Some("down")));
        }
        _ => {}
    }
    let at = rest.iter().rposition(|word| ["to", "at"].contains(word));
    let (what, to) = match at {
        Some(at) => (rest.get(..at)?, value(rest.get(at + 1..)?)?),
        None => colour_behind(verb, rest)?,
    };
    let what = match what {
        [first @ .., "up" | "down"] => first, // "turn the volume down to 10"
        ["up" | "down", behind @ ..] => behind,
        what => what,
    };
    let opens = ["open", "close", "raise", "lower"].contains(verb);
    // "change the password to green"
    let strange = matches!(to, To::Colour(_))
        && *verb != "set"
        && !any(what, &[LIGHTS, &["color", "colour"]]);
    if strange {
        return None;
    }
    assign(what, &to)
        .filter(|plan| !opens || plan.arguments.get("action") == Some(&"set_position".into()))
}

/// "make the lamp blue": a colour behind what is surely a light.
fn colour_behind<'a>(verb: &str, rest: &'a [&'a str]) -> Option<(&'a [&'a str], To)> {
    let longest = [2, 1].into_iter().filter_map(|many| {
        let at = rest.len().checked_sub(many)?;
        let (what, colour) = rest.split_at(at);
        (COLOURS.contains(&colour) && any(what, &[LIGHTS])).then_some((what, colour))
    });
    let (what, colour) = longest.into_iter().next()?;
    ["set", "make", "turn", "change"]
        .contains(&verb)
        .then(|| (what, To::Colour(colour.join(" "))))
}

fn assign(what: &[&str], to: &To) -> Option<Plan> {
    let without = |words: &[&str]| -> Vec<String> {
        // "the brightness of the lamp" and "the lamp brightness" are the lamp.
        let kept = what
            .iter()
            .filter(|word| !words.contains(word))
            .map(|word| (*word).to_owned());
        let kept: Vec<String> = kept.collect();
        let lead = kept
            .iter()
            .take_while(|word| ["the", "of", "on", "in"].contains(&word.as_str()));
        let lead = lead.count();
        kept.into_iter().skip(lead).collect()
    };
    let named = |words: &[&str]| {
        let rest = without(words);
        name(&rest.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let has = |word: &str| what.contains(&word);
    match to {
        To::Colour(colour) => {
            let target = named(&["color", "colour"])?;
            Some(control("set_color", target).with("value", Some(colour.as_str())))
        }
        To::Degrees(value) | To::Plain(value)
            if !has("color") && (matches!(to, To::Degrees(_)) || any(what, &[CLIMATE])) =>
        {
            let target = match bare(what).as_slice() {
                ["temperature"] => "thermostat".to_owned(),
                ["temperature", "in" | "of", rest @ ..] => {
                    match ROOMS.contains(&bare(rest).as_slice()) {
                        true => format!("{} thermostat", bare(rest).join(" ")),
                        false => name(rest)?,
                    }
                }
                what => name(what)?,
            };
            let whole = value.fract() == 0.0;
            let value = if whole {
                Value::from(*value as i64)
            } else {
                Value::from(*value)
            };
            Some(control("set_temperature", target).with("value", Some(value)))
        }
        To::Percent(_) | To::Plain(_) => {
            let value = match to {
                To::Percent(value) => *value,
                To::Plain(value) if *value <= 100.0 && value.fract() == 0.0 => *value as i64,
                _ => return None,
            };
            let sure = matches!(to, To::Percent(_));
            let (action, target) = if has("volume") {
                let target = named(&["volume"]);
                let nobody = without(&["volume"]).is_empty();
                (
                    "set_volume",
                    if nobody {
                        Some(MUSIC.to_owned())
                    } else {
                        target
                    },
                )
            } else if has("brightness") {
                ("set_brightness", named(&["brightness"]))
            } else if has("position") {
                ("set_position", named(&["position"]))
            } else if any(what, &[OTHERS, CLIMATE]) || has("humidity") {
                return None;
            } else if any(what, &[COVERS]) && sure {
                ("set_position", name(what))
            } else if any(what, &[PLAYERS]) {
                ("set_volume", name(what))
            } else if sure || any(what, &[LIGHTS]) {
                ("set_brightness", name(what))
            } else {
                return None;
            };
            Some(control(action, target?).with("value", Some(value)))
        }
        To::Degrees(_) => None,
    }
}

fn switch(words: &[&str]) -> Option<Plan> {
    let action = |word: &str| match word {
        "on" => Some("turn_on"),
        "off" => Some("turn_off"),
        _ => None,
    };
    match words {
        ["turn" | "switch" | "shut", to, what @ ..] if action(to).is_some() => {
            let shut_on = words.first() == Some(&"shut") && *to == "on";
            Some(control(action(to)?, name(what)?)).filter(|_| !shut_on)
        }
        ["turn" | "switch", what @ .., to] if action(to).is_some() => {
            Some(control(action(to)?, name(what)?))
        }
        ["put" | "shut" | "get", what @ .., to] if action(to).is_some() && device(what) => {
            Some(control(action(to)?, name(what)?))
        }
        ["toggle", what @ ..] => Some(control("toggle", name(what)?)),
        ["activate", what @ ..] => Some(control("turn_on", name(what)?)),
        // "kitchen lights on"
        [what @ .., to] if action(to).is_some() => {
            let verbs = ["keep", "leave", "left", "get", "put", "go", "flip", "hit"];
            let last = what.last()?;
            let sure = [LIGHTS, PLAYERS, CLIMATE, OTHERS]
                .iter()
                .any(|list| list.contains(last));
            let sure = sure && what.len() <= 4 && !any(what, &[&verbs]);
            sure.then(|| name(what))
                .flatten()
                .map(|what| control(action(to).unwrap_or("turn_off"), what))
        }
        _ => None,
    }
}

fn cover(words: &[&str]) -> Option<Plan> {
    let (action, what) = match words {
        ["open" | "raise", "up", what @ ..] | ["open" | "raise", what @ ..] => ("open", what),
        ["close" | "shut" | "lower", what @ ..] => ("close", what),
        _ => return None,
    };
    let (what, half) = match what {
        [what @ .., "halfway"] | [what @ .., "half", "way"] => (what, true),
        what => (what, false),
    };
    let lifts = ["raise", "lower"].contains(words.first()?);
    let hung =
        |word: &&str| COVERS.contains(word) && (!lifts || !["window", "door"].contains(word));
    // Its last word, before a place, must be one: "close the window seat sale" is not.
    let place = what
        .iter()
        .position(|word| *word == "in")
        .unwrap_or(what.len());
    what.get(..place)?.last().filter(|word| hung(word))?;
    let target = name(what)?;
    Some(match half {
        true => control("set_position", target).with("value", Some(50)),
        false => control(action, target),
    })
}

fn question(words: &[&str]) -> Option<Plan> {
    let state = |target: String| {
        Some(Plan::new(
            "hass_get_state",
            [("target", Value::from(target))],
        ))
    };
    let words = match words {
        ["tell", "me", rest @ ..] | ["what", "is" | "are", rest @ ..] | ["what's", rest @ ..] => {
            return measured(bare(rest).as_slice()).and_then(state);
        }
        ["how", "warm" | "hot" | "cold", "is", "it", "in", room @ ..] => {
            let room = bare(room);
            let known = ROOMS.contains(&room.as_slice());
            return known
                .then(|| format!("{} temperature", room.join(" ")))
                .and_then(state);
        }
        ["is" | "are", rest @ ..] => rest,
        _ => return None,
    };
    match words {
        [
            what @ ..,
            "on" | "off" | "open" | "closed" | "shut" | "locked" | "unlocked",
        ] => {
            let last = what.last()?;
            let place = what
                .iter()
                .position(|word| *word == "in")
                .filter(|at| *at > 0);
            let place = place.and_then(|at| what.get(at - 1)).unwrap_or(last);
            // "is the garage open" may mean the one that repairs cars; "the door" is ours.
            let ours = device(&[place])
                && what
                    .first()
                    .is_some_and(|word| ["the", "my", "our", "all"].contains(word));
            ours.then(|| name(what)).flatten().and_then(state)
        }
        _ => None,
    }
}

/// "temperature in the kitchen", "status of the front door".
fn measured(words: &[&str]) -> Option<String> {
    match words {
        [what @ ("temperature" | "humidity"), "in", room @ ..] => {
            let room = bare(room);
            ROOMS
                .contains(&room.as_slice())
                .then(|| format!("{} {what}", room.join(" ")))
        }
        [room @ .., what @ ("temperature" | "humidity")] if ROOMS.contains(&room) => {
            Some(format!("{} {what}", room.join(" ")))
        }
        ["status" | "state", "of", what @ ..] if device(what) => name(what),
        _ => None,
    }
}
