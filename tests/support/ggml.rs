//! Writes a CTranslate2 Whisper as a ggml file, so that whisper.cpp is tested with real weights: ggml
//! files themselves cannot be had from a package registry. Layout: `src/stt/whisper_cpp/file.rs`.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Mutex,
};

use caal::stt::whisper::{Sizes, ct2::Weights};
use half::f16;

/// How the large tensors are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Format {
    F16,
    /// Blocks of 32 whole numbers with one scale.
    Q8,
}

/// The ggml file of the model `name` of [`super::models`]. Written once and kept in the target folder.
pub(crate) fn model(name: &str, format: Format) -> PathBuf {
    // Raised when the writer changes.
    const VERSION: u32 = 1;
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let short = name.trim_start_matches("whisper-");
    let file = format!("ggml-{short}-{format:?}-v{VERSION}.bin").to_lowercase();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    if !path.exists() {
        let part = path.with_extension(format!("part-{}", std::process::id()));
        let out = BufWriter::with_capacity(1 << 20, File::create(&part).unwrap());
        write(&super::models().join(name), format, out).unwrap();
        fs::rename(part, &path).unwrap();
    }
    path
}

/// Writes the model in `dir`.
pub(crate) fn write(dir: &Path, format: Format, out: impl Write) -> io::Result<()> {
    let file = BufReader::new(File::open(dir.join("model.bin"))?);
    let mut weights = Weights::open(file).unwrap();
    let sizes = Sizes::of(&mut weights).unwrap();
    let mut writer = Writer {
        out,
        weights,
        format,
    };
    writer.header(&sizes)?;
    writer.vocabulary(dir, sizes.vocabulary)?;
    writer.encoder(&sizes)?;
    writer.decoder(&sizes)?;
    writer.out.flush()
}

struct Writer<W> {
    out: W,
    weights: Weights<BufReader<File>>,
    format: Format,
}

impl<W: Write> Writer<W> {
    fn number(&mut self, n: usize) -> io::Result<()> {
        self.out.write_all(&(n as i32).to_le_bytes())
    }

    fn header(&mut self, sizes: &Sizes) -> io::Result<()> {
        self.number(0x6767_6d6c)?;
        for n in [
            sizes.vocabulary,
            sizes.audio_context,
            sizes.width,
            sizes.encoder_heads,
            sizes.encoder_layers,
            sizes.text_context,
            sizes.width,
            sizes.decoder_heads,
            sizes.decoder_layers,
            sizes.mels,
            match self.format {
                Format::F16 => 1,
                // Version 2 of the quantisation.
                Format::Q8 => 2_007,
            },
        ] {
            self.number(n)?;
        }
        let filters = mel_filters(sizes.mels);
        self.number(sizes.mels)?;
        self.number(filters.len() / sizes.mels)?;
        for weight in filters {
            self.out.write_all(&weight.to_le_bytes())?;
        }
        Ok(())
    }

