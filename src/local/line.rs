//! One direction of the sound card: a stream with its ring, resampled on our side, and the wait for it
//! to come back. The callbacks are real-time code: they only copy samples through the ring. Opening a
//! device blocks for the sound system's time, so it is done on a blocking thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cpal::{
    Device, ErrorKind, FromSample, Sample, SampleFormat, SizedSample, Stream, StreamConfig,
    traits::{DeviceTrait, StreamTrait},
};
use futures_util::FutureExt as _;
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::{task::JoinHandle, time::Instant};

use super::device::{DeviceError, What, name_of, quietly};
use crate::audio::{Hz16k, Rate, Resampler};

/// Sound given to the sound card ahead of time: what a hush cannot take back. Two callbacks of the
/// usual 10 to 20 ms.
const AHEAD: Duration = Duration::from_millis(40);
/// What a ring holds: a stall of the program this long loses no microphone sound.
const RING: Duration = Duration::from_secs(2);
/// Pauses between attempts to open a device again.
const RETRY: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// One direction of the sound card, or the wait for it.
pub(super) struct Line {
    what: What,
    wanted: Option<String>,
    state: State,
    /// Attempts since it was lost.
    tried: usize,
    /// When a loudspeaker is missing, frames go nowhere at this pace.
    nowhere: Instant,
}

enum State {
    /// The device's name, and its stream.
    Open(String, Open),
    Away {
        retry_at: Instant,
    },
    /// An attempt to open it; dropped, it ends by itself on its thread.
    Opening(JoinHandle<Opened>),
}

type Opened = Result<(String, Open), DeviceError>;

struct Open {
    /// Stops when dropped.
    _stream: Stream,
    lost: Arc<AtomicBool>,
    ring: Ring,
    scratch: Vec<f32>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "two of them live, each in place: a box would only add a hop"
)]
enum Ring {
    In {
        samples: Consumer<f32>,
        resampler: Box<Resampler<Hz16k>>,
    },
    Out {
        samples: Producer<f32>,
        resampler: Box<dyn Resample>,
        ahead: usize,
    },
}

impl Line {
    /// Opens the device now, or fails.
    pub(super) async fn open(what: What, wanted: Option<&str>) -> Result<Self, DeviceError> {
        let mut line = Self::new(what, wanted);
        let opened = line.attempt(vec![line.wanted.clone()]).await;
        let (name, open) = opened.unwrap_or_else(|_| Err(DeviceError::Ended))?;
        line.state = State::Open(name, open);
        Ok(line)
    }

    /// A line without a device, which looks for one.
    pub(super) fn waiting(what: What, wanted: Option<&str>) -> Self {
        let mut line = Self::new(what, wanted);
        line.state = State::Away {
            retry_at: Instant::now() + RETRY[0],
        };
        line
    }

    fn new(what: What, wanted: Option<&str>) -> Self {
        let now = Instant::now();
        Self {
            what,
            wanted: wanted.map(str::to_owned),
            state: State::Away { retry_at: now },
            tried: 0,
            nowhere: now,
        }
    }

