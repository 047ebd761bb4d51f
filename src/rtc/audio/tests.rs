//! Our voice into somebody's ear, without a network.

use std::time::{Duration, Instant};

use super::*;
use crate::audio::{Hz24k, Pcm};

/// A tone of 440 Hz at a tenth of full scale.
fn tone(samples: usize) -> Vec<f32> {
    let step = std::f32::consts::TAU * 440.0 / 24_000.0;
    (0..samples)
        .map(|i| 0.1 * (step * i as f32).sin())
        .collect()
}

#[test]
fn the_first_and_the_last_20_ms_of_a_tone_arrive() {
    let start = Instant::now();
    let mut voice = Voice::new().unwrap();
    let mut hearing = Hearing::new().unwrap();
    assert!(
        hearing.tick(start).is_none(),
        "nothing before the first packet"
    );
    let mut frames = tone(24_000)
        .chunks(480)
        .map(|c| Pcm::<Hz24k>::new(c.to_vec()))
        .collect::<Vec<_>>()
        .into_iter();
    let mut heard = Vec::new();
    for (seq, at) in (0..100u64).map(|i| (i, start + Duration::from_millis(20 * i))) {
        let packet = match frames.next() {
            Some(frame) => Some(voice.encode(&frame, at)),
            None => {
                voice.over();
                voice.idle(at)
            }
        };
        if let Some(packet) = packet {
            hearing.push(seq, packet.time, &packet.payload, at);
        }
        let sound = hearing.tick(at).unwrap();
        assert_eq!(sound.len(), 320);
        heard.extend(sound.into_samples());
    }
    let loud: Vec<usize> = (0..heard.len())
        .filter(|&i| heard[i].abs() > 0.05)
        .collect();
    let (first, last) = (loud[0], *loud.last().unwrap());
    // 40 ms of wait, 6.5 ms of the encoder's own.
    assert!((640..640 + 104 + 80).contains(&first), "{first}");
    assert!((last - first).abs_diff(16_000) < 80, "{}", last - first);
    assert_eq!(hearing.stats().lost, 0);
}

#[test]
fn padding_among_packets_of_red_changes_nothing_that_is_heard() {
    let start = Instant::now();
    let sound = tone(24_000);
    let frames: Vec<_> = sound.chunks(480).collect();
    // How many packets of padding come after each packet of sound, and whether every other one is lost.
    let heard = |padding: fn(u64) -> u64, lossy: bool| {
        let (mut voice, mut hearing) = (Voice::new().unwrap(), Hearing::new().unwrap());
        let (mut seq, mut before, mut heard) = (0, Vec::new(), Vec::new());
        for (i, frame) in (0..).zip(&frames) {
            let at = start + Duration::from_millis(20 * i);
            let packet = voice.encode(&Pcm::<Hz24k>::new(frame.to_vec()), at);
            // Each brings the sound of the one before it, too.
            let head = 1 << 31 | 111 << 24 | 960 << 10 | before.len() as u32;
            let red = [&head.to_be_bytes()[..], &[111], &before, &packet.payload].concat();
            let red = match i {
                0 => [&[111][..], &packet.payload].concat(),
                _ => red,
            };
            hearing.push_red(seq, packet.time, &red, at);
            for n in 0..padding(i) {
                seq += 1;
                if !lossy || n % 2 == 1 {
                    hearing.push_red(seq, packet.time, &[], at);
                }
            }
            seq += 1;
            before = packet.payload.to_vec();
            heard.extend(hearing.tick(at).unwrap().into_samples());
        }
        (heard, hearing.stats())
    };
    let (plain, _) = heard(|_| 0, false);
    for lossy in [false, true] {
        let (padded, stats) = heard(|i| i * 7 % 4, lossy);
        assert_eq!((stats.broken, stats.received), (0, 50), "{lossy}");
        assert_eq!(stats.concealed, Duration::ZERO, "{lossy}");
        assert!(plain == padded, "{lossy}");
        assert!(lossy || stats.lost == 0, "{stats:?}");
    }
}

