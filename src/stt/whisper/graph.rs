//! Whisper as two ONNX graphs, made from a CTranslate2 directory's weights. Every size is derived
//! from the weights' shapes, so tiny to large-v3, turbo and distilled models pass the same code.
//!
//! | graph | inputs | outputs |
//! |---|---|---|
//! | encoder | `mel` f32 `[1, mels, 2t]` | `ck0, cv0, ck1, …` f32 `[1, heads, t, 64]`: cross keys and values of each decoder layer |
//! | decoder | `tokens`, `positions` i64 `[1, n]`; `rows` i64 `[r]`; `pk0, pv0, …` f32 `[1, heads, s, 64]`; `ck0, cv0, …` | `logits` f32 `[1, r, vocabulary]` of the tokens `rows`; `nk0, nv0, …` f32 `[1, heads, s+n, 64]` |
//!
//! The decoder takes any number of tokens at once, so the prompt goes in one run. Attention is ONNX
//! Runtime's `MultiHeadAttention`, which keeps the past, and needs no reshaping around it. The
//! embedding is kept as f16 for the look-up (ONNX Runtime maps it and reads only the rows it needs)
//! and once more as the last layer's weights.
//!
//! Source: OpenAI whisper `model.py`; names of CTranslate2's `WhisperSpec`.

use std::io::{self, Read, Seek, Write};

use super::{
    ct2::{Damaged, Weights},
    onnx::{Builder, Element, Side, Value},
    quantize,
};

/// How the weights of the matrix products are stored and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 8-bit weights per channel, activations quantised as they come: fastest on CPUs.
    Int8,
    /// 32-bit floats: for devices without integer kernels, and as the reference.
    F32,
}

impl Precision {
    /// Its name in the cache's folder and for people.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Int8 => "int8",
            Precision::F32 => "f32",
        }
    }
}

/// The sizes of a Whisper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Mel bands: 80, or 128 from large-v3 on.
    pub mels: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads of the encoder.
    pub encoder_heads: usize,
    /// Attention heads of the decoder.
    pub decoder_heads: usize,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Encoder positions of a whole window (1500 for 30 s).
    pub audio_context: usize,
    /// Decoder positions (448).
    pub text_context: usize,
    /// Tokens.
    pub vocabulary: usize,
}

/// Why a graph could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GraphError {
    /// The weights do not make a Whisper.
    #[error(transparent)]
    Weights(#[from] Damaged),
    /// The model could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Sizes {
    /// Derives the sizes from the weights' shapes.
    ///
    /// # Errors
    ///
    /// When the weights are not those of a Whisper.
    pub fn of<R: Read + Seek>(weights: &mut Weights<R>) -> Result<Self, Damaged> {
        let bad = |what: String| Err(Damaged::Content(what));
        if weights.specification() != "WhisperSpec" {
            return bad(format!(
                "it is a {} model, not a Whisper",
                weights.specification()
            ));
        }
        let side = |weights: &Weights<R>, name: &str, rank: usize| -> Result<Vec<usize>, Damaged> {
            let dims = weights.dims(name)?;
            if dims.len() == rank && dims.iter().all(|&d| d > 0) {
                Ok(dims.to_vec())
            } else {
                Err(Damaged::Content(format!("{name} has the shape {dims:?}")))
            }
        };
        let conv = side(weights, "encoder/conv1/weight", 3)?;
        let [width, mels, 3] = conv[..] else {
            return bad(format!("encoder/conv1/weight has the shape {conv:?}"));
        };
        let audio = side(weights, "encoder/position_encodings/encodings", 2)?;
        let text = side(weights, "decoder/position_encodings/encodings", 2)?;
        let embedding = side(weights, "decoder/embeddings/weight", 2)?;
        let layers = |weights: &Weights<R>, side: &str| {
            (0..)
                .take_while(|l| {
                    weights.has(&format!("{side}/layer_{l}/self_attention/layer_norm/gamma"))
                })
                .count()
        };
        let heads = |weights: &mut Weights<R>, side: &str| -> Result<usize, Damaged> {
            let name = format!("{side}/num_heads");
            // Every Whisper has heads of 64; the oldest converters did not say so.
            let heads = if weights.has(&name) {
                weights.integer(&name)?
            } else {
                width as i64 / 64
            };
            if heads < 1 || width as i64 % heads != 0 {
                return Err(Damaged::Content(format!(
                    "{heads} heads do not divide a width of {width}"
                )));
            }
            Ok(heads as usize)
        };
        let sizes = Self {
            mels,
            width,
            encoder_heads: heads(weights, "encoder")?,
            decoder_heads: heads(weights, "decoder")?,
            encoder_layers: layers(weights, "encoder"),
            decoder_layers: layers(weights, "decoder"),
            audio_context: audio[0],
            text_context: text[0],
            vocabulary: embedding[0],
        };
        for dims in [&audio, &text, &embedding] {
            if dims[1] != width {
                return bad(format!("widths differ: {width} and {}", dims[1]));
            }
        }
        if sizes.encoder_layers == 0 || sizes.decoder_layers == 0 {
            return bad("its encoder or decoder has no layers".to_owned());
        }
        Ok(sizes)
    }
}

