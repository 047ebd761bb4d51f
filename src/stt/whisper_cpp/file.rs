//! Reads a ggml file as far as to be sure that whisper.cpp can: whisper.cpp reads past the end, writes
//! beyond its buffers or aborts the process where a file is not what it expects. Keeps the sizes and the
//! tokens; the tensors' numbers stay in the file.
//!
//! Layout, little endian (whisper.cpp 1.8.3, `whisper_model_load`): magic; eleven `i32` sizes; the mel
//! filters (two `i32` sides, `f32`s); an `i32` count of tokens, each a `u32` length and its bytes; then to
//! the end tensors, each `i32` rank, `i32` length of its name, `i32` type, the sides (the fastest first),
//! the name, the numbers.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
};

use super::vocabulary::{self, ENGLISH, LARGE_V3};
use crate::stt::whisper::{Sizes, ct2::Damaged};

/// The first four bytes, as a number: `ggml`.
const MAGIC: u32 = 0x6767_6d6c;
/// Of every Whisper: positions of 20 ms, tokens, frequencies of a mel filter.
const AUDIO_CONTEXT: usize = 1_500;
const TEXT_CONTEXT: usize = 448;
const BINS: usize = 201;
/// Sane bounds, above every Whisper: a damaged number must not make us allocate or spin.
const MAX_WIDTH: usize = 4_096;
const MAX_LAYERS: usize = 64;
const MAX_TOKEN_BYTES: usize = 1_024;
const MAX_NAME: usize = 128;
/// `ftype` carries the version of the quantisation in its thousands; older blocks look otherwise.
const VERSION_FACTOR: usize = 1_000;
const QUANTISATION: usize = 2;

/// What is known of a whole file.
#[derive(Debug)]
pub(super) struct Ggml {
    pub(super) sizes: Sizes,
    /// The bytes of the tokens that are written in it: all ordinary ones.
    pub(super) tokens: Vec<Vec<u8>>,
    /// Of the large tensors: `f16`, `q5_1`, ….
    pub(super) format: &'static str,
}

/// How numbers are stored: ggml's type, and the bytes of a block of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    id: usize,
    block: usize,
    bytes: usize,
}

const fn kind(id: usize, block: usize, bytes: usize) -> Kind {
    Kind { id, block, bytes }
}

const F32: Kind = kind(0, 1, 4);
const F16: Kind = kind(1, 1, 2);

/// `ftype`, its name, and how the large tensors are stored then (ggml's `ggml_ftype`, `ggml_type` and
/// block sizes).
const FORMATS: [(usize, &str, Kind); 13] = [
    (0, "f32", F32),
    (1, "f16", F16),
    (2, "q4_0", kind(2, 32, 18)),
    (3, "q4_1", kind(3, 32, 20)),
    (7, "q8_0", kind(8, 32, 34)),
    (8, "q5_0", kind(6, 32, 22)),
    (9, "q5_1", kind(7, 32, 24)),
    (10, "q2_k", kind(10, 256, 84)),
    (11, "q3_k", kind(11, 256, 110)),
    (12, "q4_k", kind(12, 256, 144)),
    (13, "q5_k", kind(13, 256, 176)),
    (14, "q6_k", kind(14, 256, 210)),
    (24, "bf16", kind(30, 1, 2)),
];

fn content<T>(reason: impl Into<String>) -> Result<T, Damaged> {
    Err(Damaged::Content(reason.into()))
}

/// Checks the whole structure of `file`.
///
/// # Errors
///
/// When it is no ggml file, no Whisper, or not whole.
pub(super) fn read<R: Read + Seek>(mut file: R) -> Result<Ggml, Damaged> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut reader = Reader { file, at: 0, end };
    if reader.u32()? != MAGIC {
        return content("it does not begin as a ggml file does");
    }
    let (sizes, format) = reader.sizes()?;
    let (name, kind) = (format.1, format.2);
    let bands = reader.size("mel bands", 1, 128)?;
    let bins = reader.size("frequencies", 1, BINS)?;
    if bands != sizes.mels || bins != BINS {
        return content(format!("its mel filters are {bands} by {bins}"));
    }
    reader.skip((bands * bins * 4) as u64, "the mel filters")?;
    let tokens = reader.tokens(sizes.vocabulary)?;
    reader.tensors(expected(&sizes, kind))?;
    Ok(Ggml {
        sizes,
        tokens,
        format: name,
    })
}