/// What is heard of 30 packets after two that came long before: the sender's clock, or the network, has stood
/// still for `still` between them.
fn after_standing_still(still: u64, held_back: bool) -> (f32, HearingStats) {
    let start = Instant::now();
    let (mut voice, mut hearing) = (Voice::new().unwrap(), Hearing::new().unwrap());
    let sound = tone(480 * 32);
    // Its clock goes on evenly, whatever time it is.
    let packets = (0..).zip(sound.chunks(480)).map(|(i, frame)| {
        let frame = Pcm::<Hz24k>::new(frame.to_vec());
        let packet = voice.encode(&frame, start + Duration::from_millis(20 * i));
        let came = match i {
            0 | 1 => 20 * i,
            _ if held_back => (20 * i).max(20 + still),
            _ => 20 * i + still,
        };
        (i, came, packet)
    });
    let mut packets = packets.collect::<Vec<_>>().into_iter().peekable();
    let mut loud = 0.0;
    for ms in (0..still + 1_200).step_by(20) {
        let at = start + Duration::from_millis(ms);
        while let Some((seq, _, packet)) = packets.next_if(|(_, came, _)| *came <= ms) {
            hearing.push(seq, packet.time, &packet.payload, at);
        }
        let heard = hearing.tick(at).unwrap();
        if ms > 100 && heard.rms() > 0.03 {
            loud += 0.02;
        }
    }
    (loud, hearing.stats())
}

#[test]
fn a_sender_that_stood_still_is_heard_from_its_first_packet_on() {
    for still in [100, 260, 300, 700, 1_500, 1_960, 2_500] {
        let (loud, stats) = after_standing_still(still, false);
        assert!(loud >= 0.58, "{still} ms: {loud} s of 0.6 heard; {stats:?}");
    }
}

#[test]
fn padding_in_a_pause_does_not_delay_what_is_said_after_it() {
    let start = Instant::now();
    let sound = tone(480 * 40);
    let heard = |padding: Option<u64>| {
        let (mut voice, mut hearing) = (Voice::new().unwrap(), Hearing::new().unwrap());
        let (mut seq, mut time, mut loud) = (0, 0, Vec::new());
        let mut frames = sound.chunks(480);
        for ms in (0..4_200u64).step_by(20) {
            let at = start + Duration::from_millis(ms);
            // Nothing is sent from 0.4 to 3.6 s, and its clock goes on.
            if !(400..3_600).contains(&ms)
                && let Some(frame) = frames.next()
            {
                time = ms * 48;
                let frame = Pcm::<Hz24k>::new(frame.to_vec());
                hearing.push(seq, time, &voice.encode(&frame, at).payload, at);
                seq += 1;
            }
            if padding == Some(ms) {
                hearing.push(seq, time, &[], at);
                seq += 1;
            }
            if hearing.tick(at).unwrap().rms() > 0.03 {
                loud.push(ms);
            }
        }
        (loud, hearing.stats())
    };
    let (plain, _) = heard(None);
    for padding in [700, 2_900, 3_580] {
        let (loud, stats) = heard(Some(padding));
        assert_eq!(loud, plain, "{padding}");
        assert_eq!(
            (stats.received, stats.lost),
            (40, 0),
            "{padding}: {stats:?}"
        );
    }
}

#[test]
fn what_a_network_held_back_for_long_is_heard_from_near_its_end() {
    for still in [300, 500] {
        let (loud, stats) = after_standing_still(still, true);
        // The last of what was held back, and all that came in time.
        let in_time = 0.6 - still as f32 / 1_000.0;
        assert!(
            loud >= in_time + 0.15,
            "{still} ms: {loud} s heard; {stats:?}"
        );
        assert!(
            stats.wait <= Duration::from_millis(260),
            "{still} ms: {stats:?}"
        );
    }
}

