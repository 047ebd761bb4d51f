//! One value: from how it is written (in JSON, in the environment, on the command line) to the one way
//! in which it is kept, by the kind of its row. Knows nothing of where a value comes from.

use std::{net::IpAddr, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    network::Network,
    table::{Kind, Row},
};

/// What stands for a secret that is set, wherever values are shown. Given back, it changes nothing.
pub const MASK: &str = "********";

/// The longest text that a setting takes, in bytes.
const LONGEST: usize = 4096;

/// The most texts in a list or a map.
const MOST: usize = 200;

/// The codes of Whisper's languages.
const LANGUAGES: &str = "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl \
    gu ha haw he hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my \
    ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz \
    vi yi yo yue zh";

/// The value as it is kept: whole numbers as JSON integers, other numbers as floats, one spelling of
/// each URL.
///
/// # Errors
///
/// What the value must be, as the end of a sentence. Never the value itself.
pub(super) fn check(row: &Row, given: &Value) -> Result<Value, String> {
    match row.kind {
        Kind::Text | Kind::Path | Kind::Secret => line(given).map(Value::from),
        Kind::Choice(words) => {
            let wrong = || format!("it must be one of: {}", words.join(", "));
            let word = given.as_str().map(str::trim).ok_or_else(wrong)?;
            match words.contains(&word) {
                true => Ok(word.into()),
                false => Err(wrong()),
            }
        }
        Kind::Bool => truth(given).map(Value::from),
        Kind::Int(low, high) => {
            number(given, f64::from(low), f64::from(high), true).map(|n| json!(n as u32))
        }
        Kind::Number(low, high) => number(given, low, high, false).map(Value::from),
        Kind::Url => url(given, &["http", "https"], "http://localhost:11434"),
        Kind::OptionalUrl => optional(given, |given| {
            url(given, &["http", "https"], "http://homeassistant.local:8123")
        }),
        Kind::SocketUrl => optional(given, |given| {
            url(
                given,
                &["ws", "wss", "http", "https"],
                "ws://192.168.1.5:7880",
            )
        }),
        Kind::Words => words(row, given),
        Kind::Lines => lines(given),
        Kind::Map => map(given),
        Kind::Stay => {
            let text = line(given)?;
            stay(&text)
                .map(|_| text.into())
                .ok_or_else(|| "it must be a time such as 10m, 24h, or -1 for always".to_owned())
        }
        Kind::Addresses => {
            let text = line(given)?;
            match addresses(&text) {
                Some(_) => Ok(text.into()),
                None => Err("it must be IP addresses, such as 192.168.1.5".to_owned()),
            }
        }
        Kind::Networks => {
            let text = line(given)?;
            match Network::list(&text) {
                Some(_) => Ok(text.into()),
                None => Err(
                    "it must be networks, such as 100.64.0.0/10, none of nearly everybody"
                        .to_owned(),
                ),
            }
        }
        Kind::Hosts => several(given, host, "names of hosts, such as caal.example.org"),
        Kind::Origins => several(given, origin, "origins, such as https://panel.example.org"),
        Kind::Zone => {
            let name = line(given)?;
            match name.is_empty() || jiff::tz::TimeZone::get(&name).is_ok() {
                true => Ok(name.into()),
                false => Err("it must be a time zone such as Europe/Berlin".to_owned()),
            }
        }
        Kind::Language => {
            let code = line(given).map(|code| code.to_lowercase());
            match code {
                Ok(code) if code == "auto" || LANGUAGES.split_whitespace().any(|l| l == code) => {
                    Ok(code.into())
                }
                _ => Err("it must be a Whisper code such as en, de or zh, or auto".to_owned()),
            }
        }
    }
}

/// The value of a row's default.
pub(super) fn default(row: &Row) -> Value {
    check(row, &row.default.into()).expect("a test reads every default")
}

/// A value as it may be shown: secrets as [`MASK`] (nothing where they are not set), the password in
/// an address likewise.
pub(super) fn shown(row: &Row, value: &Value) -> Value {
    let Some(text) = value.as_str() else {
        return value.clone();
    };
    match row.kind {
        Kind::Secret if !text.is_empty() => MASK.into(),
        Kind::Url | Kind::OptionalUrl | Kind::SocketUrl => {
            let Ok(mut url) = reqwest::Url::parse(text) else {
                return value.clone();
            };
            if url.password().is_none() || url.set_password(Some(MASK)).is_err() {
                return value.clone();
            }
            url.as_str().trim_end_matches('/').into()
        }
        _ => value.clone(),
    }
}

/// As part of a sentence. A URL may hold a password, and a secret is one: they are not quoted, nor is
/// what is long.
pub(super) fn quoted(row: &Row, given: &Value) -> String {
    match (row.kind, given) {
        (Kind::Url | Kind::OptionalUrl | Kind::SocketUrl | Kind::Secret, _) => {
            "unusable".to_owned()
        }
        (_, Value::Array(_) | Value::Object(_)) => "unusable".to_owned(),
        (_, Value::String(text)) => format!("{:?}", text.chars().take(60).collect::<String>()),
        (_, other) => other.to_string(),
    }
}

