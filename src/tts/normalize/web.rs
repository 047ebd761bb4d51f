//! Addresses: web, e-mail, hosts and ports, IP numbers, file names and paths.

use super::{
    number,
    reader::Reader,
    words::{is_domain_ending, is_file_ending},
};

impl Reader<'_> {
    /// Reads the token here as an address, if it is one.
    pub(super) fn web(&mut self) -> bool {
        let start = self.i;
        let mut end = self.token_end(start);
        if end - start < 3 {
            return false;
        }
        // Most tokens are plain words: one look decides.
        let token = &self.c[start..end];
        if !token
            .iter()
            .any(|c| matches!(c, '.' | '/' | '@' | ':' | '\\'))
        {
            return false;
        }
        let parens = token.contains(&'(');
        while end > start {
            let last = self.c[end - 1];
            let trailing = ".,;:!?\"'…]}>*_".contains(last) || (last == ')' && !parens);
            if !trailing {
                break;
            }
            end -= 1;
        }
        let token = self.slice(start, end);
        let spoken = self
            .url(&token)
            .or_else(|| self.mail(&token))
            .or_else(|| self.host(&token))
            .or_else(|| self.file(&token));
        let Some(spoken) = spoken else { return false };
        self.i = end;
        self.say(&spoken, &token, false);
        true
    }

    fn url(&self, token: &str) -> Option<String> {
        let (scheme, rest) = token.split_once("://")?;
        let known = !scheme.is_empty()
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'+');
        if !known || rest.is_empty() {
            return None;
        }
        let rest = rest.trim_end_matches('/');
        let address = self.spell_out(rest);
        Some(match scheme {
            // Everyone takes these for granted.
            "http" | "https" => address,
            other => format!("{} {address}", self.piece(other)),
        })
    }

    fn mail(&self, token: &str) -> Option<String> {
        let token = token.strip_prefix("mailto:").unwrap_or(token);
        let (user, host) = token.split_once('@')?;
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-+%".contains(&b))
        };
        (plain(user) && plain(host))
            .then(|| format!("{} at {}", self.spell_out(user), self.spell_out(host)))
    }

    /// `example.com/docs`, `localhost:8080`, `192.168.1.10:443`, `nas.local`.
    fn host(&self, token: &str) -> Option<String> {
        let host_end = token.find(['/', ':', '?', '#']).unwrap_or(token.len());
        let (host, rest) = token.split_at(host_end);
        let labels: Vec<&str> = host.split('.').collect();
        let label = |l: &&str| {
            !l.is_empty()
                && l.len() < 64
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !labels.iter().all(label) {
            return None;
        }
        let port = rest
            .strip_prefix(':')
            .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if is_ip(&labels) {
            let mut spoken = labels
                .iter()
                .map(|l| number::grouped(l))
                .collect::<Vec<_>>()
                .join(" dot ");
            if !rest.is_empty() {
                spoken = format!("{spoken} {}", self.spell_out(rest));
            }
            return Some(spoken);
        }
        let local = labels.len() == 1
            && port
            && (host == "localhost"
                || host.bytes().any(|b| b.is_ascii_alphabetic())
                    && !host.bytes().next()?.is_ascii_digit());
        let last = labels.last()?.to_ascii_lowercase();
        let named = labels.len() > 1
            && is_domain_ending(&last)
            && host.bytes().any(|b| b.is_ascii_alphabetic())
            // "U.S.", "sentence.It": an ending in capitals, or a single letter before it, is prose.
            && labels.last()?.bytes().all(|b| b.is_ascii_lowercase())
            && !(labels.len() == 2 && labels[0].len() == 1 && rest.is_empty())
            // "forgot.in" and "fine.no" are typing errors more often than addresses.
            && (!matches!(last.as_str(), "in" | "it" | "no" | "at" | "be" | "is" | "me" | "so" | "us" | "to") || !rest.is_empty() || labels.len() > 2);
        (local || named).then(|| self.spell_out(token.trim_end_matches('/')))
    }

    /// File names, paths and `.ext`.
    fn file(&self, token: &str) -> Option<String> {
        let plain = token
            .chars()
            .all(|c| c.is_alphanumeric() || "._-/\\~:+()@".contains(c));
        if !plain {
            return None;
        }
        let letters = token.chars().any(|c| c.is_ascii_alphabetic());
        let name = token.rsplit(['/', '\\']).next()?;
        let ending = name.rsplit_once('.');
        let is_file = ending.is_some_and(|(stem, ending)| {
            is_file_ending(&ending.to_ascii_lowercase())
                && (ending.len() > 1 || stem.len() > 2)
                && (stem.is_empty()
                    || stem.chars().any(|c| c.is_ascii_alphabetic())
                    || ending.len() > 2)
        });
        let slashes = token.matches(['/', '\\']).count();
        let rooted = token.starts_with('/')
            || token.starts_with("~/")
            || token.starts_with("./")
            || token.starts_with("../")
            || token.get(1..3) == Some(":\\");
        let is_path =
            letters && (rooted && token.len() > 2 || slashes > 2 || slashes > 0 && is_file);
        if !(is_file && letters || is_path) {
            return None;
        }
        Some(self.spell_out(token.trim_end_matches(['/', '\\'])))
    }

    /// Every part of an address, and the signs between them by name.
    pub(super) fn spell_out(&self, text: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut piece = String::new();
        let mut digits = false;
        let flush = |piece: &mut String, words: &mut Vec<String>| {
            if !piece.is_empty() {
                words.push(self.camel(piece));
                piece.clear();
            }
        };
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                if c.is_ascii_digit() != digits {
                    flush(&mut piece, &mut words);
                    digits = c.is_ascii_digit();
                }
                piece.push(c);
                continue;
            }
            flush(&mut piece, &mut words);
            let sign = match c {
                '.' => "dot",
                '/' => "slash",
                '\\' => "backslash",
                '-' => "dash",
                '_' => "underscore",
                ':' => "colon",
                '@' => "at",
                '?' => "question mark",
                '=' => "equals",
                '&' => "and",
                '#' => "hash",
                '%' => "percent",
                '+' => "plus",
                '~' => "tilde",
                _ if c.is_alphabetic() => {
                    words.push(super::translit::transliterate(&[c]));
                    continue;
                }
                _ => continue,
            };
            words.push(sign.to_owned());
        }
        flush(&mut piece, &mut words);
        words.join(" ")
    }

    /// `getUserName` → "get User Name".
    pub(super) fn camel(&self, name: &str) -> String {
        let parts = camel_parts(name);
        parts
            .iter()
            .map(|part| self.piece(part))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Cuts a name where a capital follows a small letter, or begins a word after capitals.
pub(super) fn camel_parts(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    for i in 1..bytes.len() {
        let upper = bytes[i].is_ascii_uppercase();
        let after_small = bytes[i - 1].is_ascii_lowercase();
        let before_small = bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase);
        if upper
            && (after_small || (before_small && bytes[i - 1].is_ascii_uppercase() && i - start > 1))
        {
            parts.push(&name[start..i]);
            start = i;
        }
    }
    parts.push(&name[start..]);
    parts
}

fn is_ip(labels: &[&str]) -> bool {
    labels.len() == 4
        && labels
            .iter()
            .all(|l| l.len() < 4 && l.parse::<u16>().is_ok_and(|n| n < 256))
}
