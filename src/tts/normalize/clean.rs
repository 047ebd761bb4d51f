//! Unicode made simple: one kind of quote, dash and space, no emoji, no accents, full-width and
//! mathematical letters as plain ones. What is left is ASCII, a few signs that the reader knows,
//! and letters of other scripts, which the reader transliterates.
//!
//! Accents go because the phonemiser knows "Zurich", "cafe" and "naive" but none of their accented
//! spellings (measured with misaki-rs 0.8.0: all unknown).

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Plain text of `raw`. Linear in its length.
pub(crate) fn clean(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    let mut raised = false;
    while let Some(c) = chars.next() {
        if let Some(digit) = superscript(c) {
            if !raised && !out.is_empty() {
                out.push('^');
            }
            out.push(digit);
            raised = true;
            continue;
        }
        raised = false;
        match c {
            ' '..='~' => out.push(c),
            '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{2007}' => {
                // A thin or hard space between digits groups thousands: 12 000.
                let grouped = out.ends_with(|p: char| p.is_ascii_digit())
                    && chars.peek().is_some_and(char::is_ascii_digit);
                if !grouped {
                    out.push(' ');
                }
            }
            _ if c.is_whitespace() || c == '\u{2800}' => out.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => out.push(' '),
            '¼'..='¾' | '⅐'..='⅞' | '↉' => {
                if out.ends_with(|p: char| p.is_alphanumeric()) {
                    out.push(' ');
                }
                out.extend(c.nfkd().map(|c| if c == '\u{2044}' { '/' } else { c }));
            }
            _ => match fixed(c) {
                Some(text) => out.push_str(text),
                None if is_invisible(c) => {}
                None if is_picture(c) => out.push(' '),
                None => decompose(c, &mut out),
            },
        }
    }
    out
}

/// The letter or sign under its accents and dress.
fn decompose(c: char, out: &mut String) {
    if kana_or_syllable(c) {
        out.push(c);
        return;
    }
    for part in std::iter::once(c).nfkd() {
        match part {
            _ if is_combining_mark(part) => {}
            '\u{2044}' => out.push('/'),
            _ if part == c => match fold(c) {
                Some(text) => out.push_str(text),
                None => out.push(c),
            },
            _ => match fixed(part).or_else(|| fold(part)) {
                Some(text) => out.push_str(text),
                None => out.push(part),
            },
        }
    }
}

/// Kana keep their voicing marks: the transliteration needs them.
fn kana_or_syllable(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}')
}

fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from(b'4' + (u32::from(c) - u32::from('⁴')) as u8),
        '⁺' => '+',
        '⁻' => '-',
        'ⁿ' => 'n',
        _ => return None,
    })
}

/// Signs with one fixed plain form.
fn fixed(c: char) -> Option<&'static str> {
    Some(match c {
        '“' | '”' | '„' | '‟' | '«' | '»' | '‹' | '›' | '「' | '」' | '『' | '』' | '″' | '〝'
        | '〞' => "\"",
        '‘' | '’' | '‚' | '‛' | 'ʼ' | '′' | '´' | 'ʹ' | 'ʻ' => "'",
        '‐' | '‑' | '⁃' | '﹣' | '－' => "-",
        '–' | '‒' => "–",
        '—' | '―' | '⸺' | '⸻' | '﹘' => "—",
        '−' | '➖' => "−",
        '➕' => "+",
        '✖' | '✕' | '⨯' | '⋅' | '∙' | '∗' => "×",
        '➗' => "÷",
        '…' | '⋯' => "...",
        '、' | '，' | '،' => ", ",
        '。' | '｡' | '।' | '۔' => ". ",
        '！' => "! ",
        '？' | '؟' => "? ",
        '；' | '؛' => "; ",
        '：' => ": ",
        '¿' | '¡' | '™' | '®' | '℠' => "",
        '©' => " copyright ",
        '№' => "No. ",
        '℃' => "°C",
        '℉' => "°F",
        'º' | '˚' => "°",
        'ª' => "a",
        'µ' => "μ",
        'Ω' => "Ω",
        '¢' => "¢",
        '•' | '·' | '‣' | '◦' | '▪' | '●' | '○' | '■' | '□' | '∎' | '⁌' | '⁍' => {
            " • "
        }
        '→' | '⇒' | '➔' | '➜' | '➡' | '➝' | '➞' | '⟶' | '⟹' | '↦' | '⮕' | '▶' | '►' => {
            " → "
        }
        '←' | '⇐' | '⟵' | '⬅' | '◀' => " ← ",
        '↔' | '⇔' | '⟷' | '⬌' => " ↔ ",
        '↑' | '⬆' | '⇑' => " ↑ ",
        '↓' | '⬇' | '⇓' => " ↓ ",
        '⌘' => "Cmd ",
        '⌥' => "Opt ",
        '⇧' => "Shift ",
        '⌃' => "Ctrl ",
        '½' => "1/2",
        _ => return None,
    })
}

