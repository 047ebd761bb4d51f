//! Language models beyond their contract: the scripted server, a real Ollama, and what each engine
//! promises for itself.

pub(crate) mod ollama_process;
pub(crate) mod scripted;

#[cfg(feature = "embedded-llm")]
mod embedded;
mod fallback;
mod faults;
pub(crate) mod openai;

/// The embedded model with short answers, deterministic: loaded anew, about a second.
#[cfg(feature = "embedded-llm")]
pub(crate) fn embedded() -> caal::llm::embedded::EmbeddedLlm {
    let mut config = caal::llm::embedded::EmbeddedConfig::new(ollama_process::gguf(), 2);
    config.context = 512;
    config.max_tokens = 24;
    caal::llm::embedded::EmbeddedLlm::load(config).expect("the model loads")
}
