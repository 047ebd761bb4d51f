//! Inline Markdown, HTML and simple LaTeX taken away, their text kept. Block markup (headings,
//! lists, tables, fences) is the caller's, who sees lines.
//!
//! Every search for a closing mark looks a bounded distance ahead, so hostile nesting costs linear
//! time.

/// How far a link's text or address, a code span or a tag may reach, in characters. Beyond it the
/// opening mark is taken for an ordinary sign.
const REACH: usize = 400;
/// Links in links (an image in a link is the only sane case).
const DEPTH: usize = 3;

/// The text of one line's inline markup.
pub(crate) fn strip(text: &str) -> String {
    if !text.contains(['*', '`', '[', '<', '&', '\\', '~', '{', '$']) {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    strip_into(&chars, &mut out, 0);
    out
}

fn strip_into(c: &[char], out: &mut String, depth: usize) {
    let mut i = 0;
    while i < c.len() {
        i += match c[i] {
            '\\' => backslash(&c[i..], out),
            '`' => code_span(&c[i..], out),
            '!' if c.get(i + 1) == Some(&'[') && depth < DEPTH => match link(&c[i + 1..]) {
                Some(found) => found.emit(out, depth) + 1,
                None => literal('!', out),
            },
            '[' if depth < DEPTH => match link(&c[i..]) {
                Some(found) => found.emit(out, depth),
                None => literal('[', out),
            },
            '<' => tag(&c[i..], out),
            '&' => entity(&c[i..], out),
            '*' => stars(c, i, out),
            '~' if c.get(i + 1) == Some(&'~') => 2,
            '^' if c.get(i + 1) == Some(&'{') => braced_power(&c[i..], out),
            '$' if c.get(i + 1) == Some(&'$') => 2,
            other => literal(other, out),
        };
    }
}

fn literal(c: char, out: &mut String) -> usize {
    out.push(c);
    1
}

fn run_of(c: &[char], mark: char) -> usize {
    c.iter().take_while(|&&x| x == mark).count()
}

/// `` `code` ``: the code itself, untouched by other markup.
fn code_span(c: &[char], out: &mut String) -> usize {
    let ticks = run_of(c, '`');
    let mut i = ticks;
    while i < c.len().min(ticks + REACH) {
        if c[i] != '`' {
            i += 1;
            continue;
        }
        let closing = run_of(&c[i..], '`');
        if closing == ticks {
            out.extend(&c[ticks..i]);
            return i + closing;
        }
        i += closing;
    }
    ticks
}

struct Link<'a> {
    text: &'a [char],
    address: &'a [char],
    used: usize,
    footnote: bool,
}

impl Link<'_> {
    fn emit(&self, out: &mut String, depth: usize) -> usize {
        if !self.footnote {
            let before = out.len();
            strip_into(self.text, out, depth + 1);
            if out[before..].trim().is_empty() {
                out.extend(self.address);
            }
        }
        self.used
    }
}

/// `[text](address)`, `[text][reference]` or `[^note]` at the start of `c`.
fn link(c: &[char]) -> Option<Link<'_>> {
    let close = closing(c, '[', ']')?;
    let text = &c[1..close];
    let footnote = text.first() == Some(&'^');
    let after = close + 1;
    match c.get(after) {
        Some('(') => {
            let end = after + closing(&c[after..], '(', ')')?;
            // A title in quotes after the address is not said.
            let address = &c[after + 1..end];
            let address = address
                .split(|c| c.is_whitespace())
                .next()
                .unwrap_or(address);
            // "[sic](which is odd) …" is no link: an address has a dot, a slash or a hash.
            let is_address = address.is_empty()
                || address
                    .iter()
                    .any(|c| matches!(c, '.' | '/' | '#' | ':' | '_'))
                || address.len() == end - after - 1;
            is_address.then_some(Link {
                text,
                address,
                used: end + 1,
                footnote,
            })
        }
        Some('[') if !footnote => {
            let end = after + closing(&c[after..], '[', ']')?;
            Some(Link {
                text,
                address: &[],
                used: end + 1,
                footnote,
            })
        }
        _ if footnote && text.len() < 20 => Some(Link {
            text,
            address: &[],
            used: after,
            footnote,
        }),
        _ => None,
    }
}