    /// The device in use.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.state {
            State::Open(name, _) => Some(name),
            _ => None,
        }
    }

    /// Tries `names` in turn, `None` for the default, on a thread that may wait.
    fn attempt(&self, names: Vec<Option<String>>) -> JoinHandle<Opened> {
        let what = self.what;
        tokio::task::spawn_blocking(move || {
            let mut result = Err(DeviceError::None { what: what.name() });
            for name in names {
                result = quietly(|| open(what, name.as_deref()));
                if result.is_ok() {
                    break;
                }
            }
            result
        })
    }

    /// Notices a loss and tries to mend it; news are for people.
    pub(super) fn look_after(&mut self) -> Option<String> {
        let what = self.what.name();
        match &mut self.state {
            State::Open(name, open) if open.lost.load(Ordering::Relaxed) => {
                let news = format!("the {what} {name:?} is gone; waiting for it or another");
                self.tried = 0;
                self.away();
                Some(news)
            }
            State::Away { retry_at } if Instant::now() >= *retry_at => {
                let mut names = vec![self.wanted.clone()];
                if self.wanted.is_some() {
                    names.push(None);
                }
                self.state = State::Opening(self.attempt(names));
                None
            }
            State::Opening(attempt) => match attempt.now_or_never()? {
                Ok(Ok((name, open))) => {
                    let news = format!("{what}: {name}");
                    self.state = State::Open(name, open);
                    Some(news)
                }
                Ok(Err(_)) | Err(_) => {
                    self.tried += 1;
                    self.away();
                    None
                }
            },
            State::Open(..) | State::Away { .. } => None,
        }
    }

    fn away(&mut self) {
        let now = Instant::now();
        if matches!(self.state, State::Open(..)) {
            self.nowhere = now;
        }
        self.state = State::Away {
            retry_at: now + RETRY[self.tried.min(RETRY.len() - 1)],
        };
    }

    /// What the microphone has heard since the last time, at 16 kHz.
    pub(super) fn take(&mut self) -> Vec<f32> {
        let mut heard = Vec::new();
        if let State::Open(
            _,
            Open {
                ring: Ring::In { samples, resampler },
                scratch,
                ..
            },
        ) = &mut self.state
        {
            scratch.clear();
            let n = samples.slots();
            if let Ok(chunk) = samples.read_chunk(n) {
                let (a, b) = chunk.as_slices();
                scratch.extend_from_slice(a);
                scratch.extend_from_slice(b);
                chunk.commit_all();
            }
            resampler.push(scratch, &mut heard);
        }
        heard
    }

    /// The loudspeaker has less than [`AHEAD`] left.
    pub(super) fn wants(&mut self) -> bool {
        match &self.state {
            State::Open(
                _,
                Open {
                    ring: Ring::Out { samples, ahead, .. },
                    ..
                },
            ) => samples.buffer().capacity() - samples.slots() < *ahead,
            // Nobody hears it, but the conversation goes on.
            _ => Instant::now() >= self.nowhere,
        }
    }

    /// The next 20 ms; `None` for silence.
    pub(super) fn give(&mut self, frame: Option<&[f32]>) {
        const SILENCE: [f32; crate::session::FRAME] = [0.0; crate::session::FRAME];
        match &mut self.state {
            State::Open(
                _,
                Open {
                    ring:
                        Ring::Out {
                            samples, resampler, ..
                        },
                    scratch,
                    ..
                },
            ) => {
                scratch.clear();
                resampler.push(frame.unwrap_or(&SILENCE), scratch);
                // Full cannot be: it was asked for.
                let _ = samples.push_partial_slice(scratch);
            }
            _ => self.nowhere += Duration::from_millis(20),
        }
    }
}

/// Samples in a ring of this rate.
fn samples_of(rate_hz: u32, time: Duration) -> usize {
    (f64::from(rate_hz) * time.as_secs_f64()) as usize
}

fn open(what: What, wanted: Option<&str>) -> Result<(String, Open), DeviceError> {
    let (device, supported) = what.ready(wanted)?;
    let unusable = |error: cpal::Error| what.unusable(&device, &error);
    let (format, config) = (supported.sample_format(), supported.config());
    let rate_hz = config.sample_rate.max(1);
    let lost = Arc::new(AtomicBool::new(false));
    let (to_out, from_in) = RingBuffer::new(samples_of(rate_hz, RING));
    let (stream, ring) = match what {
        What::Microphone => {
            let stream = build(&device, format, Direction::In(to_out), config, lost.clone());
            (
                stream,
                Ring::In {
                    samples: from_in,
                    resampler: Box::new(Resampler::new(rate_hz)),
                },
            )
        }
        What::Loudspeaker => {
            let stream = build(
                &device,
                format,
                Direction::Out(from_in),
                config,
                lost.clone(),
            );
            let resampler = resampler_to(rate_hz).ok_or_else(|| DeviceError::Unusable {
                what: what.name(),
                name: name_of(&device),
                reason: format!("its rate of {rate_hz} Hz is not known"),
            })?;
            (
                stream,
                Ring::Out {
                    samples: to_out,
                    resampler,
                    ahead: samples_of(rate_hz, AHEAD),
                },
            )
        }
    };
    let stream = stream.map_err(unusable)?;
    stream.play().map_err(unusable)?;
    let open = Open {
        _stream: stream,
        lost,
        ring,
        scratch: Vec::new(),
    };
    Ok((name_of(&device), open))
}

