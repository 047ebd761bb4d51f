//! What is said for what is written, kind by kind; and that nothing written is left unsaid.

use caal::tts::{Dictionary, normalize::normalize};

use super::fault_in;
use crate::support::Dice;

fn say(text: &str) -> String {
    normalize(text, &Dictionary::default())
}

#[track_caller]
fn all(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(written, spoken)| (written, spoken, say(written)))
        .filter(|(_, spoken, said)| said != *spoken)
        .map(|(written, spoken, said)| format!("{written:?}\n  is   {said:?}\n  want {spoken:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn markdown_leaves_its_text() {
    all(&[
        ("# Soup of the day", "Soup of the day"),
        (
            "This is **very** important, _really_.",
            "This is very important, really.",
        ),
        ("- fresh bread\n- cold butter", "fresh bread cold butter"),
        (
            "1. Chop the onion.\n2. Fry it.",
            "one, Chop the onion. two, Fry it.",
        ),
        (
            "| Town | People |\n|:--|--:|\n| Bern | 134,000 |",
            "Town, People Bern, one hundred thirty-four thousand",
        ),
        (
            "Read [the guide](https://example.com/guide) first.",
            "Read the guide first.",
        ),
        ("> He said yes.", "He said yes."),
        ("Set `max_size` to `10`.", "Set max size to ten."),
        (
            "- [x] buy milk\n- [ ] call Ann",
            "done, buy milk, to do, call Ann",
        ),
        ("Above\n\n---\n\nbelow", "Above, below"),
        (
            "<b>Bold</b> &amp; <i>italic</i><br>next",
            "Bold and italic, next",
        ),
        ("~~old~~ new", "old new"),
    ]);
}

#[test]
fn addresses_can_be_repeated_by_the_listener() {
    all(&[
        (
            "Go to https://example.com/docs.",
            "Go to example dot com slash docs.",
        ),
        (
            "Write to bob@example.com, please.",
            "Write to bob at example dot com, please.",
        ),
        (
            "mary.jones@mail.example.org",
            "mary dot jones at mail dot example dot org",
        ),
        (
            "Open localhost:8080 or 192.168.1.10.",
            "Open local host colon eighty eighty or one ninety-two dot one sixty-eight dot one dot ten.",
        ),
        (
            "It is in src/audio/wav.rs and ~/notes.md.",
            "It is in S R C slash audio slash wav dot R S and tilde slash notes dot M D.",
        ),
        (
            "Look at www.example.org",
            "Look at W W W dot example dot org",
        ),
        (
            "We talked to Node.js and main.py",
            "We talked to Node dot J S and main dot P Y",
        ),
    ]);
}

#[test]
fn pictures_are_not_said() {
    all(&[
        ("Great 🎉🎉 job 👍🏽!", "Great job!"),
        ("Family: 👨‍👩‍👧‍👦 and flag 🇨🇭.", "Family: and flag."),
        ("Press 1️⃣ now :-)", "Press one now"),
        ("I like it :) really <3", "I like it really"),
    ]);
}

#[test]
fn quantities() {
    all(&[
        (
            "I counted 1,234,567 stars.",
            "I counted one million two hundred thirty-four thousand five hundred sixty-seven stars.",
        ),
        (
            "There are 1000000000000000 ants.",
            "There are one quadrillion ants.",
        ),
        (
            "Code 007 is 3.14159.",
            "Code zero zero seven is three point one four one five nine.",
        ),
        (
            "It dropped by -12 and rose by .5.",
            "It dropped by minus twelve and rose by point five.",
        ),
        (
            "Read 3-5 pages, or 10–20.",
            "Read three to five pages, or ten to twenty.",
        ),
        (
            "The 1st, 2nd, 3rd and 112th.",
            "The first, second, third and one hundred twelfth.",
        ),
        (
            "about 5k people and 3M views",
            "about five thousand people and three million views",
        ),
    ]);
}

#[test]
fn years_and_numbers_are_told_apart() {
    all(&[
        (
            "In 1984 and in 2005 it rained.",
            "In nineteen eighty-four and in two thousand five it rained.",
        ),
        (
            "The 1990s and the '80s.",
            "The nineteen nineties and the eighties.",
        ),
        ("2026 was dry.", "twenty twenty-six was dry."),
        (
            "We saw 2026 birds.",
            "We saw two thousand twenty-six birds.",
        ),
        (
            "From 1939-1945.",
            "From nineteen thirty-nine to nineteen forty-five.",
        ),
        ("In 1066 they came.", "In ten sixty-six they came."),
    ]);
}

#[test]
fn roman_numerals_after_kings_and_chapters() {
    all(&[
        (
            "Henry VIII read Chapter IV.",
            "Henry the eighth read Chapter four.",
        ),
        (
            "World War II and Rocky III.",
            "World War two and Rocky three.",
        ),
        (
            "Pope John Paul II and Elizabeth I.",
            "Pope John Paul the second and Elizabeth the first.",
        ),
        ("I am in the MIX.", "I am in the M I X."),
    ]);
}

#[test]
fn dates() {
    all(&[
        (
            "Due 2026-11-22.",
            "Due November twenty-second, twenty twenty-six.",
        ),
        (
            "On 3/4/2025 or 25/12/2025.",
            "On March fourth, twenty twenty-five or December twenty-fifth, twenty twenty-five.",
        ),
        (
            "am 22.11.2026 da",
            "am November twenty-second, twenty twenty-six da",
        ),
        (
            "Nov 22nd, 2026 is near.",
            "November twenty-second, twenty twenty-six is near.",
        ),
        (
            "It was 22 November 2026.",
            "It was the twenty-second of November twenty twenty-six.",
        ),
        ("Tue, Feb 3 at noon", "Tuesday, February third at noon"),
        ("May 3-5 may work.", "May third to fifth may work."),
        ("Mon–Fri it is open.", "Monday to Friday it is open."),
    ]);
}

#[test]
fn times_of_day_and_spans() {
    all(&[
        (
            "Come at 4:30 or 09:15.",
            "Come at four thirty or nine fifteen.",
        ),
        (
            "The 16:05 train, not the 12:00.",
            "The sixteen oh five train, not the twelve o'clock.",
        ),
        (
            "At 6:05 pm, 7 p.m. or 8am.",
            "At six oh five P M, seven P M or eight A M.",
        ),
        (
            "It took 10:30:15.",
            "It took ten thirty and fifteen seconds.",
        ),
        ("Wait 5 min or 2 hrs.", "Wait five minutes or two hours."),
        (
            "Open 9:00-17:00.",
            "Open nine o'clock to seventeen hundred.",
        ),
        (
            "At 3pm EST (UTC-5).",
            "At three P M E S T, U T C minus five.",
        ),
    ]);
}

#[test]
fn units_follow_their_number() {
    all(&[
        (
            "1 km, 5 km and 12 km/h",
            "one kilometer, five kilometers and twelve kilometers per hour",
        ),
        (
            "It is -5°C, or 23 °F outside.",
            "It is minus five degrees Celsius, or twenty-three degrees Fahrenheit outside.",
        ),
        (
            "He is 6'2\" and 80 kg.",
            "He is six foot two and eighty kilograms.",
        ),
        (
            "50% of 16GB at 3.2 GHz",
            "fifty percent of sixteen gigabytes at three point two gigahertz",
        ),
        (
            "5 kWh, 60 W, 230V, 20 m²",
            "five kilowatt hours, sixty watts, two hundred thirty volts, twenty square meters",
        ),
        (
            "2 tbsp, 1 tsp and 250ml",
            "two tablespoons, one teaspoon and two hundred fifty milliliters",
        ),
        (
            "1013 hPa at 65 mph",
            "one thousand thirteen hectopascals at sixty-five miles per hour",
        ),
        (
            "5 in the box, 10 in, 3 ft",
            "five in the box, ten inches, three feet",
        ),
        (
            "9.8 m/s² and 100 Mbps",
            "nine point eight meters per second squared and one hundred megabits per second",
        ),
        (
            "a 10-km run in 5-10 min",
            "a ten kilometer run in five to ten minutes",
        ),
        (
            "40°26'46\"N",
            "forty degrees twenty-six minutes forty-six seconds north",
        ),
    ]);
}

#[test]
fn money() {
    all(&[
        (
            "It is $3.50 or €1,200.",
            "It is three dollars and fifty cents or one thousand two hundred euros.",
        ),
        (
            "£1 and $0.99 and ¥500",
            "one pound and ninety-nine cents and five hundred yen",
        ),
        (
            "$3.5M, or $3.5 million",
            "three point five million dollars, or three point five million dollars",
        ),
        (
            "US$20 per head, $20/hr",
            "twenty U S dollars per head, twenty dollars per hour",
        ),
        (
            "from $5-10 to 5 €",
            "from five to ten dollars to five euros",
        ),
    ]);
}

#[test]
fn fractions_and_ratios() {
    all(&[
        (
            "1/2 cup and ¾ of it",
            "one half cup and three quarters of it",
        ),
        (
            "2 1/2 cups, 2½ hours",
            "two and a half cups, two and a half hours",
        ),
        (
            "A 3:1 win, a 16:9 screen, 2–1",
            "a three to one win, a sixteen to nine screen, two to one",
        ),
        (
            "Open 24/7, 50/50, since 9/11",
            "Open twenty-four seven, fifty fifty, since nine eleven",
        ),
    ]);
}

#[test]
fn long_digit_strings_are_dictated() {
    all(&[
        (
            "Call 555-123-4567.",
            "Call five five five, one two three, four five six seven.",
        ),
        (
            "Call (555) 123-4567 now",
            "Call five five five, one two three, four five six seven now",
        ),
        (
            "ISBN 978-3-16-148410-0",
            "I S B N nine seven eight, three, one six, one four eight four one zero, zero",
        ),
        ("PIN 4071", "pin four zero seven one"),
    ]);
}

#[test]
fn versions_and_model_names() {
    all(&[
        (
            "Use v1.2.3 of Python 3.11.",
            "Use version one point two point three of Python three point eleven.",
        ),
        ("221B Baker St.", "two twenty-one B Baker Street."),
        (
            "The RTX 4090, an H100, the A4 page",
            "The R T X forty ninety, an H one hundred, the A four page",
        ),
        (
            "GPT-4, R2-D2, B2B, MP3, 4K, 5G",
            "G P T four, R two D two, B two B, M P three, four K, five G",
        ),
        (
            "abc123 is H2O or CO2",
            "A B C one two three is H two O or C O two",
        ),
        ("C++ and C# on iOS", "C plus plus and C sharp on I O S"),
    ]);
}

#[test]
fn abbreviations_and_acronyms() {
    all(&[
        (
            "Dr. Smith lives at 12 Baker St. now.",
            "Doctor Smith lives at twelve Baker Street now.",
        ),
        (
            "St. Mary saw Mr. Jones on Elm Dr. today",
            "Saint Mary saw Mister Jones on Elm Drive today",
        ),
        (
            "Use nuts, e.g. almonds, i.e. seeds.",
            "Use nuts, for example almonds, that is seeds.",
        ),
        (
            "No. 5 vs. No. 6, approx. ten",
            "number five versus number six, approximately ten",
        ),
        ("No. I said no.", "No. I said no."),
        (
            "The API, two APIs, USB and HTTP.",
            "The A P I, two A P I's, U S B and H T T P.",
        ),
        ("NASA reads JSON.", "NASA reads jason."),
        (
            "The U.S. Army left at 7 a.m. today.",
            "The U S Army left at seven A M today.",
        ),
        ("A plan, plan A, and I.", "a plan, plan A, and I."),
        ("WARNING: do NOT open", "warning: do not open"),
        (
            "and/or w/ milk, w/o sugar",
            "and or with milk, without sugar",
        ),
        ("Press Ctrl+C", "Press control C"),
    ]);
}

#[test]
fn signs_and_formulas() {
    all(&[
        (
            "2 + 2 = 4, 7 − 3, 5 - 3 = 2",
            "two plus two equals four, seven minus three, five minus three equals two",
        ),
        (
            "3 × 4, 3 * 4, 10 ÷ 2, √16",
            "three times four, three times four, ten divided by two, the square root of sixteen",
        ),
        ("x² + 2^10", "X squared plus two to the power of ten"),
        (
            "Tom & Jerry @ home #fun",
            "Tom and Jerry at home hashtag fun",
        ),
        ("snake_case and a → b", "snake case and a to B"),
        ("n ≤ 5", "N is at most five"),
    ]);
}

#[test]
fn typography_becomes_pauses() {
    all(&[
        (
            "“Yes,” she said — and left… (quietly).",
            "Yes, she said and left, quietly.",
        ),
        ("It’s O’Neill’s, isn't it?", "It's O'Neill's, isn't it?"),
        (
            "rock 'n' roll at 5 o'clock",
            "rock and roll at five o'clock",
        ),
        ("Ｆｕｌｌ ﬁne 𝐁𝐨𝐥𝐝 naïve café", "Full fine Bold naive cafe"),
    ]);
}

#[test]
fn other_scripts_are_not_dropped() {
    all(&[
        ("Privet is Привет.", "Privet is Privet."),
        ("Tokyo is 東京.", "Tokyo is two Chinese characters."),
        ("π is small", "pi is small"),
        ("Seoul is 서울", "Seoul is seoul"),
    ]);
}

#[test]
fn the_dictionary_comes_first() {
    let dictionary = Dictionary::new([
        ("n8n", "en eight en"),
        ("Nguyen", "/wˈɪn/"),
        ("St. Gallen", "Sankt Gallen"),
    ])
    .unwrap();
    for (written, spoken) in [
        ("Start N8N now.", "Start en eight en now."),
        (
            "It is Nguyen's n8n.",
            "It is [Nguyen's](/wˈɪnz/) en eight en.",
        ),
        (
            "We saw **St. Gallen**, twice.",
            "We saw Sankt Gallen, twice.",
        ),
    ] {
        assert_eq!(normalize(written, &dictionary), spoken);
    }
}

#[test]
fn every_plain_word_of_the_input_is_said() {
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "apple", "river", "Kubernetes", "zyzzyva", "Mary", "weather", "Schnitzel", "qoph", "seven", "however", "because",
        "lamp", "kitchen", "Reykjavik", "yes", "the", "of", "garden", "Quetzal", "tomorrow", "light", "music", "Anna",
    ];
    #[rustfmt::skip]
    const BETWEEN: &[&str] = &[
        " ", " ", " ", ", ", ". ", "! ", "? ", "; ", ": ", " — ", " - ", "… ", "\n", "\n\n", "\n- ", "\n1. ", " 12 ", " 3.5 km ",
        " (", ") ", " [", "] ", " **", "** ", " *", "* ", " `", "` ", " \"", "\" ", " '", "' ", " & ", " / ", " | ", " 😀 ", " → ", "/", " = ", " + ", "-",
    ];
    for seed in 0..3_000 {
        let mut dice = Dice::new(seed);
        let (mut text, mut expected) = (String::new(), Vec::new());
        for _ in 0..1 + dice.below(30) {
            let word = dice.pick(WORDS);
            text.push_str(word);
            expected.push(word.to_lowercase());
            text.push_str(dice.pick(BETWEEN));
        }
        let spoken = say(&text);
        assert_eq!(fault_in(&spoken), None, "seed {seed}: {text:?}");
        let mut said = spoken
            .split([' ', '-'])
            .map(|w| w.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase());
        for word in &expected {
            assert!(
                said.any(|w| w == *word),
                "seed {seed}: {word:?} is missing\n  {text:?}\n  {spoken:?}"
            );
        }
    }
}
