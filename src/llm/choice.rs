//! Who answers: the Ollama of the settings, the embedded model, or nobody — and the sentence that
//! tells the user which, and how to get a better one. [`choose`] is pure; the composition root asks
//! the server and looks for the file, then builds what was chosen. What happens when the Ollama that
//! was there at the start goes down is [`super::fallback`]'s.

use super::{LlmError, ollama::ModelInfo};

/// Whether there is an embedded model to turn to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedded {
    /// Built in, and its file is there.
    Ready,
    /// Built in; its file is missing.
    NoFile,
    /// This binary was built without the feature `embedded-llm`.
    NotBuilt,
    /// Only a server may answer, as set.
    NotWanted,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// The Ollama of the settings.
    Ollama,
    /// The server of Groq, or the OpenAI-compatible one of the settings.
    Server,
    /// The model in this process.
    Embedded,
    /// No one: a conversation cannot be held.
    Nobody,
}

/// Who answers, and what the user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Who.
    pub answering: Answering,
    /// Who it is, why, and how to get a better one. Whole sentences.
    pub sentence: String,
}

/// A model for who has none yet: small enough for a laptop, good enough to talk to.
pub const SUGGESTED: &str = "qwen3:4b";

/// Chooses. `probe` is what [`Ollama::models`](super::ollama::Ollama::models) said, `model` the one
/// that is set.
pub fn choose(probe: &Result<Vec<ModelInfo>, LlmError>, model: &str, embedded: Embedded) -> Choice {
    let problem = match probe {
        Ok(models) if models.iter().any(|m| m.is(model)) => {
            return Choice {
                answering: Answering::Ollama,
                sentence: format!("Ollama answers, with {model}."),
            };
        }
        Ok(_) if model.is_empty() => {
            format!("Ollama is there but has no model. Fetch one with: ollama pull {SUGGESTED}.")
        }
        Ok(models) => format!(
            "Ollama is there but does not have the model {model}. Fetch it with: ollama pull {model}{}.",
            others(models)
        ),
        Err(e) => format!("{}.", capitalised(&e.to_string())),
    };
    let (answering, sentence) = match embedded {
        Embedded::Ready => (
            Answering::Embedded,
            format!(
                "The small built-in model answers: it is quick and knows little. For better answers \
                 run a model in Ollama. {problem}"
            ),
        ),
        Embedded::NoFile => (
            Answering::Nobody,
            format!(
                "No language model can answer. {problem} Or fetch the small built-in one with: caal \
                 models pull"
            ),
        ),
        Embedded::NotBuilt => (
            Answering::Nobody,
            format!(
                "No language model can answer. {problem} Or build caal with a small one: cargo build \
                 --features embedded-llm"
            ),
        ),
        Embedded::NotWanted => (
            Answering::Nobody,
            format!(
                "No language model can answer. {problem} Or let the small built-in one answer: set \
                 LLM_PROVIDER=auto"
            ),
        ),
    };
    Choice {
        answering,
        sentence,
    }
}

/// Chooses where only one server may answer, `who`. `probe` is what
/// [`OpenAi::models`](super::openai::OpenAi::models) said, `model` the one that is set, or the first.
pub fn choose_server(
    probe: &Result<Vec<String>, LlmError>,
    who: &str,
    setting: &str,
    model: &str,
) -> Choice {
    let (answering, sentence) = match probe {
        Ok(_) if model.is_empty() => (
            Answering::Nobody,
            format!(
                "No language model can answer. The {who} server names no model; load one there, or \
                 set {setting}"
            ),
        ),
        Ok(models) if models.iter().any(|m| m == model) => (
            Answering::Server,
            format!("The {who} server answers, with {model}."),
        ),
        // Some take any name, or load a model when they hear its name.
        Ok(models) => {
            let models: Vec<ModelInfo> = models.iter().map(|name| named(name)).collect();
            (
                Answering::Server,
                format!(
                    "The {who} server answers, with {model}, which is not on its list{}. Where it does \
                     not answer, change {setting}.",
                    others(&models)
                ),
            )
        }
        Err(e) => (
            Answering::Nobody,
            format!(
                "No language model can answer. {}. Or let another answer: set LLM_PROVIDER=auto",
                capitalised(&e.to_string())
            ),
        ),
    };
    Choice {
        answering,
        sentence,
    }
}

fn named(name: &str) -> ModelInfo {
    let (name, bytes) = (name.to_owned(), 0);
    ModelInfo { name, bytes }
}

