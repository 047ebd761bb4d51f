//! Letters of other scripts in Latin letters, coarsely: an English voice cannot say Russian or
//! Japanese, but a name in it must not vanish from the sentence.
//!
//! Greek letters that stand alone are named ("π" → "pi"). Cyrillic, Greek, Hebrew, Arabic, kana
//! and Hangul are transliterated. Chinese characters and all other scripts are announced ("three
//! Chinese characters"): a character's sound cannot be known without a dictionary, and naming
//! code points helps nobody.

use super::number::cardinal;

/// The name of a Greek letter in either case.
pub(crate) fn greek_name(c: char) -> Option<&'static str> {
    const NAMES: [&str; 25] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
        "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "sigma", "tau", "upsilon",
        "phi", "chi", "psi", "omega",
    ];
    let lower = c.to_lowercase().next()?;
    match lower {
        'α'..='ω' => NAMES
            .get((u32::from(lower) - u32::from('α')) as usize)
            .copied(),
        'ϵ' => Some("epsilon"),
        'ϑ' => Some("theta"),
        'ϕ' => Some("phi"),
        _ => None,
    }
}

/// One run of letters that are not Latin, in words of the alphabet.
pub(crate) fn transliterate(run: &[char]) -> String {
    if let [only] = run
        && let Some(name) = greek_name(*only)
    {
        return name.to_owned();
    }
    let mut out = String::new();
    let mut i = 0;
    while i < run.len() {
        let c = run[i];
        let lower = c.to_lowercase().next().unwrap_or(c);
        if let Some(text) = letter(lower) {
            let capital = c != lower && out.is_empty();
            push_cased(&mut out, text, capital);
            i += 1;
        } else if let Some((text, used)) = kana(&run[i..]) {
            out.push_str(&text);
            i += used;
        } else if let Some(text) = hangul_part(c) {
            out.push_str(text);
            i += 1;
        } else if is_silent_part(c) {
            i += 1;
        } else {
            let script = script(c);
            let same = run[i..]
                .iter()
                .take_while(|&&c| self::script(c) == script)
                .count();
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&announce(script, same));
            out.push(' ');
            i += same;
        }
    }
    out
}

fn push_cased(out: &mut String, text: &str, upper: bool) {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if upper => {
            out.push(first.to_ascii_uppercase());
            out.push_str(chars.as_str());
        }
        _ => out.push_str(text),
    }
}

fn announce((script, one, many): (&str, &str, &str), count: usize) -> String {
    match count {
        1 => format!("a {script} {one}"),
        _ => format!("{} {script} {many}", cardinal(count as u64)),
    }
}

fn script(c: char) -> (&'static str, &'static str, &'static str) {
    const LETTERS: (&str, &str) = ("letter", "letters");
    let name = match u32::from(c) {
        0x2e80..=0x2fdf
        | 0x3400..=0x9fff
        | 0xf900..=0xfaff
        | 0x20000..=0x3ffff
        | 0x3005..=0x3007 => {
            return ("Chinese", "character", "characters");
        }
        0x0530..=0x058f => "Armenian",
        0x0900..=0x097f => "Hindi",
        0x0980..=0x09ff => "Bengali",
        0x0a00..=0x0a7f => "Punjabi",
        0x0a80..=0x0aff => "Gujarati",
        0x0b80..=0x0bff => "Tamil",
        0x0c00..=0x0c7f => "Telugu",
        0x0e00..=0x0e7f => "Thai",
        0x0e80..=0x0eff => "Lao",
        0x1000..=0x109f => "Burmese",
        0x10a0..=0x10ff => "Georgian",
        0x1200..=0x139f => "Ethiopian",
        0x1780..=0x17ff => "Khmer",
        _ => "foreign",
    };
    (name, LETTERS.0, LETTERS.1)
}

/// Letters written that have no sound of their own.
fn is_silent_part(c: char) -> bool {
    matches!(c, 'ъ' | 'ь' | 'Ъ' | 'Ь' | 'ー' | '・' | '\u{640}' | 'ء')
}

