//! Which thing of the home a spoken name means. Pure.
//!
//! Articles, plurals and the order of words do not count; a room may stand in the name or be the thing's
//! area; words that sound alike are alike, as Whisper knows no names of lamps.

use super::context::Entity;
use crate::tools::spoken;

/// What a name means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// The thing of this index, and how sure: 1 for the name itself.
    One(usize, f64),
    /// All things of a kind in an area.
    Area {
        /// The area's name.
        area: String,
        /// Their kind.
        domain: &'static str,
    },
    /// All things of a kind.
    All(&'static str),
    /// Several that match alike.
    Several(Vec<usize>),
    /// None; the nearest.
    Nothing(Vec<usize>),
}

/// From this score on a thing is meant.
const MEANT: f64 = 0.75;
/// Scores this near to each other are alike.
const ALIKE: f64 = 0.04;
/// A score this much above the next is the only one.
const STANDS_OUT: f64 = 0.1;
/// From this likeness on a word is another.
const WORD: f64 = 0.7;

/// Words for kinds of things, with the kind.
const KINDS: &[(&str, &str)] = &[
    ("light", "light"),
    ("lamp", "light"),
    ("lighting", "light"),
    ("bulb", "light"),
    ("blind", "cover"),
    ("curtain", "cover"),
    ("shade", "cover"),
    ("shutter", "cover"),
    ("fan", "fan"),
    ("tv", "media_player"),
    ("television", "media_player"),
    ("speaker", "media_player"),
    ("music", "media_player"),
    ("thermostat", "climate"),
    ("heating", "climate"),
    ("heater", "climate"),
    ("ac", "climate"),
    ("switch", "switch"),
    ("plug", "switch"),
    ("lock", "lock"),
];

/// What Whisper makes of words of a home, beyond what sounds alike by rule.
const HEARD: &[(&str, &str)] = &[
    ("lamb", "lamp"),
    ("lump", "lamp"),
    ("land", "lamp"),
    ("like", "light"),
    ("lite", "light"),
    ("van", "fan"),
    ("fun", "fan"),
    ("television", "tv"),
    ("telly", "tv"),
    ("teevee", "tv"),
    ("sealing", "ceiling"),
    ("seeling", "ceiling"),
];

/// A name as it is compared.
#[derive(Debug)]
struct Heard {
    words: Vec<String>,
    plural: bool,
    all: bool,
}

/// What `target` means among those of `entities` that `fits`.
pub(super) fn find(target: &str, entities: &[Entity], fits: impl Fn(&Entity) -> bool) -> Found {
    let heard = heard(target);
    let scored = entities
        .iter()
        .enumerate()
        .filter(|(_, entity)| fits(entity));
    let mut scored: Vec<(usize, f64)> = scored.map(|(i, e)| (i, score(&heard.words, e))).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let best = scored.first().map_or(0.0, |(_, score)| *score);
    let second = scored.get(1).map_or(0.0, |(_, score)| *score);
    // A name that is said in full wins over a group, and so does one that stands out, but for plurals.
    let alone = best >= MEANT && best - second > STANDS_OUT && !heard.plural && !heard.all;
    if best < 0.97
        && !alone
        && let Some(group) = group(&heard, entities, &fits)
    {
        return group;
    }
    if best < MEANT {
        return Found::Nothing(nearest(&heard.words, entities, fits));
    }
    let alike: Vec<usize> = scored
        .iter()
        .filter(|(_, s)| *s >= best - ALIKE)
        .map(|(i, _)| *i)
        .collect();
    match alike.as_slice() {
        [one] => Found::One(*one, best),
        several => same(several, entities).map_or_else(
            || Found::Several(alike.clone()),
            |one| Found::One(one, best),
        ),
    }
}

/// Things of one name in one place, as a lamp and its plug: the one whose kind matters most.
fn same(several: &[usize], entities: &[Entity]) -> Option<usize> {
    const FIRST: [&str; 7] = [
        "light",
        "cover",
        "media_player",
        "climate",
        "fan",
        "lock",
        "switch",
    ];
    let first = entities.get(*several.first()?)?;
    let all = several.iter().filter_map(|i| entities.get(*i));
    let mut all =
        all.map(|e| e.name().eq_ignore_ascii_case(first.name()) && e.area() == first.area());
    let rank = |i: &usize| {
        let domain = entities.get(*i).map_or("", |entity| entity.domain.as_str());
        FIRST
            .iter()
            .position(|known| *known == domain)
            .unwrap_or(FIRST.len())
    };
    let mut ranks: Vec<usize> = several.iter().map(rank).collect();
    ranks.sort_unstable();
    let told_apart = ranks.first() != ranks.get(1);
    (all.all(|same| same) && told_apart)
        .then(|| several.iter().copied().min_by_key(rank))
        .flatten()
}

