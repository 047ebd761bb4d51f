//! Every word is heard: dictionary words, names, product words, abbreviations, other alphabets.

use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock},
};

use caal::tts::kokoro::{Accent, Phonemizer};

use crate::support;

/// One set of dictionaries for all tests; a mutex because reading may load the other accent's.
fn read(text: &str, accent: Accent) -> String {
    static PHONEMIZER: OnceLock<Mutex<Phonemizer>> = OnceLock::new();
    PHONEMIZER
        .get_or_init(Mutex::default)
        .lock()
        .expect("no test panics inside")
        .phonemes(text, accent)
}

fn american(text: &str) -> String {
    read(text, Accent::American)
}

const VOWELS: &str = "AIOQWYaiuæɐɑɒɔəɛɜɪʊʌᵻᵊ";

/// Common words, names from many languages, and words of the trade that stand in no dictionary.
const WORDS: &str = "
    the a an is are was were be have has had do does did go went gone say said get make know think
    take see come want look use find give tell work call try ask need feel become leave put mean keep
    let begin seem help talk turn start might show hear play run move like live believe hold bring
    happen write provide sit stand lose pay meet include continue set learn change lead understand
    watch follow stop create speak read allow add spend grow open walk win offer remember love
    consider appear buy wait serve die send expect build stay fall cut reach kill remain suggest
    twenty seventeen thousand million half quarter minutes degrees celsius fahrenheit kilometres
    o'clock don't won't it's we're they've James's children's rhythm queue colonel choir yacht
    Kubernetes PostgreSQL nginx GitHub GitLab localhost systemd kubectl Grafana Prometheus Terraform
    Ansible Raspberry Zigbee MQTT LiveKit WebRTC Ollama Whisper Kokoro Qwen Llama Mistral PyTorch
    NumPy JavaScript TypeScript OAuth YAML JSON TOML SQLite MongoDB Redis Kafka Nvidia AMD ARM64
    iPhone iPad macOS Ubuntu Debian Fedora Xiaomi Huawei Philips Sonos Tradfri ESPHome Tasmota Zwave
    homelab dockerized containerized webhook chatbot subreddit emoji wifi Wi-Fi USB-C HDMI 4K GPUs PDFs
    O'Neill O'Brien Siobhan Niamh Saoirse Nguyen Xavier Zoë Björk François Jürgen Łukasz Søren Ángel
    Dvořák Nakamura Watanabe Okonkwo Adaeze Chukwu Mbappé Ibrahimovic Schwarzenegger Wojciechowski
    Papadopoulos Krzysztof Hrvoje Zbigniew Szczecin Ljubljana Reykjavik Llanfairpwll Worcestershire
    Tchaikovsky Dostoevsky D'Angelo L'Oréal McDonald MacLeod van_der_Berg Al-Khwarizmi Ng Hsu Xi Qi
    Mwangi Ngozi Thandiwe Bjorn Snjezana Yggdrasil Cthulhu Tlaxcala Quetzalcoatl Popocatepetl
    Москва Αθήνα naïve façade jalapeño crème brûlée smörgåsbord
    psql grep chmod xfs btrfs zsh bash npm pnpm vite svelte rustc cargo clippy xkcd HTTP HTTPS FTP SSH
    TLS VPN DNS DHCP IPv6 UTF-8 x86 A4 B2B CO2 H2O mp3 abc123 r2d2 c3po 221B 7up 0x1f
    asdf qwertz bcdfg hmm shh pst aaaa zzzz I A X xylophone
";

#[test]
fn every_word_of_a_long_list_is_heard_in_both_accents() {
    let mut missing = Vec::new();
    assert!(WORDS.split_whitespace().count() >= 300);
    for word in WORDS.split_whitespace() {
        for accent in [Accent::American, Accent::British] {
            let phonemes = read(word, accent);
            // "shh" and "pst" are said without a vowel.
            let vowelless = matches!(word, "shh" | "pst" | "hmm");
            let heard = phonemes.chars().any(|c| VOWELS.contains(c))
                || (vowelless && phonemes.chars().any(char::is_alphabetic));
            if !heard || phonemes.contains('❓') {
                missing.push(format!("{word} → {phonemes:?} ({accent:?})"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_phoneme_has_a_token() {
    let text = std::fs::read_to_string(support::models().join("kokoro-82m/vocab.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vocab = file["vocab"].as_object().unwrap();
    let mut unknown = BTreeSet::new();
    for accent in [Accent::American, Accent::British] {
        for word in WORDS.split_whitespace() {
            for c in read(&format!("({word}), “{word}”: {word}!"), accent).chars() {
                if !vocab.contains_key(c.encode_utf8(&mut [0; 4])) {
                    unknown.insert((c, word));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_sentence_keeps_all_its_words_whatever_stands_between_them() {
    for text in [
        "Ask Kubernetes, then O'Neill's PostgreSQL-based homelab.",
        "The temp is 5°C & rising: 4:30 at 221B Baker St.",
        "See localhost:8080 (or nginx) — it's Saoirse’s.",
        "call 99999999999999999999999999999999 now",
        "[Illustration] of the caféing créing naïving",
    ] {
        let phonemes = american(text);
        let words = text
            .split_whitespace()
            .filter(|w| w.chars().any(char::is_alphanumeric))
            .count();
        let spoken = phonemes
            .split_whitespace()
            .filter(|w| w.chars().any(char::is_alphabetic))
            .count();
        assert!(!phonemes.contains('❓'), "{text} → {phonemes}");
        assert!(spoken >= words, "{text} → {phonemes}");
    }
}

#[test]
fn letters_are_spelled_by_their_names() {
    assert_eq!(american("XMPP"), "ˌɛksˌɛmpˌipˈi");
    assert!(american("take plan A now").contains("plˈæn ˈA"));
    assert!(american("A plan").starts_with('ɐ'));
    assert_eq!(read("psql", Accent::British), "pˌiːˌɛskjˌuːˈɛl");
}

#[test]
fn a_word_can_be_given_its_phonemes() {
    assert_eq!(american("[tomato](/təˈmɑːtoʊ/)"), "təmˈɑːtO");
    let sentence = american("The [Wi-Fi](/ˈwaɪfaɪ/)'s down, [Nguyen](/nwɪn/).");
    assert!(sentence.contains("wˈIfIz dˌWn, nwɪn."), "{sentence}");
}

#[test]
fn the_article_fits_the_sound_after_a_word_of_ours() {
    assert!(american("the Kubernetes cluster").starts_with("ðə "));
    assert!(american("the Ollama server").starts_with("ði "));
}
