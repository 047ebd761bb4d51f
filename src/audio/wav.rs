//! WAV files: any rate, channel count and sample type in, 16-bit mono out.

use std::{
    fs::File,
    io::{self, BufWriter, Cursor, Read, Seek},
    path::Path,
};

use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    errors::Error as DecodeError,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

use super::pcm::{AnyPcm, Pcm, Rate};
use crate::fault::Fault;

/// Longest sound read from one file. Longer ones would be read into memory whole.
pub const MAX_SECONDS: u32 = 2 * 60 * 60;

/// Most channels of a file: a speaker mask has no more bits. symphonia 0.6 multiplies larger counts out
/// of range.
const MAX_CHANNELS: u16 = 32;

/// Why a file gave no sound.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The file cannot be opened or read.
    #[error("{path} cannot be read ({source}); give the path of a WAV file")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{path} cannot be written ({source}); write to another place, or make room there")]
    Unwritable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// No bytes at all.
    #[error("{path} is empty, 0 bytes; record it again")]
    Empty {
        /// The file.
        path: String,
    },
    /// The bytes are no WAV file.
    #[error(
        "{path} is not a WAV file; convert it first, for example with: ffmpeg -i {path} out.wav"
    )]
    NotWav {
        /// The file.
        path: String,
    },
    /// It is a WAV file, of a kind that cannot be read here.
    #[error(
        "{path} cannot be read as WAV ({reason}); convert it first, for example with: ffmpeg -i {path} out.wav"
    )]
    Unsupported {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Longer than [`MAX_SECONDS`].
    #[error("{path} is longer than {MAX_SECONDS} s; cut it into shorter files")]
    TooLong {
        /// The file.
        path: String,
    },
}

impl WavError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            WavError::Unreadable { source, .. } | WavError::Unwritable { source, .. }
                if !matches!(
                    source.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::IsADirectory
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                Fault::Internal
            }
            _ => Fault::Request,
        }
    }
}

/// Reads a whole WAV file; several channels are averaged. A file cut short gives what is there.
///
/// # Errors
///
/// When the file is not there, is no WAV, or holds a sample type that cannot be read.
pub fn read(path: &Path) -> Result<AnyPcm, WavError> {
    let name = path.display().to_string();
    let unreadable = |source| WavError::Unreadable {
        path: name.clone(),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut f| f.read_to_end(&mut bytes))
        .map_err(unreadable)?;
    decode(bytes, &name)
}

/// Reads WAV from memory; `name` stands in the error.
///
/// # Errors
///
/// As [`read`].
pub fn decode(mut bytes: Vec<u8>, name: &str) -> Result<AnyPcm, WavError> {
    let path = name.to_owned();
    if bytes.is_empty() {
        return Err(WavError::Empty { path });
    }
    if bytes.len() < 12
        || !matches!(&bytes[..4], b"RIFF" | b"RIFX" | b"RF64")
        || &bytes[8..12] != b"WAVE"
    {
        return Err(WavError::NotWav { path });
    }
    let unsupported = |reason: &dyn ToString| WavError::Unsupported {
        path: path.clone(),
        reason: reason.to_string(),
    };
    let channels = repair(&mut bytes);
    if channels > MAX_CHANNELS {
        return Err(unsupported(&format!("{channels} channels")));
    }
    let stream = MediaSourceStream::new(
        Box::new(Cursor::new(bytes)),
        MediaSourceStreamOptions::default(),
    );
    let mut hint = Hint::new();
    hint.with_extension("wav");
    let mut format = symphonia::default::get_probe()
        .probe(
            &hint,
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|e| unsupported(&e))?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| unsupported(&"no sound in it"))?;
    let (track_id, params) = (
        track.id,
        track.codec_params.as_ref().and_then(|p| p.audio()),
    );
    let params = params.ok_or_else(|| unsupported(&"no sound in it"))?;
    let rate_hz = params.sample_rate.unwrap_or(0);
    let channels = params.channels.as_ref().map_or(0, |c| c.count());
    if rate_hz == 0 || rate_hz > 768_000 || channels == 0 {
        return Err(unsupported(&format!("{channels} channels at {rate_hz} Hz")));
    }
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(|e| unsupported(&e))?;
    let mut samples = Vec::new();
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            // A file cut short: keep what was there.
            Ok(None) | Err(DecodeError::IoError(_)) => break,
            Err(e) => return Err(unsupported(&e)),
        };
        if packet.track_id != track_id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(buffer) => {
                interleaved.clear();
                buffer.copy_to_vec_interleaved(&mut interleaved);
                let scale = 1.0 / channels as f32;
                samples.extend(interleaved.chunks_exact(channels).map(|frame| {
                    let sum: f32 = frame.iter().filter(|s| s.is_finite()).sum();
                    (sum * scale).clamp(-1.0, 1.0)
                }));
            }
            Err(DecodeError::DecodeError(_) | DecodeError::IoError(_)) => continue,
            Err(e) => return Err(unsupported(&e)),
        }
        if samples.len() as u64 > u64::from(rate_hz) * u64::from(MAX_SECONDS) {
            return Err(WavError::TooLong { path });
        }
    }
    Ok(AnyPcm { rate_hz, samples })
}

