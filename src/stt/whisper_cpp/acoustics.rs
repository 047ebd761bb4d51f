//! whisper.cpp's encoder and decoder through `whisper-rs`, without its rules.
//!
//! The context to hear can only be set in `whisper_full`. So that does the hearing, asked to say no more
//! than it must (two tokens, thrown away); everything said after it goes through `whisper_decode`.

use std::{ffi::c_int, path::Path, time::Instant};

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError,
    WhisperState, WhisperTokenId, install_logging_hooks,
};

use crate::stt::{
    SttError,
    whisper::{Sizes, Timings, hearing::Acoustics},
};

/// whisper.cpp refuses clips below 100 ms; silence after the clip is what it hears there anyway.
const LEAST_SAMPLES: usize = 8_000;

/// A loaded ggml model and what it heard last.
pub(super) struct WhisperRs {
    state: WhisperState,
    sizes: Sizes,
    threads: usize,
    /// Tokens said since the sound was heard.
    said: usize,
}

fn failed(e: WhisperError) -> SttError {
    SttError::Model(format!("whisper.cpp: {e}"))
}

impl WhisperRs {
    /// Loads a file that `super::file` found whole. The error is a sentence.
    pub(super) fn load(path: &Path, sizes: Sizes, threads: usize) -> Result<Self, String> {
        // Without a log feature of `whisper-rs` the hooks drop what whisper.cpp says: its debug build
        // says the tokens it hears, which are the words of the user.
        install_logging_hooks();
        let refused = |e| format!("whisper.cpp refused it ({e})");
        let mut parameters = WhisperContextParameters::default();
        parameters.use_gpu(false);
        let context = WhisperContext::new_with_params(path, parameters).map_err(refused)?;
        let state = context.create_state().map_err(refused)?;
        Ok(Self {
            state,
            sizes,
            threads,
            said: 0,
        })
    }
}

impl Acoustics for WhisperRs {
    fn hear(
        &mut self,
        samples: &[f32],
        context: usize,
        timings: &mut Timings,
    ) -> Result<(), SttError> {
        let mark = Instant::now();
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        params.set_n_threads(self.threads as c_int);
        params.set_audio_ctx(context as c_int);
        // One window, one attempt, two tokens, nothing kept from before, nothing printed.
        params.set_single_segment(true);
        params.set_no_timestamps(true);
        params.set_max_tokens(1);
        params.set_temperature_inc(0.0);
        params.set_no_context(true);
        params.set_n_max_text_ctx(0);
        params.set_suppress_blank(false);
        params.set_print_progress(false);
        params.set_print_timestamps(false);
        let heard = if samples.len() < LEAST_SAMPLES {
            let mut padded = samples.to_vec();
            padded.resize(LEAST_SAMPLES, 0.0);
            self.state.full(params, &padded)
        } else {
            self.state.full(params, samples)
        };
        heard.map_err(failed)?;
        self.said = 0;
        timings.encode += mark.elapsed();
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), SttError> {
        self.said = 0;
        Ok(())
    }

    fn say(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, SttError> {
        let mut logits = Vec::with_capacity(wanted.len() * self.sizes.vocabulary);
        let mut from = 0;
        for &row in wanted {
            // `get_logits` gives the first row, whisper.cpp fills the last: alone they are the same.
            // A row that is wanted twice is said once.
            if row >= from {
                self.decode(&tokens[from..row])?;
                self.decode(&tokens[row..=row])?;
            }
            logits.extend_from_slice(self.state.get_logits().map_err(failed)?);
            from = row + 1;
        }
        self.decode(&tokens[from..])?;
        Ok(logits)
    }
}

impl WhisperRs {
    fn decode(&mut self, tokens: &[u32]) -> Result<(), SttError> {
        if tokens.is_empty() {
            return Ok(());
        }
        // whisper.cpp would write beyond its batch and its table of positions.
        if self.said + tokens.len() > self.sizes.text_context {
            return Err(SttError::Model("too many tokens".to_owned()));
        }
        let ids: Vec<WhisperTokenId> = tokens.iter().map(|&t| t as WhisperTokenId).collect();
        self.state
            .decode(&ids, self.said, self.threads)
            .map_err(failed)?;
        self.said += tokens.len();
        Ok(())
    }
}