    /// Only ordinary tokens are written, as bytes.
    fn vocabulary(&mut self, dir: &Path, size: usize) -> io::Result<()> {
        let text = fs::read_to_string(dir.join("vocabulary.txt"))?;
        let end = if size == 51_864 { 50_256 } else { 50_257 };
        let alphabet = alphabet();
        self.number(end)?;
        for token in text.split('\n').take(end) {
            let bytes: Vec<u8> = token
                .chars()
                .map(|c| alphabet.iter().position(|&a| a == c).unwrap() as u8)
                .collect();
            self.number(bytes.len())?;
            self.out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// The head of a tensor; `sides` with the slowest first.
    fn tensor(&mut self, name: &str, sides: &[usize], kind: usize) -> io::Result<()> {
        self.number(sides.len())?;
        self.number(name.len())?;
        self.number(kind)?;
        for side in sides.iter().rev() {
            self.number(*side)?;
        }
        self.out.write_all(name.as_bytes())
    }

    fn f32(&mut self, name: &str, sides: &[usize], values: &[f32]) -> io::Result<()> {
        self.tensor(name, sides, 0)?;
        for value in values {
            self.out.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    }

    fn f16(&mut self, name: &str, sides: &[usize], values: &[f32]) -> io::Result<()> {
        self.tensor(name, sides, 1)?;
        for value in values {
            self.out.write_all(&f16::from_f32(*value).to_le_bytes())?;
        }
        Ok(())
    }

    fn large(&mut self, name: &str, sides: &[usize], values: &[f32]) -> io::Result<()> {
        if self.format == Format::F16 {
            return self.f16(name, sides, values);
        }
        self.tensor(name, sides, 8)?;
        for block in values.chunks_exact(32) {
            let most = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let scale = most / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            let mut bytes = [0; 34];
            bytes[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
            for (byte, value) in bytes[2..].iter_mut().zip(block) {
                *byte = (value * inverse).round() as i8 as u8;
            }
            self.out.write_all(&bytes)?;
        }
        Ok(())
    }

    fn all(&mut self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let sides = self.weights.dims(name).unwrap().to_vec();
        (sides, self.weights.all(name).unwrap())
    }

    fn norm(&mut self, from: &str, to: &str) -> io::Result<()> {
        for (from_part, to_part) in [("gamma", "weight"), ("beta", "bias")] {
            let (sides, values) = self.all(&format!("{from}/{from_part}"));
            self.f32(&format!("{to}.{to_part}"), &sides, &values)?;
        }
        Ok(())
    }

    /// Rows of a linear layer; CTranslate2 keeps several that read the same input in one.
    fn linear(&mut self, from: &str, rows: Range<usize>, to: &str) -> io::Result<()> {
        let weight = format!("{from}/weight");
        let width = self.weights.dims(&weight).unwrap()[1];
        let values = self.weights.rows(&weight, rows.clone()).unwrap();
        self.large(&format!("{to}.weight"), &[rows.len(), width], &values)?;
        // Keys have no bias.
        if !to.ends_with(".key") {
            let values = self.weights.rows(&format!("{from}/bias"), rows.clone());
            self.f32(&format!("{to}.bias"), &[rows.len()], &values.unwrap())?;
        }
        Ok(())
    }

    fn self_attention(&mut self, from: &str, to: &str, width: usize) -> io::Result<()> {
        self.norm(
            &format!("{from}/self_attention/layer_norm"),
            &format!("{to}.attn_ln"),
        )?;
        for (at, part) in ["query", "key", "value"].iter().enumerate() {
            self.linear(
                &format!("{from}/self_attention/linear_0"),
                at * width..(at + 1) * width,
                &format!("{to}.attn.{part}"),
            )?;
        }
        self.linear(
            &format!("{from}/self_attention/linear_1"),
            0..width,
            &format!("{to}.attn.out"),
        )
    }

    fn feed_forward(&mut self, from: &str, to: &str, width: usize) -> io::Result<()> {
        self.norm(&format!("{from}/ffn/layer_norm"), &format!("{to}.mlp_ln"))?;
        let inner = 0..4 * width;
        self.linear(
            &format!("{from}/ffn/linear_0"),
            inner,
            &format!("{to}.mlp.0"),
        )?;
        self.linear(
            &format!("{from}/ffn/linear_1"),
            0..width,
            &format!("{to}.mlp.2"),
        )
    }

    fn positions(&mut self, side: &str) -> io::Result<()> {
        let (sides, values) = self.all(&format!("{side}/position_encodings/encodings"));
        self.f32(&format!("{side}.positional_embedding"), &sides, &values)
    }

    fn encoder(&mut self, sizes: &Sizes) -> io::Result<()> {
        self.positions("encoder")?;
        for conv in ["conv1", "conv2"] {
            let (sides, values) = self.all(&format!("encoder/{conv}/weight"));
            self.f16(&format!("encoder.{conv}.weight"), &sides, &values)?;
            let (sides, values) = self.all(&format!("encoder/{conv}/bias"));
            self.f32(&format!("encoder.{conv}.bias"), &[sides[0], 1], &values)?;
        }
        for layer in 0..sizes.encoder_layers {
            let from = format!("encoder/layer_{layer}");
            let to = format!("encoder.blocks.{layer}");
            self.self_attention(&from, &to, sizes.width)?;
            self.feed_forward(&from, &to, sizes.width)?;
        }
        self.norm("encoder/layer_norm", "encoder.ln_post")
    }

    fn decoder(&mut self, sizes: &Sizes) -> io::Result<()> {
        self.positions("decoder")?;
        let (sides, values) = self.all("decoder/embeddings/weight");
        self.large("decoder.token_embedding.weight", &sides, &values)?;
        for layer in 0..sizes.decoder_layers {
            let width = sizes.width;
            let from = format!("decoder/layer_{layer}");
            let to = format!("decoder.blocks.{layer}");
            self.self_attention(&from, &to, width)?;
            let (attention, cross) = (format!("{from}/attention"), format!("{to}.cross_attn"));
            self.norm(
                &format!("{attention}/layer_norm"),
                &format!("{to}.cross_attn_ln"),
            )?;
            for (linear, rows, part) in [
                ("linear_0", 0..width, "query"),
                ("linear_1", 0..width, "key"),
                ("linear_1", width..2 * width, "value"),
                ("linear_2", 0..width, "out"),
            ] {
                let from = format!("{attention}/{linear}");
                self.linear(&from, rows, &format!("{cross}.{part}"))?;
            }
            self.feed_forward(&from, &to, width)?;
        }
        self.norm("decoder/layer_norm", "decoder.ln")
    }
}

/// Triangles of area 1 on the Slaney mel scale, `[bands, 201]`: what OpenAI keeps in `mel_filters.npz`.
fn mel_filters(bands: usize) -> Vec<f32> {
    let hz = |mel: f64| match mel < 15.0 {
        true => mel * 200.0 / 3.0,
        false => 1_000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp(),
    };
    let top = 15.0 + 8.0f64.ln() * 27.0 / 6.4f64.ln();
    let corner = |n: usize| hz(top * n as f64 / (bands + 1) as f64);
    let mut filters = Vec::new();
    for band in 0..bands {
        let (low, mid, high) = (corner(band), corner(band + 1), corner(band + 2));
        for bin in 0..201 {
            let f = f64::from(bin) * 40.0;
            let height = ((f - low) / (mid - low)).min((high - f) / (high - mid));
            filters.push((height.max(0.0) * 2.0 / (high - low)) as f32);
        }
    }
    filters
}

/// GPT-2's character for each byte.
fn alphabet() -> Vec<char> {
    let seen = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    (0..256)
        .map(|b| match seen(b) {
            true => b,
            false => 256 + (0..b).filter(|&b| !seen(b)).count() as u32,
        })
        .map(|c| char::from_u32(c).unwrap())
        .collect()
}