/// Sets right in the header what does not matter but stops symphonia 0.6, and says how many channels
/// the format has (0 where there is none).
///
/// - The length of the whole file, which a recorder that was killed never wrote.
/// - The extensible format's speaker mask: which speaker a channel is for is nothing to an average, and
///   a mask that does not fit the channels makes `fix_wave_channel_mask` shift out of range.
fn repair(bytes: &mut [u8]) -> u16 {
    const EXTENSIBLE: [u8; 2] = 0xfffe_u16.to_le_bytes();
    let number = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let whole = u32::try_from(bytes.len() - 8).unwrap_or(u32::MAX);
    if &bytes[..4] == b"RIFF" && number(&bytes[4..]) < whole {
        bytes[4..8].copy_from_slice(&whole.to_le_bytes());
    }
    let mut most = 0;
    let mut at = 12;
    while let Some(header) = bytes.get(at..at + 8) {
        let len = number(&header[4..]) as usize;
        let is_format = &header[..4] == b"fmt ";
        at += 8;
        if is_format && let Some(format) = bytes.get_mut(at..at + 16) {
            let channels = u16::from_le_bytes([format[2], format[3]]);
            let extensible = format[..2] == EXTENSIBLE;
            most = most.max(channels);
            // After the 16 bytes of every format: size of what follows, valid bits, and the mask.
            if extensible
                && channels <= MAX_CHANNELS
                && let Some(mask) = bytes.get_mut(at + 20..at + 24)
            {
                let plain = (1_u64 << channels) - 1;
                mask.copy_from_slice(&(plain as u32).to_le_bytes());
            }
        }
        at = at.saturating_add(len).saturating_add(len % 2);
    }
    most
}

/// Writes `pcm` as 16-bit mono WAV to `path`, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written; nothing is left behind then.
pub fn write<R: Rate>(path: &Path, pcm: &Pcm<R>) -> Result<(), WavError> {
    let unwritable = |source| WavError::Unwritable {
        path: path.display().to_string(),
        source,
    };
    let part = path.with_extension("wav.part");
    let made = File::create(&part)
        .and_then(|file| encode(BufWriter::new(file), pcm))
        .and_then(|()| std::fs::rename(&part, path));
    if made.is_err() {
        let _ = std::fs::remove_file(&part); // best effort: the first error is the one to tell
    }
    made.map_err(unwritable)
}

/// Writes `pcm` as 16-bit mono WAV.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn encode<R: Rate>(out: impl io::Write + Seek, pcm: &Pcm<R>) -> io::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: R::HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let to_io = |e| match e {
        hound::Error::IoError(e) => e,
        other => io::Error::other(other),
    };
    let mut writer = hound::WavWriter::new(out, spec).map_err(to_io)?;
    for &sample in pcm.samples() {
        writer.write_sample(to_i16(sample)).map_err(to_io)?;
    }
    writer.finalize().map_err(to_io)
}