/// "kitchen lights", "the lights in the kitchen", "all lights", "the kitchen".
fn group(heard: &Heard, entities: &[Entity], fits: &impl Fn(&Entity) -> bool) -> Option<Found> {
    let kind = |word: &String| KINDS.iter().find(|(known, _)| alike(word, known) >= 0.9);
    let kinds: Vec<&(&str, &'static str)> = heard.words.iter().filter_map(kind).collect();
    let domain = match kinds.as_slice() {
        [] => "light",
        [(_, domain)] => domain,
        _ => return None,
    };
    let there: Vec<usize> = entities
        .iter()
        .enumerate()
        .filter(|(_, entity)| entity.domain == domain && fits(entity))
        .map(|(i, _)| i)
        .collect();
    let place: Vec<String> = heard
        .words
        .iter()
        .filter(|word| kind(word).is_none())
        .cloned()
        .collect();
    if place.is_empty() {
        return match there.as_slice() {
            [one] => Some(Found::One(*one, 0.9)),
            [_, ..] if heard.all => Some(Found::All(domain)),
            _ => None,
        };
    }
    let mut areas: Vec<(f64, &str)> = Vec::new();
    for entity in there.iter().filter_map(|i| entities.get(*i)) {
        let best = entity
            .areas
            .iter()
            .map(|name| likeness(&place, &self::heard(name).words))
            .fold(0.0, f64::max);
        if let Some(area) = entity.area().filter(|_| best >= 0.85) {
            areas.push((best, area));
        }
    }
    areas.sort_by(|a, b| b.0.total_cmp(&a.0));
    let area = areas.first()?.1;
    let inside: Vec<usize> = there
        .into_iter()
        .filter(|i| entities.get(*i).and_then(Entity::area) == Some(area))
        .collect();
    let generic = kinds.iter().all(|(word, _)| *word == "light");
    match inside.as_slice() {
        [one] => Some(Found::One(*one, 0.95)),
        _ if heard.plural || heard.all || generic => Some(Found::Area {
            area: area.to_owned(),
            domain,
        }),
        several => Some(Found::Several(several.to_vec())),
    }
}

/// How much a thing is meant, 0 to 1. Every word must mean something of it.
fn score(target: &[String], entity: &Entity) -> f64 {
    let areas: Vec<String> = entity
        .areas
        .iter()
        .flat_map(|area| heard(area).words)
        .collect();
    let kind = KINDS
        .iter()
        .filter(|(_, domain)| *domain == entity.domain)
        .map(|(word, _)| *word);
    let kind: Vec<String> = kind.map(str::to_owned).collect();
    let of_names = entity.names.iter().map(|name| {
        let name = heard(name).words;
        if name.is_empty() || target.is_empty() {
            return 0.0;
        }
        // "livingroom" is "living room".
        if name.concat() == target.concat() {
            return 1.0;
        }
        let mut meant = 0.0;
        for word in target {
            let by_name = best(word, &name);
            let by_area = best(word, &areas) * 0.95;
            let by_kind = best(word, &kind) * 0.85;
            let best = by_name.max(by_area).max(by_kind);
            if best < WORD {
                return 0.0;
            }
            meant += best;
        }
        let covered: f64 = name
            .iter()
            .map(|word| {
                Some(best(word, target))
                    .filter(|s| *s >= WORD)
                    .unwrap_or(0.0)
            })
            .sum();
        let none = covered == 0.0;
        if none {
            return 0.0;
        }
        0.6 * meant / target.len() as f64 + 0.4 * covered / name.len() as f64
    });
    of_names.fold(0.0, f64::max)
}

fn best(word: &str, words: &[String]) -> f64 {
    words
        .iter()
        .map(|other| alike(word, other))
        .fold(0.0, f64::max)
}

/// How much two lists of words are the same, 0 to 1; the order does not count.
fn likeness(one: &[String], other: &[String]) -> f64 {
    if one.is_empty() || other.is_empty() {
        return 0.0;
    }
    if one.concat() == other.concat() {
        return 1.0;
    }
    let half = |one: &[String], other: &[String]| {
        one.iter().map(|word| best(word, other)).sum::<f64>() / one.len() as f64
    };
    half(one, other).min(half(other, one))
}

/// How much two words are the same, 0 to 1, by letters and by sound.
fn alike(one: &str, other: &str) -> f64 {
    if one == other {
        return 1.0;
    }
    if one.starts_with(|c: char| c.is_ascii_digit())
        || other.starts_with(|c: char| c.is_ascii_digit())
    {
        return 0.0; // "lamp 1" is not "lamp 2"
    }
    if HEARD.contains(&(one, other)) || HEARD.contains(&(other, one)) {
        return 0.9;
    }
    let sound = (sound(one), sound(other));
    if sound.0.len() > 1 && sound.0 == sound.1 {
        return 0.9;
    }
    let letters = strsim::jaro_winkler(one, other);
    // Short words have many neighbours that mean something else: "hall" and "wall", "lamp" and "damp".
    let edits = strsim::levenshtein(one, other);
    let allowed = if one.len().min(other.len()) < 5 { 1 } else { 2 };
    let first = one.chars().next() == other.chars().next();
    if edits <= allowed && first {
        letters.max(0.75)
    } else {
        0.0
    }
}

/// A word by its consonants, as they sound: "ceiling" and "sealing" are the same.
fn sound(word: &str) -> String {
    let word = word
        .replace("gh", "")
        .replace("ph", "f")
        .replace("ck", "k")
        .replace("kn", "n")
        .replace("wr", "r");
    let letters: Vec<char> = word.chars().collect();
    let mut code = String::new();
    for (i, c) in letters.iter().enumerate() {
        let soft = matches!(letters.get(i + 1), Some('e' | 'i' | 'y'));
        let code_of = match c {
            'c' if soft => 's',
            'c' | 'q' => 'k',
            'z' => 's',
            'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'h' | 'w' if i > 0 => continue,
            'a' | 'e' | 'i' | 'o' | 'u' | 'y' => 'a',
            c => *c,
        };
        if !code.ends_with(code_of) {
            code.push(code_of);
        }
    }
    code
}

/// The names that are nearest, at most three, for people.
fn nearest(target: &[String], entities: &[Entity], fits: impl Fn(&Entity) -> bool) -> Vec<usize> {
    let loose = |entity: &Entity| {
        let names = entity.names.iter().map(|name| {
            let words = heard(name).words;
            let shared = target
                .iter()
                .filter(|word| best(word, &words) >= WORD)
                .count();
            shared as f64 + strsim::jaro_winkler(&words.join(" "), &target.join(" "))
        });
        names.fold(0.0, f64::max)
    };
    let mut all: Vec<(usize, f64)> = entities
        .iter()
        .enumerate()
        .filter(|(_, entity)| fits(entity))
        .map(|(i, entity)| (i, loose(entity)))
        .filter(|(_, near)| *near > 0.6)
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.into_iter().take(3).map(|(i, _)| i).collect()
}

/// The words of a name as they are compared.
fn heard(name: &str) -> Heard {
    let all: Vec<String> = spoken::sentences(name)
        .into_iter()
        .flatten()
        .map(|word| word.low)
        .collect();
    let dropped = [
        "the", "a", "an", "my", "our", "in", "of", "at", "on", "from", "please", ",", "to",
    ];
    let mut heard = Heard {
        words: Vec::new(),
        plural: false,
        all: false,
    };
    let mut at = 0;
    while let Some(word) = all.get(at) {
        if let Some((number, used)) = spoken::number(all.get(at..).unwrap_or_default()) {
            heard.words.push(number.to_string());
            at += used;
            continue;
        }
        at += 1;
        match word.as_str() {
            "all" | "every" => heard.all = true,
            word if dropped.contains(&word) => {}
            word => {
                let one = singular(word);
                heard.plural |= one != word;
                heard.words.push(one);
            }
        }
    }
    heard
}

fn singular(word: &str) -> String {
    let word = word.trim_end_matches("'s").replace('\'', "");
    let endings = [("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss")];
    for (many, one) in endings {
        if let Some(stem) = word.strip_suffix(many).filter(|stem| stem.len() > 1) {
            return format!("{stem}{one}");
        }
    }
    let plain =
        word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us");
    if plain {
        word.trim_end_matches('s').to_owned()
    } else {
        word
    }
}

/// Whether `target` means whatever plays.
pub(super) fn is_music(target: &str) -> bool {
    let words = heard(target).words;
    let whatever = [
        "music", "media", "song", "track", "playback", "sound", "volume", "video", "player",
    ];
    matches!(words.as_slice(), [one] if whatever.contains(&one.as_str()))
}

/// The place and the quantity in "living room temperature".
pub(super) fn measure(target: &str) -> Option<(String, &'static str)> {
    let words = heard(target).words;
    let what = ["temperature", "humidity"]
        .into_iter()
        .find(|what| words.iter().any(|word| word == what))?;
    let place: Vec<String> = words.into_iter().filter(|word| word != what).collect();
    Some((place.join(" "), what))
}

/// Whether `place` is the area of `entity`.
pub(super) fn is_in(place: &str, entity: &Entity) -> bool {
    let place = heard(place).words;
    entity
        .areas
        .iter()
        .any(|area| likeness(&place, &heard(area).words) >= 0.85)
}

#[cfg(test)]
mod tests;
