//! JSON as language models write it: quotes of either kind, commas too many, braces too few at the end,
//! Python's words, line breaks within strings. Pure.

use serde_json::{Map, Value};

/// How deep values may be nested.
const DEPTH: usize = 32;

/// Why nothing was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text ends before the value does.
    More,
    /// At this byte something stands that cannot be there: what, for the language model.
    Bad(usize, String),
}

/// The value that `text` begins with, and its bytes. With more text behind it the answer is the same, but
/// for [`Stop::More`], which is never given when the text has `ended`.
pub(super) fn read(text: &str, ended: bool) -> Result<(Value, usize), Stop> {
    let mut reader = Reader { text, at: 0, ended };
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

/// The letters, digits and signs of names and numbers that `text` begins with.
pub(super) fn words(text: &str) -> &str {
    let end =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')));
    &text[..end.unwrap_or(text.len())]
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    ended: bool,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The next sign that is no white space, `None` at the end of all.
    fn next(&mut self) -> Result<Option<char>, Stop> {
        self.at = self.text.len() - self.rest().trim_start().len();
        match self.rest().chars().next() {
            None if !self.ended => Err(Stop::More),
            next => Ok(next),
        }
    }

    fn bad<T>(&self, why: &str) -> Result<T, Stop> {
        Err(Stop::Bad(self.at, format!("the JSON is broken: {why}")))
    }

    /// At the text's very end, where no other fault is.
    fn broken_off<T>(&mut self) -> Result<T, Stop> {
        self.at = self.text.len();
        self.bad("it breaks off")
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > DEPTH {
            return self.bad("it is nested too deeply");
        }
        match self.next()? {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some(quote @ ('"' | '\'')) => Ok(Value::String(self.string(quote)?)),
            Some(_) => self.word(),
            None => self.broken_off(),
        }
    }

    /// Whether the list of members ends here. A tag or a fence behind it ends it as the text's end does.
    fn over(&mut self, closer: char) -> Result<bool, Stop> {
        Ok(match self.next()? {
            Some(c) if c == closer => {
                self.at += 1;
                true
            }
            Some('<' | '`') | None => true,
            Some(_) => false,
        })
    }

    /// Behind a member: whether another may come.
    fn comma(&mut self, closer: char) -> Result<bool, Stop> {
        match self.next()? {
            Some(',') => {
                self.at += 1;
                Ok(true)
            }
            _ if self.over(closer)? => Ok(false),
            _ => self.bad("a comma or a bracket is missing"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Stop> {
        self.at += 1;
        let mut members = Map::new();
        while !self.over('}')? {
            let key = match self.next()? {
                Some(quote @ ('"' | '\'')) => self.string(quote)?,
                _ => {
                    let key = words(self.rest()).to_owned();
                    self.at += key.len();
                    if key.is_empty() {
                        return self.bad("a key is missing");
                    }
                    key
                }
            };
            if self.next()? != Some(':') {
                return self.bad("a colon is missing");
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            members.insert(key, value);
            if !self.comma('}')? {
                break;
            }
        }
        Ok(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Value, Stop> {
        self.at += 1;
        let mut values = Vec::new();
        while !self.over(']')? {
            values.push(self.value(depth + 1)?);
            if !self.comma(']')? {
                break;
            }
        }
        Ok(Value::Array(values))
    }

    fn word(&mut self) -> Result<Value, Stop> {
        let word = words(self.rest());
        if word.len() == self.rest().len() && !self.ended {
            return Err(Stop::More);
        }
        let value = match word {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            number => match serde_json::from_str(number) {
                Ok(Value::Number(number)) => Value::Number(number),
                _ => return self.bad("a value is missing or not in quotes"),
            },
        };
        self.at += word.len();
        Ok(value)
    }

    /// A string in `quote`s. An apostrophe within is none that ends it: behind the end stands a sign of JSON.
    fn string(&mut self, quote: char) -> Result<String, Stop> {
        let inner = &self.rest()[1..];
        let mut json = String::from('"');
        let mut chars = inner.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    None => break,
                    Some((_, '\'')) => json.push('\''),
                    Some((_, c @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u'))) => {
                        json.extend(['\\', c]);
                    }
                    Some((_, c)) => json.push(c),
                },
                c if c == quote => {
                    let behind = inner[i + 1..].trim_start().chars().next();
                    if quote == '\'' {
                        match behind {
                            None if !self.ended => return Err(Stop::More),
                            None | Some(',' | ':' | '}' | ']' | '<' | '`') => {}
                            Some(_) => {
                                json.push(c);
                                continue;
                            }
                        }
                    }
                    json.push('"');
                    return match serde_json::from_str(&json) {
                        Ok(text) => {
                            self.at += i + 2;
                            Ok(text)
                        }
                        Err(_) => self.bad("a string has a wrong escape"),
                    };
                }
                '"' => json.push_str("\\\""),
                c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => json.push(c),
            }
        }
        match self.ended {
            true => self.broken_off(),
            false => Err(Stop::More),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_models_write_is_read() {
        for (text, value) in [
            (r#"{"a": 1}"#, json!({"a": 1})),
            ("{'a': 'it's', 'b': True,}", json!({"a": "it's", "b": true})),
            ("[1, 2.5, None, false, ]", json!([1, 2.5, null, false])),
            (r#"{"a": {"b": [1"#, json!({"a": {"b": [1]}})),
            ("{a: \"x\ny\"}", json!({"a": "x\ny"})),
            (r#"{"a": "\u00e9\"\'"}"#, json!({"a": "é\"'"})),
        ] {
            assert_eq!(read(text, true), Ok((value, text.len())), "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_named_and_what_is_cut_waits() {
        for text in [
            "{\"a\": \"x",
            "{\"a\":",
            "{\"a\": x}",
            "{\"a\" 1}",
            "{\"a\": 1 \"b\": 2}",
        ] {
            assert!(matches!(read(text, true), Err(Stop::Bad(..))), "{text}");
        }
        assert!(matches!(read(&"[".repeat(99), true), Err(Stop::Bad(..))));
        let whole = r#"{"a": ["x", 'y', tru"#;
        for n in 0..whole.len() {
            assert_eq!(read(&whole[..n], false), Err(Stop::More), "{}", &whole[..n]);
        }
    }
}