/// To 16 bits: full scale is ±32767, anything beyond is clipped.
pub fn to_i16(sample: f32) -> i16 {
    (sample.clamp(-1.0, 1.0) * 32767.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Hz16k;

    /// A WAV file by hand: header fields as given, then `data`.
    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let block = channels * bits.div_ceil(8);
        let mut out = Vec::new();
        out.extend(b"RIFF");
        out.extend((36 + data.len() as u32).to_le_bytes());
        out.extend(b"WAVEfmt ");
        out.extend(16u32.to_le_bytes());
        out.extend(tag.to_le_bytes());
        out.extend(channels.to_le_bytes());
        out.extend(rate.to_le_bytes());
        out.extend((rate * u32::from(block)).to_le_bytes());
        out.extend(block.to_le_bytes());
        out.extend(bits.to_le_bytes());
        out.extend(b"data");
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn every_sample_type_gives_the_same_sound() {
        let half = |n: usize| vec![0.5f32; n];
        let files = [
            ("u8", wav(1, 1, 8000, 8, &[192; 100])),
            (
                "s16",
                wav(1, 1, 8000, 16, &16384i16.to_le_bytes().repeat(100)),
            ),
            ("s24", wav(1, 1, 8000, 24, &[0, 0, 0x40].repeat(100))),
            (
                "s32",
                wav(1, 1, 8000, 32, &(1i32 << 30).to_le_bytes().repeat(100)),
            ),
            (
                "f32",
                wav(3, 1, 8000, 32, &0.5f32.to_le_bytes().repeat(100)),
            ),
            (
                "f64",
                wav(3, 1, 8000, 64, &0.5f64.to_le_bytes().repeat(100)),
            ),
            (
                "stereo",
                wav(1, 2, 8000, 16, &[0, 0x40, 0, 0x40].repeat(100)),
            ),
        ];
        for (name, file) in files {
            let got = decode(file, name).expect(name);
            assert_eq!((got.rate_hz, got.samples.len()), (8000, 100), "{name}");
            for (a, b) in got.samples.iter().zip(half(100)) {
                assert!((a - b).abs() < 1e-4, "{name}: {a}");
            }
        }
    }

    #[test]
    fn a_file_cut_short_gives_what_is_there_and_no_sound_is_no_error() {
        let mut file = wav(1, 1, 16_000, 16, &[0; 3200]);
        file.truncate(44 + 1600);
        let got = decode(file, "short").expect("reads");
        assert!(
            (700..=800).contains(&got.samples.len()),
            "{}",
            got.samples.len()
        );
        let empty = decode(wav(1, 1, 16_000, 16, &[]), "empty").expect("reads");
        assert!(empty.samples.is_empty());
    }

    #[test]
    fn what_is_no_wav_is_one_clear_sentence() {
        let nothing = decode(vec![], "x.wav").expect_err("no WAV").to_string();
        assert!(nothing.starts_with("x.wav is empty"), "{nothing}");
        for bytes in [
            b"hello".to_vec(),
            b"OggS\0\0\0\0\0\0\0\0\0\0".to_vec(),
            vec![0; 4096],
        ] {
            let error = decode(bytes, "x.ogg").expect_err("no WAV");
            assert_eq!(error.fault(), Fault::Request);
            assert!(
                error.to_string().starts_with("x.ogg is not a WAV file"),
                "{error}"
            );
        }
        for bad in [
            wav(1, 0, 16_000, 16, &[0; 64]),
            wav(1, 1, 0, 16, &[0; 64]),
            wav(0x1234, 1, 8000, 16, &[0; 64]),
        ] {
            assert_eq!(
                decode(bad, "x.wav").expect_err("unusable").fault(),
                Fault::Request
            );
        }
    }

    #[test]
    fn a_speaker_mask_that_does_not_fit_the_channels_does_not_matter() {
        let extensible = |channels: u16, mask: u32| {
            let mut file = wav(
                0xfffe,
                channels.min(2),
                8000,
                16,
                &[0, 0x40, 0, 0x40].repeat(100),
            );
            file[16] = 40;
            file[22..24].copy_from_slice(&channels.to_le_bytes());
            let mut extra = [22, 0, 16, 0].to_vec();
            extra.extend(mask.to_le_bytes());
            extra.extend([
                1, 0, 0, 0, 0, 0, 16, 0, 128, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71,
            ]);
            file.splice(36..36, extra);
            file
        };
        for mask in [0, 3, 1 << 31, u32::MAX] {
            let got = decode(extensible(2, mask), "x.wav").expect("reads");
            assert_eq!(got.samples.len(), 100, "{mask:#x}");
            assert!((got.samples[50] - 0.5).abs() < 1e-4, "{mask:#x}");
        }
        for channels in [32, 33, 65_535] {
            let error = decode(extensible(channels, 0), "x.wav").expect_err("too many");
            assert_eq!(error.fault(), Fault::Request, "{error}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.wav");
        let pcm = Pcm::<Hz16k>::new((0..1000).map(|i| (i as f32 / 50.0).sin() * 0.9).collect());
        write(&path, &pcm).expect("writes");
        let back = read(&path).expect("reads");
        assert_eq!(back.rate_hz, 16_000);
        for (a, b) in back.samples.iter().zip(pcm.samples()) {
            assert!((a - b).abs() < 1e-4);
        }
        let missing = dir.path().join("no/such/folder/a.wav");
        assert_eq!(
            write(&missing, &pcm).expect_err("cannot").fault(),
            Fault::Request
        );
    }
}
