//! What DuckDuckGo's page without scripts says. Pure. Only what is needed of HTML: tags with their classes, the
//! text between, entities; whatever else comes is skipped.

use super::Found;

/// Results that are read at most.
const MOST: usize = 20;

/// Longest text of one element, bytes of HTML: an element that is never closed is no text.
const LONGEST: usize = 8 * 1024;

/// What stands on a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// In its order, without advertisements.
    pub(super) found: Vec<Found>,
    /// It says that nothing was found.
    pub(super) says_none: bool,
}

/// Reads a page.
pub(super) fn read(html: &str) -> Page {
    let mut page = Page::default();
    // The result that a snippet belongs to; none after an advertisement's title.
    let mut open = false;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = rest.get(at + 1..).unwrap_or_default();
        let Some(tag) = Tag::read(rest) else { continue };
        rest = rest.get(tag.length..).unwrap_or_default();
        if tag.has_class("no-results") || tag.has_class("result--no-result") {
            page.says_none = true;
        } else if tag.has_class("result__a") && tag.name == "a" {
            let title = text(rest, "a");
            let url = target(&tag.attribute("href").unwrap_or_default());
            open = url.is_some() && !title.is_empty() && page.found.len() < MOST;
            if let (true, Some(url)) = (open, url) {
                let snippet = String::new();
                page.found.push(Found {
                    title,
                    url,
                    snippet,
                });
            }
        } else if tag.has_class("result__snippet")
            && open
            && let Some(last) = page.found.last_mut()
        {
            last.snippet = text(rest, &tag.name);
            open = false;
        }
    }
    page
}

/// The page that a link leads to; none for an advertisement.
fn target(href: &str) -> Option<String> {
    let absolute = match href.strip_prefix("//") {
        Some(rest) => format!("https://{rest}"),
        None => href.to_owned(),
    };
    let url = reqwest::Url::parse(&absolute).ok()?;
    let ours = url
        .host_str()
        .is_some_and(|host| host == "duckduckgo.com" || host.ends_with(".duckduckgo.com"));
    let url = match (ours, url.path()) {
        (true, "/l/") => {
            let mut pairs = url.query_pairs();
            let (_, to) = pairs.find(|(key, _)| key == "uddg")?;
            reqwest::Url::parse(&to).ok()?
        }
        (true, "/y.js") => return None,
        _ => url,
    };
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

/// A tag that begins an element.
struct Tag {
    /// In small letters.
    name: String,
    attributes: Vec<(String, String)>,
    /// Bytes to behind its `>`.
    length: usize,
}

impl Tag {
    /// The tag whose name `html` begins with; none for anything else.
    fn read(html: &str) -> Option<Self> {
        let name_end = html.find(|c: char| !c.is_ascii_alphanumeric())?;
        let name = html.get(..name_end)?.to_ascii_lowercase();
        if name.is_empty() {
            return None;
        }
        let mut attributes = Vec::new();
        let mut at = name_end;
        loop {
            let rest = html.get(at..)?;
            let skipped = rest.len()
                - rest
                    .trim_start_matches(|c: char| c.is_whitespace() || c == '/')
                    .len();
            at += skipped;
            let rest = html.get(at..)?;
            if rest.starts_with('>') {
                let length = at + 1;
                return Some(Self {
                    name,
                    attributes,
                    length,
                });
            }
            if at > LONGEST {
                return None;
            }
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))?;
            let key = rest.get(..end)?.to_ascii_lowercase();
            // "=" without a name in front: no attribute.
            let step = end.max(usize::from(end == 0));
            at += step;
            let rest = html.get(at..)?;
            let Some(value) = rest.strip_prefix('=').filter(|_| end > 0) else {
                continue;
            };
            at += 1;
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (value, length) = match quote {
                Some(quote) => {
                    let inner = value.get(1..)?;
                    let end = inner.find(quote)?;
                    (inner.get(..end)?, end + 2)
                }
                None => {
                    let end = value.find(|c: char| c.is_whitespace() || c == '>')?;
                    (value.get(..end)?, end)
                }
            };
            attributes.push((key, entities(value)));
            at += length;
        }
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let mut all = self.attributes.iter();
        all.find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    fn has_class(&self, class: &str) -> bool {
        let classes = self.attribute("class").unwrap_or_default();
        classes.split_whitespace().any(|one| one == class)
    }
}

