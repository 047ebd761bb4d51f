//! Whisper's two sessions: sound to cross attention, tokens to logits. See [`super::graph`] for the
//! tensors.

use std::{path::Path, time::Instant};

use ort::{
    ep,
    session::{Session, SessionInputValue, builder::SessionBuilder},
    value::{DynValue, Tensor},
};

use super::{
    Timings,
    cache::{Graphs, Part},
    graph::Sizes,
    hearing::Acoustics,
};
use crate::{
    audio::mel::LogMel,
    engine::{Device, Role, Runtime, RuntimeError},
    stt::SttError,
};

/// The sessions of one model.
pub(crate) struct Model {
    encoder: Session,
    decoder: Session,
    sizes: Sizes,
    mel: LogMel,
    /// `None` before the first sound.
    decoding: Option<Decoding>,
    /// Input names of the decoder, in the order in which [`Decoding`] keeps the values.
    cross_names: Vec<String>,
    past_names: Vec<String>,
    present_names: Vec<String>,
}

/// What the encoder heard, and what the decoder has said to it so far: keys and values.
struct Decoding {
    cross: Vec<DynValue>,
    past: Vec<DynValue>,
    tokens: usize,
}

fn failed(e: ort::Error) -> SttError {
    let text = e.to_string();
    let line = text.lines().next().unwrap_or_default();
    SttError::Model(line.chars().take(200).collect())
}

impl Model {
    pub(crate) fn load(runtime: &Runtime, graphs: &Graphs, sizes: Sizes) -> Result<Self, SttError> {
        let names = |when: &str| -> Vec<String> {
            (0..sizes.decoder_layers)
                .flat_map(|layer| ["k", "v"].map(|kind| format!("{when}{kind}{layer}")))
                .collect()
        };
        Ok(Self {
            encoder: session(runtime, graphs, Part::Encoder)?,
            decoder: session(runtime, graphs, Part::Decoder)?,
            sizes,
            mel: LogMel::new(sizes.mels),
            decoding: None,
            cross_names: names("c"),
            past_names: names("p"),
            present_names: names("n"),
        })
    }

    fn empty_past(&self) -> Result<Vec<DynValue>, SttError> {
        let heads = self.sizes.decoder_heads;
        let shape = [1, heads, 0, self.sizes.width / heads];
        // Made by the allocator: an empty array has no address to borrow.
        let allocator = self.decoder.allocator();
        let empty = |_: &String| Ok(Tensor::<f32>::new(allocator, shape)?.into_dyn());
        self.past_names
            .iter()
            .map(empty)
            .collect::<Result<_, ort::Error>>()
            .map_err(failed)
    }
}

impl Acoustics for Model {
    fn hear(
        &mut self,
        samples: &[f32],
        context: usize,
        timings: &mut Timings,
    ) -> Result<(), SttError> {
        let mark = Instant::now();
        let frames = context * 2;
        let mel = self.mel.compute(samples, frames);
        timings.mel += mark.elapsed();
        let mark = Instant::now();
        let mel = Tensor::from_array(([1, self.sizes.mels, frames], mel)).map_err(failed)?;
        let mut outputs = self
            .encoder
            .run(ort::inputs!["mel" => mel])
            .map_err(failed)?;
        let cross = take(&mut outputs, &self.cross_names)?;
        drop(outputs);
        self.decoding = Some(Decoding {
            cross,
            past: self.empty_past()?,
            tokens: 0,
        });
        timings.encode += mark.elapsed();
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), SttError> {
        let empty = self.empty_past()?;
        if let Some(decoding) = &mut self.decoding {
            decoding.past = empty;
            decoding.tokens = 0;
        }
        Ok(())
    }

    fn say(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, SttError> {
        let decoding = self.decoding.as_mut().expect("sound is heard first");
        let first = decoding.tokens;
        let ids: Vec<i64> = tokens.iter().map(|&t| i64::from(t)).collect();
        let positions: Vec<i64> = (first..first + tokens.len()).map(|p| p as i64).collect();
        let rows: Vec<i64> = wanted.iter().map(|&r| r as i64).collect();
        let shape = [1, tokens.len()];
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
            (
                "tokens",
                Tensor::from_array((shape, ids)).map_err(failed)?.into(),
            ),
            (
                "positions",
                Tensor::from_array((shape, positions))
                    .map_err(failed)?
                    .into(),
            ),
            (
                "rows",
                Tensor::from_array(([rows.len()], rows))
                    .map_err(failed)?
                    .into(),
            ),
        ];
        let cross = self.cross_names.iter().zip(&decoding.cross);
        for (name, value) in cross.chain(self.past_names.iter().zip(&decoding.past)) {
            inputs.push((name, value.into()));
        }
        let mut outputs = self.decoder.run(inputs).map_err(failed)?;
        let past = take(&mut outputs, &self.present_names)?;
        let (_, logits) = outputs["logits"]
            .try_extract_tensor::<f32>()
            .map_err(failed)?;
        let logits = logits.to_vec();
        drop(outputs);
        decoding.past = past;
        decoding.tokens += tokens.len();
        Ok(logits)
    }
}

fn take(
    outputs: &mut ort::session::SessionOutputs<'_>,
    names: &[String],
) -> Result<Vec<DynValue>, SttError> {
    names
        .iter()
        .map(|name| {
            outputs
                .remove(name)
                .ok_or_else(|| SttError::Model(format!("the model gave no {name}")))
        })
        .collect()
}

fn session(runtime: &Runtime, graphs: &Graphs, part: Part) -> Result<Session, SttError> {
    let unusable = |path: &Path, e: ort::Error| {
        let text = e.to_string();
        RuntimeError::ModelUnusable {
            path: path.to_owned(),
            reason: text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect(),
        }
    };
    match graphs {
        Graphs::Disk(folder) => {
            let file = Graphs::file(folder, part);
            Ok(builder(runtime)
                .and_then(|mut b| b.commit_from_file(&file))
                .map_err(|e| unusable(&file, e))?)
        }
        Graphs::Memory(parts) => {
            let (model, data) = &parts[part as usize];
            let name = Path::new(part.data_file());
            Ok(builder(runtime)
                .and_then(|b| Ok(b.with_external_initializer_file_in_memory(name, data.clone())?))
                .and_then(|mut b| b.commit_from_memory(model))
                .map_err(|e| unusable(name, e))?)
        }
    }
}

fn builder(runtime: &Runtime) -> Result<SessionBuilder, ort::Error> {
    let builder = runtime
        .builder(Role::Voice)?
        // Clips differ in length: a plan per length would only be made and thrown away.
        .with_memory_pattern(false)?;
    if runtime.device() == Device::Cuda {
        return Ok(builder);
    }
    Ok(builder
        // Sizes differ from run to run, and the arena never gives its peak back.
        .with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])?)
}
