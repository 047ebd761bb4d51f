//! A stream gives the same clauses however it is cut, early and of a good length.

use std::time::Duration;

use caal::tts::{
    Clause, Clauses, Dictionary,
    clauses::{CLAUSE_PAUSE, PARAGRAPH_PAUSE, SENTENCE_PAUSE},
    normalize::normalize,
};

use crate::support::Dice;

#[rustfmt::skip]
pub(super) const TEXTS: &[&str] = &[
    "Sure! Here's a quick plan: first, call Dr. Smith at 10:30 a.m., then pay $1,000.50. It takes 3.5 hours, e.g. by train.",
    "# Soup\n\n- 2 cups of water\n- 1/2 tsp salt\n\n1. Boil it, then wait 10 min.\n2. Serve with **fresh, hot bread** and `a, b, c`.\n",
    "See [the long, long docs](https://example.com/a,b_(c)), please. ```rust\nfn main() {}\n```\nDone? Yes… maybe — who knows!",
    "```python\nimport os\nprint(1)\nprint(2)\nprint(3)\n```\nThat was it.",
    "No punctuation at all and yet it goes on and on because the model forgot how to stop so the listener waits and waits until something happens which it never does since nobody cares about it anyway and that is that",
    "“Really?” he asked. The U.S. Army, in Washington, D.C., said “no.” Mr. J. R. Ewing (aged 45) left at 5 p.m. Then it rained 😀😀 a lot.",
    "日本語。これはテストです。Привет, мир! Ça va? Straße — naïve café, 5 °C.",
    "| City | Temp |\n|---|---|\n| Zürich | 5°C |\n| Oslo | -3°C |\n\nThat's all.",
    "👍", "", "   \n\n ", "OK", "Hi.", "1. 2. 3. 4", "...", "**", "```", "a\n\n\n\nb", "3 - 5, 3–5, 2026-11-22: 1,000,000; x",
    "Roses are red\nViolets are blue\nSugar is sweet\nAnd so are you",
];

pub(super) fn whole(text: &str) -> Vec<Clause> {
    cut_at(text, &[])
}

pub(super) fn cut_at(text: &str, cuts: &[usize]) -> Vec<Clause> {
    cut_by(Clauses::new(Dictionary::default()), text, cuts)
}

/// In a hurry.
fn hurried(text: &str) -> Vec<Clause> {
    cut_by(Clauses::new(Dictionary::default()).hurried(), text, &[])
}

fn cut_by(mut cutter: Clauses, text: &str, cuts: &[usize]) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let mut from = 0;
    for &cut in cuts {
        clauses.extend(cutter.push(&text[from..cut]));
        from = cut;
    }
    clauses.extend(cutter.push(&text[from..]));
    clauses.extend(cutter.finish());
    clauses
}

#[test]
fn every_single_cut_gives_the_same_clauses() {
    for text in TEXTS {
        let expected = whole(text);
        for (cut, _) in text.char_indices() {
            assert_eq!(cut_at(text, &[cut]), expected, "cut at {cut} of {text:?}");
        }
        let every: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        assert_eq!(
            cut_at(text, &every),
            expected,
            "one character at a time: {text:?}"
        );
    }
}

#[test]
fn random_cuts_give_the_same_clauses_and_the_same_words_as_the_whole() {
    for seed in 0..2_000 {
        let mut dice = Dice::new(seed);
        let mut text = String::new();
        for _ in 0..1 + dice.below(4) {
            text.push_str(dice.pick(TEXTS));
            text.push_str(dice.pick(&[" ", "\n", "\n\n", ""]));
        }
        let cuts: Vec<usize> = text
            .char_indices()
            .map(|(i, _)| i)
            .filter(|_| dice.below(7) == 0)
            .collect();
        let clauses = cut_at(&text, &cuts);
        assert_eq!(clauses, whole(&text), "seed {seed}");
        let cutter = Clauses::new(Dictionary::default()).hurried();
        assert_eq!(cut_by(cutter, &text, &cuts), hurried(&text), "seed {seed}");
        let spoken: Vec<&str> = clauses
            .iter()
            .map(|c| c.spoken.as_str())
            .filter(|s| !s.is_empty())
            .collect();
        assert_eq!(
            spoken.join(" "),
            normalize(&text, &Dictionary::default()),
            "seed {seed}"
        );
        let written: String = clauses.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(written, text, "seed {seed}");
    }
}

fn spoken(text: &str) -> Vec<String> {
    whole(text)
        .into_iter()
        .map(|clause| clause.spoken)
        .collect()
}

#[test]
fn the_first_clause_is_out_when_the_word_after_its_comma_begins() {
    let mut cutter = Clauses::new(Dictionary::default());
    assert!(cutter.push("Well, the weather today").is_empty());
    assert!(cutter.push(", ").is_empty());
    let first = cutter.push("i");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].text, "Well, the weather today, ");
    assert_eq!(first[0].pause, CLAUSE_PAUSE);
}

