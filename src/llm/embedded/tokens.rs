//! Text ⇄ tokens, built from what the GGUF file says, and the chat template around messages.
//!
//! Only byte-level BPE (`tokenizer.ggml.model` = `gpt2`), which Llama 3, Qwen and SmolLM use. How a
//! text is split before the merges differs by `tokenizer.ggml.pre`; the expressions are those of
//! llama.cpp's `llama-vocab.cpp`. Special tokens are put in by number and never read from a text:
//! a user who says `<|im_end|>` has said six characters.

use std::collections::HashMap;

use tokenizers::{
    NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer,
    models::bpe::{BPE, Vocab},
    normalizers::NFC,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::gguf::Gguf;
use crate::llm::{LlmError, Message};

/// The vocabulary of a model and its chat template.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    pieces: Vec<String>,
    bytes: HashMap<char, u8>,
    template: Template,
    /// Put before a conversation.
    begin: Option<u32>,
    /// End an answer.
    ends: Vec<u32>,
}

/// The marks around a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Template {
    /// `<|im_start|>role\n…<|im_end|>\n`
    ChatMl {
        start: u32,
        end: u32,
        /// Qwen 3 answers without thinking when its answer begins with an empty thought.
        no_thought: Option<(u32, u32)>,
    },
    /// `<|start_header_id|>role<|end_header_id|>\n\n…<|eot_id|>`
    Llama3 { start: u32, close: u32, end: u32 },
}

const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Tokens {
    pub(super) fn read(file: &Gguf, architecture: &str) -> Result<Self, LlmError> {
        match file.text("tokenizer.ggml.model") {
            Some("gpt2") => {}
            kind => {
                return Err(file.bad(format!(
                    "its tokenizer is {:?}; byte-level BPE (gpt2) is supported here",
                    kind.unwrap_or("missing")
                )));
            }
        }
        let pieces = file.texts("tokenizer.ggml.tokens")?;
        let vocab: Vocab = (0..)
            .zip(&pieces)
            .map(|(id, piece)| (piece.clone(), id))
            .collect();
        let merges = file
            .texts("tokenizer.ggml.merges")?
            .iter()
            .map(|merge| {
                merge
                    .split_once(' ')
                    .map(|(a, b)| (a.to_owned(), b.to_owned()))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| file.bad("its list of merges is damaged"))?;
        let bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .build()
            .map_err(|e| file.bad(format!("its list of merges is damaged ({e})")))?;
        let mut tokenizer = Tokenizer::new(bpe);
        let pre = file.text("tokenizer.ggml.pre").unwrap_or("default");
        let (normal, split) = splitting(pre)
            .ok_or_else(|| file.bad(format!("its text splitting {pre:?} is not supported here")))?;
        if let Some(normal) = normal {
            tokenizer
                .with_normalizer(Some(normal))
                .map_err(|e| file.bad(format!("its text normaliser cannot be built ({e})")))?;
        }
        tokenizer.with_pre_tokenizer(Some(split));

        let id = |piece: &str| tokenizer.token_to_id(piece);
        let template = if let (Some(start), Some(end)) = (id("<|im_start|>"), id("<|im_end|>")) {
            let thought = id("<think>").zip(id("</think>"));
            Template::ChatMl {
                start,
                end,
                no_thought: thought.filter(|_| architecture == "qwen3"),
            }
        } else if let (Some(start), Some(close), Some(end)) = (
            id("<|start_header_id|>"),
            id("<|end_header_id|>"),
            id("<|eot_id|>"),
        ) {
            Template::Llama3 { start, close, end }
        } else {
            return Err(file.bad(
                "it is no chat model that is supported here: its vocabulary has the marks neither \
                 of ChatML nor of Llama 3",
            ));
        };
        let number = |key: &str| {
            let id = file.number(key).filter(|id| *id < pieces.len())?;
            u32::try_from(id).ok()
        };
        let begins = file.flag("tokenizer.ggml.add_bos_token").unwrap_or(false)
            || matches!(template, Template::Llama3 { .. });
        let begin = number("tokenizer.ggml.bos_token_id").filter(|_| begins);
        let (Template::ChatMl { end, .. } | Template::Llama3 { end, .. }) = template;
        let mut ends = vec![end];
        ends.extend(number("tokenizer.ggml.eos_token_id"));
        ends.extend(id("<|endoftext|>"));
        ends.extend(id("<|end_of_text|>"));
        Ok(Self {
            tokenizer,
            pieces,
            bytes: byte_alphabet(),
            template,
            begin,
            ends,
        })
    }

    /// Whether `token` ends an answer.
    pub(super) fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The bytes that `token` writes: none for a special one that is no text.
    pub(super) fn bytes(&self, token: u32) -> Vec<u8> {
        let piece = self.pieces.get(token as usize).map_or("", String::as_str);
        piece
            .chars()
            .filter_map(|c| self.bytes.get(&c).copied())
            .collect()
    }

    /// The conversation as the model was trained to read it, up to where it is to answer.
    pub(super) fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, LlmError> {
        let mut tokens: Vec<u32> = self.begin.into_iter().collect();
        for message in messages {
            tokens.extend(self.message(message)?);
        }
        match self.template {
            Template::ChatMl {
                start, no_thought, ..
            } => {
                tokens.push(start);
                self.text("assistant\n", &mut tokens)?;
                if let Some((think, thought)) = no_thought {
                    tokens.push(think);
                    self.text("\n\n", &mut tokens)?;
                    tokens.push(thought);
                    self.text("\n\n", &mut tokens)?;
                }
            }
            Template::Llama3 { start, close, .. } => {
                tokens.push(start);
                self.text("assistant", &mut tokens)?;
                tokens.push(close);
                self.text("\n\n", &mut tokens)?;
            }
        }
        Ok(tokens)
    }

    /// The tokens with which a conversation that starts with `first` begins.
    pub(super) fn beginning(&self, first: &Message) -> Result<Vec<u32>, LlmError> {
        let mut tokens: Vec<u32> = self.begin.into_iter().collect();
        tokens.extend(self.message(first)?);
        Ok(tokens)
    }

    /// One message with its marks. A conversation's tokens are those of its messages in a row.
    pub(super) fn message(&self, message: &Message) -> Result<Vec<u32>, LlmError> {
        let (role, text) = match message {
            Message::Calls { text, .. } => ("assistant", text),
            Message::Result { content, .. } => ("user", content),
            Message::System(text) => ("system", text),
            Message::User(text) => ("user", text),
            Message::Assistant(text) => ("assistant", text),
        };
        let mut tokens = Vec::new();
        match self.template {
            Template::ChatMl { start, end, .. } => {
                tokens.push(start);
                self.text(&format!("{role}\n{text}"), &mut tokens)?;
                tokens.push(end);
                self.text("\n", &mut tokens)?;
            }
            Template::Llama3 { start, close, end } => {
                tokens.push(start);
                self.text(role, &mut tokens)?;
                tokens.push(close);
                self.text(&format!("\n\n{}", text.trim()), &mut tokens)?;
                tokens.push(end);
            }
        }
        Ok(tokens)
    }

    fn text(&self, text: &str, tokens: &mut Vec<u32>) -> Result<(), LlmError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|e| LlmError::Model(format!("a text became no tokens: {e}")))?;
        tokens.extend(encoding.get_ids());
        Ok(())
    }
}