#[test]
fn the_time_goes_on_over_a_pause_and_never_back() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut voice = Voice::new().unwrap();
    let sound = Pcm::new(tone(480));
    let first = voice.encode(&sound, at(0));
    assert_eq!((first.time, first.talkspurt), (0, true));
    // A pacer that is late, and then early.
    let next = voice.encode(&sound, at(50));
    assert_eq!((next.time, next.talkspurt), (960, false));
    assert_eq!(voice.encode(&sound, at(50)).time, 1_920);
    voice.over();
    let mut tail = 0;
    while let Some(silence) = voice.idle(at(70 + 20 * tail)) {
        assert_eq!(silence.time, 2_880 + 960 * tail);
        assert!(!silence.talkspurt);
        tail += 1;
        assert!(tail == 1 || silence.level == -127);
    }
    assert_eq!(tail, 10, "200 ms");
    assert!(voice.idle(at(400)).is_none());
    let again = voice.encode(&sound, at(5_000));
    assert_eq!((again.time, again.talkspurt), (5_000 * 48, true));
    // Nobody called in between.
    let later = voice.encode(&sound, at(6_000));
    assert_eq!((later.time, later.talkspurt), (6_000 * 48, true));
    voice.reset();
    let after = voice.encode(&sound, at(6_001));
    assert_eq!((after.time, after.talkspurt), (6_000 * 48 + 960, true));
}

/// Sends what is to be sent until `until`, as rooms do: sound when it comes, silence when it is due. Gives
/// when each packet went and its time, in milliseconds from `start`, and whether it begins a talkspurt.
fn sent(
    voice: &mut Voice,
    start: Instant,
    sounds: &[u64],
    said_to_be_over: bool,
    until: u64,
) -> Vec<(u64, u64, bool)> {
    let sound = Pcm::new(tone(480));
    let mut packets = Vec::new();
    for ms in sounds.first().copied().unwrap_or(0)..until {
        let now = start + Duration::from_millis(ms);
        if sounds.contains(&ms) {
            packets.push((ms, voice.encode(&sound, now)));
            if said_to_be_over && sounds.last() == Some(&ms) {
                voice.over();
            }
        }
        packets.extend(voice.idle(now).map(|p| (ms, p)));
    }
    packets
        .into_iter()
        .map(|(ms, p)| (ms, p.time / 48, p.talkspurt))
        .collect()
}

#[test]
fn packets_leave_at_their_times_through_speech_tail_pause_and_the_next_speech() {
    let (start, mut voice) = (Instant::now(), Voice::new().unwrap());
    let first: Vec<u64> = (0..10).map(|i| 20 * i).collect();
    // After a pause of 373 ms, which is no multiple of a frame.
    let second: Vec<u64> = (0..5).map(|i| 773 + 20 * i).collect();
    let mut all = sent(&mut voice, start, &first, true, 773);
    all.extend(sent(&mut voice, start, &second, true, 1_500));
    let tailed = |speech: &[u64]| -> Vec<u64> {
        let tail = (1..=10).map(|i| speech.last().unwrap() + 20 * i);
        speech.iter().copied().chain(tail).collect()
    };
    let expected: Vec<_> = [tailed(&first), tailed(&second)]
        .concat()
        .into_iter()
        .map(|ms| (ms, ms, [0, 773].contains(&ms)))
        .collect();
    assert_eq!(all, expected);
}

#[test]
fn a_late_last_sound_does_not_make_the_tail_late() {
    let (start, mut voice) = (Instant::now(), Voice::new().unwrap());
    let packets = sent(&mut voice, start, &[0, 20, 47], true, 1_000);
    assert_eq!(
        packets[2..5],
        [(47, 40, false), (60, 60, false), (80, 80, false)]
    );
}

#[test]
fn sound_that_ends_without_a_word_has_its_tail_at_new_times() {
    let (start, mut voice) = (Instant::now(), Voice::new().unwrap());
    let packets = sent(&mut voice, start, &[0, 20], false, 1_000);
    // Two frames were waited for, which listeners took for a gap: they begin anew, not 40 ms late.
    assert_eq!(packets.len(), 12);
    assert_eq!(packets[2..4], [(80, 80, true), (100, 100, false)]);
}