/// What the settings allow where the model inside the binary is to answer and no other.
pub fn choose_embedded(embedded: Embedded) -> Choice {
    let (answering, sentence) = match embedded {
        Embedded::Ready => (
            Answering::Embedded,
            "The small built-in model answers, as set.",
        ),
        Embedded::NoFile => (
            Answering::Nobody,
            "No language model can answer. The built-in one is set, and its file is missing; fetch it \
             with: caal models pull",
        ),
        Embedded::NotBuilt | Embedded::NotWanted => (
            Answering::Nobody,
            "this caal was built without a language model inside; set LLM_PROVIDER=auto, or build it \
             with --features embedded-llm",
        ),
    };
    Choice {
        answering,
        sentence: sentence.to_owned(),
    }
}

/// `, or set one of those it has: a, b, c`
fn others(models: &[ModelInfo]) -> String {
    const SHOWN: usize = 5;
    if models.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = models.iter().take(SHOWN).map(|m| m.name.as_str()).collect();
    let more = if models.len() > SHOWN { ", …" } else { "" };
    format!(", or set one that it has: {}{more}", names.join(", "))
}

pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(names: &[&str]) -> Result<Vec<ModelInfo>, LlmError> {
        let model = |name: &&str| ModelInfo {
            name: (*name).to_owned(),
            bytes: 0,
        };
        Ok(names.iter().map(model).collect())
    }

    fn down() -> Result<Vec<ModelInfo>, LlmError> {
        Err(LlmError::Remote {
            host: "http://localhost:11434".to_owned(),
            what: "does not answer".to_owned(),
            hint: "start it with: ollama serve".to_owned(),
        })
    }

    #[test]
    fn an_ollama_with_the_model_answers() {
        for embedded in [Embedded::Ready, Embedded::NoFile, Embedded::NotBuilt] {
            let choice = choose(&models(&["a:latest", "qwen3:4b"]), "a", embedded);
            assert_eq!(choice.answering, Answering::Ollama);
            assert_eq!(choice.sentence, "Ollama answers, with a.");
        }
    }

    #[test]
    fn without_one_the_embedded_model_does_and_says_what_would_be_better() {
        let choice = choose(&down(), "a", Embedded::Ready);
        assert_eq!(choice.answering, Answering::Embedded);
        assert!(
            choice
                .sentence
                .starts_with("The small built-in model answers")
        );
        assert!(
            choice.sentence.ends_with("start it with: ollama serve."),
            "{}",
            choice.sentence
        );

        let choice = choose(&models(&["b:1", "c:2"]), "a", Embedded::Ready);
        assert_eq!(choice.answering, Answering::Embedded);
        let end = "ollama pull a, or set one that it has: b:1, c:2.";
        assert!(choice.sentence.ends_with(end), "{}", choice.sentence);
    }

    #[test]
    fn without_either_nobody_does_and_both_ways_out_are_told() {
        let file = choose(&down(), "a", Embedded::NoFile);
        assert_eq!(file.answering, Answering::Nobody);
        assert!(file.sentence.contains("ollama serve") && file.sentence.contains("models pull"));
        let built = choose(&models(&[]), "a", Embedded::NotBuilt);
        assert_eq!(built.answering, Answering::Nobody);
        assert!(
            built.sentence.contains("ollama pull a. Or build"),
            "{}",
            built.sentence
        );
    }

    #[test]
    fn an_ollama_without_any_model_is_told_which_to_fetch() {
        let choice = choose(&models(&[]), "", Embedded::NotWanted);
        assert_eq!(choice.answering, Answering::Nobody);
        assert!(
            choice.sentence.contains("has no model") && choice.sentence.contains(SUGGESTED),
            "{}",
            choice.sentence
        );
    }

    #[test]
    fn a_server_answers_when_it_is_there_and_has_a_model() {
        let has = Ok(vec!["a".to_owned(), "b".to_owned()]);
        let choose = |probe: &_, model| choose_server(probe, "Groq", "groq_model", model);
        let choice = choose(&has, "b");
        assert_eq!(choice.answering, Answering::Server);
        assert_eq!(choice.sentence, "The Groq server answers, with b.");
        let choice = choose(&has, "c");
        assert_eq!(choice.answering, Answering::Server);
        assert!(choice.sentence.contains("one that it has: a, b."));
        assert_eq!(choose(&Ok(vec![]), "").answering, Answering::Nobody);
        let gone = Err(down().expect_err("it is down"));
        let choice = choose(&gone, "a");
        assert_eq!(choice.answering, Answering::Nobody);
        assert!(choice.sentence.contains("does not answer"));
    }

    #[test]
    fn a_long_list_of_models_is_cut() {
        let names: Vec<String> = (0..9).map(|i| format!("m{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let choice = choose(&models(&names), "a", Embedded::Ready);
        assert!(
            choice.sentence.ends_with("m0, m1, m2, m3, m4, …."),
            "{}",
            choice.sentence
        );
    }
}