/// Latin letters that Unicode does not take apart.
fn fold(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'ẞ' => "SS",
        'æ' => "ae",
        'Æ' => "Ae",
        'œ' => "oe",
        'Œ' => "Oe",
        'ø' => "o",
        'Ø' => "O",
        'đ' | 'ɖ' => "d",
        'Đ' | 'Ɖ' => "D",
        'ð' => "th",
        'Ð' => "Th",
        'þ' => "th",
        'Þ' => "Th",
        'ł' => "l",
        'Ł' => "L",
        'ħ' => "h",
        'Ħ' => "H",
        'ı' => "i",
        'ŋ' => "ng",
        'Ŋ' => "Ng",
        'ə' | 'Ə' => "e",
        'ŧ' => "t",
        'Ŧ' => "T",
        'ƒ' => "f",
        _ => return None,
    })
}

fn is_invisible(c: char) -> bool {
    is_combining_mark(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{e000}'..='\u{f8ff}')
}

/// Emoji and other pictures: shown, not said.
fn is_picture(c: char) -> bool {
    matches!(c,
        '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{2300}'..='\u{23ff}' | '\u{2500}'..='\u{25ff}' | '\u{2400}'..='\u{243f}'
        | '\u{3030}' | '\u{303d}' | '\u{fe30}'..='\u{fe4f}')
        // Circled letters and digits are words in a dress: NFKC undoes them.
        && !matches!(c, '\u{1f100}'..='\u{1f169}' | '\u{2776}'..='\u{2793}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dressed_letters_become_plain_ones() {
        assert_eq!(clean("Ｈｅｌｌｏ"), "Hello");
        assert_eq!(clean("𝐁𝐨𝐥𝐝 𝒾𝓉 𝟙𝟚"), "Bold it 12");
        assert_eq!(clean("ﬁne ﬂow"), "fine flow");
        assert_eq!(
            clean("Zürich café naïve Łódź Ångström"),
            "Zurich cafe naive Lodz Angstrom"
        );
    }

    #[test]
    fn emoji_vanish_with_all_their_joiners() {
        for emoji in ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇨🇭", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☀️", "✅"]
        {
            assert_eq!(
                clean(&format!("a{emoji}b"))
                    .split_whitespace()
                    .collect::<Vec<_>>(),
                ["a", "b"]
            );
        }
        assert_eq!(clean("1️⃣ one"), "1 one");
    }

    #[test]
    fn raised_digits_become_powers_and_lowered_ones_plain() {
        assert_eq!(clean("x² + 10⁻³ m³ H₂O"), "x^2 + 10^-3 m^3 H2O");
        assert_eq!(clean("2½ cups, ¾ full"), "2 1/2 cups, 3/4 full");
    }

    #[test]
    fn hard_spaces_group_thousands_only_between_digits() {
        assert_eq!(clean("12\u{a0}000 and a\u{202f}b"), "12000 and a b");
    }
}
