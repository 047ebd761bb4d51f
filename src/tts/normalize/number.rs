//! Numbers to English words: cardinals, ordinals, years, digit by digit, decimals and fractions.
//! Knows nothing of context: which reading a number gets is decided by the reader.
//!
//! The American way throughout: no "and" inside a number.

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
const SCALES: [&str; 6] = [
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
];

/// Above this many digits a number is read digit by digit: nobody says "sextillion" and is
/// understood.
pub(crate) const LONGEST_CARDINAL: usize = 18;

fn below_hundred(n: u64) -> String {
    let (ones, tens) = ((n % 10) as usize, (n / 10) as usize);
    match (n, ones) {
        (0..20, _) => ONES[n as usize].to_owned(),
        (_, 0) => TENS[tens].to_owned(),
        _ => format!("{}-{}", TENS[tens], ONES[ones]),
    }
}

fn below_thousand(n: u64) -> String {
    match (n / 100, n % 100) {
        (0, rest) => below_hundred(rest),
        (hundreds, 0) => format!("{} hundred", ONES[hundreds as usize]),
        (hundreds, rest) => {
            format!(
                "{} hundred {}",
                ONES[hundreds as usize],
                below_hundred(rest)
            )
        }
    }
}

/// `1234` → "one thousand two hundred thirty-four".
pub(crate) fn cardinal(n: u64) -> String {
    if n == 0 {
        return ONES[0].to_owned();
    }
    let mut groups = Vec::new();
    let mut rest = n;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    if groups.len() > SCALES.len() {
        return digits(&n.to_string());
    }
    let mut words = Vec::new();
    for (scale, group) in groups
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, group)| **group > 0)
    {
        words.push(below_thousand(*group));
        if scale > 0 {
            words.push(SCALES[scale].to_owned());
        }
    }
    words.join(" ")
}

/// A string of ASCII digits as a quantity; digit by digit when it is too long or begins with a
/// zero that means something ("007").
pub(crate) fn cardinal_digits(s: &str) -> String {
    if s.len() > LONGEST_CARDINAL || (s.len() > 1 && s.starts_with('0')) {
        return digits(s);
    }
    s.parse().map_or_else(|_| digits(s), cardinal)
}

/// Digit by digit: `405` → "four zero five". Anything that is no digit is passed over.
pub(crate) fn digits(s: &str) -> String {
    let words: Vec<&str> = s
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|b| ONES[(b - b'0') as usize])
        .collect();
    words.join(" ")
}

/// `23` → "twenty-third".
pub(crate) fn ordinal(n: u64) -> String {
    ordinal_of(&cardinal(n))
}

/// The ordinal of a cardinal in words: only its last word changes.
fn ordinal_of(cardinal: &str) -> String {
    let start = cardinal.rfind([' ', '-']).map_or(0, |i| i + 1);
    let (head, last) = cardinal.split_at(start);
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        tens if tens.ends_with('y') => format!("{}ieth", &tens[..tens.len() - 1]),
        other => format!("{other}th"),
    };
    format!("{head}{last}")
}

/// The plural of a number in words: "nineties", "twos", "sixes".
pub(crate) fn plural(words: &str) -> String {
    if let Some(stem) = words.strip_suffix('y') {
        format!("{stem}ies")
    } else if words.ends_with('x') {
        format!("{words}es")
    } else {
        format!("{words}s")
    }
}

/// `1905` → "nineteen oh five", `2006` → "two thousand six", `2026` → "twenty twenty-six".
pub(crate) fn year(n: u64) -> String {
    let (century, rest) = (n / 100, n % 100);
    match (n, rest) {
        (0..1000 | 10_000.., _) => cardinal(n),
        (_, 0) if century % 10 == 0 => cardinal(n),
        (_, 0) => format!("{} hundred", below_hundred(century)),
        (_, 1..=9) if century % 10 == 0 => cardinal(n),
        (_, 1..=9) => format!("{} oh {}", below_hundred(century), ONES[rest as usize]),
        _ => format!("{} {}", below_hundred(century), below_hundred(rest)),
    }
}

/// As people read door, flight, room and model numbers: `221` → "two twenty-one", `4090` → "forty
/// ninety", `105` → "one oh five", `100` → "one hundred", `2000` → "two thousand".
pub(crate) fn grouped(s: &str) -> String {
    let Ok(n) = s.parse::<u64>() else {
        return digits(s);
    };
    if s.starts_with('0') {
        return digits(s);
    }
    match s.len() {
        1 | 2 => cardinal(n),
        3 => match (n / 100, n % 100) {
            (_, 0) => cardinal(n),
            (h, rest @ 1..=9) => format!("{} oh {}", ONES[h as usize], ONES[rest as usize]),
            (h, rest) => format!("{} {}", ONES[h as usize], below_hundred(rest)),
        },
        4 => year(n),
        _ => digits(s),
    }
}

