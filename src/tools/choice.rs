//! Which tools the language model is told of, when there are more than fit: those that a question is about,
//! by their names and descriptions (BM25). Pure.
//!
//! An engine keeps what it has read of a request as long as its beginning stays the same, and the tools are
//! that beginning. So what was chosen stays: a new question adds what it needs at the end, and only when
//! the budget overflows the set is made anew.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde_json::Value;

use super::Tool;
use crate::llm::{ToolSpec, history::approximate_tokens};

/// As many tools that were used last are always among the chosen.
const LATELY: usize = 3;
/// As many of a question's best are looked for in what is chosen.
const WANTED: usize = 5;
/// Of the best score: what is below is not about the question.
const ABOUT: f64 = 0.35;
/// BM25: how soon a word that comes often says no more.
const K: f64 = 1.2;
/// BM25: how much long texts count less.
const B: f64 = 0.5;
/// A word of the name counts as so many of the description.
const NAME: usize = 3;

/// Chooses for one conversation.
#[derive(Debug, Default)]
pub struct Chooser {
    always: Vec<String>,
    used: VecDeque<String>,
    /// In their order, with the tools that it was chosen from.
    chosen: Vec<String>,
    from: Vec<Arc<ToolSpec>>,
    index: Index,
}

impl Chooser {
    /// With the names of tools that are always chosen, where they are there: small ones that are often used.
    pub fn new(always: impl IntoIterator<Item = String>) -> Self {
        Self {
            always: always.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The tool `name` was called: it stays among the chosen for a while.
    pub fn used(&mut self, name: &str) {
        self.used.retain(|known| known != name);
        self.used.push_front(name.to_owned());
        self.used.truncate(LATELY);
    }

    /// The tools for `question` out of `all`: all of them in their order, where they fit `budget_tokens` (by
    /// [`tokens`]), else those that matter. What is always chosen and what was used last is there even when
    /// it alone is more than the budget.
    pub fn choose(
        &mut self,
        all: &[Arc<dyn Tool>],
        question: &str,
        budget_tokens: usize,
    ) -> Vec<Arc<dyn Tool>> {
        self.look_at(all);
        let costs: HashMap<&str, usize> = all
            .iter()
            .map(|t| (t.spec().name.as_str(), tokens(t.spec())))
            .collect();
        let cost = |name: &str| costs.get(name).copied();
        if costs.values().sum::<usize>() <= budget_tokens {
            self.chosen.clear();
            return all.to_vec();
        }
        self.chosen.retain(|name| cost(name).is_some());
        let ranked = self.index.rank(question);
        let best = ranked.first().map_or(0.0, |(_, score)| *score);
        let about = |score: f64| score >= best * ABOUT;
        let names: Vec<&str> = ranked
            .iter()
            .filter_map(|(i, _)| Some(self.from.get(*i)?.name.as_str()))
            .collect();
        let wanted = ranked
            .iter()
            .zip(&names)
            .take(WANTED)
            .filter(|((_, score), _)| about(*score));
        // In this order, if not all fit.
        let kept = self
            .always
            .iter()
            .map(String::as_str)
            .chain(self.used.iter().map(String::as_str));
        let kept: Vec<&str> = kept.filter(|name| cost(name).is_some()).collect();
        let needed: Vec<&str> = kept
            .iter()
            .copied()
            .chain(wanted.map(|(_, name)| *name))
            .collect();
        let mut chosen: Vec<String> = self.chosen.clone();
        let spent = |chosen: &[String]| chosen.iter().filter_map(|name| cost(name)).sum::<usize>();
        for name in &needed {
            if !chosen.iter().any(|known| known == name) {
                chosen.push((*name).to_owned());
            }
        }
        let begun = !self.chosen.is_empty();
        if !begun || spent(&chosen) > budget_tokens {
            chosen.clear();
            // Anew: what is needed, then what else is near to the question. A quarter of the room stays for
            // the questions to come.
            let mut spent = 0;
            for (i, name) in needed.iter().chain(&names).enumerate() {
                let price = cost(name).unwrap_or(0);
                let room = match i {
                    i if i < kept.len() => usize::MAX,
                    i if i < needed.len() => budget_tokens,
                    _ => budget_tokens / 4 * 3,
                };
                if chosen.iter().any(|known| known == name) || spent + price > room {
                    continue;
                }
                spent += price;
                chosen.push((*name).to_owned());
            }
            // In the box's order, which does not depend on the question.
            let place: HashMap<&str, usize> = self
                .from
                .iter()
                .enumerate()
                .map(|(i, s)| (s.name.as_str(), i))
                .collect();
            chosen.sort_by_key(|name| place.get(name.as_str()).copied());
        }
        self.chosen = chosen;
        let by_name: HashMap<&str, &Arc<dyn Tool>> =
            all.iter().map(|t| (t.spec().name.as_str(), t)).collect();
        let tools = self
            .chosen
            .iter()
            .filter_map(|name| by_name.get(name.as_str()));
        tools.map(|tool| (*tool).clone()).collect()
    }

    /// Makes the index, where the tools are others than before.
    fn look_at(&mut self, all: &[Arc<dyn Tool>]) {
        let same = self.from.len() == all.len()
            && self
                .from
                .iter()
                .zip(all)
                .all(|(known, tool)| Arc::ptr_eq(known, tool.spec()) || known == tool.spec());
        if !same {
            self.from = all.iter().map(|tool| tool.spec().clone()).collect();
            self.index = Index::of(&self.from);
        }
    }
}

/// What telling a language model of a tool costs, about: its name, its description and its parameters' JSON.
pub fn tokens(spec: &ToolSpec) -> usize {
    /// What templates put around each.
    const AROUND: usize = 10;
    approximate_tokens(&spec.name)
        + approximate_tokens(&spec.description)
        + approximate_tokens(&spec.parameters.to_string())
        + AROUND
}

/// The words of the tools.
#[derive(Debug, Default)]
struct Index {
    /// By word: in which tool, how often.
    words: HashMap<String, Vec<(usize, usize)>>,
    /// Words of each tool.
    lengths: Vec<usize>,
}

impl Index {
    fn of(specs: &[Arc<ToolSpec>]) -> Self {
        let mut index = Self::default();
        for (i, spec) in specs.iter().enumerate() {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for word in words(&spec.name) {
                *counts.entry(word).or_default() += NAME;
            }
            let mut parameters = String::new();
            described(&spec.parameters, &mut parameters);
            for word in words(&spec.description).chain(words(&parameters)) {
                *counts.entry(word).or_default() += 1;
            }
            index.lengths.push(counts.values().sum());
            for (word, count) in counts {
                index.words.entry(word).or_default().push((i, count));
            }
        }
        index
    }

    /// The tools that share a word with `question`, the best first.
    fn rank(&self, question: &str) -> Vec<(usize, f64)> {
        let many = self.lengths.len() as f64;
        let mean = self.lengths.iter().sum::<usize>() as f64 / many.max(1.0);
        let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
        let mut asked: HashSet<String> = HashSet::new();
        let said: Vec<String> = words(question)
            .filter(|word| asked.insert(word.clone()))
            .collect();
        let also: Vec<String> = said
            .iter()
            .flat_map(|word| synonyms(word))
            .filter(|word| asked.insert(word.clone()))
            .collect();
        // What only means the same counts less than what was said.
        let weighed = said
            .iter()
            .map(|word| (word, 1.0))
            .chain(also.iter().map(|word| (word, 0.6)));
        for (word, weight) in weighed {
            let Some(found) = self.words.get(word) else {
                continue;
            };
            let with = found.len() as f64;
            let rare = ((many - with + 0.5) / (with + 0.5) + 1.0).ln();
            for (i, count) in found {
                let count = *count as f64;
                let length = self.lengths.get(*i).copied().unwrap_or(1) as f64 / mean.max(1.0);
                let often = count * (K + 1.0) / (count + K * (1.0 - B + B * length));
                *scores.entry(*i).or_default() += weight * rare * often;
            }
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked
    }
}

/// The names and descriptions of a schema's properties.
fn described(schema: &Value, into: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (name, property) in properties {
        into.push_str(name);
        into.push(' ');
        if let Some(text) = property.get("description").and_then(Value::as_str) {
            into.push_str(text);
            into.push(' ');
        }
    }
}

/// The words of `text`, parted at signs and within `camelCase`, without those that say nothing, as stems.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut parted = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            parted.push(' ');
        }
        match c {
            c if c.is_alphanumeric() => parted.extend(c.to_lowercase()),
            '\'' | '’' => {}
            _ => parted.push(' '),
        }
        before = c;
    }
    let all: Vec<String> = parted
        .split(' ')
        .filter(|word| !NOTHING.contains(word))
        .map(stem)
        .collect();
    all.into_iter().filter(|word| !word.is_empty())
}

