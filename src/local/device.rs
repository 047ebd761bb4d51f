//! The machine's own microphone and speakers (cpal): opened at the device's own rate, channels and
//! sample type, resampled on our side.
//!
//! The sound card's callbacks only copy samples through lock-free rings (`rtrb`): no allocation, no
//! lock, no log. [`talk`] empties and fills the rings every 10 ms. A device that disappears is said
//! so in a sentence, and the default device is tried again with growing pauses until one is back. A
//! server waits in the same way for one that was never there ([`Missing::Wait`]).

use std::time::Duration;

use cpal::{
    Device, ErrorKind,
    traits::{DeviceTrait, HostTrait},
};
use tokio::time::MissedTickBehavior;

use super::line::Line;
use crate::{
    fault::Fault,
    session::{Clock, Ended, Seat, Setting, Watch},
};

/// How often the rings are looked after.
const STEP: Duration = Duration::from_millis(10);

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The machine has none.
    #[error(
        "there is no {what}; connect one, or give a recording: caal talk --in question.wav --out answer.wav"
    )]
    None {
        /// `microphone` or `loudspeaker`.
        what: &'static str,
    },
    /// None of this name.
    #[error("there is no {what} named {name:?}; there are: {known}")]
    Unknown {
        /// `microphone` or `loudspeaker`.
        what: &'static str,
        /// As asked for.
        name: String,
        /// The others, with commas.
        known: String,
    },
    /// It is there and cannot be used.
    #[error(
        "the {what} {name:?} cannot be used: {reason}; choose another: caal talk --list-devices"
    )]
    Unusable {
        /// `microphone` or `loudspeaker`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What the sound system says.
        reason: String,
    },
    /// The conversation ended by itself: a bug.
    #[error("the conversation ended unexpectedly; see the log")]
    Ended,
}

impl DeviceError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            DeviceError::Unknown { .. } => Fault::Request,
            DeviceError::None { .. } | DeviceError::Unusable { .. } => Fault::Remote,
            DeviceError::Ended => Fault::Internal,
        }
    }
}

impl DeviceError {
    /// What is wrong, for somebody whose conversation waits for the device.
    fn waited_for(&self) -> String {
        let wrong = match self {
            DeviceError::None { what } => format!("there is no {what}"),
            DeviceError::Unusable { what, name, reason } => {
                format!("the {what} {name:?} cannot be used: {reason}")
            }
            other => other.to_string(),
        };
        format!("{wrong}; connect one, it is used as soon as it is there")
    }
}

impl From<Ended> for DeviceError {
    fn from(_: Ended) -> Self {
        DeviceError::Ended
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Microphone,
    Loudspeaker,
}

impl What {
    pub(super) const fn name(self) -> &'static str {
        match self {
            What::Microphone => "microphone",
            What::Loudspeaker => "loudspeaker",
        }
    }

    fn all(self) -> Vec<Device> {
        let host = cpal::default_host();
        match self {
            What::Microphone => host.input_devices().map(Iterator::collect),
            What::Loudspeaker => host.output_devices().map(Iterator::collect),
        }
        .unwrap_or_default()
    }

    fn default(self) -> Option<Device> {
        let host = cpal::default_host();
        match self {
            What::Microphone => host.default_input_device(),
            What::Loudspeaker => host.default_output_device(),
        }
    }

