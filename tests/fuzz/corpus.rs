//! What fuzzing begins with: small whole files of each format, built as the real ones are.

#[path = "rooms.rs"]
mod rooms;

/// The seeds of a target.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "model_bin" => [(6, 0), (6, 4), (6, 1), (4, 0), (3, 4), (2, 4)]
            .map(|(version, kind)| whisper(version, kind, |_, _| ()))
            .into(),
        "wav" => wavs(),
        "ndjson" => STREAMS.map(|s| s.as_bytes().to_vec()).into(),
        "sdp" => rooms::descriptions(),
        "room" => rooms::scripts(),
        "door" => rooms::queries(),
        "sound" => rooms::streams(),
        other => panic!("there is no target {other}"),
    }
}

/// Width, mel bands and tokens of the Whisper below: as small as its code takes.
const WIDTH: u32 = 4;
const MELS: u32 = 2;
const TOKENS: u32 = 5;

/// A `model.bin` with every tensor that CTranslate2's converter writes for a Whisper, one layer on each
/// side. `kind` is the data type of its matrices (below version 4: their item size); `spoil` may change
/// the shape of any tensor by its name.
pub(crate) fn whisper(
    version: u32,
    kind: u8,
    mut spoil: impl FnMut(&str, &mut Vec<u32>),
) -> Vec<u8> {
    let mut tensors = Tensors::default();
    for (name, mut dims) in shapes() {
        spoil(&name, &mut dims);
        let matrix = dims.len() == 2 && name.ends_with("/weight");
        match (version, matrix) {
            (..4, true) => tensors.add(&name, &dims, kind, u32::from(kind), false),
            (..4, false) => tensors.add(&name, &dims, 4, 4, false),
            (_, true) => tensors.add(
                &name,
                &dims,
                kind,
                [4, 1, 2, 4, 2, 2][usize::from(kind)],
                true,
            ),
            (_, false) => tensors.add(&name, &dims, 0, 4, true),
        }
        if version >= 4 && matrix && kind == 1 {
            tensors.add(&format!("{name}_scale"), &dims[..1], 0, 4, true);
        }
    }
    let mut out = version.to_le_bytes().to_vec();
    string(&mut out, "WhisperSpec");
    out.extend(3u32.to_le_bytes());
    out.extend(tensors.count.to_le_bytes());
    out.extend(tensors.bytes);
    if version >= 3 {
        out.extend(1u32.to_le_bytes());
        string(&mut out, "decoder/projection/weight");
        string(&mut out, "decoder/embeddings/weight");
    }
    out
}

fn shapes() -> Vec<(String, Vec<u32>)> {
    let mut shapes = Vec::new();
    let mut put = |name: &str, dims: &[u32]| shapes.push((name.to_owned(), dims.to_vec()));
    for (conv, inputs) in [("encoder/conv1", MELS), ("encoder/conv2", WIDTH)] {
        put(&format!("{conv}/weight"), &[WIDTH, inputs, 3]);
        put(&format!("{conv}/bias"), &[WIDTH]);
    }
    put("encoder/position_encodings/encodings", &[6, WIDTH]);
    put("decoder/position_encodings/encodings", &[8, WIDTH]);
    put("decoder/embeddings/weight", &[TOKENS, WIDTH]);
    // Outputs and inputs of each block's products, in widths.
    let blocks: [(&str, &[(u32, u32)]); 5] = [
        ("encoder/layer_0/self_attention", &[(3, 1), (1, 1)]),
        ("encoder/layer_0/ffn", &[(4, 1), (1, 4)]),
        ("decoder/layer_0/self_attention", &[(3, 1), (1, 1)]),
        ("decoder/layer_0/attention", &[(1, 1), (2, 1), (1, 1)]),
        ("decoder/layer_0/ffn", &[(4, 1), (1, 4)]),
    ];
    for side in ["encoder", "decoder"]
        .into_iter()
        .chain(blocks.map(|b| b.0))
    {
        put(&format!("{side}/layer_norm/gamma"), &[WIDTH]);
        put(&format!("{side}/layer_norm/beta"), &[WIDTH]);
    }
    for (block, products) in blocks {
        for (i, (outputs, inputs)) in products.iter().enumerate() {
            let dims = [outputs * WIDTH, inputs * WIDTH];
            put(&format!("{block}/linear_{i}/weight"), &dims);
            put(&format!("{block}/linear_{i}/bias"), &dims[..1]);
        }
    }
    shapes.push(("encoder/num_heads".to_owned(), vec![1]));
    shapes.push(("decoder/num_heads".to_owned(), vec![1]));
    shapes
}

#[derive(Default)]
struct Tensors {
    bytes: Vec<u8>,
    count: u32,
}

