//! The transformer: tokens in, the scores of the next token out. Covers the dense Llama family as
//! GGUF files hold it: `llama` (SmolLM2, Llama 2 and 3, Mistral), `qwen2` (bias on q, k, v) and
//! `qwen3` (norms on q and k).
//!
//! Own code rather than candle-transformers': its `quantized_llama` can neither cut its cache back
//! to a common beginning nor stop within a prompt, and copies the whole cache for every token.
//!
//! Per layer, for `m` tokens of width `d`: norm, `[m, d] × [q + 2·kv, d]ᵀ`, rotary positions,
//! attention over the cache, `× [d, q]ᵀ`, add; norm, `× [2·f, d]ᵀ`, SiLU gate, `× [d, f]ᵀ`, add.
//! Sources: llama.cpp `src/llama-model.cpp` (which architecture rotates which pairs) and
//! candle-transformers 0.11.1 `quantized_llama.rs`, `quantized_qwen3.rs`.

use rayon::prelude::*;

use super::{gguf::Gguf, weights::Matrix};
use crate::llm::LlmError;

/// What the file says about its model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// `general.architecture`.
    pub(super) architecture: String,
    width: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    inner: usize,
    /// Entries of the vocabulary.
    pub(super) vocabulary: usize,
    /// The longest text it was trained on, in tokens.
    pub(super) context: usize,
    epsilon: f32,
    rotated: usize,
    rotation_base: f32,
    pairs: Pairs,
}

/// Which two numbers of a head are rotated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs {
    /// 2i and 2i+1 (Llama, as llama.cpp's converter lays it out).
    Neighbours,
    /// i and i + half ("NEOX": Qwen).
    Halves,
}

impl Shape {
    pub(super) fn read(file: &Gguf) -> Result<Self, LlmError> {
        let architecture = file
            .text("general.architecture")
            .unwrap_or_default()
            .to_owned();
        let pairs = match architecture.as_str() {
            "llama" => Pairs::Neighbours,
            "qwen2" | "qwen3" => Pairs::Halves,
            other => {
                return Err(file.bad(format!(
                    "its architecture is {other:?}; llama, qwen2 and qwen3 are supported here \
                     (Ollama runs the others)"
                )));
            }
        };
        let key = |name: &str| format!("{architecture}.{name}");
        if file.number(&key("expert_count")).is_some_and(|n| n > 0) {
            return Err(file.bad("it is a mixture of experts, which is not supported here"));
        }
        match file.text(&key("rope.scaling.type")) {
            None | Some("none") => {}
            Some(kind) => {
                return Err(file.bad(format!("its rope scaling {kind:?} is not supported here")));
            }
        }
        let width = file.dimension(&key("embedding_length"), 32..=16_384)?;
        let heads = file.dimension(&key("attention.head_count"), 1..=256)?;
        let kv_heads = match file.number(&key("attention.head_count_kv")) {
            None => heads,
            Some(_) => file.dimension(&key("attention.head_count_kv"), 1..=heads)?,
        };
        let head_width = match file.number(&key("attention.key_length")) {
            None => width / heads,
            Some(_) => file.dimension(&key("attention.key_length"), 2..=1024)?,
        };
        let inner = file.dimension(&key("feed_forward_length"), 32..=131_072)?;
        let rotated = file
            .number(&key("rope.dimension_count"))
            .unwrap_or(head_width);
        let shape = Self {
            width,
            layers: file.dimension(&key("block_count"), 1..=512)?,
            heads,
            kv_heads,
            head_width,
            inner,
            vocabulary: file.texts("tokenizer.ggml.tokens")?.len(),
            context: file.dimension(&key("context_length"), 16..=1 << 24)?,
            epsilon: file
                .fraction(&key("attention.layer_norm_rms_epsilon"))
                .unwrap_or(1e-5),
            rotated,
            rotation_base: file.fraction(&key("rope.freq_base")).unwrap_or(10_000.0),
            pairs,
            architecture,
        };
        if !heads.is_multiple_of(kv_heads) || rotated > head_width || !rotated.is_multiple_of(2) {
            return Err(file.bad("its numbers of heads contradict each other"));
        }
        for wide in [width, inner, shape.q_width()] {
            if !wide.is_multiple_of(32) {
                return Err(file.bad(format!("its width {wide} is no multiple of 32")));
            }
        }
        Ok(shape)
    }