/// A tensor's sides, fastest first and filled up with ones, and how it is stored.
type Shape = ([usize; 4], Kind);

/// The tensors of a Whisper by name.
fn expected(sizes: &Sizes, large: Kind) -> BTreeMap<String, Shape> {
    let width = sizes.width;
    // Convolutions are not quantised.
    let conv = if large == F32 { F32 } else { F16 };
    let mut tensors = BTreeMap::new();
    let mut add = |name: String, sides: &[usize], kind: Kind| {
        let mut shape = [1; 4];
        shape[..sides.len()].copy_from_slice(sides);
        tensors.insert(name, (shape, kind));
    };
    add(
        "encoder.positional_embedding".into(),
        &[width, sizes.audio_context],
        F32,
    );
    add("encoder.conv1.weight".into(), &[3, sizes.mels, width], conv);
    add("encoder.conv2.weight".into(), &[3, width, width], conv);
    for conv in ["encoder.conv1.bias", "encoder.conv2.bias"] {
        add(conv.into(), &[1, width], F32);
    }
    add(
        "decoder.positional_embedding".into(),
        &[width, sizes.text_context],
        F32,
    );
    add(
        "decoder.token_embedding.weight".into(),
        &[width, sizes.vocabulary],
        large,
    );
    for norm in ["encoder.ln_post", "decoder.ln"] {
        add(format!("{norm}.weight"), &[width], F32);
        add(format!("{norm}.bias"), &[width], F32);
    }
    let sides: [(&str, usize, &[&str]); 2] = [
        ("encoder", sizes.encoder_layers, &["attn"]),
        ("decoder", sizes.decoder_layers, &["attn", "cross_attn"]),
    ];
    for (side, layers, attentions) in sides {
        for layer in 0..layers {
            let block = format!("{side}.blocks.{layer}");
            for attention in attentions {
                let attention = format!("{block}.{attention}");
                add(format!("{attention}_ln.weight"), &[width], F32);
                add(format!("{attention}_ln.bias"), &[width], F32);
                for part in ["query", "key", "value", "out"] {
                    add(format!("{attention}.{part}.weight"), &[width; 2], large);
                    if part != "key" {
                        add(format!("{attention}.{part}.bias"), &[width], F32);
                    }
                }
            }
            add(format!("{block}.mlp_ln.weight"), &[width], F32);
            add(format!("{block}.mlp_ln.bias"), &[width], F32);
            add(format!("{block}.mlp.0.weight"), &[width, 4 * width], large);
            add(format!("{block}.mlp.0.bias"), &[4 * width], F32);
            add(format!("{block}.mlp.2.weight"), &[4 * width, width], large);
            add(format!("{block}.mlp.2.bias"), &[width], F32);
        }
    }
    tensors
}

/// The walk through the file.
struct Reader<R> {
    file: R,
    at: u64,
    end: u64,
}

impl<R: Read + Seek> Reader<R> {
    fn bytes(&mut self, len: usize) -> Result<Vec<u8>, Damaged> {
        let mut bytes = vec![0; len];
        self.file.read_exact(&mut bytes)?;
        self.at += len as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Damaged> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        self.at += 4;
        Ok(u32::from_le_bytes(bytes))
    }

    /// A number of `what` in `least..=most`. They are written as `i32`; a negative one is too large here.
    fn size(&mut self, what: &str, least: usize, most: usize) -> Result<usize, Damaged> {
        let size = self.u32()? as usize;
        if (least..=most).contains(&size) {
            Ok(size)
        } else {
            content(format!("it claims {size} {what}"))
        }
    }

