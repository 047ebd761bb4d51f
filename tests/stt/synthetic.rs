//! Writes CTranslate2 directories with random weights: every shape that Whispers come in, small ones in no
//! time, and as large as one likes.

use std::{
    fs,
    io::{BufWriter, Seek as _, SeekFrom, Write as _},
    path::Path,
};

/// How the weights of a [`Synthetic`] are stored.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Storage {
    F32,
    F16,
    /// Matrices as int8 with a scale per row.
    Int8,
    /// The same numbers as `Int8`, written as f32.
    Int8AsF32,
}

/// The shape of a model to write.
#[derive(Clone, Copy)]
pub(super) struct Synthetic {
    pub(super) mels: u32,
    pub(super) heads: u32,
    /// Width of a head: 64 in every real one.
    pub(super) head: u32,
    pub(super) encoder_layers: usize,
    pub(super) decoder_layers: usize,
    pub(super) languages: usize,
    pub(super) storage: Storage,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            mels: 80,
            heads: 2,
            head: 16,
            encoder_layers: 2,
            decoder_layers: 2,
            languages: 99,
            storage: Storage::F32,
        }
    }
}

/// A matrix of more items than this repeats its first ones: chance takes long.
const CHANCE: usize = 1 << 18;

struct File {
    out: BufWriter<fs::File>,
    count: u32,
    seed: u32,
    storage: Storage,
}

impl File {
    fn write(&mut self, bytes: &[u8]) {
        self.out.write_all(bytes).unwrap();
    }

    fn string(&mut self, s: &str) {
        self.write(&(s.len() as u16 + 1).to_le_bytes());
        self.write(s.as_bytes());
        self.write(&[0]);
    }

    fn head(&mut self, name: &str, dims: &[u32], kind: u8, bytes: usize) {
        self.string(name);
        self.write(&[dims.len() as u8]);
        for d in dims {
            self.write(&d.to_le_bytes());
        }
        self.write(&[kind]);
        self.write(&(bytes as u32).to_le_bytes());
        self.count += 1;
    }

    fn put(&mut self, name: &str, dims: &[u32], kind: u8, data: &[u8]) {
        self.head(name, dims, kind, data.len());
        self.write(data);
    }

    fn random(&mut self) -> f32 {
        self.seed = self
            .seed
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        (self.seed >> 8) as f32 / 8_388_608.0 - 1.0
    }

