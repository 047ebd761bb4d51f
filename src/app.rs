//! Composition root: the only file that names Whisper, Kokoro, Ollama, … Turns settings into engines.