#[test]
fn a_reply_that_begins_in_the_tail_is_early_and_never_late() {
    let (start, mut voice) = (Instant::now(), Voice::new().unwrap());
    let mut packets = sent(&mut voice, start, &[0], true, 67);
    packets.extend(sent(&mut voice, start, &[67, 87], true, 120));
    assert_eq!(
        packets[3..],
        [
            (60, 60, false),
            (67, 80, false),
            (87, 100, false),
            (107, 120, false)
        ]
    );
}

#[test]
fn a_level_is_what_the_extension_says() {
    let mut voice = Voice::new().unwrap();
    let mut level = |sample: f32| {
        voice
            .encode(&Pcm::new(vec![sample; 480]), Instant::now())
            .level
    };
    assert_eq!(level(1.0), 0);
    assert_eq!(level(0.1), -20);
    assert_eq!(level(0.0), -127);
    assert_eq!(level(f32::NAN), -127, "and nothing worse");
    assert_eq!(level(f32::INFINITY), 0);
}

#[test]
fn sound_that_stops_in_mid_wave_fades() {
    let now = Instant::now();
    let mut voice = Voice::new().unwrap();
    let mut hearing = Hearing::new().unwrap();
    let mut heard = Vec::new();
    for i in 0..30u64 {
        let at = now + Duration::from_millis(20 * i);
        // 20 Hz, cut near its top.
        let sound = (0..480).map(|s| (0.13 * (i * 480 + s) as f32 / 24.0).sin() * 0.5);
        let packet = match i {
            0..10 => Some(voice.encode(&Pcm::new(sound.collect()), at)),
            _ => {
                voice.over();
                voice.idle(at)
            }
        };
        if let Some(packet) = packet {
            hearing.push(i, packet.time, &packet.payload, at);
        }
        heard.extend(hearing.tick(at).unwrap().into_samples());
    }
    let steepest = heard
        .windows(2)
        .map(|w| (w[1] - w[0]).abs())
        .fold(0.0, f32::max);
    assert!(steepest < 0.05, "{steepest}");
}

#[test]
fn too_long_sound_is_cut_and_too_short_is_filled() {
    let mut voice = Voice::new().unwrap();
    for samples in [0, 1, 479, 481, 10_000] {
        let packet = voice.encode(&Pcm::new(tone(samples)), Instant::now());
        let ticks = opus::packet::get_nb_samples(&packet.payload, 48_000).unwrap();
        assert_eq!(ticks, 960, "{samples}");
    }
}

/// Figures for `COMPLEXITY` and docs/benchmarks.md, in CPU time of this thread: the machine may be busy.
#[test]
#[ignore = "prints figures: cargo test --release --lib what_encoding -- --ignored --nocapture"]
fn what_encoding_and_hearing_cost() {
    let cpu = || -> f64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
    };
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/audio/handful.wav"
    );
    let clip = crate::audio::wav::read(file.as_ref()).unwrap();
    let speech: Pcm<Hz24k> = crate::audio::resample(&clip);
    let seconds = speech.duration().as_secs_f64();
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for complexity in 0..=10 {
        let mut encoder = voice::encoder(complexity).unwrap();
        packets.clear();
        let before = cpu();
        for frame in speech.samples().chunks_exact(480) {
            packets.push(encoder.encode_vec_float(frame, 1_275).unwrap());
        }
        let cost = (cpu() - before) / seconds;
        let bytes: usize = packets.iter().map(Vec::len).sum();
        let kbit = bytes as f64 * 8.0 / seconds / 1e3;
        println!("complexity {complexity}: {cost:.2} ms CPU a second of sound, {kbit:.1} kbit/s");
    }
    for lost in [u64::MAX, 10] {
        let mut hearing = Hearing::new().unwrap();
        let start = Instant::now();
        let before = cpu();
        for (i, packet) in (0u64..).zip(&packets) {
            let at = start + Duration::from_millis(20 * i);
            if i % lost != lost - 1 {
                hearing.push(i, i * 960, packet, at);
            }
            hearing.tick(at);
        }
        let cost = (cpu() - before) / seconds;
        println!(
            "hearing: {cost:.2} ms CPU a second of sound, {:?}",
            hearing.stats()
        );
    }
}