/// Words that every question and every description has.
const NOTHING: &[&str] = &[
    "", "again", "also", "just", "more", "now", "once", "a", "about", "an", "and", "any", "are",
    "as", "at", "be", "by", "can", "could", "do", "does", "for", "from", "get", "give", "has",
    "have", "how", "i", "im", "in", "is", "it", "its", "like", "me", "my", "need", "of", "on",
    "one", "optional", "or", "our", "out", "please", "should", "some", "tell", "that", "the",
    "there", "these", "this", "to", "tool", "us", "use", "used", "user", "want", "was", "we",
    "what", "whats", "when", "where", "which", "will", "with", "would", "you", "your",
];

/// A word without its ending. Light: it is enough that "lights", "lighting" and "light" meet.
fn stem(word: &str) -> String {
    let long = |stem: &&str| stem.chars().count() >= 3;
    let doubled = |stem: &str| {
        let mut last = stem.chars().rev();
        let (a, b) = (last.next(), last.next());
        match a == b && !matches!(a, Some('l' | 's' | 'z')) {
            true => stem.get(..stem.len() - 1).unwrap_or(stem).to_owned(),
            false => stem.to_owned(),
        }
    };
    let word = match word {
        w if w.ends_with("ies") => w.strip_suffix("ies").filter(long).map(|w| format!("{w}y")),
        w if w.ends_with("sses") => w.strip_suffix("es").map(str::to_owned),
        w if w.ends_with("ss") || w.ends_with("us") || w.ends_with("is") => None,
        w => w.strip_suffix('s').filter(long).map(str::to_owned),
    }
    .unwrap_or_else(|| word.to_owned());
    let cut = word
        .strip_suffix("ing")
        .or_else(|| word.strip_suffix("ed"))
        .filter(long)
        .map(doubled);
    let word = cut.unwrap_or(word);
    // "schedule" and "scheduling" meet without the e.
    word.strip_suffix('e')
        .filter(long)
        .unwrap_or(&word)
        .to_owned()
}