/// Writes one of the graphs.
pub(crate) struct Writer<'a, R, W> {
    weights: &'a mut Weights<R>,
    sizes: Sizes,
    precision: Precision,
    out: Builder<W>,
}

/// A value that several products use: as it is, and quantised once.
struct Activation {
    value: String,
    quantised: Option<[String; 3]>,
}

/// Rows that are converted at a time: some MB for the widest model.
const ROWS: usize = 512;

impl<'a, R: Read + Seek, W: Write> Writer<'a, R, W> {
    pub(crate) fn new(
        weights: &'a mut Weights<R>,
        sizes: Sizes,
        precision: Precision,
        out: Builder<W>,
    ) -> Self {
        Self {
            weights,
            sizes,
            precision,
            out,
        }
    }

    /// Writes the encoder; returns its protobuf and the sink of its tensors.
    pub(crate) fn encoder(mut self) -> Result<(Vec<u8>, W), GraphError> {
        let Sizes { mels, width, .. } = self.sizes;
        let mel = [Side::Fixed(1), Side::Fixed(mels), Side::Named("frames")];
        let mut x = self.out.input("mel", Element::F32, &mel);
        for (conv, stride) in [("encoder/conv1", 1), ("encoder/conv2", 2)] {
            let inputs = if stride == 1 { mels } else { width };
            let weight = self.tensor(&format!("{conv}/weight"), &[width, inputs, 3])?;
            let bias = self.tensor(&format!("{conv}/bias"), &[width])?;
            let y = self.out.node(
                "Conv",
                &[&x, &weight, &bias],
                &[
                    ("kernel_shape", Value::Ints(&[3])),
                    ("pads", Value::Ints(&[1, 1])),
                    ("strides", Value::Ints(&[stride])),
                ],
            );
            x = self.out.node("Gelu", &[&y], &[]);
        }
        let x = self
            .out
            .node("Transpose", &[&x], &[("perm", Value::Ints(&[0, 2, 1]))]);
        let length = self.out.node(
            "Shape",
            &[&x],
            &[("start", Value::Int(1)), ("end", Value::Int(2))],
        );
        let positions = "encoder/position_encodings/encodings";
        let positions = self.tensor(positions, &[self.sizes.audio_context, width])?;
        let zero = self.out.integers(&[0])?;
        let positions = self
            .out
            .node("Slice", &[&positions, &zero, &length, &zero], &[]);
        let mut x = self.out.node("Add", &[&x, &positions], &[]);
        for layer in 0..self.sizes.encoder_layers {
            let name = format!("encoder/layer_{layer}");
            let attention = format!("{name}/self_attention");
            let y = self.norm(&x, &format!("{attention}/layer_norm"))?;
            let [q, k, v] = self.projections(&y, &format!("{attention}/linear_0"))?;
            let heads = Value::Int(self.sizes.encoder_heads as i64);
            let y = self
                .out
                .node("MultiHeadAttention", &[&q, &k, &v], &[("num_heads", heads)]);
            let y = self.linear(&y.into(), &format!("{attention}/linear_1"), 0..width)?;
            x = self.out.node("Add", &[&x, &y], &[]);
            x = self.feed_forward(&x, &format!("{name}/ffn"))?;
        }
        let x = self.norm(&x, "encoder/layer_norm")?;
        let heads = self.sizes.decoder_heads;
        let split = [0, 0, heads as i64, (width / heads) as i64];
        let split = self.out.integers(&split)?;
        for layer in 0..self.sizes.decoder_layers {
            let linear = format!("decoder/layer_{layer}/attention/linear_1");
            for (half, kind) in ["ck", "cv"].into_iter().enumerate() {
                let rows = half * width..(half + 1) * width;
                let y = self.linear(&x, &linear, rows)?;
                let y = self.out.node("Reshape", &[&y, &split], &[]);
                let name = format!("{kind}{layer}");
                let perm = [("perm", Value::Ints(&[0, 2, 1, 3]))];
                self.out.node_into("Transpose", &[&y], &[&name], &perm);
                let shape = self.heads("positions");
                self.out.output(&name, Element::F32, &shape);
            }
        }
        Ok(self.out.finish())
    }