/// The text of an element `name` whose inside `html` begins with, without tags, on one line.
fn text(html: &str, name: &str) -> String {
    let close = format!("</{name}");
    let mut window = html.len().min(LONGEST);
    while !html.is_char_boundary(window) {
        window -= 1;
    }
    let html = html.get(..window).unwrap_or_default();
    let end = html.to_ascii_lowercase().find(&close);
    let inside = html.get(..end.unwrap_or(0)).unwrap_or_default();
    let mut plain = String::with_capacity(inside.len());
    let mut in_tag = false;
    for c in inside.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            c if !in_tag => plain.push(c),
            _ => {}
        }
    }
    let plain = entities(&plain);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` with its entities as characters; what is none stays.
fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let known = rest.get(1..).and_then(|body| {
            let end = body.bytes().take(10).position(|b| b == b';')?;
            let c = entity(body.get(..end)?)?;
            Some((c, end + 2))
        });
        let (c, length) = known.unwrap_or(('&', 1));
        out.push(c);
        rest = rest.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = match hex {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "middot" => '·',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "deg" => '°',
        "euro" => '€',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r##"
<div class="result results_links results_links_deep web-result ">
 <div class="links_main links_deep result__body">
  <h2 class="result__title">
   <a rel="nofollow" class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fexample.org%2Fa%3Fb%3D1%26c&amp;rut=0a1b">Bread &amp; butter &#x27;now&#39;</a>
  </h2>
  <a class="result__url" href="//duckduckgo.com/l/?uddg=x"> example.org </a>
  <a class="result__snippet" href="//duckduckgo.com/l/?uddg=x">All about <b>bread</b>
   &ndash; 20&nbsp;&deg;C.</a>
 </div>
</div>"##;

    const AD: &str = r##"<div class="result result--ad"><a class="result__a" href="https://duckduckgo.com/y.js?ad_domain=x">Buy</a><a class="result__snippet" href="x">now</a></div>"##;

    #[test]
    fn results_are_read_and_advertisements_are_not() {
        let page = read(&format!("<html>{AD}{RESULT}{AD}</html>"));
        let found = Found {
            title: "Bread & butter 'now'".to_owned(),
            url: "https://example.org/a?b=1&c".to_owned(),
            snippet: "All about bread – 20 °C.".to_owned(),
        };
        assert_eq!(page.found, [found]);
        assert!(!page.says_none);
    }

    #[test]
    fn a_page_that_says_none_is_told_from_one_that_asks_for_humans() {
        let none = read(
            r#"<div class="result results_links result--no-result"><div class="no-results">No results.</div></div>"#,
        );
        assert!(none.says_none && none.found.is_empty());
        let challenge = read(
            r#"<form id="challenge-form" action="//duckduckgo.com/anomaly.js"><div class="anomaly-modal__title">Unfortunately, bots</div></form>"#,
        );
        assert_eq!(challenge, Page::default());
    }

    #[test]
    fn garbage_is_read_without_a_panic_and_without_results() {
        for garbage in [
            "",
            "<",
            "<a",
            "<a ",
            "<a class",
            "<a class=",
            "<a class='",
            "<a =x>",
            "<a / >",
            "&",
            "&#",
            "&#x110000;",
            "<é class=\"result__a\">",
            "<a class=result__a href=x>é",
            "</a><<<>>>",
            "<a class=\"result__a\" href=\"javascript:x\">t</a>",
        ] {
            assert_eq!(read(garbage).found, [], "{garbage}");
        }
        // Every cut of a good page.
        for end in (0..RESULT.len()).filter(|end| RESULT.is_char_boundary(*end)) {
            let _ = read(&RESULT[..end]);
            let _ = read(&RESULT[end..]);
        }
        let deep = "<a class=\"result__a\" ".repeat(50_000);
        assert_eq!(read(&deep).found, []);
    }

    #[test]
    fn entities_become_characters_and_others_stay() {
        assert_eq!(
            entities("a &amp;&lt;&#65;&#x42; &foo; & b&"),
            "a &<AB &foo; & b&"
        );
    }
}