/// Words that mean about the same, for tools.
const SAME: &[&[&str]] = &[
    &["email", "mail", "message", "inbox", "gmail"],
    &[
        "calendar",
        "event",
        "appointment",
        "meeting",
        "schedule",
        "agenda",
    ],
    &["task", "todo", "reminder"],
    &["buy", "shopping", "grocery", "order", "purchase"],
    &["weather", "forecast", "rain", "temperature", "umbrella"],
    &["light", "lamp", "bulb", "brightness"],
    &["music", "song", "playlist", "track", "album", "play"],
    &[
        "heat",
        "heating",
        "thermostat",
        "climate",
        "warm",
        "cold",
        "temperature",
    ],
    &["search", "find", "look", "lookup"],
    &["create", "add", "new", "make", "write", "put"],
    &["delete", "remove", "cancel", "clear", "erase"],
    &["list", "show", "all", "overview"],
    &["send", "text", "post", "notify", "tell"],
    &["news", "headline", "article"],
    &["stock", "share", "price", "quote"],
    &["money", "expense", "spend", "budget", "cost", "pay"],
    &["car", "vehicle", "drive"],
    &["route", "direction", "navigate", "traffic", "travel"],
    &["file", "document", "folder"],
    &["note", "memo", "notebook"],
    &["photo", "picture", "image"],
    &["video", "movie", "film"],
    &["translate", "translation", "language"],
    &["blind", "curtain", "cover", "shutter", "shade"],
    &["door", "lock", "gate"],
    &["recipe", "cook", "meal", "dinner", "food"],
    &["issue", "bug", "ticket"],
    &["phone", "call", "dial"],
    &["contact", "person", "address"],
    &["package", "parcel", "shipment", "delivery", "track"],
    &["train", "bus", "transit", "departure"],
    &["workout", "exercise", "fitness", "run"],
    &["vacuum", "clean", "robot", "hoover"],
    &["summarize", "summary", "sum"],
    &["currency", "dollar", "euro", "pound", "exchange"],
    &["crypto", "cryptocurrency", "bitcoin", "ethereum"],
    &[
        "unit",
        "gram",
        "cup",
        "mile",
        "kilometer",
        "liter",
        "inch",
        "ounce",
    ],
    &[
        "mathematical",
        "math",
        "calculate",
        "calculator",
        "percent",
        "plus",
        "divide",
        "multiply",
    ],
    &[
        "translate",
        "say",
        "english",
        "german",
        "french",
        "spanish",
        "italian",
        "japanese",
        "chinese",
    ],
    &["define", "definition", "mean", "meaning", "word"],
    &["taxi", "cab", "ride", "uber"],
    &[
        "nearby",
        "near",
        "nearest",
        "place",
        "shop",
        "restaurant",
        "pharmacy",
        "supermarket",
    ],
    &["washing", "laundry", "washer"],
    &["medication", "medicine", "pill", "tablet", "drug"],
    &["expense", "spent", "spend"],
    &["remember", "know", "fact"],
    &["note", "wrote", "write"],
    &["sport", "score", "team", "win", "won", "match"],
    &["done", "finish", "complete", "tick"],
    &["airport", "direction", "route", "drive"],
    &["camera", "picture"],
];

fn synonyms(stemmed: &str) -> Vec<String> {
    let groups = SAME
        .iter()
        .filter(|group| group.iter().any(|word| stem(word) == stemmed));
    groups
        .flat_map(|group| group.iter().map(|word| stem(word)))
        .filter(|word| word != stemmed)
        .collect()
}

#[cfg(test)]
mod tests;
