//! The key: compared in constant time, whatever its length, and found in a path. Of the key itself only a
//! keyed hash is kept.

use aws_lc_rs::{hmac, rand};

use crate::pii::Pii;

/// What a key that somebody shows is held against.
pub(super) struct Key {
    /// Made anew at each start, so that what is compared tells nothing.
    salt: hmac::Key,
    tag: hmac::Tag,
}

impl Key {
    /// The key that opens.
    ///
    /// # Panics
    ///
    /// When the machine gives no random numbers: nothing would be safe then.
    pub(super) fn new(key: &Pii<String>) -> Self {
        let salt = hmac::Key::new(hmac::HMAC_SHA256, &chance::<32>());
        let tag = hmac::sign(&salt, key.0.as_bytes());
        Self { salt, tag }
    }

    /// Whether `shown` is it. Takes as long for every wrong one of the same length.
    pub(super) fn is(&self, shown: &str) -> bool {
        hmac::verify(&self.salt, shown.as_bytes(), self.tag.as_ref()).is_ok()
    }
}

/// Random bytes.
///
/// # Panics
///
/// When the machine gives none.
pub(super) fn chance<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the machine gives random numbers");
    bytes
}

/// A path that begins with a key, taken apart: the key, and the path without it. `/api/key/<key>/settings`
/// is `/settings`; a proxy that takes `/api` away leaves `/key/<key>/settings`.
pub(super) fn in_path(path: &str) -> Option<(String, String)> {
    let rest = path.strip_prefix("/api").unwrap_or(path);
    let rest = rest.strip_prefix("/key/")?;
    let (key, rest) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    Some((unescaped(key), rest.to_owned()))
}

/// With `%41` as `A`. What is not text then is no key.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_is_the_key() {
        let key = Key::new(&Pii("0123456789abcdef".to_owned()));
        assert!(key.is("0123456789abcdef"));
        for wrong in [
            "",
            "0123456789abcdeF",
            "0123456789abcde",
            "0123456789abcdef0",
        ] {
            assert!(!key.is(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_found_in_a_path_and_taken_out_of_it() {
        let found = |path: &str| in_path(path);
        let pair = |key: &str, rest: &str| Some((key.to_owned(), rest.to_owned()));
        assert_eq!(found("/api/key/k/settings"), pair("k", "/settings"));
        assert_eq!(found("/key/k/api/settings"), pair("k", "/api/settings"));
        assert_eq!(found("/key/a%2Bb%/x/"), pair("a+b%", "/x/"));
        assert_eq!(found("/key/k"), pair("k", "/"));
        assert_eq!(found("/key/%ff/x"), pair("", "/x"));
        for none in ["/settings", "/api/keys/k", "/", "/keyk/x", "/x/key/k"] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