fn line(given: &Value) -> Result<String, String> {
    let text = given.as_str().ok_or("it must be a text")?.trim();
    if text.len() > LONGEST {
        return Err(format!("it must be at most {LONGEST} bytes long"));
    }
    if text.chars().any(char::is_control) {
        return Err("it must be a text of one line".to_owned());
    }
    Ok(text.to_owned())
}

fn truth(given: &Value) -> Result<bool, String> {
    let text = match given {
        Value::Bool(truth) => return Ok(*truth),
        Value::String(text) => text.trim().to_lowercase(),
        other => other.to_string(),
    };
    match text.as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

fn number(given: &Value, low: f64, high: f64, whole: bool) -> Result<f64, String> {
    let number = match given {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|n| (low..=high).contains(n) && (!whole || n.fract() == 0.0))
        .ok_or_else(|| {
            let kind = if whole { "a whole number" } else { "a number" };
            format!("it must be {kind} from {low} to {high}")
        })
}

fn optional(
    given: &Value,
    check: impl FnOnce(&Value) -> Result<Value, String>,
) -> Result<Value, String> {
    match given.as_str().map(str::trim) {
        Some("") => Ok("".into()),
        _ => check(given),
    }
}

/// A URL without a scheme is one of the first: `OLLAMA_HOST` is often written so, as Ollama itself
/// allows.
fn url(given: &Value, schemes: &[&str], example: &str) -> Result<Value, String> {
    let wrong = || format!("it must be a URL such as {example}");
    let text = line(given).map_err(|_| wrong())?;
    let url = match text.contains("://") {
        true => text,
        false => format!("{}://{text}", schemes[0]),
    };
    match reqwest::Url::parse(&url) {
        Ok(parsed) if schemes.contains(&parsed.scheme()) && parsed.has_host() => {
            Ok(url.trim_end_matches('/').into())
        }
        _ => Err(wrong()),
    }
}

/// Words with commas between, each as `read` has it; none is allowed.
fn several(given: &Value, read: fn(&str) -> Option<String>, what: &str) -> Result<Value, String> {
    let text = line(given)?;
    let read: Option<Vec<String>> = split(&text).map(read).collect();
    match read {
        Some(words) if words.len() <= MOST => Ok(words.join(",").into()),
        _ => Err(format!("it must be {what}")),
    }
}

/// The words of a text with commas.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// A name as a browser asks for it: lower case, without a port.
fn host(word: &str) -> Option<String> {
    let name = word.trim_end_matches('.').to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// An origin as a browser writes it: scheme, name and, where it is another than the scheme's, port.
fn origin(word: &str) -> Option<String> {
    let url = reqwest::Url::parse(word).ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then(|| url.origin().ascii_serialization())
}

fn words(row: &Row, given: &Value) -> Result<Value, String> {
    let wrong = || {
        format!(
            "it must be one name or several with commas, such as {}",
            row.default
        )
    };
    let text = match given {
        Value::Array(words) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            words.ok_or_else(wrong)?.join(",")
        }
        other => line(other).map_err(|_| wrong())?,
    };
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    match words.iter().any(|word| word.is_empty()) || words.len() > MOST {
        true => Err(wrong()),
        false => Ok(words.join(",").into()),
    }
}

/// Blank ones are left out: CAAL's panel sends the line that somebody is about to write.
fn lines(given: &Value) -> Result<Value, String> {
    let wrong = || format!("it must be a list of at most {MOST} short texts");
    let texts: Vec<&str> = match given {
        Value::Array(texts) => {
            let texts: Option<_> = texts.iter().map(Value::as_str).collect();
            texts.ok_or_else(wrong)?
        }
        Value::String(text) => text.split(['|', '\n']).collect(),
        _ => return Err(wrong()),
    };
    let texts: Vec<&str> = texts
        .into_iter()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect();
    let short = |text: &&str| text.len() <= LONGEST && !text.chars().any(char::is_control);
    match texts.len() <= MOST && texts.iter().all(short) {
        true => Ok(texts.into()),
        false => Err(wrong()),
    }
}

fn map(given: &Value) -> Result<Value, String> {
    let wrong = || r#"it must be a map of texts, such as {"Nguyen": "win"}"#.to_owned();
    let read;
    let given = match given {
        Value::String(text) if text.trim().is_empty() => return Ok(Map::new().into()),
        Value::String(text) => {
            read = serde_json::from_str(text).map_err(|_| wrong())?;
            &read
        }
        other => other,
    };
    let map = given.as_object().ok_or_else(wrong)?;
    let short = |(key, value): (&String, &Value)| key.len() <= LONGEST && line(value).is_ok();
    match map.len() <= MOST && map.iter().all(short) {
        true => Ok(given.clone()),
        false => Err(wrong()),
    }
}

/// As Ollama writes it; the inner `None` is for ever.
pub(super) fn stay(text: &str) -> Option<Option<Duration>> {
    let (digits, unit) = match text.char_indices().find(|(_, c)| c.is_ascii_alphabetic()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: i64 = digits.parse().ok()?;
    let seconds = number.unsigned_abs().saturating_mul(unit);
    Some((number >= 0).then(|| Duration::from_secs(seconds)))
}

/// With commas between.
pub(super) fn addresses(text: &str) -> Option<Vec<IpAddr>> {
    let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
    words.map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::table::ROWS, *};

    fn row(key: &str) -> &'static Row {
        Row::find(key).expect("a row of the table")
    }

    #[test]
    fn every_default_is_a_value_of_its_row_and_kept_as_it_is() {
        for row in ROWS {
            let kept = check(row, &row.default.into());
            assert!(kept.is_ok(), "{}: {kept:?}", row.key);
            let kept = kept.unwrap();
            assert_eq!(check(row, &kept), Ok(kept), "{}", row.key);
        }
    }

    #[test]
    fn the_types_are_those_that_caals_clients_read_without_looking() {
        assert!(default(row("temperature")).is_f64());
        assert!(default(row("wake_word_timeout")).is_f64());
        assert!(default(row("num_ctx")).is_u64());
        assert!(default(row("wake_greetings")).as_array().unwrap().len() == 7);
        assert!(default(row("hass_enabled")).is_boolean());
        assert!(default(row("n8n_token")).is_string());
        // A whole number where any is wanted stays a float: Dart tells them apart.
        assert!(check(row("temperature"), &json!(1)).unwrap().is_f64());
        assert!(check(row("num_ctx"), &json!(2048.0)).unwrap().is_u64());
    }

    #[test]
    fn what_is_wrong_is_refused_without_being_repeated() {
        for (key, wrong) in [
            ("temperature", json!("hot")),
            ("temperature", json!(2.1)),
            ("temperature", json!(null)),
            ("temperature", json!(true)),
            ("num_ctx", json!(4096.5)),
            ("num_ctx", json!(-1)),
            ("agent_name", json!(5)),
            ("agent_name", json!("a\nb")),
            ("agent_name", json!("a".repeat(5000))),
            ("hass_token", json!("two\r\nlines")),
            ("wake_word_enabled", json!("maybe")),
            ("wake_greetings", json!([1])),
            ("wake_greetings", json!({})),
            ("wake_word_model", json!("")),
            ("pronunciation", json!({"a": 1})),
            ("pronunciation", json!("[]")),
            ("prompt", json!("../../etc/passwd")),
            ("ollama_host", json!("")),
            ("ollama_host", json!("ftp://x")),
            ("timezone", json!("Mars/Olympus")),
            ("language", json!("english")),
            ("language", json!("")),
            ("node_ip", json!("here")),
            ("keep_alive", json!("a while")),
            ("trusted_networks", json!("0.0.0.0/0")),
            ("hosts", json!("http://x")),
            ("origins", json!("*")),
            ("origins", json!("https://x/path")),
        ] {
            let Err(why) = check(row(key), &wrong) else {
                panic!("{key} took {wrong}")
            };
            assert!(why.starts_with("it must be "), "{why}");
        }
    }

    #[test]
    fn secrets_and_passwords_in_addresses_are_masked() {
        let token = row("hass_token");
        assert_eq!(shown(token, &json!("s3cret")), json!(MASK));
        assert_eq!(shown(token, &json!("")), json!(""));
        assert_eq!(quoted(token, &json!("s3cret")), "unusable");
        let host = shown(row("ollama_host"), &json!("http://me:s3cret@host:1"));
        assert_eq!(host, json!("http://me:********@host:1"));
        let plain = json!("http://host:1/path");
        assert_eq!(shown(row("ollama_host"), &plain), plain);
    }

    #[test]
    fn a_language_is_written_in_any_case() {
        let codes = LANGUAGES.split_whitespace();
        assert_eq!(codes.clone().count(), 100);
        assert!(codes.is_sorted());
        assert_eq!(check(row("language"), &json!(" DE ")), Ok(json!("de")));
    }

    #[test]
    fn names_and_origins_are_kept_as_browsers_write_them() {
        let kept = |key: &str, given: &str| check(row(key), &json!(given));
        let origins = kept("origins", "https://A.example:443/, http://b:80,http://c:81");
        assert_eq!(origins, Ok(json!("https://a.example,http://b,http://c:81")));
        assert_eq!(
            kept("hosts", "A.example., nas "),
            Ok(json!("a.example,nas"))
        );
    }

    #[test]
    fn lists_are_read_from_one_line_too_and_without_blanks() {
        let greetings = row("wake_greetings");
        let both = json!(["Hi", "Yes?"]);
        assert_eq!(check(greetings, &json!("Hi| Yes?|")), Ok(both.clone()));
        assert_eq!(check(greetings, &json!(["Hi", " ", "Yes? "])), Ok(both));
        assert_eq!(check(greetings, &json!([])), Ok(json!([])));
        let words = row("wake_word_model");
        assert_eq!(check(words, &json!("a , b")), Ok(json!("a,b")));
        assert_eq!(check(words, &json!(["a", "b"])), Ok(json!("a,b")));
    }
}
