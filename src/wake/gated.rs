//! A wake word model that sleeps while the room is quiet and misses nothing: [`Gated`] puts the
//! [`EnergyGate`] in front of any [`WakeModel`].

use super::{EnergyConfig, EnergyGate, WakeError, WakeModel};

/// A [`WakeModel`] that asks the model inside only while there is something to hear, and gives scores
/// of zero otherwise.
///
/// *State*: the sound of the last steps, so that on the first loud one the model is given what it
/// slept through, as far as that can matter: from there on its scores are those of a model that never
/// slept. After the last loud step it stays awake until no loud step can influence a score any more.
/// *Timing*: some twenty microseconds a step while it sleeps; waking costs the model's time for as many
/// steps as it remembers (openWakeWord: 25 steps, about 12 ms), once.
pub struct Gated<W> {
    model: W,
    gate: EnergyGate,
    /// Steps that a score of the model depends on.
    memory: usize,
    /// The last `memory` steps, newest last, as one run of samples.
    past: std::collections::VecDeque<f32>,
    /// Steps at the end of [`Self::past`] that the model has not been given.
    slept: usize,
    /// Steps to stay awake.
    awake: usize,
    quiet: Vec<f32>,
    step: Vec<f32>,
}

impl<W: WakeModel> Gated<W> {
    /// Puts a gate before `model`, whose scores depend on the last `memory` steps
    /// ([`super::OpenWakeWord::memory`]).
    pub fn new(model: W, memory: usize, config: EnergyConfig) -> Self {
        let memory = memory.max(1);
        Self {
            gate: EnergyGate::new(config),
            past: std::collections::VecDeque::with_capacity(memory * model.step()),
            slept: 0,
            awake: 0,
            quiet: vec![0.0; model.words().len()],
            step: vec![0.0; model.step()],
            memory,
            model,
        }
    }

    /// True while the model is not asked.
    pub fn is_asleep(&self) -> bool {
        self.awake == 0
    }

    fn remember(&mut self, step: &[f32]) {
        if self.past.len() == self.memory * step.len() {
            self.past.drain(..step.len());
        }
        self.past.extend(step);
    }

    /// Gives the model what it slept through, except for what no score depends on any more.
    fn catch_up(&mut self) -> Result<(), WakeError> {
        let step = self.step.len();
        let steps = self.past.len() / step;
        for i in steps - self.slept.min(steps)..steps {
            let samples = self.past.range(i * step..(i + 1) * step);
            for (to, from) in self.step.iter_mut().zip(samples) {
                *to = *from;
            }
            self.model.score(&self.step)?;
        }
        self.slept = 0;
        Ok(())
    }
}

impl<W: WakeModel> WakeModel for Gated<W> {
    fn step(&self) -> usize {
        self.model.step()
    }

    fn words(&self) -> &[String] {
        self.model.words()
    }

    fn score(&mut self, step: &[f32]) -> Result<&[f32], WakeError> {
        if step.len() != self.step.len() {
            return Err(WakeError::StepLength {
                want: self.step.len(),
                got: step.len(),
            });
        }
        if self.gate.is_loud(step) {
            self.awake = self.memory;
        }
        if self.awake == 0 {
            self.remember(step);
            self.slept += 1;
            return Ok(&self.quiet);
        }
        self.awake -= 1;
        self.catch_up()?;
        self.remember(step);
        self.model.score(step)
    }

    fn reset(&mut self) {
        self.model.reset();
        self.gate.reset();
        self.past.clear();
        self.slept = 0;
        self.awake = 0;
    }
}

impl<W: std::fmt::Debug> std::fmt::Debug for Gated<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gated({:?})", self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with the sum of the loudest samples of its last `MEMORY` steps, which is the whole
    /// definition of a finite memory; counts how often it was asked.
    struct Remembering {
        last: std::collections::VecDeque<f32>,
        asked: usize,
        words: Vec<String>,
        score: Vec<f32>,
    }

    const MEMORY: usize = 5;
    const STEP: usize = 320;

    impl WakeModel for Remembering {
        fn step(&self) -> usize {
            STEP
        }
        fn words(&self) -> &[String] {
            &self.words
        }
        fn score(&mut self, step: &[f32]) -> Result<&[f32], WakeError> {
            self.asked += 1;
            self.last
                .push_back(step.iter().copied().fold(0.0, f32::max));
            if self.last.len() > MEMORY {
                self.last.pop_front();
            }
            self.score[0] = self.last.iter().sum();
            Ok(&self.score)
        }
        fn reset(&mut self) {
            self.last.clear();
        }
    }

    /// Quiet at once below the noise of these tests.
    fn config() -> EnergyConfig {
        EnergyConfig {
            absolute_db: -55.0,
            ..EnergyConfig::default()
        }
    }

    fn model() -> Remembering {
        Remembering {
            last: std::collections::VecDeque::new(),
            asked: 0,
            words: vec!["word".to_owned()],
            score: vec![0.0],
        }
    }

    /// A step of a square wave of 2 kHz, loud or of the room's noise.
    fn step(level: f32) -> Vec<f32> {
        (0..STEP)
            .map(|i| if i % 8 < 4 { level } else { -level })
            .collect()
    }

    #[test]
    fn awake_it_scores_as_if_it_had_never_slept() {
        let mut seed = 5u32;
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..200 {
            let mut gated = Gated::new(model(), MEMORY, config());
            let mut always = model();
            let mut level_now = 0.001;
            for i in 0..100 {
                if random(6) == 0 {
                    level_now = if random(3) == 0 { 0.1 } else { 0.001 };
                }
                let sound = step(level_now * (1.0 + 0.001 * random(100) as f32));
                let want = always.score(&sound).unwrap()[0];
                let got = gated.score(&sound).unwrap()[0];
                if gated.slept == 0 {
                    assert!((got - want).abs() < 1e-6, "step {i}: {got}, not {want}");
                } else {
                    assert_eq!(got, 0.0);
                    assert!(want < 0.01, "step {i} slept through {want}");
                }
            }
        }
    }

    #[test]
    fn a_quiet_room_is_not_listened_to_and_a_reset_forgets_it() {
        let mut gated = Gated::new(model(), MEMORY, config());
        for _ in 0..50 {
            gated.score(&step(0.001)).unwrap();
        }
        assert_eq!(gated.model.asked, 0);
        assert!(gated.is_asleep());
        gated.reset();
        gated.score(&step(0.1)).unwrap();
        assert_eq!(gated.model.asked, 1, "nothing to catch up with");
    }

    #[test]
    fn a_step_of_another_length_is_refused() {
        let mut gated = Gated::new(model(), MEMORY, config());
        assert!(matches!(
            gated.score(&[0.0; 7]),
            Err(WakeError::StepLength { want: STEP, got: 7 })
        ));
    }
}
