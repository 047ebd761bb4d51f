//! The variables of the Hugging Face hub, as its own programs read them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{models::HubOptions, pii::Pii};

impl HubOptions {
    /// Reads `HF_ENDPOINT`, `HF_TOKEN` (else the file that `hf auth login` wrote), `HF_HOME`,
    /// `HF_HUB_CACHE` and `HF_HUB_OFFLINE` out of `environment`.
    pub fn from_env(environment: &BTreeMap<String, String>) -> Self {
        let set = |key: &str| {
            let value = environment.get(key)?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let home = set("HF_HOME")
            .map(PathBuf::from)
            .or_else(|| set("XDG_CACHE_HOME").map(|d| Path::new(&d).join("huggingface")))
            .or_else(|| set("HOME").map(|d| Path::new(&d).join(".cache/huggingface")));
        let token_file = set("HF_TOKEN_PATH")
            .map(PathBuf::from)
            .or_else(|| home.as_ref().map(|h| h.join("token")));
        let stored = || {
            let text = fs::read_to_string(token_file.as_ref()?).ok()?;
            let token = text.trim();
            (!token.is_empty()).then(|| token.to_owned())
        };
        let truth =
            |value: String| matches!(value.to_lowercase().as_str(), "1" | "on" | "yes" | "true");
        let defaults = Self::default();
        Self {
            endpoint: set("HF_ENDPOINT").unwrap_or(defaults.endpoint),
            token: set("HF_TOKEN")
                .or_else(|| set("HUGGING_FACE_HUB_TOKEN"))
                .or_else(stored)
                .map(Pii),
            cache: set("HF_HUB_CACHE")
                .map(PathBuf::from)
                .or_else(|| home.map(|h| h.join("hub"))),
            offline: set("HF_HUB_OFFLINE").is_some_and(truth),
            patience: defaults.patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> HubOptions {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        HubOptions::from_env(&pairs.collect())
    }

    #[test]
    fn an_empty_environment_asks_the_public_hub_without_a_token() {
        let options = options(&[]);
        assert!(options.endpoint.starts_with("https://"));
        assert!(options.token.is_none() && options.cache.is_none() && !options.offline);
    }

    #[test]
    fn the_variables_of_the_hub_are_read_as_its_own_programs_do() {
        let options = options(&[
            ("HF_ENDPOINT", "http://mirror:1"),
            ("HF_TOKEN", " hf_secret\n"),
            ("HF_HOME", "/h"),
            ("HF_HUB_OFFLINE", "True"),
        ]);
        assert_eq!(options.endpoint, "http://mirror:1");
        assert_eq!(
            options.token.as_ref().map(|t| t.0.as_str()),
            Some("hf_secret")
        );
        assert_eq!(options.cache, Some(PathBuf::from("/h/hub")));
        assert!(options.offline);
        assert!(!format!("{options:?}").contains("hf_secret"));
    }

    #[test]
    fn the_token_of_a_login_is_found_and_a_set_one_goes_first() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("token"), "from-login\n").unwrap();
        let path = home.path().to_str().unwrap();
        let token = |o: HubOptions| o.token.map(|t| t.0);
        assert_eq!(
            token(options(&[("HF_HOME", path)])),
            Some("from-login".to_owned())
        );
        let both = options(&[("HF_HOME", path), ("HF_TOKEN", "set")]);
        assert_eq!(token(both), Some("set".to_owned()));
        assert!(!options(&[("HF_HUB_OFFLINE", "0")]).offline);
    }
}