    /// Writes the decoder; returns its protobuf and the sink of its tensors.
    pub(crate) fn decoder(mut self) -> Result<(Vec<u8>, W), GraphError> {
        let Sizes {
            width, vocabulary, ..
        } = self.sizes;
        let n = [Side::Fixed(1), Side::Named("new")];
        let tokens = self.out.input("tokens", Element::I64, &n);
        let positions = self.out.input("positions", Element::I64, &n);
        let rows = self.out.input("rows", Element::I64, &[Side::Named("rows")]);
        let embedding = self.embedding()?;
        let table = "decoder/position_encodings/encodings";
        let table = self.tensor(table, &[self.sizes.text_context, width])?;
        let x = self.out.node("Gather", &[&embedding, &tokens], &[]);
        let to = Value::Int(Element::F32 as i64);
        let x = self.out.node("Cast", &[&x], &[("to", to)]);
        let positions = self.out.node("Gather", &[&table, &positions], &[]);
        let mut x = self.out.node("Add", &[&x, &positions], &[]);
        let heads = ("num_heads", Value::Int(self.sizes.decoder_heads as i64));
        for layer in 0..self.sizes.decoder_layers {
            let name = format!("decoder/layer_{layer}");
            let attention = format!("{name}/self_attention");
            let y = self.norm(&x, &format!("{attention}/layer_norm"))?;
            let [q, k, v] = self.projections(&y, &format!("{attention}/linear_0"))?;
            let [past, present, cross] =
                ["p", "n", "c"].map(|when| ["k", "v"].map(|kind| format!("{when}{kind}{layer}")));
            for (names, length) in [(&past, "past"), (&cross, "positions")] {
                for name in names {
                    let shape = self.heads(length);
                    self.out.input(name, Element::F32, &shape);
                }
            }
            for name in &present {
                let shape = self.heads("present");
                self.out.output(name, Element::F32, &shape);
            }
            let y = self.out.fresh("v");
            self.out.node_into(
                "MultiHeadAttention",
                &[&q, &k, &v, "", "", "", &past[0], &past[1]],
                &[&y, &present[0], &present[1]],
                &[heads, ("unidirectional", Value::Int(1))],
            );
            let y = self.linear(&y.into(), &format!("{attention}/linear_1"), 0..width)?;
            x = self.out.node("Add", &[&x, &y], &[]);

            let attention = format!("{name}/attention");
            let y = self.norm(&x, &format!("{attention}/layer_norm"))?;
            let q = self.linear(&y, &format!("{attention}/linear_0"), 0..width)?;
            let inputs = [q.as_str(), &cross[0], &cross[1]];
            let y = self.out.node("MultiHeadAttention", &inputs, &[heads]);
            let y = self.linear(&y.into(), &format!("{attention}/linear_2"), 0..width)?;
            x = self.out.node("Add", &[&x, &y], &[]);
            x = self.feed_forward(&x, &format!("{name}/ffn"))?;
        }
        let x = self
            .out
            .node("Gather", &[&x, &rows], &[("axis", Value::Int(1))]);
        let x = self.norm(&x, "decoder/layer_norm")?;
        let last = if self.weights.has("decoder/projection/weight") {
            "decoder/projection"
        } else {
            "decoder/embeddings"
        };
        let logits = self.linear(&x, last, 0..vocabulary)?;
        self.out.node_into("Identity", &[&logits], &["logits"], &[]);
        let shape = [Side::Fixed(1), Side::Named("rows"), Side::Fixed(vocabulary)];
        self.out.output("logits", Element::F32, &shape);
        Ok(self.out.finish())
    }

