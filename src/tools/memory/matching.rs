//! Which remembered things somebody means by some words. Pure.
//!
//! Words are compared loosely, because speech recognition and memory both are: small words are left out, and
//! a word counts as another where they are nearly spelt alike. On any doubt nothing is chosen.

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This one is meant.
    One(usize),
    /// One of these may be meant, the likeliest first.
    Several(Vec<usize>),
    /// None is.
    Nothing,
}

/// Words that say nothing of what is meant.
const SMALL: &[&str] = &[
    "a", "about", "am", "an", "and", "are", "at", "be", "do", "does", "for", "from", "has", "have",
    "i", "in", "is", "it", "its", "me", "my", "of", "on", "or", "our", "s", "that", "the", "their",
    "they", "this", "to", "user", "users", "was", "we", "with", "you", "your", "thing", "fact",
    "remember", "forget",
];

/// How alike two words are that count as the same.
const ALIKE: f64 = 0.92;

/// Which of `things` `words` mean.
pub(super) fn find(things: &[&str], words: &str) -> Found {
    if let Some(same) = things.iter().position(|thing| plain(thing) == plain(words)) {
        return Found::One(same);
    }
    let wanted = content(words);
    if wanted.is_empty() {
        return Found::Nothing;
    }
    // Of the words, how many are in the thing.
    let scored = things.iter().map(|thing| {
        let there = content(thing);
        let hits = wanted
            .iter()
            .filter(|word| there.iter().any(|other| alike(word, other)));
        hits.count()
    });
    let mut scored: Vec<(usize, usize)> = scored
        .enumerate()
        .filter(|(_, hits)| 2 * hits >= wanted.len())
        .collect();
    scored.retain(|(_, hits)| *hits > 0);
    // Stable: of equals the older first.
    scored.sort_by_key(|(_, hits)| std::cmp::Reverse(*hits));
    let all = wanted.len();
    let whole = scored.iter().filter(|(_, hits)| *hits == all).count();
    match (whole, &scored[..]) {
        (_, []) => Found::Nothing,
        (1, [(best, _), ..]) => Found::One(*best),
        // Most of several words, and nothing else like it.
        (0, [(only, hits)]) if 3 * hits >= 2 * all => Found::One(*only),
        _ => Found::Several(scored.into_iter().map(|(at, _)| at).collect()),
    }
}

/// Which of `things` have something to do with `words`, in their order; all, where `words` say nothing.
pub(super) fn about(things: &[&str], words: &str) -> Vec<usize> {
    let wanted = content(words);
    let has = |thing: &&str| {
        let there = content(thing);
        wanted.is_empty()
            || wanted
                .iter()
                .any(|word| there.iter().any(|other| alike(word, other)))
    };
    (0..things.len()).filter(|at| has(&things[*at])).collect()
}

/// The same words, for comparing: small letters, without signs.
pub(super) fn plain(text: &str) -> String {
    words(text).join(" ")
}

fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('’', "'");
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The words that say something. Short parts with a hyphen between are one: Wi-Fi.
fn content(text: &str) -> Vec<String> {
    let joined = text.split_whitespace().map(|token| {
        let short = |part: &str| part.chars().count() <= 3;
        match token.contains('-') && token.split('-').all(short) {
            true => token.replace('-', ""),
            false => token.to_owned(),
        }
    });
    let mut words = words(&joined.collect::<Vec<_>>().join(" "));
    words.retain(|word| !SMALL.contains(&word.as_str()));
    words
}

fn alike(one: &str, other: &str) -> bool {
    let stem = |word: &str| -> String {
        match word.strip_suffix('s') {
            Some(stem) if stem.chars().count() > 2 => stem.to_owned(),
            _ => word.to_owned(),
        }
    };
    // Figures are not nearly the same as others.
    let figures = |word: &str| word.chars().any(|c| c.is_ascii_digit());
    one == other
        || stem(one) == stem(other)
        || (!figures(one) && one.chars().count() > 3 && strsim::jaro_winkler(one, other) >= ALIKE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &[&str] = &[
        "My sister's birthday is on the third of May.",
        "I am allergic to peanuts.",
        "The wifi password of the guest network is blue horse 42.",
        "My brother's birthday is on the ninth of June.",
        "My car is red.",
    ];

    #[test]
    fn a_few_words_are_enough_where_one_thing_is_meant() {
        for (words, at) in [
            ("peanuts", 1),
            ("that I'm allergic to peanut", 1),
            ("my sister's birthday", 0),
            ("the wi-fi password", 2),
            ("the guest network password", 2),
            ("the colour of my car red", 4),
            ("i am allergic to peanuts", 1),
            ("the alergic peanuts thing", 1),
        ] {
            assert_eq!(find(FACTS, words), Found::One(at), "{words}");
        }
    }

    #[test]
    fn on_doubt_nothing_is_chosen() {
        assert_eq!(find(FACTS, "the birthday"), Found::Several(vec![0, 3]));
        assert_eq!(
            find(FACTS, "birthday in December"),
            Found::Several(vec![0, 3])
        );
        assert_eq!(find(FACTS, "the blue car"), Found::Several(vec![2, 4]));
        assert_eq!(find(FACTS, "my bicycle"), Found::Nothing);
        assert_eq!(find(FACTS, "password 43"), Found::Several(vec![2]));
        assert_eq!(find(FACTS, "that"), Found::Nothing);
        assert_eq!(find(FACTS, ""), Found::Nothing);
        assert_eq!(find(&[], "peanuts"), Found::Nothing);
    }

    #[test]
    fn what_has_to_do_with_words_is_found_in_order() {
        assert_eq!(about(FACTS, "birthdays"), [0, 3]);
        assert_eq!(about(FACTS, "what about my car"), [4]);
        assert_eq!(about(FACTS, "").len(), FACTS.len());
        assert!(about(FACTS, "submarine").is_empty());
    }
}
