//! A conversation with a recording: sound in from memory, the assistant's sound out to memory, on one
//! timeline. Both begin together, so the answer begins as long after the start of the result as it
//! did after the start of the recording.
//!
//! [`Speed::RealTime`] is what a person at a microphone would get, latencies included.
//! [`Speed::Fast`] plays the recording as fast as it can be heard; time stands still while an engine
//! works, so the timeline shows the waits of turn taking alone and is the same on every machine.
//!
//! After the recording comes silence until the assistant is at rest again and has said all it had to
//! say.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    audio::{Hz16k, Hz24k, Pcm, Resampler, SamplePos},
    clock::At,
    session::{Carried, Clock, Ended, Event, FRAME, Seat, Setting, Watch},
};

/// A step of the timeline: one frame of the playout.
const STEP: Duration = Duration::from_millis(20);
/// Microphone samples of a step.
const HEARD: usize = 320;
/// Silence after the recording before the assistant may count as at rest: longer than the speech
/// detector needs to notice that the speech has ended.
const AFTER: Duration = Duration::from_secs(1);
/// The longest wait for a voice in the middle of a sentence; then time goes on.
const STARVED: Duration = Duration::from_secs(30);
/// The longest silence after the recording. Every wait of a session ends before.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// How fast the recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// As a microphone would.
    RealTime,
    /// As fast as it can be heard.
    Fast,
}

/// What came of it.
#[derive(Debug)]
pub struct Answer {
    /// All that the assistant said, on the recording's timeline.
    pub sound: Pcm<Hz24k>,
    /// Where the assistant began to sound after a silence.
    pub begins: Vec<Begin>,
}

/// A frame of the assistant's after a silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Begin {
    /// Its place in [`Answer::sound`].
    pub at: SamplePos<Hz24k>,
    /// When it left for the speaker, in real time since the start.
    pub real: Duration,
}

/// How to play a recording.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How fast.
    pub speed: Speed,
    /// How much of the assistant's own sound the microphone hears, as a factor: what loudspeakers
    /// do. 0 for none.
    pub echo: f32,
}

/// Plays `recording` to the assistant.
///
/// # Errors
///
/// [`Ended`] when the session ended before the recording: it panicked.
pub async fn talk(
    recording: &Pcm<Hz16k>,
    setting: Setting,
    options: Options,
    watch: &mut dyn Watch,
) -> Result<Answer, Ended> {
    let clock = match options.speed {
        Speed::RealTime => Clock::Runtime,
        Speed::Fast => Clock::Driven,
    };
    let mut room = Seat::open(setting, clock, watch);
    let mut timeline = Timeline::new(options);
    let result = match options.speed {
        Speed::RealTime => real_time(recording, &mut room, &mut timeline).await,
        Speed::Fast => fast(recording, &mut room, &mut timeline).await,
    };
    room.close().await;
    result?;
    Ok(Answer {
        sound: timeline.out,
        begins: timeline.begins,
    })
}

async fn real_time(
    recording: &Pcm<Hz16k>,
    room: &mut Seat<'_, dyn Watch + '_>,
    timeline: &mut Timeline,
) -> Result<(), Ended> {
    // A microphone gives its first 20 ms when they are over.
    let mut tick = tokio::time::interval_at(timeline.started + STEP, STEP);
    // A late step is made up for, as a sound card's buffer would.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut at_rest = false;
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => {}
            carried = room.next() => {
                if let Carried::Settled { at_rest: now } = carried? {
                    at_rest = now;
                }
                continue;
            }
        }
        let heard = timeline.microphone(recording);
        room.hear(heard).await?;
        let frame = room.frame().await?;
        timeline.speaker(frame);
        if timeline.over(recording) && (at_rest && room.playout.is_idle() || timeline.too_long()) {
            return Ok(());
        }
        if timeline.over(recording) {
            room.tell(Event::Settle).await?;
        }
    }
}

async fn fast(
    recording: &Pcm<Hz16k>,
    room: &mut Seat<'_, dyn Watch + '_>,
    timeline: &mut Timeline,
) -> Result<(), Ended> {
    loop {
        let heard = timeline.microphone(recording);
        room.tell(Event::Time(timeline.now())).await?;
        room.hear(heard).await?;
        room.tell(Event::Settle).await?;
        let at_rest = loop {
            if let Carried::Settled { at_rest } = room.next().await? {
                break at_rest;
            }
        };
        // A voice slower than its listener does not tear the sentence apart.
        let give_up = Instant::now() + STARVED;
        while room.playout.starving() {
            match tokio::time::timeout_at(give_up, room.next()).await {
                Ok(carried) => carried?,
                Err(_) => break,
            };
        }
        let frame = room.frame().await?;
        timeline.speaker(frame);
        let done = at_rest && room.playout.is_idle();
        if timeline.over(recording) && (done || timeline.too_long()) {
            return Ok(());
        }
    }
}

struct Timeline {
    started: Instant,
    steps: usize,
    out: Pcm<Hz24k>,
    begins: Vec<Begin>,
    silent: bool,
    /// The assistant's sound on its way back into the microphone.
    echo: f32,
    resampler: Resampler<Hz16k>,
    ringing: Vec<f32>,
    after: usize,
}

impl Timeline {
    fn new(options: Options) -> Self {
        Self {
            started: Instant::now(),
            steps: 0,
            out: Pcm::default(),
            begins: Vec::new(),
            silent: true,
            echo: options.echo,
            resampler: Resampler::new(24_000),
            ringing: Vec::new(),
            after: 0,
        }
    }

    fn now(&self) -> At {
        At::since_start(STEP * u32::try_from(self.steps).unwrap_or(u32::MAX))
    }

    /// What the microphone hears in the next step.
    fn microphone(&mut self, recording: &Pcm<Hz16k>) -> Vec<f32> {
        let from = self.steps * HEARD;
        self.steps += 1;
        let mut heard: Vec<f32> = recording
            .samples()
            .iter()
            .skip(from)
            .take(HEARD)
            .copied()
            .collect();
        if heard.is_empty() {
            self.after += 1;
        }
        heard.resize(HEARD, 0.0);
        if self.echo > 0.0 {
            let back = self.ringing.len().min(HEARD);
            for (sample, echo) in heard.iter_mut().zip(self.ringing.drain(..back)) {
                *sample += echo * self.echo;
            }
        }
        heard
    }

    fn speaker(&mut self, frame: Option<Pcm<Hz24k>>) {
        if frame.is_some() && std::mem::take(&mut self.silent) {
            let at = SamplePos::new(self.out.len() as u64);
            self.begins.push(Begin {
                at,
                real: self.started.elapsed(),
            });
        }
        self.silent = frame.is_none();
        let frame = frame.unwrap_or_else(|| Pcm::new(vec![0.0; FRAME]));
        if self.echo > 0.0 {
            self.resampler.push(frame.samples(), &mut self.ringing);
        }
        self.out.append(&frame);
    }

    /// The recording and the silence after it have been heard.
    fn over(&self, recording: &Pcm<Hz16k>) -> bool {
        SamplePos::<Hz16k>::new((self.steps * HEARD) as u64).duration()
            >= recording.duration() + AFTER
    }

    fn too_long(&self) -> bool {
        STEP * u32::try_from(self.after).unwrap_or(u32::MAX) > LONGEST
    }
}