#[rustfmt::skip]
fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        // Greek
        'α' => "a", 'β' => "v", 'γ' => "g", 'δ' => "d", 'ε' => "e", 'ζ' => "z", 'η' => "i",
        'θ' => "th", 'ι' => "i", 'κ' => "k", 'λ' => "l", 'μ' => "m", 'ν' => "n", 'ξ' => "x",
        'ο' => "o", 'π' => "p", 'ρ' => "r", 'σ' | 'ς' => "s", 'τ' => "t", 'υ' => "y", 'φ' | 'ϕ' => "f",
        'χ' => "ch", 'ψ' => "ps", 'ω' => "o", 'ϵ' => "e", 'ϑ' => "th",
        // Cyrillic
        'а' => "a", 'б' => "b", 'в' => "v", 'г' | 'ґ' => "g", 'д' => "d", 'е' | 'э' => "e", 'ж' => "zh",
        'з' => "z", 'и' | 'і' => "i", 'к' => "k", 'л' => "l", 'м' => "m", 'н' => "n", 'о' => "o",
        'п' => "p", 'р' => "r", 'с' => "s", 'т' => "t", 'у' => "u", 'ф' => "f", 'х' => "kh",
        'ц' => "ts", 'ч' => "ch", 'ш' => "sh", 'щ' => "sch", 'ы' => "y", 'ю' => "yu", 'я' => "ya",
        'є' => "ye", 'ј' => "y", 'љ' => "ly", 'њ' => "ny", 'ћ' => "ch", 'ђ' => "j", 'џ' => "j",
        // Hebrew
        'א' => "a", 'ב' => "b", 'ג' => "g", 'ד' => "d", 'ה' => "h", 'ו' => "o", 'ז' => "z",
        'ח' => "ch", 'ט' | 'ת' => "t", 'י' => "i", 'כ' | 'ך' => "k", 'ל' => "l", 'מ' | 'ם' => "m",
        'נ' | 'ן' => "n", 'ס' => "s", 'ע' => "a", 'פ' | 'ף' => "p", 'צ' | 'ץ' => "ts", 'ק' => "k",
        'ר' => "r", 'ש' => "sh",
        // Arabic
        'ا' => "a", 'ب' => "b", 'ت' | 'ط' => "t", 'ث' => "th", 'ج' => "j", 'ح' | 'ه' => "h", 'خ' => "kh",
        'د' | 'ض' => "d", 'ذ' => "dh", 'ر' => "r", 'ز' | 'ظ' => "z", 'س' | 'ص' => "s", 'ش' => "sh",
        'ع' => "a", 'غ' => "gh", 'ف' => "f", 'ق' => "q", 'ك' | 'ک' => "k", 'ل' => "l", 'م' => "m",
        'ن' => "n", 'و' => "w", 'ي' | 'ی' | 'ى' => "y", 'ة' => "a", 'پ' => "p", 'چ' => "ch", 'گ' => "g",
        _ => return None,
    })
}

/// A kana syllable at the start, and how many characters it took.
fn kana(run: &[char]) -> Option<(String, usize)> {
    #[rustfmt::skip]
    const SOUNDS: [&str; 83] = [
        "a", "a", "i", "i", "u", "u", "e", "e", "o", "o", "ka", "ga", "ki", "gi", "ku", "gu", "ke",
        "ge", "ko", "go", "sa", "za", "shi", "ji", "su", "zu", "se", "ze", "so", "zo", "ta", "da",
        "chi", "ji", "", "tsu", "zu", "te", "de", "to", "do", "na", "ni", "nu", "ne", "no", "ha",
        "ba", "pa", "hi", "bi", "pi", "fu", "bu", "pu", "he", "be", "pe", "ho", "bo", "po", "ma",
        "mi", "mu", "me", "mo", "ya", "ya", "yu", "yu", "yo", "yo", "ra", "ri", "ru", "re", "ro",
        "wa", "wa", "i", "e", "o", "n",
    ];
    let sound = |c: char| {
        let code = u32::from(c);
        let code = if (0x30a1..=0x30f3).contains(&code) {
            code - 0x60
        } else {
            code
        };
        let index = code.checked_sub(0x3041)? as usize;
        SOUNDS.get(index).copied()
    };
    let first = *run.first()?;
    let base = match first {
        'ゔ' | 'ヴ' => "vu",
        _ => sound(first)?,
    };
    // きゃ → kya, しょ → sho.
    let small = match run.get(1) {
        Some('ゃ' | 'ャ') => "a",
        Some('ゅ' | 'ュ') => "u",
        Some('ょ' | 'ョ') => "o",
        _ => return Some((base.to_owned(), 1)),
    };
    let stem = base.strip_suffix('i');
    Some(match stem {
        Some(stem) if matches!(base, "shi" | "chi" | "ji") => (format!("{stem}{small}"), 2),
        Some(stem) => (format!("{stem}y{small}"), 2),
        None => (base.to_owned(), 1),
    })
}

/// A part of a Hangul syllable (the cleaner takes syllables apart).
fn hangul_part(c: char) -> Option<&'static str> {
    #[rustfmt::skip]
    const LEAD: [&str; 19] = ["g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h"];
    #[rustfmt::skip]
    const VOWEL: [&str; 21] = ["a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i"];
    #[rustfmt::skip]
    const TAIL: [&str; 27] = ["k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t"];
    let code = u32::from(c) as usize;
    match code {
        0x1100..=0x1112 => LEAD.get(code - 0x1100).copied(),
        0x1161..=0x1175 => VOWEL.get(code - 0x1161).copied(),
        0x11a8..=0x11c2 => TAIL.get(code - 0x11a8).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::clean::clean, *};

    fn say(text: &str) -> String {
        transliterate(&clean(text).chars().collect::<Vec<_>>())
    }

    #[test]
    fn names_in_other_scripts_can_be_heard() {
        assert_eq!(say("Москва"), "Moskva");
        assert_eq!(say("Αθήνα"), "Athina");
        assert_eq!(say("π"), "pi");
        assert_eq!(say("とうきょう"), "toukyou");
        assert_eq!(say("カラオケ"), "karaoke");
        assert_eq!(say("서울"), "seoul");
    }

    #[test]
    fn what_cannot_be_sounded_is_announced() {
        assert_eq!(say("東京都"), "three Chinese characters ");
        assert_eq!(say("नमस"), "three Hindi letters ");
    }
}