    fn skip(&mut self, bytes: u64, what: &str) -> Result<(), Damaged> {
        let rest = self.end - self.at.min(self.end);
        if bytes > rest {
            return content(format!(
                "it ends inside {what}: {rest} of {bytes} bytes are there"
            ));
        }
        // Within the file, so it fits.
        self.file.seek_relative(bytes as i64)?;
        self.at += bytes;
        Ok(())
    }

    fn sizes(&mut self) -> Result<(Sizes, (usize, &'static str, Kind)), Damaged> {
        let vocabulary = self.size("tokens", ENGLISH, LARGE_V3)?;
        let audio_context = self.size("positions of sound", AUDIO_CONTEXT, AUDIO_CONTEXT)?;
        let width = self.size("numbers per position", 1, MAX_WIDTH)?;
        let encoder_heads = self.size("heads", 1, MAX_WIDTH)?;
        let encoder_layers = self.size("layers", 1, MAX_LAYERS)?;
        let text_context = self.size("positions of text", TEXT_CONTEXT, TEXT_CONTEXT)?;
        let _ = self.size("numbers per position of text", width, width)?;
        let decoder_heads = self.size("heads", 1, MAX_WIDTH)?;
        let decoder_layers = self.size("layers", 1, MAX_LAYERS)?;
        let mels = self.size("mel bands", 80, 128)?;
        let ftype = self.u32()? as usize;
        if width % encoder_heads != 0 || width % decoder_heads != 0 || !matches!(mels, 80 | 128) {
            return content("its sizes are those of no Whisper");
        }
        let format = FORMATS
            .into_iter()
            .find(|(number, ..)| *number == ftype % VERSION_FACTOR);
        let Some(format) = format else {
            return content(format!("its number format {ftype} is unknown"));
        };
        let (_, name, kind) = format;
        if kind.block > 1 && ftype / VERSION_FACTOR != QUANTISATION {
            return content(format!(
                "its numbers are {name} of an old version; quantise it anew with a current whisper.cpp"
            ));
        }
        if width % kind.block != 0 {
            return content(format!("{width} numbers are no whole blocks of {name}"));
        }
        let sizes = Sizes {
            mels,
            width,
            encoder_heads,
            decoder_heads,
            encoder_layers,
            decoder_layers,
            audio_context,
            text_context,
            vocabulary,
        };
        Ok((sizes, format))
    }

    fn tokens(&mut self, vocabulary: usize) -> Result<Vec<Vec<u8>>, Damaged> {
        let least = vocabulary::ordinary(vocabulary);
        let count = self.size("written tokens", least, vocabulary)?;
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let len = self.size("bytes in a token", 0, MAX_TOKEN_BYTES)?;
            tokens.push(self.bytes(len)?);
        }
        Ok(tokens)
    }

    /// Every tensor once, none else, up to the end of the file.
    fn tensors(&mut self, mut expected: BTreeMap<String, Shape>) -> Result<(), Damaged> {
        while self.at < self.end {
            let rank = self.size("sides of a tensor", 1, 4)?;
            let len = self.size("letters in a tensor's name", 1, MAX_NAME)?;
            let id = self.u32()? as usize;
            let mut sides = [1; 4];
            for side in &mut sides[..rank] {
                *side = self.u32()? as usize;
            }
            let name = String::from_utf8_lossy(&self.bytes(len)?).into_owned();
            let Some((shape, kind)) = expected.remove(&name) else {
                return content(format!(
                    "its tensor {name:?} is twice there, or no Whisper's"
                ));
            };
            if sides != shape || id != kind.id {
                return content(format!(
                    "its tensor {name} has the shape {sides:?} and the type {id}, not {shape:?} and {}",
                    kind.id
                ));
            }
            let numbers: usize = shape.iter().product();
            let bytes = numbers / kind.block * kind.bytes;
            self.skip(bytes as u64, &format!("tensor {name}"))?;
        }
        match expected.into_keys().next() {
            None => Ok(()),
            Some(name) => content(format!("its tensor {name} is missing")),
        }
    }
}
