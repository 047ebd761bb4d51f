//! Tool calls that a language model writes as text, found and taken out of it: small models do so, and
//! models whose template knows no tools. Pure.
//!
//! What may become a call is held back, and nothing else: prose flows. Whether it is one is decided by the
//! text alone, never by how the stream cut it. [`lenient`] reads the JSON, [`offer`] is the other direction.

mod lenient;
pub mod offer;
mod within;

pub use within::found;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::lenient::{Stop, read, words};
use super::{Delta, ToolCall, ToolSpec};

/// The longest call that is read, bytes with all its signs.
const MAX_BYTES: usize = 64 * 1024;

/// What begins a call whatever follows, and what ends it where it cannot be read (the answer's end, where
/// there is nothing).
const OPENERS: [(&str, Option<&str>); 6] = [
    ("<tool_call>", Some("</tool_call>")),
    ("<tool_calls>", Some("</tool_calls>")),
    ("<function_call>", Some("</function_call>")),
    (FUNCTION, Some("</function>")),
    ("[TOOL_CALLS]", None),
    ("<|python_tag|>", None),
];

const FUNCTION: &str = "<function=";

/// What is never said: the ends of calls and of a model's turn.
const CLOSERS: [&str; 8] = [
    "</tool_call>",
    "</tool_calls>",
    "</function_call>",
    "</function>",
    "</parameter>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|im_end|>",
];

/// What a call's JSON begins with. Anything else is none, and is not held back.
const KEYS: [&str; 11] = [
    "name",
    "arguments",
    "parameters",
    "args",
    "function",
    "function_call",
    "type",
    "tool_calls",
    "tool_name",
    "tool",
    "id",
];

const FENCE: &str = "```";

/// Stands between what a model writes and who listens, for one answer. Give it text with
/// [`push`](Self::push), say with [`finish`](Self::finish) that no more comes. What comes out, taken
/// together, does not depend on how the text was cut. Without tools it lets all through.
#[derive(Debug)]
pub struct CallFilter {
    offered: Vec<Arc<ToolSpec>>,
    /// Not decided yet.
    held: String,
    /// What is held is a call's beginning.
    waits: bool,
    /// Nothing but white space since the line began.
    fresh: bool,
    /// The last character given out was no white space.
    joined: bool,
    /// Right behind a call.
    behind: bool,
    /// The call stood in a fence that is not closed yet.
    fenced: bool,
    /// Everything is dropped, up to this; `Some(None)`: up to the end.
    dropping: Option<Option<&'static str>>,
    calls: usize,
}

/// What the text begins with.
enum Step {
    /// As many bytes to be said.
    Text(usize),
    /// As many that are nothing.
    Drop(usize),
    /// As many that are calls: names and arguments.
    Calls(usize, Vec<(String, Value)>),
    /// A call that cannot be read: what is wrong, and up to where it goes.
    Bad(String, Option<&'static str>),
    /// Not decidable yet.
    More,
}

/// What a piece of JSON is.
enum Kind {
    Calls(Vec<(String, Value)>),
    /// A call, but not a good one.
    Bad(String),
    None,
}

impl CallFilter {
    /// A filter at the beginning of an answer, for whose question these were offered.
    pub fn new(offered: &[Arc<ToolSpec>]) -> Self {
        Self {
            offered: offered.to_vec(),
            held: String::new(),
            waits: false,
            fresh: true,
            joined: false,
            behind: false,
            fenced: false,
            dropping: None,
            calls: 0,
        }
    }