    fn encode(&self, values: &[f32]) -> (u8, Vec<u8>) {
        match self.storage {
            Storage::F16 => {
                let half = |v: &f32| half::f16::from_f32(*v).to_le_bytes();
                (4, values.iter().flat_map(half).collect())
            }
            _ => (0, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        }
    }

    fn floats(&mut self, name: &str, dims: &[u32], values: &[f32]) {
        let (kind, data) = self.encode(values);
        self.put(name, dims, kind, &data);
    }

    /// Floats around 0, at most `spread` away: a few by chance, the others the same again.
    fn many(&mut self, name: &str, dims: &[u32], spread: f32) {
        let items = dims.iter().product::<u32>() as usize;
        let some: Vec<f32> = (0..items.min(CHANCE))
            .map(|_| self.random() * spread)
            .collect();
        let (kind, some) = self.encode(&some);
        let mut left = items * some.len() / items.min(CHANCE);
        self.head(name, dims, kind, left);
        while left > 0 {
            let piece = &some[..left.min(some.len())];
            self.write(piece);
            left -= piece.len();
        }
    }

    fn matrix(&mut self, name: &str, dims: &[u32]) {
        let width: u32 = dims[1..].iter().product();
        let spread = 1.5 / (width as f32).sqrt();
        if !matches!(self.storage, Storage::Int8 | Storage::Int8AsF32) {
            self.many(name, dims, spread);
            return;
        }
        let rows: Vec<Vec<f32>> = (0..dims[0])
            .map(|_| (0..width).map(|_| self.random() * spread).collect())
            .collect();
        let scales: Vec<f32> = rows
            .iter()
            .map(|row| 127.0 / row.iter().fold(0.0f32, |m, v| m.max(v.abs())))
            .collect();
        let numbers: Vec<i8> = rows
            .iter()
            .zip(&scales)
            .flat_map(|(row, scale)| row.iter().map(move |v| (v * scale).round_ties_even() as i8))
            .collect();
        if self.storage == Storage::Int8 {
            let bytes: Vec<u8> = numbers.iter().map(|&n| n as u8).collect();
            self.put(name, dims, 1, &bytes);
            let scale_bytes: Vec<u8> = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
            self.put(&format!("{name}_scale"), &dims[..1], 0, &scale_bytes);
        } else {
            let values: Vec<f32> = numbers
                .chunks(width as usize)
                .zip(&scales)
                .flat_map(|(row, scale)| row.iter().map(move |&n| f32::from(n) / scale))
                .collect();
            self.floats(name, dims, &values);
        }
    }

    fn vector(&mut self, name: &str, len: u32, around: f32) {
        let values: Vec<f32> = (0..len).map(|_| around + self.random() * 0.1).collect();
        self.floats(name, &[len], &values);
    }
}

impl Synthetic {
    /// Writes `model.bin`, `config.json` and `vocabulary.json` into `folder`.
    pub(super) fn write(self, folder: &Path) {
        let tokens = self.tokens();
        fs::write(
            folder.join("vocabulary.json"),
            serde_json::to_vec(&tokens).unwrap(),
        )
        .unwrap();
        fs::write(folder.join("config.json"), r#"{"suppress_ids":[1,2,-1]}"#).unwrap();
        let width = self.heads * self.head;
        let mut f = File {
            out: BufWriter::new(fs::File::create(folder.join("model.bin")).unwrap()),
            count: 0,
            seed: 7,
            storage: self.storage,
        };
        f.write(&6u32.to_le_bytes());
        f.string("WhisperSpec");
        f.write(&3u32.to_le_bytes());
        let count = f.out.stream_position().unwrap();
        f.write(&[0; 4]); // how many tensors, when it is known
        f.matrix("encoder/conv1/weight", &[width, self.mels, 3]);
        f.vector("encoder/conv1/bias", width, 0.0);
        f.matrix("encoder/conv2/weight", &[width, width, 3]);
        f.vector("encoder/conv2/bias", width, 0.0);
        f.many("encoder/position_encodings/encodings", &[1500, width], 0.1);
        f.many("decoder/position_encodings/encodings", &[448, width], 0.1);
        f.matrix("decoder/embeddings/weight", &[tokens.len() as u32, width]);
        for (side, layers) in [
            ("encoder", self.encoder_layers),
            ("decoder", self.decoder_layers),
        ] {
            let heads = (self.heads as i16).to_le_bytes();
            f.put(&format!("{side}/num_heads"), &[], 2, &heads);
            f.vector(&format!("{side}/layer_norm/gamma"), width, 1.0);
            f.vector(&format!("{side}/layer_norm/beta"), width, 0.0);
            for layer in 0..layers {
                let name = format!("{side}/layer_{layer}");
                let mut block = |name: &str, linears: &[(u32, u32)]| {
                    f.vector(&format!("{name}/layer_norm/gamma"), width, 1.0);
                    f.vector(&format!("{name}/layer_norm/beta"), width, 0.0);
                    for (i, &(outputs, inputs)) in linears.iter().enumerate() {
                        f.matrix(&format!("{name}/linear_{i}/weight"), &[outputs, inputs]);
                        f.vector(&format!("{name}/linear_{i}/bias"), outputs, 0.0);
                    }
                };
                block(
                    &format!("{name}/self_attention"),
                    &[(3 * width, width), (width, width)],
                );
                if side == "decoder" {
                    let linears = [(width, width), (2 * width, width), (width, width)];
                    block(&format!("{name}/attention"), &linears);
                }
                block(
                    &format!("{name}/ffn"),
                    &[(4 * width, width), (width, 4 * width)],
                );
            }
        }
        f.write(&1u32.to_le_bytes());
        f.string("decoder/projection/weight");
        f.string("decoder/embeddings/weight");
        f.out.seek(SeekFrom::Start(count)).unwrap();
        let tensors = f.count.to_le_bytes();
        f.write(&tensors);
        f.out.flush().unwrap();
    }

    fn tokens(self) -> Vec<String> {
        // The printable half of GPT-2's byte alphabet is enough to spell what random weights say.
        let mut tokens: Vec<String> = ('!'..='~').map(String::from).collect();
        let mut special = vec!["endoftext".to_owned(), "startoftranscript".to_owned()];
        special.extend((0..self.languages).map(|i| match i {
            0 => "en".to_owned(),
            i => format!("l{i}"),
        }));
        let tasks = "translate transcribe startoflm startofprev nospeech notimestamps";
        special.extend(tasks.split(' ').map(str::to_owned));
        special.extend((0..=1500).map(|n| format!("{:.2}", f64::from(n) * 0.02)));
        tokens.extend(special.into_iter().map(|s| format!("<|{s}|>")));
        tokens
    }
}
