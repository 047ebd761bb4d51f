//! Characters that misaki does not read, each handled on purpose. Pure.
//!
//! The text comes from the normaliser and should hold words and punctuation only. What slips through
//! is turned into what can be said: accents are folded, Greek and Cyrillic letters written in Latin
//! ones, symbols named. Letters of scripts without an English reading are left out and counted.

/// A text without surprises.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Clean {
    /// ASCII letters, digits, apostrophes and the punctuation of Kokoro.
    pub text: String,
    /// Letters that were left out: there is no English sound for them.
    pub left_out: usize,
}

impl Clean {
    /// Adds `text`, made readable for misaki, to what is there. Words stay one space apart.
    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                c if c.is_ascii_alphanumeric() => self.text.push(c),
                '.' | ',' | ';' | ':' | '!' | '?' | '"' | '(' | ')' | '-' | '…' | '“' | '”'
                | '—' => self.text.push(c),
                '\'' | '‘' | '’' | 'ʼ' | '′' => self.text.push('\''),
                '–' | '―' | '−' => self.text.push('—'),
                '«' | '»' | '„' => self.text.push('"'),
                '。' => self.apart("."),
                '、' | '，' => self.apart(","),
                // Invisible: soft hyphen, zero-width marks, variation selectors, combining accents.
                '\u{ad}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2060}'
                | '\u{feff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{300}'..='\u{36f}' => {}
                // Full-width forms of ASCII.
                '\u{ff01}'..='\u{ff5e}' => {
                    let ascii = char::from((u32::from(c) - 0xfee0) as u8);
                    self.push(ascii.encode_utf8(&mut [0; 4]));
                }
                c => match (symbol(c), latin(c)) {
                    (Some(name), _) => {
                        self.space();
                        self.apart(name);
                    }
                    (None, Some(letters)) => self.text.push_str(letters),
                    (None, None) => {
                        self.left_out += usize::from(c.is_alphanumeric());
                        // White space, brackets, emoji: nothing to hear, but words end here.
                        self.space();
                    }
                },
            }
        }
    }

    fn apart(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.space();
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }
}

fn symbol(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "and",
        '%' => "percent",
        '‰' => "per mille",
        '+' => "plus",
        '@' => "at",
        '=' => "equals",
        '#' => "number",
        '$' => "dollars",
        '€' => "euros",
        '£' => "pounds",
        '¥' => "yen",
        '₹' => "rupees",
        '°' => "degrees",
        '×' => "times",
        '÷' => "divided by",
        '±' => "plus or minus",
        '√' => "square root",
        '∞' => "infinity",
        '§' => "section",
        '½' => "one half",
        '¼' => "one quarter",
        '¾' => "three quarters",
        '²' => "squared",
        '³' => "cubed",
        'µ' | 'μ' => "micro",
        'π' => "pi",
        'Ω' => "omega",
        _ => return None,
    })
}

/// Latin letters for an accented, Greek or Cyrillic one.
#[rustfmt::skip]
fn latin(c: char) -> Option<&'static str> {
    const TABLE: [(&str, &str); 97] = [
        ("ÀÁÂÃÅĀĂĄ", "A"), ("àáâãåāăąªả", "a"), ("ÄÆ", "Ae"), ("äæ", "ae"), ("ÇĆĈĊ", "C"),
        ("çćĉċ", "c"), ("Č", "Ch"), ("č", "ch"), ("ĎĐÐ", "D"), ("ďđð", "d"), ("ÈÉÊËĒĔĖĘĚ", "E"),
        ("èéêëēĕėęěếệ", "e"), ("ĜĞĠĢ", "G"), ("ĝğġģ", "g"), ("ĤĦ", "H"), ("ĥħ", "h"),
        ("ÌÍÎÏĨĪĬĮİ", "I"), ("ìíîïĩīĭįı", "i"), ("Ĵ", "J"), ("ĵ", "j"), ("Ķ", "K"), ("ķ", "k"),
        ("ĹĻĽĿ", "L"), ("ĺļľŀ", "l"), ("Ł", "W"), ("ł", "w"), ("ÑŃŅŇ", "N"), ("ñńņň", "n"),
        ("ÒÓÔÕŌŎŐØ", "O"), ("òóôõōŏőøºơ", "o"), ("ÖŒ", "Oe"), ("öœ", "oe"), ("ŔŖ", "R"), ("ŕŗ", "r"),
        ("Ř", "Rzh"), ("ř", "rzh"), ("ŚŜȘŞ", "S"), ("śŝșş", "s"), ("Š", "Sh"), ("š", "sh"), ("ß", "ss"),
        ("ŢŤŦȚ", "T"), ("ţťŧț", "t"), ("Þ", "Th"), ("þ", "th"), ("ÙÚÛŨŪŬŮŰŲ", "U"),
        ("ùúûũūŭůűųư", "u"), ("Ü", "Ue"), ("ü", "ue"), ("Ŵ", "W"), ("ŵ", "w"), ("ÝŶŸ", "Y"),
        ("ýŷÿỳ", "y"), ("ŹŻ", "Z"), ("źż", "z"), ("Ž", "Zh"), ("ž", "zh"),
        ("αάΑΆ", "a"), ("βвВΒ", "v"), ("γΓгГ", "g"), ("δΔдД", "d"), ("εέΕΈ", "e"), ("ζΖзЗ", "z"),
        ("ηήιίϊΗΉΙΊиИйЙіІїЇыЫ", "i"), ("θΘ", "th"), ("κΚкК", "k"), ("λΛлЛ", "l"), ("ΜмМ", "m"),
        ("νΝнН", "n"), ("ξΞ", "x"), ("οόωώΟΌΏоО", "o"), ("ΠпП", "p"), ("ρΡрР", "r"), ("σςΣсС", "s"),
        ("τΤтТ", "t"), ("υύΥΎ", "i"), ("φΦфФ", "f"), ("χΧхХ", "kh"), ("ψΨ", "ps"), ("аА", "a"),
        ("бБ", "b"), ("еЕэЭєЄ", "e"), ("ёЁ", "yo"), ("жЖ", "zh"), ("уУ", "u"), ("цЦ", "ts"),
        ("чЧ", "ch"), ("шШ", "sh"), ("щЩ", "sh"), ("ъЪьЬ", ""), ("юЮ", "yu"), ("яЯ", "ya"), ("ґҐ", "g"),
        ("ǎ", "a"), ("ǐ", "i"), ("ǒ", "o"), ("ǔ", "u"),
    ];
    TABLE
        .iter()
        .find(|(letters, _)| letters.contains(c))
        .map(|(_, latin)| *latin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> Clean {
        let mut out = Clean::default();
        out.push(text);
        out
    }

    #[test]
    fn accents_other_alphabets_and_symbols_become_words() {
        for (text, cleaned) in [
            ("Café Zoë, naïve", "Cafe Zoe, naive"),
            ("Москва", "moskva"),
            ("5 ° & 20 %", "5 degrees and 20 percent"),
            ("it’s “here”", "it's “here”"),
            ("a\u{ad}b\u{200b}c", "abc"),
            ("one 🎉 two\n\tthree", "one two three"),
            ("ＡＢＣ", "ABC"),
            ("[x] {y} *z*", "x y z"),
        ] {
            assert_eq!(clean(text).text.trim_end(), cleaned, "{text}");
        }
    }

    #[test]
    fn letters_without_an_english_sound_are_counted() {
        let cleaned = clean("say 你好 now");
        assert_eq!((cleaned.text.as_str(), cleaned.left_out), ("say now", 2));
    }
}