/// The part after a decimal point, digit by digit.
pub(crate) fn decimal(whole: &str, fraction: &str) -> String {
    let whole = if whole.is_empty() {
        "zero".to_owned()
    } else {
        cardinal_digits(whole)
    };
    format!("{whole} point {}", digits(fraction))
}

/// `3/4` → "three quarters". `None` when it does not read as a fraction.
pub(crate) fn fraction(over: u64, under: u64) -> Option<String> {
    if under < 2 || over > 999 || under > 1000 {
        return None;
    }
    let name = match (under, over) {
        (2, 1) => "half".to_owned(),
        (2, _) => "halves".to_owned(),
        (4, 1) => "quarter".to_owned(),
        (4, _) => "quarters".to_owned(),
        (_, 1) => ordinal(under),
        // "three twenty-firsts" is right and strange; "over" is understood.
        (21.., _) if !under.is_multiple_of(10) && under != 32 && under != 64 => {
            return Some(format!("{} over {}", cardinal(over), cardinal(under)));
        }
        _ => format!("{}s", ordinal(under)),
    };
    Some(format!("{} {name}", cardinal(over)))
}

/// A Roman numeral's value, written the one right way, up to 3999.
pub(crate) fn roman(s: &str) -> Option<u64> {
    let value = |b: u8| match b {
        b'I' => 1,
        b'V' => 5,
        b'X' => 10,
        b'L' => 50,
        b'C' => 100,
        b'D' => 500,
        b'M' => 1000,
        _ => 0,
    };
    if s.is_empty() || s.len() > 15 || s.bytes().any(|b| value(b) == 0) {
        return None;
    }
    let bytes = s.as_bytes();
    let mut n = 0i64;
    for (i, &b) in bytes.iter().enumerate() {
        let v = value(b);
        let next = bytes.get(i + 1).map_or(0, |&b| value(b));
        n += if v < next { -v } else { v };
    }
    let n = u64::try_from(n).ok()?;
    (to_roman(n) == s).then_some(n)
}

fn to_roman(mut n: u64) -> String {
    const STEPS: [(u64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut out = String::new();
    for (value, letters) in STEPS {
        while n >= value {
            out.push_str(letters);
            n -= value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cardinals_reach_the_quadrillions() {
        for (n, words) in [
            (0, "zero"),
            (13, "thirteen"),
            (40, "forty"),
            (99, "ninety-nine"),
            (100, "one hundred"),
            (715, "seven hundred fifteen"),
            (1_000, "one thousand"),
            (12_001, "twelve thousand one"),
            (1_000_000, "one million"),
            (2_050_300, "two million fifty thousand three hundred"),
            (1_000_000_000_000_000, "one quadrillion"),
        ] {
            assert_eq!(cardinal(n), words);
        }
    }

    #[test]
    fn a_number_longer_than_anyone_says_is_read_digit_by_digit() {
        assert_eq!(
            cardinal_digits("1234567890123456789012").split(' ').count(),
            22
        );
        assert_eq!(cardinal_digits("007"), "zero zero seven");
    }

    #[test]
    fn ordinals_change_the_last_word_only() {
        for (n, words) in [
            (1, "first"),
            (12, "twelfth"),
            (20, "twentieth"),
            (22, "twenty-second"),
            (101, "one hundred first"),
            (1000, "one thousandth"),
            (48, "forty-eighth"),
        ] {
            assert_eq!(ordinal(n), words);
        }
    }

    #[test]
    fn years_are_read_in_pairs() {
        for (n, words) in [
            (1066, "ten sixty-six"),
            (1900, "nineteen hundred"),
            (1905, "nineteen oh five"),
            (2000, "two thousand"),
            (2006, "two thousand six"),
            (2010, "twenty ten"),
            (2026, "twenty twenty-six"),
            (476, "four hundred seventy-six"),
        ] {
            assert_eq!(year(n), words);
        }
    }

    #[test]
    fn fractions_have_names() {
        for (over, under, words) in [
            (1, 2, "one half"),
            (3, 4, "three quarters"),
            (2, 3, "two thirds"),
            (7, 8, "seven eighths"),
            (5, 16, "five sixteenths"),
            (22, 37, "twenty-two over thirty-seven"),
        ] {
            assert_eq!(fraction(over, under).as_deref(), Some(words));
        }
        assert_eq!(fraction(1, 1), None);
    }

    #[test]
    fn only_well_formed_roman_numerals_count() {
        assert_eq!(roman("VIII"), Some(8));
        assert_eq!(roman("XIV"), Some(14));
        assert_eq!(roman("MCMXCIX"), Some(1999));
        assert_eq!(roman("IIII"), None);
        assert_eq!(roman("MIX"), Some(1009));
        assert_eq!(roman("VX"), None);
    }
}