    /// The shape of keys and values: `[1, heads, length, width of a head]`.
    fn heads(&self, length: &'static str) -> [Side; 4] {
        let heads = self.sizes.decoder_heads;
        [
            Side::Fixed(1),
            Side::Fixed(heads),
            Side::Named(length),
            Side::Fixed(self.sizes.width / heads),
        ]
    }

    /// A small tensor as f32, of exactly this shape.
    fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<String, GraphError> {
        self.check(name, dims)?;
        let values = self.weights.all(name)?;
        Ok(self.out.floats(dims, &values)?)
    }

    fn check(&self, name: &str, dims: &[usize]) -> Result<(), Damaged> {
        let found = self.weights.dims(name)?;
        if found == dims {
            return Ok(());
        }
        Err(Damaged::Content(format!(
            "its tensor {name} has the shape {found:?} where {dims:?} belongs"
        )))
    }

    /// The token table as f16: half the size, and its rounding is below that of every Whisper's own
    /// published weights (f16).
    fn embedding(&mut self) -> Result<String, GraphError> {
        let Sizes {
            width, vocabulary, ..
        } = self.sizes;
        let name = "decoder/embeddings/weight";
        self.check(name, &[vocabulary, width])?;
        let mut bytes = Vec::with_capacity(vocabulary * width * 2);
        for start in (0..vocabulary).step_by(ROWS) {
            let rows = self
                .weights
                .rows(name, start..vocabulary.min(start + ROWS))?;
            bytes.extend(
                rows.iter()
                    .flat_map(|&v| half::f16::from_f32(v).to_le_bytes()),
            );
        }
        Ok(self
            .out
            .tensor(Element::F16, &[vocabulary, width], &bytes)?)
    }

    fn norm(&mut self, x: &str, name: &str) -> Result<Activation, GraphError> {
        let width = [self.sizes.width];
        let gamma = self.tensor(&format!("{name}/gamma"), &width)?;
        let beta = self.tensor(&format!("{name}/beta"), &width)?;
        let attributes = [("axis", Value::Int(-1)), ("epsilon", Value::Float(1e-5))];
        let y = self
            .out
            .node("LayerNormalization", &[x, &gamma, &beta], &attributes);
        Ok(self.shared(y))
    }

    /// Prepares `value` for several products.
    fn shared(&mut self, value: String) -> Activation {
        let quantised = (self.precision == Precision::Int8).then(|| {
            let names = [(); 3].map(|()| self.out.fresh("q"));
            let outputs = names.each_ref().map(String::as_str);
            self.out
                .node_into("DynamicQuantizeLinear", &[&value], &outputs, &[]);
            names
        });
        Activation { value, quantised }
    }

    /// Query, key and value from CTranslate2's fused projection.
    fn projections(&mut self, x: &Activation, name: &str) -> Result<[String; 3], GraphError> {
        let width = self.sizes.width;
        let mut part = |i: usize| self.linear(x, name, i * width..(i + 1) * width);
        Ok([part(0)?, part(1)?, part(2)?])
    }

    fn feed_forward(&mut self, x: &str, name: &str) -> Result<String, GraphError> {
        let width = self.sizes.width;
        let inner = self.weights.dims(&format!("{name}/linear_0/weight"))?;
        let inner = inner.first().copied().unwrap_or(0);
        let y = self.norm(x, &format!("{name}/layer_norm"))?;
        let y = self.linear(&y, &format!("{name}/linear_0"), 0..inner)?;
        let y = self.out.node("Gelu", &[&y], &[]);
        let y = self.product(&y.into(), &format!("{name}/linear_1"), 0..width, inner)?;
        Ok(self.out.node("Add", &[x, &y], &[]))
    }

    /// `x W^T + b` with rows `rows` of the weight `name`.
    fn linear(
        &mut self,
        x: &Activation,
        name: &str,
        rows: std::ops::Range<usize>,
    ) -> Result<String, GraphError> {
        self.product(x, name, rows, self.sizes.width)
    }