    /// By id or name, else the default.
    fn find(self, wanted: Option<&str>) -> Result<Device, DeviceError> {
        let what = self.name();
        let Some(wanted) = wanted else {
            return self.default().ok_or(DeviceError::None { what });
        };
        let all = self.all();
        let found = all
            .iter()
            .position(|d| id_of(d) == wanted || name_of(d) == wanted);
        match found {
            Some(i) => Ok(all.into_iter().nth(i).expect("it was found there")),
            None if all.is_empty() => Err(DeviceError::None { what }),
            None => Err(DeviceError::Unknown {
                what,
                name: wanted.to_owned(),
                known: all.iter().map(name_of).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// The device and the form its sound has. The sound system names a default device even where
    /// there is no sound card: it is one only if it answers.
    pub(super) fn ready(
        self,
        wanted: Option<&str>,
    ) -> Result<(Device, cpal::SupportedStreamConfig), DeviceError> {
        let device = self.find(wanted)?;
        let supported = match self {
            What::Microphone => device.default_input_config(),
            What::Loudspeaker => device.default_output_config(),
        };
        match supported {
            Ok(supported) => Ok((device, supported)),
            Err(error) if wanted.is_none() && error.kind() != ErrorKind::DeviceBusy => {
                tracing::debug!(%error, "the default device does not answer");
                Err(DeviceError::None { what: self.name() })
            }
            Err(error) => Err(self.unusable(&device, &error)),
        }
    }

    pub(super) fn unusable(self, device: &Device, error: &cpal::Error) -> DeviceError {
        let reason = error.to_string();
        let reason = reason.trim_end_matches('.').to_owned();
        DeviceError::Unusable {
            what: self.name(),
            name: name_of(device),
            reason,
        }
    }
}

pub(super) fn name_of(device: &Device) -> String {
    device
        .description()
        .map_or_else(|_| "unnamed".to_owned(), |d| d.name().to_owned())
}

fn id_of(device: &Device) -> String {
    device
        .id()
        .map_or_else(|_| String::new(), |id| id.to_string())
}

/// A device, for people to choose from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// `input` or `output`.
    pub direction: &'static str,
    /// For `--input` and `--output`.
    pub id: String,
    /// For people; `--input` and `--output` take it too.
    pub name: String,
    /// Used when none is named.
    pub default: bool,
}

/// All devices of this machine.
pub fn list() -> Vec<Listed> {
    [(What::Microphone, "input"), (What::Loudspeaker, "output")]
        .into_iter()
        .flat_map(|(what, direction)| {
            let default = what.default().map(|d| id_of(&d));
            what.all().into_iter().map(move |device| Listed {
                direction,
                name: name_of(&device),
                default: default.as_deref() == Some(&id_of(&device)),
                id: id_of(&device),
            })
        })
        .collect()
}

/// Which devices to use; `None` for the default.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    /// Microphone.
    pub input: Option<String>,
    /// Loudspeaker.
    pub output: Option<String>,
    /// What to do without them.
    pub missing: Missing,
}

/// What a conversation does when a device is not there at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    #[default]
    Fail,
    /// Say so and wait for one, as for a device that was lost.
    Wait,
}

/// Finds out whether the devices are there and answer, without using them.
///
/// # Errors
///
/// When one is not.
pub fn check(devices: &Devices) -> Result<(), DeviceError> {
    quietly(|| {
        What::Microphone.ready(devices.input.as_deref())?;
        What::Loudspeaker.ready(devices.output.as_deref())?;
        Ok(())
    })
}

/// Does `work`. What the sound system would meanwhile write to standard error about cards that are
/// not there goes to the debug log: our own sentence says it, and a server looks for a card for ever.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_os = "linux")]
    let said = alsa::Output::local_error_handler();
    let result = work();
    #[cfg(target_os = "linux")]
    if let Ok(said) = said {
        let said = said.borrow().to_string();
        for line in said.lines() {
            tracing::debug!("{line}");
        }
    }
    result
}

/// Holds a conversation until `stop` resolves.
///
/// # Errors
///
/// When a device is missing or unusable at the start and [`Missing::Fail`] is asked for. Later losses
/// are waited out.
pub async fn talk(
    setting: Setting,
    devices: &Devices,
    watch: &mut dyn Watch,
    stop: impl Future<Output = ()>,
) -> Result<(), DeviceError> {
    let mut microphone = line(What::Microphone, devices, watch).await?;
    let mut speaker = line(What::Loudspeaker, devices, watch).await?;
    if let (Some(microphone), Some(speaker)) = (microphone.name(), speaker.name()) {
        watch.note(&format!("microphone: {microphone}; loudspeaker: {speaker}"));
    }
    watch.devices(microphone.name(), speaker.name());
    let mut room = Seat::open(setting, Clock::Runtime, watch);
    let mut tick = tokio::time::interval(STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    tokio::pin!(stop);
    let result = loop {
        tokio::select! {
            biased;
            () = &mut stop => break Ok(()),
            _ = tick.tick() => {}
            carried = room.next() => match carried {
                Ok(_) => continue,
                Err(ended) => break Err(ended.into()),
            },
        }
        let news = [microphone.look_after(), speaker.look_after()];
        if news.iter().any(Option::is_some) {
            room.watch.devices(microphone.name(), speaker.name());
        }
        for news in news.iter().flatten() {
            room.watch.note(news);
        }
        if let Err(ended) = turn(&mut room, &mut microphone, &mut speaker).await {
            break Err(ended.into());
        }
    };
    room.close().await;
    result
}

async fn line(what: What, devices: &Devices, watch: &mut dyn Watch) -> Result<Line, DeviceError> {
    let wanted = match what {
        What::Microphone => devices.input.as_deref(),
        What::Loudspeaker => devices.output.as_deref(),
    };
    match Line::open(what, wanted).await {
        Err(error) if devices.missing == Missing::Wait => {
            watch.note(&error.waited_for());
            Ok(Line::waiting(what, wanted))
        }
        opened => opened,
    }
}

/// Microphone to room, room to loudspeaker, as far as there is sound and space.
async fn turn(
    room: &mut Seat<'_, dyn Watch + '_>,
    microphone: &mut Line,
    speaker: &mut Line,
) -> Result<(), Ended> {
    let heard = microphone.take();
    if !heard.is_empty() {
        room.hear(heard).await?;
    }
    room.catch_up()?;
    while speaker.wants() {
        let frame = room.frame().await?;
        speaker.give(frame.as_ref().map(|f| f.samples()));
    }
    Ok(())
}