/// How a text is prepared before the merges, by llama.cpp's name for it.
fn splitting(pre: &str) -> Option<(Option<NormalizerWrapper>, PreTokenizerWrapper)> {
    let gpt2 = ByteLevel::new(false, false, true);
    let bytes = ByteLevel::new(false, false, false);
    let by = |regex: &str| {
        let pattern = SplitPattern::Regex(regex.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
            .expect("the expressions above are well formed");
        PreTokenizerWrapper::from(Sequence::new(vec![split.into(), bytes.into()]))
    };
    Some(match pre {
        "default" | "gpt-2" => (None, gpt2.into()),
        "smollm" => {
            let digits = Digits::new(true);
            (None, Sequence::new(vec![digits.into(), gpt2.into()]).into())
        }
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" => (None, by(LLAMA3)),
        "qwen2" => (Some(NFC.into()), by(QWEN2)),
        _ => return None,
    })
}

/// GPT-2's alphabet (`bytes_to_unicode` in its `encoder.py`): a printable character for each byte.
fn byte_alphabet() -> HashMap<char, u8> {
    let mut next = 256;
    (0..=255u8)
        .map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let code = if printable {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            (char::from_u32(code).expect("below the surrogates"), byte)
        })
        .collect()
}

/// Joins the bytes of tokens to text: a character may be spread over several.
#[derive(Debug, Default)]
pub(super) struct Utf8Joiner {
    held: Vec<u8>,
}

impl Utf8Joiner {
    /// What of the text is whole now. Bytes that are no UTF-8 are left out: nothing can speak them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut text = String::new();
        for chunk in held.utf8_chunks() {
            text.push_str(chunk.valid());
            self.held = chunk.invalid().to_vec();
        }
        // Only a beginning of a character at the very end may still become one.
        if std::str::from_utf8(&self.held).is_err_and(|e| e.error_len().is_some()) {
            self.held.clear();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_letter() {
        let alphabet = byte_alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet[&'A'], b'A');
        assert_eq!(alphabet[&'Ġ'], b' ');
        assert_eq!(alphabet[&'Ċ'], b'\n');
    }

    #[test]
    fn characters_are_joined_however_they_are_cut() {
        let text = "Grüße, 👋🏽 世界";
        for size in 1..=8 {
            let mut joiner = Utf8Joiner::default();
            let joined: String = text
                .as_bytes()
                .chunks(size)
                .map(|c| joiner.push(c))
                .collect();
            assert_eq!(joined, text, "in {size}s");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_left_out() {
        let mut joiner = Utf8Joiner::default();
        let pieces: [&[u8]; 5] = [b"a\xff", b"b\xc3", b"c", b"\xf0\x9f", b"\x91\x8bd"];
        let joined: String = pieces.into_iter().map(|p| joiner.push(p)).collect();
        assert_eq!(joined, "abc👋d");
    }
}