    /// The same for a weight of `expected` inputs.
    fn product(
        &mut self,
        x: &Activation,
        name: &str,
        rows: std::ops::Range<usize>,
        expected: usize,
    ) -> Result<String, GraphError> {
        let weight = format!("{name}/weight");
        let inputs = match self.weights.dims(&weight)? {
            // Checked before anything is allocated: the output's size is that of these rows.
            [height, inputs] if *height >= rows.end && *inputs == expected => *inputs,
            dims => {
                return Err(Damaged::Content(format!(
                    "its tensor {weight} has the shape {dims:?} where [{}, {expected}] belongs",
                    rows.end
                ))
                .into());
            }
        };
        let outputs = rows.len();
        let bias = format!("{name}/bias");
        let bias = if self.weights.has(&bias) {
            let values = self.weights.rows(&bias, rows.clone())?;
            Some(self.out.floats(&[outputs], &values)?)
        } else {
            None
        };
        match self.precision {
            Precision::Int8 => {
                let (matrix, scales) = self.transposed_int8(&weight, rows, inputs)?;
                let matrix = self.out.tensor(Element::I8, &[inputs, outputs], &matrix)?;
                let scales = self.out.floats(&[outputs], &scales)?;
                let quantised = match &x.quantised {
                    Some(names) => names.clone(),
                    None => {
                        let shared = self.shared(x.value.clone());
                        shared.quantised.expect("int8 quantises every activation")
                    }
                };
                let [numbers, scale, zero] = quantised;
                let mut inputs = vec![numbers.as_str(), &matrix, &scale, &scales, &zero];
                if let Some(bias) = &bias {
                    inputs.extend(["", bias]);
                }
                Ok(self.out.node("MatMulIntegerToFloat", &inputs, &[]))
            }
            Precision::F32 => {
                let matrix = self.transposed_f32(&weight, rows, inputs)?;
                let matrix = self.out.tensor(Element::F32, &[inputs, outputs], &matrix)?;
                let y = self.out.node("MatMul", &[&x.value, &matrix], &[]);
                Ok(match bias {
                    Some(bias) => self.out.node("Add", &[&y, &bias], &[]),
                    None => y,
                })
            }
        }
    }

    /// Rows of a weight as int8 bytes in `[inputs, outputs]` order, and their scales.
    fn transposed_int8(
        &mut self,
        name: &str,
        rows: std::ops::Range<usize>,
        inputs: usize,
    ) -> Result<(Vec<u8>, Vec<f32>), GraphError> {
        let outputs = rows.len();
        let mut matrix = vec![0; inputs * outputs];
        let mut scales = Vec::with_capacity(outputs);
        for start in rows.clone().step_by(ROWS) {
            let block = self.weights.rows(name, start..rows.end.min(start + ROWS))?;
            let (numbers, block_scales) = quantize::rows(&block, inputs);
            for (row, numbers) in numbers.chunks_exact(inputs).enumerate() {
                let column = start - rows.start + row;
                for (i, &number) in numbers.iter().enumerate() {
                    matrix[i * outputs + column] = number as u8;
                }
            }
            scales.extend(block_scales);
        }
        Ok((matrix, scales))
    }

    /// Rows of a weight as f32 bytes in `[inputs, outputs]` order.
    fn transposed_f32(
        &mut self,
        name: &str,
        rows: std::ops::Range<usize>,
        inputs: usize,
    ) -> Result<Vec<u8>, GraphError> {
        let outputs = rows.len();
        let mut matrix = vec![0; inputs * outputs * 4];
        for start in rows.clone().step_by(ROWS) {
            let block = self.weights.rows(name, start..rows.end.min(start + ROWS))?;
            for (row, values) in block.chunks_exact(inputs).enumerate() {
                let column = start - rows.start + row;
                for (i, value) in values.iter().enumerate() {
                    let at = (i * outputs + column) * 4;
                    matrix[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
            }
        }
        Ok(matrix)
    }
}

impl From<String> for Activation {
    /// For a single product: quantised there, if at all.
    fn from(value: String) -> Self {
        Self {
            value,
            quantised: None,
        }
    }
}