/// Where the bracket at `c[0]` closes.
fn closing(c: &[char], open: char, close: char) -> Option<usize> {
    let mut depth = 0;
    for (i, &x) in c.iter().take(REACH).enumerate() {
        if x == open {
            depth += 1;
        } else if x == close {
            depth -= 1;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// Emphasis marks go; a star between numbers or alone between words is arithmetic.
fn stars(c: &[char], at: usize, out: &mut String) -> usize {
    let len = run_of(&c[at..], '*');
    let before = at.checked_sub(1).map(|i| c[i]);
    let after = c.get(at + len).copied();
    let space = |x: Option<char>| x.is_none_or(char::is_whitespace);
    let number = |x: Option<char>| x.is_some_and(|x| x.is_ascii_digit() || x == ')' || x == '(');
    match len {
        1 if space(before) && space(after) && before.is_some() && after.is_some() => out.push('*'),
        1 if number(before) && number(after) => out.push('*'),
        2 if number(before) && number(after) => out.push('^'),
        _ => {}
    }
    len
}

#[rustfmt::skip]
const TAGS: &[&str] = &[
    "a", "abbr", "article", "audio", "b", "big", "blockquote", "body", "br", "button", "center", "cite",
    "code", "del", "details", "div", "em", "font", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "head", "header", "hr", "html", "i", "img", "input", "ins", "kbd", "label", "li", "link", "main",
    "mark", "meta", "nav", "ol", "p", "pre", "q", "s", "samp", "script", "section", "small", "source",
    "span", "strike", "strong", "style", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "think", "title", "tr", "tt", "u", "ul", "var", "video",
];

/// A known HTML tag or comment goes (block tags leave a pause); `<https://…>` and `<name>` keep
/// what they hold; anything else is a sign.
fn tag(c: &[char], out: &mut String) -> usize {
    if c.starts_with(&['<', '!', '-', '-']) {
        let end = c.windows(3).take(REACH).position(|w| w == ['-', '-', '>']);
        return end.map_or_else(|| literal('<', out), |end| end + 3);
    }
    let Some(end) = c.iter().take(REACH).position(|&x| x == '>') else {
        return literal('<', out);
    };
    let inside = &c[1..end];
    let name: String = inside
        .iter()
        .skip_while(|&&x| x == '/')
        .take_while(|x| x.is_ascii_alphanumeric())
        .map(char::to_ascii_lowercase)
        .collect();
    if name.is_empty() || inside.contains(&'<') || inside.last() == Some(&' ') {
        return literal('<', out);
    }
    if TAGS.binary_search(&name.as_str()).is_ok() {
        match name.as_str() {
            "br" | "p" | "div" | "li" | "tr" | "td" | "th" | "hr" | "h1" | "h2" | "h3" | "h4"
            | "h5" | "h6" | "ul" | "ol" | "table" => out.push_str(" • "),
            "sup" if inside.first() != Some(&'/') => out.push('^'),
            _ => {}
        }
        return end + 1;
    }
    // `<https://example.com>`, `<bob@example.com>`, `<your name>`.
    let held = inside
        .iter()
        .all(|x| x.is_alphanumeric() || " -_.:/@?=&#%+~".contains(*x));
    if held {
        out.push(' ');
        out.extend(inside);
        out.push(' ');
        return end + 1;
    }
    literal('<', out)
}

fn entity(c: &[char], out: &mut String) -> usize {
    let Some(end) = c.iter().take(12).position(|&x| x == ';') else {
        return literal('&', out);
    };
    let name: String = c[1..end].iter().collect();
    let number = name.strip_prefix('#').and_then(|digits| {
        match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        }
        .and_then(char::from_u32)
    });
    let named = match name.as_str() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" | "ldquo" | "rdquo" | "laquo" | "raquo" => Some('"'),
        "apos" | "lsquo" | "rsquo" => Some('\''),
        "nbsp" | "ensp" | "emsp" | "thinsp" => Some(' '),
        "copy" => Some('©'),
        "reg" => Some('®'),
        "trade" => Some('™'),
        "hellip" => Some('…'),
        "mdash" => Some('—'),
        "ndash" => Some('–'),
        "deg" => Some('°'),
        "times" => Some('×'),
        "divide" => Some('÷'),
        "minus" => Some('−'),
        "plusmn" => Some('±'),
        "le" => Some('≤'),
        "ge" => Some('≥'),
        "ne" => Some('≠'),
        "asymp" => Some('≈'),
        "frac12" => Some('½'),
        "frac14" => Some('¼'),
        "frac34" => Some('¾'),
        "euro" => Some('€'),
        "pound" => Some('£'),
        "yen" => Some('¥'),
        "cent" => Some('¢'),
        "sect" => Some('§'),
        "bull" | "middot" => Some('•'),
        "rarr" => Some('→'),
        "larr" => Some('←'),
        "eacute" => Some('é'),
        "egrave" => Some('è'),
        "agrave" => Some('à'),
        "uuml" => Some('ü'),
        "ouml" => Some('ö'),
        "auml" => Some('ä'),
        "ntilde" => Some('ñ'),
        "ccedil" => Some('ç'),
        "szlig" => Some('ß'),
        _ => None,
    };
    match number.or(named) {
        Some(decoded) => {
            out.push(decoded);
            end + 1
        }
        None => literal('&', out),
    }
}

/// `^{12}` → `^12`.
fn braced_power(c: &[char], out: &mut String) -> usize {
    match c.iter().take(40).position(|&x| x == '}') {
        Some(end) => {
            out.push('^');
            out.extend(&c[2..end]);
            end + 1
        }
        None => literal('^', out),
    }
}

/// An escaped sign, a LaTeX command, or a backslash.
fn backslash(c: &[char], out: &mut String) -> usize {
    match c.get(1) {
        Some('(' | ')' | '[' | ']') => 2,
        Some('\\') => {
            out.push('\\');
            2
        }
        Some(&escaped) if escaped.is_ascii_punctuation() => {
            out.push(escaped);
            2
        }
        Some(x) if x.is_ascii_alphabetic() => latex(c, out),
        _ => literal('\\', out),
    }
}

#[rustfmt::skip]
fn latex(c: &[char], out: &mut String) -> usize {
    let letters = c[1..].iter().take(20).take_while(|x| x.is_ascii_alphabetic()).count();
    let name: String = c[1..=letters].iter().collect();
    let after = 1 + letters;
    let sign = match name.as_str() {
        "times" | "cdot" => " × ", "div" => " ÷ ", "pm" => " ± ", "leq" | "le" => " ≤ ", "geq" | "ge" => " ≥ ",
        "neq" | "ne" => " ≠ ", "approx" => " ≈ ", "infty" => " ∞ ", "to" | "rightarrow" => " → ",
        "sum" => " sum ", "int" => " integral ", "ldots" | "dots" | "cdots" => "…", "circ" => "°",
        "left" | "right" | "quad" | "qquad" | "displaystyle" => " ",
        "alpha" | "beta" | "gamma" | "delta" | "epsilon" | "theta" | "lambda" | "mu" | "pi" | "rho"
        | "sigma" | "tau" | "phi" | "omega" | "Delta" | "Sigma" | "Omega" | "Pi" => {
            out.push(' ');
            out.push_str(&name.to_ascii_lowercase());
            out.push(' ');
            return after;
        }
        "text" | "mathrm" | "mathbf" | "mathit" | "textbf" | "textit" | "operatorname" | "boxed" => {
            return match braces(&c[after..]) {
                Some(inside) => {
                    strip_into(inside, out, DEPTH);
                    after + inside.len() + 2
                }
                None => after,
            };
        }
        "sqrt" => {
            out.push_str(" the square root of ");
            return match braces(&c[after..]) {
                Some(inside) => {
                    strip_into(inside, out, DEPTH);
                    out.push(' ');
                    after + inside.len() + 2
                }
                None => after,
            };
        }
        "frac" | "dfrac" | "tfrac" => {
            let Some(over) = braces(&c[after..]) else { return after };
            let second = after + over.len() + 2;
            let Some(under) = braces(&c[second..]) else { return after };
            let plain = |part: &[char]| part.len() < 4 && part.iter().all(char::is_ascii_digit);
            strip_into(over, out, DEPTH);
            out.push_str(if plain(over) && plain(under) { "/" } else { " over " });
            strip_into(under, out, DEPTH);
            out.push(' ');
            return second + under.len() + 2;
        }
        // A path, or a command we do not know: the reader says it.
        _ => return literal('\\', out),
    };
    out.push_str(sign);
    after
}

/// The inside of `{…}` at the start of `c`.
fn braces(c: &[char]) -> Option<&[char]> {
    if c.first() != Some(&'{') {
        return None;
    }
    closing(c, '{', '}').map(|end| &c[1..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_names_are_sorted_for_the_search() {
        assert!(TAGS.is_sorted());
    }

    #[test]
    fn links_and_images_leave_their_text() {
        assert_eq!(
            strip("see [the docs](https://x.org/a_(b)) now"),
            "see the docs now"
        );
        assert_eq!(strip("![a red fox](fox.png) runs"), "a red fox runs");
        assert_eq!(strip("[![build](b.svg)](ci.html) ok"), "build ok");
        assert_eq!(strip("[one][ref] and two[^3]"), "one and two");
        assert_eq!(strip("[](https://x.org)"), "https://x.org");
        assert_eq!(strip("an [aside] here"), "an [aside] here");
    }

    #[test]
    fn emphasis_goes_and_arithmetic_stays() {
        assert_eq!(
            strip("**very** *nice* ***both*** ~~old~~"),
            "very nice both old"
        );
        assert_eq!(strip("3 * 4 and 3*4 and 2**8"), "3 * 4 and 3*4 and 2^8");
    }

    #[test]
    fn code_html_and_entities() {
        assert_eq!(strip("run `a*b*c` or ``x`y``"), "run a*b*c or x`y");
        assert_eq!(strip("<b>bold</b> &amp; x &lt; y &#233;"), "bold & x < y é");
        assert_eq!(strip("a <!-- hidden --> b"), "a  b");
        assert_eq!(strip("to <your name>"), "to  your name ");
        assert_eq!(strip("if a < b then c > d"), "if a < b then c > d");
    }

    #[test]
    fn simple_latex_can_be_said() {
        assert_eq!(strip(r"\frac{1}{2}").trim(), "1/2");
        assert_eq!(strip(r"$x^{10}$"), "$x^10$");
        assert!(strip(r"\sqrt{y} \times 3").contains("the square root of y"));
    }
}