    /// What of `text`, and of what was held back before, is decided now.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        if text.is_empty() {
            return Vec::new();
        }
        if self.offered.is_empty() {
            return vec![Delta::Text(text.to_owned())];
        }
        self.held.push_str(text);
        // Within a long string of an argument nothing is decided; it is not read again for each piece.
        let nothing_ends = !text.contains(['}', ']', '>', '`', '<', '\n']);
        if self.waits && self.held.len() > 512 && self.held.len() < MAX_BYTES && nothing_ends {
            return Vec::new();
        }
        self.decide(false)
    }

    /// The answer has ended: what is held back is decided.
    pub fn finish(&mut self) -> Vec<Delta> {
        self.decide(true)
    }

    fn decide(&mut self, ended: bool) -> Vec<Delta> {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        let mut out = Vec::new();
        self.waits = false;
        while !rest.is_empty() {
            if let Some(end) = self.dropping {
                match end.and_then(|end| Some((end, rest.find(end)?))) {
                    Some((end, at)) => {
                        rest = &rest[at + end.len()..];
                        (self.dropping, self.behind) = (None, true);
                        continue;
                    }
                    None => {
                        let kept = end.map_or(0, |end| half(rest, end));
                        rest = &rest[rest.len() - kept..];
                        if ended {
                            rest = "";
                        }
                        break;
                    }
                }
            }
            let whole = rest.len() <= MAX_BYTES;
            let seen = &rest[..rest.floor_char_boundary(MAX_BYTES)];
            match self.step(seen, ended && whole) {
                Step::Text(n) => {
                    self.say(&rest[..n], &mut out);
                    rest = &rest[n..];
                }
                Step::Drop(n) => rest = &rest[n..],
                Step::Calls(n, calls) => {
                    for (name, arguments) in calls {
                        self.calls += 1;
                        out.push(Delta::Call(ToolCall {
                            id: format!("call_text_{}", self.calls),
                            name,
                            arguments,
                        }));
                    }
                    self.behind = true;
                    rest = &rest[n..];
                }
                Step::Bad(why, end) => {
                    out.push(Delta::BadCall(why));
                    self.dropping = Some(end);
                    // What it begins with is not what it ends with.
                    rest = &rest[1..];
                }
                Step::More if !whole => {
                    let why = format!("the call is longer than {} kB", MAX_BYTES / 1024);
                    out.push(Delta::BadCall(why));
                    self.dropping = Some(None);
                }
                Step::More => {
                    self.waits = true;
                    break;
                }
            }
        }
        self.held = rest.to_owned();
        out
    }

    fn say(&mut self, text: &str, out: &mut Vec<Delta>) {
        let mut said = String::new();
        if std::mem::take(&mut self.behind) {
            self.fenced = false;
            if self.joined {
                said.push(' ');
            }
        }
        said.push_str(text);
        for c in text.chars() {
            self.fresh = c == '\n' || (self.fresh && c.is_whitespace());
            self.joined = !c.is_whitespace();
        }
        match out.last_mut() {
            Some(Delta::Text(before)) => before.push_str(&said),
            _ => out.push(Delta::Text(said)),
        }
    }

    /// What `rest`, which is not empty, begins with. With more text behind it the answer is the same, but
    /// for [`Step::More`], which is never given when the text has `ended`.
    fn step(&mut self, rest: &str, ended: bool) -> Step {
        let first = rest.chars().next().unwrap_or_default();
        if self.behind {
            if first.is_whitespace() || matches!(first, ';' | ',' | '}' | ']') {
                return Step::Drop(first.len_utf8());
            }
            if self.fenced && first == '`' {
                match rest.strip_prefix(FENCE) {
                    Some(_) => {
                        self.fenced = false;
                        return Step::Drop(FENCE.len());
                    }
                    None if FENCE.starts_with(rest) && !ended => return Step::More,
                    None => {}
                }
            }
        }
        let fresh = self.fresh || self.behind;
        match first {
            '<' | '[' => match self.marked(rest, ended) {
                Step::Text(_) if first == '[' && fresh => self.json(rest, 0, ended),
                step => step,
            },
            '{' => self.json(rest, 0, ended),
            '`' => match rest.strip_prefix(FENCE) {
                Some(inner) => self.fence(rest, inner, ended),
                None if FENCE.starts_with(rest) && !ended => Step::More,
                None => Step::Text(1),
            },
            _ => Step::Text(prose(rest)),
        }
    }

    /// `rest` begins with a sign that may begin a marker.
    fn marked(&self, rest: &str, ended: bool) -> Step {
        if let Some(closer) = CLOSERS.iter().find(|closer| rest.starts_with(**closer)) {
            return Step::Drop(closer.len());
        }
        if let Some((opener, end)) = OPENERS.iter().find(|(opener, _)| rest.starts_with(opener)) {
            let inner = &rest[opener.len()..];
            let step = match *opener == FUNCTION {
                true => self.function(rest, inner, ended),
                false => self.body(rest, inner, *end, ended),
            };
            return match step {
                Step::More if ended => Step::Bad("the call breaks off".to_owned(), *end),
                step => step,
            };
        }
        let mut markers = CLOSERS
            .iter()
            .copied()
            .chain(OPENERS.iter().map(|(o, _)| *o));
        match markers.any(|marker| marker.starts_with(rest)) && !ended {
            true => Step::More,
            false => Step::Text(1),
        }
    }

    /// Behind an opener: JSON, or a name and JSON, or another opener.
    fn body(&self, rest: &str, inner: &str, end: Option<&'static str>, ended: bool) -> Step {
        let inner = inner.trim_start();
        let at = rest.len() - inner.len();
        let Some(first) = inner.chars().next() else {
            return Step::More;
        };
        if matches!(first, '<' | '[') && OPENERS.iter().any(|(opener, _)| inner.starts_with(opener))
        {
            return Step::Drop(at);
        }
        if matches!(first, '<' | '[') && OPENERS.iter().any(|(o, _)| o.starts_with(inner)) && !ended
        {
            return Step::More;
        }
        if matches!(first, '{' | '[') {
            return match read(inner, ended) {
                Ok((value, n)) => match self.kind(&value, true) {
                    Kind::Calls(calls) => Step::Calls(at + n, calls),
                    Kind::Bad(why) => Step::Bad(why, end),
                    Kind::None => Step::Bad("the call names no tool".to_owned(), end),
                },
                Err(Stop::More) => Step::More,
                Err(Stop::Bad(_, why)) => Step::Bad(why, end),
            };
        }
        let name = words(inner);
        let behind = &inner[name.len()..];
        let mut json = behind.trim_start();
        for sign in ["[CALL_ID]", "[ARGS]"] {
            if sign.starts_with(json) && !ended {
                return Step::More;
            }
            if let Some(behind) = json.strip_prefix(sign) {
                json = match sign {
                    "[ARGS]" => behind,
                    _ => &behind[words(behind).len()..],
                }
                .trim_start();
            }
        }
        if json.is_empty() {
            return Step::More;
        }
        if name.is_empty() || !json.starts_with('{') {
            let why = "the call is no JSON object with a name and arguments";
            return Step::Bad(why.to_owned(), end);
        }
        match read(json, ended) {
            Ok((value, n)) => {
                let call = (self.named(name).unwrap_or_else(|| name.to_owned()), value);
                Step::Calls(rest.len() - json.len() + n, vec![call])
            }
            Err(Stop::More) => Step::More,
            Err(Stop::Bad(_, why)) => Step::Bad(why, end),
        }
    }

    /// Behind `<function=`: a name, and JSON or parameters one by one.
    fn function(&self, rest: &str, inner: &str, ended: bool) -> Step {
        const END: Option<&str> = Some("</function>");
        let bad = |why: &str| Step::Bad(why.to_owned(), END);
        let name = words(inner);
        let Some(inner) = inner[name.len()..].strip_prefix('>') else {
            return match inner.len() == name.len() {
                true => Step::More,
                false => bad("the function's name is wrong"),
            };
        };
        let called = self.named(name).unwrap_or_else(|| name.to_owned());
        let mut inner = inner.trim_start();
        if inner.starts_with('{') {
            return match read(inner, ended) {
                Ok((value, n)) => Step::Calls(rest.len() - inner.len() + n, vec![(called, value)]),
                Err(Stop::More) => Step::More,
                Err(Stop::Bad(_, why)) => bad(&why),
            };
        }
        let schema = self.offered.iter().find(|tool| tool.name == called);
        let mut arguments = Map::new();
        loop {
            const PARAMETER: &str = "<parameter=";
            inner = inner.trim_start();
            let closed = ["</function>", "</tool_call>"]
                .iter()
                .any(|end| inner.starts_with(end));
            if inner.is_empty() && ended || closed {
                let n = rest.len() - inner.len();
                return Step::Calls(n, vec![(called, Value::Object(arguments))]);
            }
            if let Some(parameter) = inner.strip_prefix(PARAMETER) {
                let Some((name, behind)) = parameter.split_once('>') else {
                    return Step::More;
                };
                let Some((value, behind)) = behind.split_once("</parameter>") else {
                    return Step::More;
                };
                let kind = schema.and_then(|tool| {
                    tool.parameters
                        .pointer(&format!("/properties/{name}/type"))?
                        .as_str()
                });
                arguments.insert(name.trim().to_owned(), typed(value.trim(), kind));
                inner = behind;
                continue;
            }
            return match [PARAMETER, "</function>", "</tool_call>"]
                .iter()
                .any(|sign| sign.starts_with(inner))
                && !ended
            {
                true => Step::More,
                false => bad("the function's parameters are wrong"),
            };
        }
    }

    /// A fence: `inner` is what stands behind its signs.
    fn fence(&mut self, rest: &str, inner: &str, ended: bool) -> Step {
        let json = inner[words(inner).len()..].trim_start();
        if json.is_empty() && !ended {
            return Step::More;
        }
        if !json.starts_with(['{', '[']) {
            return Step::Text(FENCE.len());
        }
        let step = self.json(rest, rest.len() - json.len(), ended);
        if matches!(step, Step::Calls(..)) {
            self.fenced = true;
        }
        step
    }

    /// JSON at byte `at`, which is a call if it looks like one and names a tool.
    fn json(&self, rest: &str, at: usize, ended: bool) -> Step {
        let json = &rest[at..];
        let end = (at > 0).then_some(FENCE);
        match begins(json) {
            Some(true) => {}
            Some(false) => return Step::Text(at.max(1)),
            None if !ended => return Step::More,
            None if json.contains(char::is_alphanumeric) => {
                return Step::Bad("the call breaks off".to_owned(), end);
            }
            None => return Step::Text(rest.len()),
        }
        match read(json, ended) {
            Ok((value, n)) => match self.kind(&value, false) {
                Kind::Calls(calls) => Step::Calls(at + n, calls),
                Kind::Bad(why) => Step::Bad(why, end),
                Kind::None => Step::Text(at + n),
            },
            Err(Stop::More) => Step::More,
            // Only a call that breaks off goes to the text's end.
            Err(Stop::Bad(n, why)) => match n == json.len() || self.smells(&json[..n]) {
                true => Step::Bad(why, end),
                false => Step::Text(at + n.max(1)),
            },
        }
    }

    /// Whether broken JSON was to be a call.
    fn smells(&self, json: &str) -> bool {
        let json = plain(json);
        ["arguments", "parameters", "tool_calls", "function"]
            .iter()
            .any(|key| json.contains(key))
            || self
                .offered
                .iter()
                .any(|tool| json.contains(&plain(&tool.name)))
    }

    /// What `value` is, where a marker says that it is a call (`sure`), or none does.
    fn kind(&self, value: &Value, sure: bool) -> Kind {
        let members = match value {
            Value::Array(values) if values.is_empty() && sure => {
                return Kind::Bad("the list of calls is empty".to_owned());
            }
            Value::Array(values) if !values.is_empty() => {
                let mut all = Vec::new();
                for value in values {
                    match self.kind(value, sure) {
                        Kind::Calls(calls) => all.extend(calls),
                        other => return other,
                    }
                }
                return Kind::Calls(all);
            }
            Value::Object(members) => members,
            _ => return Kind::None,
        };
        if let Some(calls @ Value::Array(_)) = members.get("tool_calls") {
            return self.kind(calls, true);
        }
        let sure = sure || members.get("type").and_then(Value::as_str) == Some("function");
        for key in ["function", "function_call"] {
            if let Some(inner @ Value::Object(_)) = members.get(key) {
                return self.kind(inner, sure);
            }
        }
        let name = ["name", "tool_name", "tool", "function"]
            .iter()
            .find_map(|key| members.get(*key)?.as_str());
        let Some(name) = name else {
            return Kind::None;
        };
        let arguments = ["arguments", "parameters", "args"]
            .iter()
            .find_map(|key| members.get(*key));
        let known = self.named(name);
        let bare = members
            .keys()
            .all(|key| matches!(key.as_str(), "name" | "id" | "type"));
        // A tool that is not there is called all the same: nobody speaks so, and the model is to hear of it.
        let called = known.is_some() || (arguments.is_some_and(Value::is_object) && is_name(name));
        if !sure && (!called || (arguments.is_none() && !bare)) {
            return Kind::None;
        }
        let arguments = match arguments {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(Value::String(text)) if text.trim().is_empty() => Value::Object(Map::new()),
            Some(Value::String(text)) => match read(text.trim(), true) {
                Ok((value @ Value::Object(_), n)) if n == text.trim().len() => value,
                _ => return Kind::Bad("the arguments are no JSON object".to_owned()),
            },
            Some(object @ Value::Object(_)) => object.clone(),
            Some(_) => return Kind::Bad("the arguments are no JSON object".to_owned()),
        };
        let name = known.unwrap_or_else(|| name.to_owned());
        Kind::Calls(vec![(name, arguments)])
    }

    /// The tool that is meant by `name`, as it was offered.
    fn named(&self, name: &str) -> Option<String> {
        if let Some(tool) = self.offered.iter().find(|tool| tool.name == name) {
            return Some(tool.name.clone());
        }
        let name = name.trim();
        let wanted = plain(
            ["functions.", "function.", "tools.", "tool."]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .unwrap_or(name),
        );
        let mut like = self.offered.iter().filter(|tool| {
            let name = plain(&tool.name);
            name == wanted || name.split_once("__").is_some_and(|(_, own)| own == wanted)
        });
        let tool = like.next()?;
        like.next().is_none().then(|| tool.name.clone())
    }
}

