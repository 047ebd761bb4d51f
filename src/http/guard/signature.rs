//! Requests that are signed instead of sent with the key, as Standard Webhooks
//! (<https://www.standardwebhooks.com>, version 1) has it: `webhook-id`, `webhook-timestamp` in seconds since
//! 1970, and `webhook-signature` with `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, several
//! with blanks between. A signature lets in once, within five minutes of its time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Reason;
use crate::pii::Pii;

/// How far a signature's time may be from ours.
const AWAY: Duration = Duration::from_secs(5 * 60);

/// Signatures that are remembered at once; where there are more within ten minutes, new ones wait.
const MOST: usize = 10_000;

/// Longest id.
const LONGEST_ID: usize = 256;

/// Signatures in one header that are looked at.
const SIGNATURES: usize = 8;

/// What signatures are held against, and those that were used.
pub(super) struct Signatures {
    key: hmac::Key,
    /// Since when this process knows what was used, seconds since 1970.
    since: u64,
    /// The right signature of each request that came in, and until when it would let in again.
    used: Mutex<HashMap<[u8; 32], u64>>,
}

impl Signatures {
    /// With `secret`: `whsec_` and base64 of its bytes, or its letters as they are.
    pub(super) fn new(secret: &Pii<String>) -> Self {
        let coded = secret.0.strip_prefix("whsec_");
        let bytes = coded.and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.unwrap_or_else(|| secret.0.as_bytes().to_vec());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
            since: now(),
            used: Mutex::default(),
        }
    }

    /// Whether a request says that it is signed.
    pub(super) fn are_on(headers: &HeaderMap) -> bool {
        headers.contains_key("webhook-signature")
    }

    /// Whether the signature is right, of these minutes, and new; from now on it is not new.
    pub(super) fn admit(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Reason> {
        self.admit_at(headers, body, now())
    }

    fn admit_at(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Result<(), Reason> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(time), Some(signatures)) = (
            text("webhook-id").filter(|id| !id.is_empty() && id.len() <= LONGEST_ID),
            text("webhook-timestamp"),
            text("webhook-signature"),
        ) else {
            return Err(Reason::Signature);
        };
        let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
        let right = signatures
            .split(' ')
            .take(SIGNATURES)
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .any(|tag| hmac::verify(&self.key, &signed, &tag).is_ok());
        if !right {
            return Err(Reason::Signature);
        }
        let time: u64 = time.parse().map_err(|_| Reason::SignatureAge)?;
        // What was used before the start is not known any more: nothing from then gets in.
        if time.abs_diff(now) > AWAY.as_secs() || time < self.since {
            return Err(Reason::SignatureAge);
        }
        let tag = hmac::sign(&self.key, &signed);
        let tag = tag.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST {
            used.retain(|_, until| *until >= now);
        }
        if used.len() >= MOST {
            return Err(Reason::Failures);
        }
        match used.insert(tag, time + AWAY.as_secs()) {
            None => Ok(()),
            Some(_) => Err(Reason::Replay),
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"message":"The laundry is done"}"#;

    fn headers(id: &str, time: &str, signature: &str) -> HeaderMap {
        let pairs = [
            ("webhook-id", id),
            ("webhook-timestamp", time),
            ("webhook-signature", signature),
        ];
        let pair =
            |(name, value): (&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        HeaderMap::from_iter(pairs.map(pair))
    }

    fn signed(signatures: &Signatures, id: &str, time: u64, body: &[u8]) -> HeaderMap {
        let text = [format!("{id}.{time}.").as_bytes(), body].concat();
        let tag = STANDARD.encode(hmac::sign(&signatures.key, &text));
        headers(id, &time.to_string(), &format!("v1,AAAA v1,{tag} v1a,x"))
    }

    #[test]
    fn the_example_of_the_standard_is_right() {
        // From the specification's own test vectors.
        let secret = Pii("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let mut signatures = Signatures::new(&secret);
        signatures.since = 0;
        let sent = headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(signatures.admit_at(&sent, body, 1_614_265_335), Ok(()));
    }

    #[test]
    fn a_signature_lets_in_once_and_only_in_its_time() {
        let signatures = Signatures::new(&Pii("0123456789abcdef".to_owned()));
        let start = signatures.since;
        let sent = signed(&signatures, "a", start, BODY);
        assert_eq!(signatures.admit_at(&sent, BODY, start), Ok(()));
        assert_eq!(signatures.admit_at(&sent, BODY, start), Err(Reason::Replay));
        // The same message, signed again later, is another request.
        let again = signed(&signatures, "a", start + 1, BODY);
        assert_eq!(signatures.admit_at(&again, BODY, start), Ok(()));
        let late = signed(&signatures, "b", start, BODY);
        let age = Err(Reason::SignatureAge);
        assert_eq!(signatures.admit_at(&late, BODY, start + 301), age);
        assert_eq!(signatures.admit_at(&late, BODY, start - 301), age);
        let before = signed(&signatures, "c", start - 1, BODY);
        assert_eq!(signatures.admit_at(&before, BODY, start), age);
        assert_eq!(signatures.admit_at(&late, BODY, start + 300), Ok(()));
    }

    #[test]
    fn what_was_changed_or_left_out_is_refused() {
        let signatures = Signatures::new(&Pii("0123456789abcdef".to_owned()));
        let start = signatures.since;
        let sent = signed(&signatures, "a", start, BODY);
        let refused = |headers: &HeaderMap, body: &[u8]| {
            assert_eq!(
                signatures.admit_at(headers, body, start),
                Err(Reason::Signature)
            );
        };
        refused(&sent, b"{}");
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut less = sent.clone();
            less.remove(name);
            refused(&less, BODY);
            let mut other = sent.clone();
            other.insert(name, "1".parse().unwrap());
            refused(&other, BODY);
        }
        let other = Signatures::new(&Pii("another secret 0".to_owned()));
        refused(&signed(&other, "a", start, BODY), BODY);
    }

    #[test]
    fn memory_of_signatures_is_bounded_and_none_is_forgotten_early() {
        let signatures = Signatures::new(&Pii("0123456789abcdef".to_owned()));
        let start = signatures.since;
        let until = start + AWAY.as_secs();
        for n in 0..MOST as u64 {
            let tag: Vec<u8> = n.to_le_bytes().repeat(4);
            signatures
                .used
                .lock()
                .unwrap()
                .insert(tag.try_into().unwrap(), until);
        }
        let sent = signed(&signatures, "a", start, BODY);
        assert_eq!(
            signatures.admit_at(&sent, BODY, start),
            Err(Reason::Failures)
        );
        let later = signed(&signatures, "b", until + 1, BODY);
        assert_eq!(signatures.admit_at(&later, BODY, until + 1), Ok(()));
        assert_eq!(signatures.used.lock().unwrap().len(), 1);
    }
}