#[test]
fn in_a_hurry_the_first_clauses_end_where_a_phrase_does() {
    for (text, pieces) in [
        (
            "The kitchen light is on now and the front door is locked for the night.",
            &[
                "The kitchen light",
                "is on now and the front door",
                "is locked for the night.",
            ][..],
        ),
        (
            "It is noon. Anything else?",
            &["It is noon. Anything else?"],
        ),
        (
            "Tomorrow there will be light rain in the morning, and sunshine after that.",
            &[
                "Tomorrow there will be light",
                "rain in the morning, and sunshine",
                "after that.",
            ],
        ),
        (
            "You set it for 5 to 7 minutes.",
            &["You set it for 5 to 7 minutes."],
        ),
        (
            "The score is 2 to 1 for the home team.",
            &["The score is 2 to 1", "for the home team."],
        ),
        (
            "Sorry, I could not find that song.",
            &["Sorry, I could not find that song."],
        ),
        (
            "Okay, I turned off the lights.",
            &["Okay, I turned off the lights."],
        ),
    ] {
        let spoken: Vec<_> = hurried(text).into_iter().map(|c| c.text).collect();
        let spoken: Vec<_> = spoken.iter().map(|text| text.trim()).collect();
        assert_eq!(spoken, pieces);
    }
    let clauses = hurried("The kitchen light is on now.");
    assert_eq!(clauses[0].spoken, "The kitchen light,");
    assert_eq!(clauses[0].pause, Duration::ZERO);
}

/// Each clause of the first three is at most so much longer than the one before that it can be made
/// while that one plays.
#[test]
fn in_a_hurry_no_clause_is_far_longer_than_the_one_before() {
    let long = "This answer goes on without any mark whatever since somebody wanted to know everything about the long history of lamps in small kitchens of the north";
    let lengths: Vec<_> = hurried(long).iter().map(|c| c.spoken.len()).collect();
    assert!(lengths.len() > 3, "{lengths:?}");
    assert!(
        lengths[0] < 45 && lengths[1] < 60 && lengths[2] < 100,
        "{lengths:?}"
    );
}

#[test]
fn numbers_abbreviations_and_addresses_are_never_cut() {
    for text in [
        "The price is now 1,000,000 euros",
        "He was there at about 10:30 or so",
        "It weighs approximately 3.5 kilos in all",
        "We asked our friend Dr. Smith about it",
        "He served in the old U.S. Army for years",
        "Use some big fruit, e.g. apples",
        "Please open the page https://example.com/a,b;c:d.html now",
        "Take the [blue, green; red: any](https://x.org) pill",
        "You have to run `a, b; c: d. E` now",
        "That one is **big, bold; and: red. Very** so",
        "They won that long game 3 – 2 in the end",
        "It was on the 5th of Nov. 2026 in the evening",
    ] {
        let clauses = whole(text);
        let first = clauses[0].text.as_str();
        let natural = ["Use some big fruit, "];
        assert!(
            clauses.len() == 1 || natural.contains(&first),
            "{clauses:?}"
        );
    }
}

#[test]
fn pauses_follow_the_punctuation() {
    let clauses = whole(
        "First of all, hello there. Now this is a heading:\n\n- One item of the list\n- Another item of it\n",
    );
    let pauses: Vec<_> = clauses
        .iter()
        .map(|c| (c.spoken.as_str(), c.pause))
        .collect();
    assert_eq!(
        pauses,
        [
            ("First of all,", CLAUSE_PAUSE),
            ("hello there. Now this is a heading:", PARAGRAPH_PAUSE),
            ("One item of the list", PARAGRAPH_PAUSE),
            ("Another item of it", SENTENCE_PAUSE),
        ]
    );
}

#[test]
fn tiny_pieces_are_joined() {
    assert_eq!(
        spoken("Yes. No. Ok. I see what you mean."),
        ["Yes. No. okay. I see what you mean."]
    );
    assert_eq!(
        spoken("- milk\n- eggs\n- flour\n- salt"),
        ["milk, eggs, flour", "salt"]
    );
}

#[test]
fn a_run_on_is_cut_before_a_conjunction_and_never_grows_without_end() {
    let clauses = whole(&"and then we walked along the river because it was nice ".repeat(20));
    assert!(clauses.len() > 5);
    for clause in &clauses[..clauses.len() - 1] {
        assert!(clause.text.len() < 260, "{clause:?}");
    }
    assert!(clauses[1].spoken.starts_with("because") || clauses[1].spoken.starts_with("and"));
}

#[test]
fn long_code_is_announced_at_once_and_short_code_is_read() {
    let mut cutter = Clauses::new(Dictionary::default());
    let clauses = cutter.push("Try this:\n\n```python\nimport os\nimport sys\nprint(os)\n");
    let spoken: Vec<&str> = clauses.iter().map(|c| c.spoken.as_str()).collect();
    assert_eq!(spoken, ["Try this:", "Here is a code block in python."]);
    let rest = [
        cutter.push("print(sys)\n```\nThat is all."),
        cutter.finish(),
    ]
    .concat();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].spoken, "That is all.");
    assert!(rest[0].text.starts_with("print(sys)"));
    assert_eq!(self::spoken("```sh\ncargo test\n```"), ["cargo test"]);
    // A language without a word in it is none.
    let nameless = self::spoken("~~~ #*\na\nb\nc\nd\ne\n~~~");
    assert_eq!(nameless[0], "Here is a code block.");
}