impl Tensors {
    /// Values are small whole numbers above zero, whatever the type: 1, 2, 1, 2, …
    fn add(&mut self, name: &str, dims: &[u32], kind: u8, size: u32, in_bytes: bool) {
        let items: u32 = dims.iter().product();
        string(&mut self.bytes, name);
        self.bytes.push(dims.len() as u8);
        dims.iter().for_each(|d| self.bytes.extend(d.to_le_bytes()));
        self.bytes.push(kind);
        let length = if in_bytes { items * size } else { items };
        self.bytes.extend(length.to_le_bytes());
        for i in 0..items {
            let value = if name.ends_with("num_heads") {
                1
            } else {
                1 + i % 2
            };
            match size {
                1 => self.bytes.push(value as u8),
                2 => self
                    .bytes
                    .extend(half::f16::from_f32(value as f32).to_le_bytes()),
                _ => self.bytes.extend((value as f32).to_le_bytes()),
            }
        }
        self.count += 1;
    }
}

fn string(out: &mut Vec<u8>, s: &str) {
    out.extend((s.len() as u16 + 1).to_le_bytes());
    out.extend(s.as_bytes());
    out.push(0);
}

/// Every sample type, mono and stereo, with the chunks that real files have around the sound.
fn wavs() -> Vec<Vec<u8>> {
    let sound: Vec<u8> = (0..480u32).map(|i| (i * 37 % 256) as u8).collect();
    let plain = |tag: u16, channels: u16, bits: u16| {
        let block = channels * bits.div_ceil(8);
        let mut format = tag.to_le_bytes().to_vec();
        format.extend(channels.to_le_bytes());
        format.extend(16_000u32.to_le_bytes());
        format.extend((16_000 * u32::from(block)).to_le_bytes());
        format.extend(block.to_le_bytes());
        format.extend(bits.to_le_bytes());
        if matches!(tag, 6 | 7) {
            format.extend([0, 0]); // A-law and µ-law have a size of further fields: none
        }
        format
    };
    let mut all: Vec<Vec<u8>> = [
        (1, 1, 8),
        (1, 1, 16),
        (1, 2, 16),
        (1, 1, 24),
        (1, 1, 32),
        (3, 1, 32),
        (3, 2, 64),
        (6, 1, 8),
        (7, 1, 8),
    ]
    .map(|(tag, channels, bits)| riff(&[(b"fmt ", &plain(tag, channels, bits)), (b"data", &sound)]))
    .into();
    let mut extensible = plain(0xfffe, 2, 16);
    extensible.extend([
        22, 0, 16, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71,
    ]);
    let list = b"INFOISFT\x0e\0\0\0Lavf59.27.100\0";
    all.push(riff(&[
        (b"fmt ", &extensible),
        (b"LIST", list),
        (b"data", &sound),
    ]));
    // IMA ADPCM: 4 bits, blocks of 36 bytes with 65 samples.
    let mut adpcm = plain(0x11, 1, 4);
    adpcm[12..14].copy_from_slice(&36u16.to_le_bytes());
    adpcm.extend([2, 0, 65, 0]);
    // Each block begins with a sample, an index below 89 and a zero.
    let mut blocks = sound[..72].to_vec();
    for block in blocks.chunks_mut(36) {
        (block[2], block[3]) = (7, 0);
    }
    all.push(riff(&[
        (b"fmt ", &adpcm),
        (b"fact", &[130, 0, 0, 0]),
        (b"data", &blocks),
    ]));
    all
}

fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WAVE".to_vec();
    for (id, data) in chunks {
        body.extend(*id);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(*data);
        body.extend(vec![0; data.len() % 2]);
    }
    let mut file = b"RIFF".to_vec();
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file
}

/// As Ollama 0.17 sends them; the first byte is the size of the pieces in which they come.
const STREAMS: [&str; 4] = [
    concat!(
        "\x03",
        r#"{"model":"m","created_at":"2026-11-22T10:00:00Z","message":{"role":"assistant","content":"Grüß"},"done":false}"#,
        "\n",
        r#"{"model":"m","message":{"role":"assistant","content":" dich 😀"},"done":false}"#,
        "\n",
        r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":5}"#,
        "\n"
    ),
    concat!(
        "\x01",
        r#"{"message":{"content":"<think>hm"},"done":false}"#,
        "\n",
        r#"{"message":{"content":"</thi"},"done":false}"#,
        "\r\n\r\n",
        r#"{"message":{"content":"nk> \u00dc \ud83d\ude00"},"done":false}"#,
        "\n",
        r#"{"message":{"content":"end <b"},"done":true}"#
    ),
    concat!("\x40", r#"{"error":"model 'x' not found"}"#, "\n"),
    concat!(
        "\x07",
        "<html>502 Bad Gateway</html>\n",
        r#"{"message":{"content":"late"},"done":true}"#
    ),
];