    fn q_width(&self) -> usize {
        self.heads * self.head_width
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_width
    }
}

struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values below each other.
    qkv: Matrix,
    qkv_bias: Option<Vec<f32>>,
    q_norm: Option<Vec<f32>>,
    k_norm: Option<Vec<f32>>,
    attention_out: Matrix,
    inner_norm: Vec<f32>,
    /// Gate and up below each other.
    gate_up: Matrix,
    down: Matrix,
}

/// A loaded model. Holds no conversation: that is a [`Cache`].
pub(super) struct Model {
    shape: Shape,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None`: the embedding serves as the output too.
    output: Option<Matrix>,
    /// One angle step per rotated pair.
    frequencies: Vec<f32>,
}

/// Keys and values of the tokens evaluated so far, per layer one row of `kv_width` per token.
#[derive(Default)]
pub(super) struct Cache {
    tokens: Vec<u32>,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl Cache {
    /// Keeps the beginning that `prompt` shares, but not all of `prompt`: its last token must be
    /// evaluated for the scores. Says how many tokens are kept.
    pub(super) fn keep_common(&mut self, prompt: &[u32]) -> usize {
        let common = self
            .tokens
            .iter()
            .zip(prompt)
            .take_while(|(a, b)| a == b)
            .count();
        let keep = common.min(prompt.len().saturating_sub(1));
        self.cut(keep);
        keep
    }

    fn cut(&mut self, tokens: usize) {
        let before = self.tokens.len();
        if tokens >= before {
            return;
        }
        for rows in self.keys.iter_mut().chain(&mut self.values) {
            let row = rows.len() / before;
            rows.truncate(tokens * row);
        }
        self.tokens.truncate(tokens);
    }
}

/// Nobody waits for the scores any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl Model {
    /// Loads the weights, tensor by tensor.
    pub(super) fn load(file: &mut Gguf, shape: Shape) -> Result<Self, LlmError> {
        let (d, q, kv, f) = (shape.width, shape.q_width(), shape.kv_width(), shape.inner);
        let stacked = |file: &mut Gguf, cols: usize, parts: &[(&str, usize)]| {
            let mut matrix = Matrix::empty(cols);
            for (name, rows) in parts {
                matrix.append(&file.tensor(name, &[*rows, cols])?);
            }
            Ok::<_, LlmError>(matrix)
        };
        let optional = |file: &mut Gguf, name: &str, n: usize| {
            let there = file.has(name);
            there.then(|| file.tensor(name, &[n])).transpose()
        };
        let mut layers = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let (wq, wk, wv) = (
                name("attn_q.weight"),
                name("attn_k.weight"),
                name("attn_v.weight"),
            );
            let mut bias = Vec::new();
            for (part, n) in [("attn_q.bias", q), ("attn_k.bias", kv), ("attn_v.bias", kv)] {
                bias.extend(optional(file, &name(part), n)?.unwrap_or_default());
            }
            if !bias.is_empty() && bias.len() != q + 2 * kv {
                return Err(file.bad("it has a bias for some of q, k and v only"));
            }
            layers.push(Layer {
                attention_norm: file.tensor(&name("attn_norm.weight"), &[d])?,
                qkv: stacked(file, d, &[(&wq, q), (&wk, kv), (&wv, kv)])?,
                qkv_bias: (!bias.is_empty()).then_some(bias),
                q_norm: optional(file, &name("attn_q_norm.weight"), shape.head_width)?,
                k_norm: optional(file, &name("attn_k_norm.weight"), shape.head_width)?,
                attention_out: stacked(file, q, &[(&name("attn_output.weight"), d)])?,
                inner_norm: file.tensor(&name("ffn_norm.weight"), &[d])?,
                gate_up: stacked(
                    file,
                    d,
                    &[(&name("ffn_gate.weight"), f), (&name("ffn_up.weight"), f)],
                )?,
                down: stacked(file, f, &[(&name("ffn_down.weight"), d)])?,
            });
        }
        let vocabulary = shape.vocabulary;
        let embedding = stacked(file, d, &[("token_embd.weight", vocabulary)])?;
        let output = if file.has("output.weight") {
            Some(stacked(file, d, &[("output.weight", vocabulary)])?)
        } else {
            None
        };
        let mut frequencies: Vec<f32> = (0..shape.rotated / 2)
            .map(|i| {
                shape
                    .rotation_base
                    .powf(-2.0 * i as f32 / shape.rotated as f32)
            })
            .collect();
        // Llama 3's longer reach is a factor per frequency.
        if let Some(factors) = optional(file, "rope_freqs.weight", frequencies.len())? {
            for (frequency, factor) in frequencies.iter_mut().zip(factors) {
                *frequency /= factor;
            }
        }
        Ok(Self {
            norm: file.tensor("output_norm.weight", &[d])?,
            shape,
            embedding,
            layers,
            output,
            frequencies,
        })
    }

    /// Evaluates `tokens` after those in `cache`, which then holds them too, and gives the scores of
    /// the token that follows the last. `tokens` are known to the vocabulary and at least one.
    ///
    /// Asks `stop` before each layer of a prompt: at most some 20 ms of work per question for 256
    /// tokens of a model of 135 million weights. When stopped, `cache` is as before.
    pub(super) fn scores(
        &self,
        tokens: &[u32],
        cache: &mut Cache,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> candle_core::Result<Result<Vec<f32>, Stopped>> {
        let start = cache.tokens.len();
        cache.keys.resize_with(self.layers.len(), Vec::new);
        cache.values.resize_with(self.layers.len(), Vec::new);
        cache.tokens.extend_from_slice(tokens);
        let d = self.shape.width;
        let mut x = vec![0.0; tokens.len() * d];
        for (token, row) in tokens.iter().zip(x.chunks_exact_mut(d)) {
            self.embedding.row(*token as usize, row);
        }
        let turns = self.turns(start, tokens.len());
        for (i, layer) in self.layers.iter().enumerate() {
            if tokens.len() > 1 && stop() {
                cache.abandon(start, i, self.shape.kv_width());
                return Ok(Err(Stopped));
            }
            let (keys, values) = (&mut cache.keys[i], &mut cache.values[i]);
            let seen = self.attend(
                layer,
                &self.normed(&x, &layer.attention_norm),
                &turns,
                keys,
                values,
            )?;
            add(&mut x, &layer.attention_out.times(&seen)?);
            let gated = self.gate(&layer.gate_up.times(&self.normed(&x, &layer.inner_norm))?);
            add(&mut x, &layer.down.times(&gated)?);
        }
        let last = self.normed(&x[x.len() - d..], &self.norm);
        self.output
            .as_ref()
            .unwrap_or(&self.embedding)
            .times(&last)
            .map(Ok)
    }

    /// Cosine and sine for each token and rotated pair.
    fn turns(&self, start: usize, tokens: usize) -> Vec<(f32, f32)> {
        (start..start + tokens)
            .flat_map(|at| {
                self.frequencies.iter().map(move |frequency| {
                    let (sin, cos) = (at as f32 * frequency).sin_cos();
                    (cos, sin)
                })
            })
            .collect()
    }

    /// Root-mean-square norm of each row.
    fn normed(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = x.to_vec();
        for row in out.chunks_exact_mut(weight.len()) {
            norm_row(row, weight, self.shape.epsilon);
        }
        out
    }

    /// Puts the keys and values of `x` into the cache and gives what each token sees: rows of
    /// `q_width`.
    fn attend(
        &self,
        layer: &Layer,
        x: &[f32],
        turns: &[(f32, f32)],
        keys: &mut Vec<f32>,
        values: &mut Vec<f32>,
    ) -> candle_core::Result<Vec<f32>> {
        let shape = &self.shape;
        let (q, kv, head) = (shape.q_width(), shape.kv_width(), shape.head_width);
        let mut qkv = layer.qkv.times(x)?;
        let per_turn = self.frequencies.len();
        for (row, turn) in qkv
            .chunks_exact_mut(q + 2 * kv)
            .zip(turns.chunks_exact(per_turn))
        {
            if let Some(bias) = &layer.qkv_bias {
                add(row, bias);
            }
            let (queries, rest) = row.split_at_mut(q);
            for (part, norm) in [(queries, &layer.q_norm), (&mut rest[..kv], &layer.k_norm)] {
                for part in part.chunks_exact_mut(head) {
                    if let Some(norm) = norm {
                        norm_row(part, norm, shape.epsilon);
                    }
                    rotate(&mut part[..shape.rotated], turn, shape.pairs);
                }
            }
            keys.extend_from_slice(&rest[..kv]);
            values.extend_from_slice(&rest[kv..]);
        }
        let tokens = turns.len() / per_turn;
        let start = keys.len() / kv - tokens;
        let group = shape.heads / shape.kv_heads;
        let scale = 1.0 / (head as f32).sqrt();
        let mut seen = vec![0.0; tokens * q];
        seen.par_chunks_mut(head).enumerate().for_each(|(i, seen)| {
            let (token, h) = (i / shape.heads, i % shape.heads);
            let query = &qkv[token * (q + 2 * kv) + h * head..][..head];
            let offset = h / group * head;
            let visible = start + token + 1;
            let mut weights: Vec<f32> = (0..visible)
                .map(|at| scale * dot(query, &keys[at * kv + offset..][..head]))
                .collect();
            softmax(&mut weights);
            for (at, weight) in weights.iter().enumerate() {
                for (s, v) in seen.iter_mut().zip(&values[at * kv + offset..][..head]) {
                    *s += weight * v;
                }
            }
        });
        Ok(seen)
    }

    /// SiLU(gate) · up, row by row.
    fn gate(&self, gate_up: &[f32]) -> Vec<f32> {
        gate_up
            .chunks_exact(2 * self.shape.inner)
            .flat_map(|row| {
                let (gate, up) = row.split_at(self.shape.inner);
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u)
            })
            .collect()
    }
}

impl Cache {
    /// Takes back what a stopped evaluation put in: `done` layers have rows beyond `start`.
    fn abandon(&mut self, start: usize, done: usize, row: usize) {
        for rows in self.keys[..done].iter_mut().chain(&mut self.values[..done]) {
            rows.truncate(start * row);
        }
        self.tokens.truncate(start);
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// Eight sums at once: the order of float additions is fixed in Rust, and this one the compiler can
/// turn into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a8.zip(b8) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn norm_row(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let mean = dot(row, row) / row.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for (x, w) in row.iter_mut().zip(weight) {
        *x *= scale * w;
    }
}

fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    for x in x.iter_mut() {
        *x /= sum;
    }
}

fn rotate(head: &mut [f32], turn: &[(f32, f32)], pairs: Pairs) {
    let half = head.len() / 2;
    for (i, (cos, sin)) in turn.iter().enumerate() {
        let (a, b) = match pairs {
            Pairs::Neighbours => (2 * i, 2 * i + 1),
            Pairs::Halves => (i, i + half),
        };
        let (x, y) = (head[a], head[b]);
        head[a] = x * cos - y * sin;
        head[b] = x * sin + y * cos;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use candle_core::{
        Device, Tensor,
        quantized::{GgmlDType, QTensor, gguf_file},
    };

    use super::*;

    const NO: &(dyn Fn() -> bool + Sync) = &|| false;

    /// Numbers in -scale..scale that look random.
    fn noise(n: usize, seed: usize, scale: f32) -> Vec<f32> {
        (0..n)
            .map(|i| {
                let x = (i as u32 ^ (seed as u32) << 20).wrapping_mul(2_654_435_761);
                let x = x.rotate_left(13).wrapping_mul(2_246_822_519);
                ((x >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
            })
            .collect()
    }

    /// A model of two layers with made-up weights, through a file.
    fn tiny(architecture: &str) -> Model {
        use gguf_file::Value;
        let (d, q, kv, head, f) = (64, 128, 64, 32, 96);
        let key = |name: &str| format!("{architecture}.{name}");
        let words = (0..50).map(|i| Value::String(format!("w{i}"))).collect();
        let metadata = [
            (
                "general.architecture".to_owned(),
                Value::String(architecture.to_owned()),
            ),
            (key("embedding_length"), Value::U32(64)),
            (key("block_count"), Value::U32(2)),
            (key("attention.head_count"), Value::U32(4)),
            (key("attention.head_count_kv"), Value::U32(2)),
            (key("attention.key_length"), Value::U32(32)),
            (key("feed_forward_length"), Value::U32(96)),
            (key("context_length"), Value::U32(128)),
            ("tokenizer.ggml.tokens".to_owned(), Value::Array(words)),
        ];
        let mut shapes: Vec<(String, Vec<usize>)> = vec![
            ("token_embd.weight".to_owned(), vec![50, d]),
            ("output_norm.weight".to_owned(), vec![d]),
        ];
        for layer in 0..2 {
            let mut part = |name: &str, shape: &[usize]| {
                shapes.push((format!("blk.{layer}.{name}"), shape.to_vec()));
            };
            part("attn_norm.weight", &[d]);
            part("ffn_norm.weight", &[d]);
            part("attn_q.weight", &[q, d]);
            part("attn_k.weight", &[kv, d]);
            part("attn_v.weight", &[kv, d]);
            part("attn_output.weight", &[d, q]);
            part("ffn_gate.weight", &[f, d]);
            part("ffn_up.weight", &[f, d]);
            part("ffn_down.weight", &[d, f]);
            if architecture == "qwen2" {
                part("attn_q.bias", &[q]);
                part("attn_k.bias", &[kv]);
                part("attn_v.bias", &[kv]);
            }
            if architecture == "qwen3" {
                part("attn_q_norm.weight", &[head]);
                part("attn_k_norm.weight", &[head]);
            }
        }
        let tensors: Vec<(String, QTensor)> = shapes
            .into_iter()
            .enumerate()
            .map(|(seed, (name, shape))| {
                let values = noise(shape.iter().product(), seed, 0.4);
                let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor");
                let tensor = QTensor::quantize(&tensor, GgmlDType::F32).expect("as it is");
                (name, tensor)
            })
            .collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tiny.gguf");
        let metadata: Vec<_> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let tensors: Vec<_> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
        let mut file = File::create(&path).expect("a file");
        gguf_file::write(&mut file, &metadata, &tensors).expect("writes");
        let mut file = Gguf::open(&path).expect("opens");
        let shape = Shape::read(&file).expect("a shape");
        Model::load(&mut file, shape).expect("loads")
    }

    fn evaluate(model: &Model, cache: &mut Cache, tokens: &[u32]) -> Vec<f32> {
        model
            .scores(tokens, cache, NO)
            .expect("multiplies")
            .expect("not stopped")
    }

    /// Equal but for the rounding of numbers to eight bits, which is done for few rows only.
    fn assert_close(got: &[f32], want: &[f32], what: &str) {
        let size = want.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        assert!(size > 0.1, "{what}: {want:?}");
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 0.06 * size, "{what}: {g} for {w} of {size}");
        }
    }

    #[test]
    fn the_cutting_of_a_prompt_does_not_matter() {
        let tokens: Vec<u32> = (0..40).map(|i| i * 7 % 50).collect();
        for architecture in ["llama", "qwen2", "qwen3"] {
            let model = tiny(architecture);
            let whole = evaluate(&model, &mut Cache::default(), &tokens);
            for size in [1, 3, 13, 39] {
                let mut cache = Cache::default();
                let mut scores = Vec::new();
                for piece in tokens.chunks(size) {
                    scores = evaluate(&model, &mut cache, piece);
                }
                assert_eq!(cache.tokens, tokens);
                assert_close(&scores, &whole, &format!("{architecture} in {size}s"));
            }
            let mut other = tokens.clone();
            other.swap(3, 4);
            let other = evaluate(&model, &mut Cache::default(), &other);
            let far = whole.iter().zip(&other).any(|(a, b)| (a - b).abs() > 1e-3);
            assert!(far, "{architecture}: the order of the words matters");
        }
    }

    #[test]
    fn a_beginning_that_is_known_gives_the_same_scores() {
        let model = tiny("llama");
        let mut cache = Cache::default();
        evaluate(&model, &mut cache, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let next = [1, 2, 3, 9, 10];
        assert_eq!(cache.keep_common(&next), 3);
        let known = evaluate(&model, &mut cache, &next[3..]);
        let whole = evaluate(&model, &mut Cache::default(), &next);
        assert_close(&known, &whole, "after a cut");
        // All of it known: the last token is evaluated again, for its scores.
        assert_eq!(cache.keep_common(&next), 4);
        assert_eq!(cache.keep_common(&[]), 0);
        assert!(cache.tokens.is_empty() && cache.keys.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_stopped_prompt_leaves_the_cache_as_it_was() {
        let model = tiny("llama");
        let mut cache = Cache::default();
        evaluate(&model, &mut cache, &[1, 2, 3]);
        let before = (
            cache.tokens.clone(),
            cache.keys.clone(),
            cache.values.clone(),
        );
        for layer in 0..2 {
            let asked = std::sync::atomic::AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == layer;
            let result = model
                .scores(&[4, 5, 6], &mut cache, &stop)
                .expect("multiplies");
            assert_eq!(result, Err(Stopped));
            assert_eq!(
                (&cache.tokens, &cache.keys, &cache.values),
                (&before.0, &before.1, &before.2)
            );
        }
    }
}