enum Direction {
    In(Producer<f32>),
    Out(Consumer<f32>),
}

fn build(
    device: &Device,
    format: SampleFormat,
    direction: Direction,
    config: StreamConfig,
    lost: Arc<AtomicBool>,
) -> Result<Stream, cpal::Error> {
    match format {
        SampleFormat::F32 => stream::<f32>(device, direction, config, lost),
        SampleFormat::I16 => stream::<i16>(device, direction, config, lost),
        SampleFormat::I32 => stream::<i32>(device, direction, config, lost),
        SampleFormat::U8 => stream::<u8>(device, direction, config, lost),
        SampleFormat::I8 => stream::<i8>(device, direction, config, lost),
        SampleFormat::U16 => stream::<u16>(device, direction, config, lost),
        SampleFormat::I24 => stream::<cpal::I24>(device, direction, config, lost),
        SampleFormat::F64 => stream::<f64>(device, direction, config, lost),
        _ => Err(ErrorKind::UnsupportedConfig.into()),
    }
}

/// The stream with its callback: real-time code, it only copies.
fn stream<T>(
    device: &Device,
    direction: Direction,
    config: StreamConfig,
    lost: Arc<AtomicBool>,
) -> Result<Stream, cpal::Error>
where
    T: SizedSample + FromSample<f32> + Send + 'static,
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let failed = move |error: cpal::Error| {
        // The others heal by themselves or only cost sound.
        let harmless = [
            ErrorKind::Xrun,
            ErrorKind::RealtimeDenied,
            ErrorKind::DeviceChanged,
        ];
        if !harmless.contains(&error.kind()) {
            lost.store(true, Ordering::Relaxed);
        }
    };
    match direction {
        Direction::In(mut ring) => device.build_input_stream(
            config,
            move |samples: &[T], _: &cpal::InputCallbackInfo| {
                for frame in samples.chunks(channels) {
                    let sum: f32 = frame.iter().map(|&s| f32::from_sample(s)).sum();
                    // When full, two seconds were not fetched: the newest is dropped.
                    let _ = ring.push(sum / channels as f32);
                }
            },
            failed,
            None,
        ),
        Direction::Out(mut ring) => device.build_output_stream(
            config,
            move |samples: &mut [T], _: &cpal::OutputCallbackInfo| {
                for frame in samples.chunks_mut(channels) {
                    let sample = ring.pop().unwrap_or(0.0).clamp(-1.0, 1.0);
                    frame.fill(T::from_sample(sample));
                }
            },
            failed,
            None,
        ),
    }
}

/// A resampler from the assistant's 24 kHz to a rate known at run time.
trait Resample: Send {
    fn push(&mut self, piece: &[f32], out: &mut Vec<f32>);
}

impl<To: Rate> Resample for Resampler<To> {
    fn push(&mut self, piece: &[f32], out: &mut Vec<f32>) {
        Resampler::push(self, piece, out);
    }
}

macro_rules! card_rates {
    ($($name:ident = $hz:literal),* $(,)?) => {
        $(
            #[derive(Clone, Copy)]
            enum $name {}
            impl Rate for $name { const HZ: u32 = $hz; }
        )*
        /// For the rates that sound cards have.
        fn resampler_to(rate_hz: u32) -> Option<Box<dyn Resample>> {
            match rate_hz {
                $($hz => Some(Box::new(Resampler::<$name>::new(24_000))),)*
                _ => None,
            }
        }
    };
}

card_rates! {
    R8k = 8_000, R11k = 11_025, R16k = 16_000, R22k = 22_050, R24k = 24_000, R32k = 32_000,
    R44k = 44_100, R48k = 48_000, R88k = 88_200, R96k = 96_000, R176k = 176_400, R192k = 192_000,
    R384k = 384_000,
}