/// Whether a tool may be called so.
fn is_name(name: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.chars().all(sign)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['-', ' ', '.'], "_")
}

/// How many bytes of `rest`, one at least, can begin no call.
fn prose(rest: &str) -> usize {
    let mut signs = rest.char_indices().skip(1);
    let sign = signs.find(|(_, c)| matches!(c, '<' | '[' | '`' | '{'));
    sign.map_or(rest.len(), |(at, _)| at)
}

/// How many bytes at the end of `text` may be the beginning of `sign`.
fn half(text: &str, sign: &str) -> usize {
    (1..sign.len())
        .rev()
        .find(|n| text.ends_with(&sign[..*n]))
        .unwrap_or(0)
}

/// Whether JSON begins as a call's does; `None` where that cannot be told yet.
fn begins(json: &str) -> Option<bool> {
    let mut rest = json;
    if let Some(inner) = rest.strip_prefix('[') {
        rest = inner.trim_start();
    }
    if rest.is_empty() {
        return None;
    }
    let Some(inner) = rest.strip_prefix('{') else {
        return Some(false);
    };
    let inner = inner.trim_start();
    let quote = match inner.chars().next() {
        Some(quote @ ('"' | '\'')) => quote,
        Some(_) => return Some(false),
        None => return None,
    };
    let Some((key, behind)) = inner[1..].split_once(quote) else {
        let may = KEYS.iter().any(|key| key.starts_with(&inner[1..]));
        return if may { None } else { Some(false) };
    };
    if !KEYS.contains(&key) {
        return Some(false);
    }
    match behind.trim_start() {
        "" => None,
        behind => Some(behind.starts_with(':')),
    }
}

/// A parameter written without quotes, as its schema wants it.
fn typed(value: &str, kind: Option<&str>) -> Value {
    let text = || Value::String(value.to_owned());
    if kind == Some("string") {
        return text();
    }
    match read(value, true) {
        Ok((read, n)) if n == value.len() => read,
        _ => text(),
    }
}
