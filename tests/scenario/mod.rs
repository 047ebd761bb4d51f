//! Whole conversations on a paused clock: ear, session, playout and room are real, the models are
//! fakes. Times are exact.

mod faults;
mod manner;
mod prefix;
pub(crate) mod rooms;
pub(crate) mod support;
mod tools;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use caal::{
    llm::Message,
    local::file::Speed,
    session::{Effect, Event, Session},
    telemetry::Outcome,
    turn::{Duplex, Phase},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use support::{Behaviour, Story, asked, ms};

fn question() -> Story {
    Story::new().says(500, 2_000, "what time is it")
}

const FOX: &str = "Once there was a fox. It lived in a deep forest. It was very clever. ";

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_as_fast_as_its_parts_allow() {
    let told = question().play().await;
    assert_eq!(
        told.log,
        [
            "     0 attend Speech",
            "     0 show listening",
            "  2266 show thinking",
            "  2380 user: what time is it",
            "  2520 saying: It is noon.",
            "  2670 play 1 910ms",
            "  2670 end 1",
            "  2680 took Some(664): endpoint 250 stt 114 llm 100 clause 40 tts 150 playout 10",
            "  2680 show speaking",
            "  3580 said: It is noon.",
            "  3580 show listening",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_done_for_an_answer_is_a_tree_with_a_branch_for_each_stage() {
    let told = question().play().await;
    let [answered] = &told.answered[..] else {
        panic!("{:?}", told.answered);
    };
    assert_eq!(answered.outcome, Outcome::Complete);
    assert_eq!(answered.user.0, "what time is it");
    assert_eq!(answered.assistant.0.trim(), "It is noon.");
    let tree = answered.trace("kitchen");
    let parts: Vec<_> = tree.parts.iter().map(|part| part.name.as_str()).collect();
    let [endpoint, stt, .., playout] = &parts[..] else {
        panic!("{parts:?}");
    };
    assert_eq!([*endpoint, *stt, *playout], ["endpoint", "stt", "playout"]);
    assert!(
        parts.iter().any(|part| part.starts_with("chat ")),
        "{parts:?}"
    );
    assert!(parts.contains(&"tts"), "{parts:?}");
    assert!(
        tree.parts
            .iter()
            .all(|part| part.from <= part.to && tree.from <= part.from)
    );
    for word in ["noon", "time"] {
        assert!(!format!("{tree:?}").contains(word), "{tree:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_go_on_is_answered_meanwhile_and_heard_when_it_does_not() {
    let told = question().with(|s| s.complete = Some(0.1)).play().await;
    assert_eq!(
        told.log,
        [
            "     0 attend Speech",
            "     0 show listening",
            "  3516 user: what time is it",
            "  3516 show thinking",
            "  3516 saying: It is noon.",
            "  3516 play 1 910ms",
            "  3516 end 1",
            "  3520 took Some(1504): endpoint 1500 stt 0 llm 0 clause 0 tts 0 playout 4",
            "  3520 show speaking",
            "  4420 said: It is noon.",
            "  4420 show listening",
        ],
    );
    assert_eq!(told.requests.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_advance_is_thrown_away_unheard_when_the_user_goes_on() {
    let told = Story::new()
        .with(|s| s.complete = Some(0.1))
        .says(500, 2_000, "turn on the")
        .says(3_200, 4_500, "kitchen light")
        .play()
        .await;
    let asked: Vec<_> = told.requests.iter().map(asked).collect();
    assert_eq!(asked, ["turn on the", "turn on the kitchen light"]);
    assert_eq!(told.count("user:"), 1, "{}", told.text());
    told.has("user: turn on the kitchen light");
    assert_eq!(told.count("saying:"), 1, "{}", told.text());
    let history = &told.requests[1].messages;
    assert!(
        !history.iter().any(|m| matches!(m, Message::Assistant(_))),
        "{history:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn long_speech_is_shown_about_once_a_second_while_it_is_spoken() {
    let story = || {
        Story::new()
            .with(|s| s.hearing = true)
            .says(500, 1_500, "hello")
            .says(6_000, 10_000, "once upon a time")
    };
    let told = story().play().await;
    let mut shown: Vec<_> = told.log.iter().filter(|l| l.contains("hearing:")).collect();
    // The first turn told how long a clip takes, and is too short itself.
    assert!(shown.remove(0).ends_with("hearing: hello"));
    assert!(shown.pop().unwrap().ends_with("hearing: once upon a time"));
    let during: Vec<u64> = shown
        .iter()
        .filter(|l| l.ends_with("hearing: once upon a time~"))
        .map(|l| l.trim().split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(during.len(), shown.len(), "{}", told.text());
    assert!((2..=4).contains(&during.len()), "{}", told.text());
    // A clip begins a third of a second before the speech.
    assert!(
        during[0] > 6_600 && during.windows(2).all(|w| w[1] - w[0] >= 1_000),
        "{}",
        told.text()
    );
    // And nobody waits for it: the answer is as fast as without.
    told.has("user: once upon a time");
    let slow = story()
        .with(|s| s.stt = Behaviour::After(ms(600)))
        .play()
        .await;
    assert_eq!(
        slow.count("hearing: once upon a time~"),
        0,
        "{}",
        slow.text()
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_behind_an_answer_in_advance() {
    let other = question().with(|s| s.llm = Behaviour::Hangs);
    let (events, events_rx) = mpsc::channel(16);
    let (effects_tx, mut effects) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    let session = Session::new(other.config(), other.engines(), None, stop.clone());
    tasks.spawn(session.run(events_rx, effects_tx));
    events.send(Event::Typed("hello".to_owned())).await.unwrap();
    while effects.recv().await != Some(Effect::Show(Phase::Thinking)) {}
    let told = question()
        .with(|s| {
            s.complete = Some(0.1);
            s.load = other.load.clone();
        })
        .play()
        .await;
    told.has("  3516 user: what time is it")
        .has("  3656 saying: It is noon.");
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn fast_takes_no_time_for_engines_and_says_the_same() {
    let told = question().with(|s| s.speed = Speed::Fast).play().await;
    told.has("user: what time is it").has("said: It is noon.");
    // The pause alone: 250 ms after the last speech, in steps of 20 ms.
    let first = told.sounds().iter().position(|s| *s).expect("an answer") * 20;
    assert_eq!(first, 2_260, "{}", told.text());
    let real = question().play().await;
    let sound = |told: &support::Told| told.sounds().iter().filter(|s| **s).count();
    assert_eq!(sound(&told), sound(&real));
}

#[tokio::test(start_paused = true)]
async fn with_loudspeakers_it_does_not_answer_itself() {
    for speed in [Speed::RealTime, Speed::Fast] {
        let told = question()
            .answers(FOX)
            .with(|s| {
                s.turn.duplex = Duplex::Half;
                s.echo = 0.6;
                s.speed = speed;
            })
            .play()
            .await;
        assert_eq!(told.count("user:"), 1, "{}", told.text());
        assert_eq!(
            told.count("said: Once there was a fox. It lived"),
            1,
            "{}",
            told.text()
        );
        told.has_not("hush");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_echo_guard_the_same_echo_would_be_heard() {
    let told = question().answers(FOX).with(|s| s.echo = 0.6).play().await;
    told.has("hush 1");
}

#[tokio::test(start_paused = true)]
async fn an_interruption_is_silence_within_a_frame_and_history_keeps_what_was_heard() {
    let told = question()
        .answers(FOX)
        .says(5_000, 6_500, "stop")
        .play()
        .await;
    let hushed = told.at("hush 1");
    assert_eq!(hushed, 5_100, "{}", told.text());
    // The frame after the decision holds the fade of 5 ms, and then there is silence.
    let next = usize::try_from(hushed / 20).unwrap();
    let fade = &told.answer.sound.samples()[next * 480..][..480];
    assert!(fade[120..].iter().all(|s| *s == 0.0), "{}", told.text());
    let after = next + 1;
    let cut = usize::try_from(told.at("flush 1") / 20).unwrap();
    assert!(
        told.sounds()[after..=cut].iter().all(|s| !s),
        "{}",
        told.text()
    );
    assert!(told.sounds()[after - 5], "it was speaking");
    told.has("said: Once there was a fox. It lived in a deep --");
    let second = &told.requests[1];
    assert_eq!(asked(second), "stop");
    let heard = second.messages.iter().any(
        |m| matches!(m, Message::Assistant(text) if text.starts_with("Once there was a fox. It") && !text.contains("forest")),
    );
    assert!(heard, "{:?}", second.messages);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_goes_on_over_midnight_knows_the_new_day() {
    let began = tokio::time::Instant::now();
    let system = move || {
        let is_tomorrow = began.elapsed() > ms(4_000);
        format!(
            "Today is {}.",
            if is_tomorrow { "Monday" } else { "Sunday" }
        )
    };
    let told = question()
        .answers(FOX)
        .says(5_000, 6_500, "stop")
        .with(|story| story.system = std::sync::Arc::new(system))
        .play()
        .await;
    let days: Vec<_> = told
        .requests
        .iter()
        .map(|r| r.messages[0].clone())
        .collect();
    let day = |text: &str| Message::System(text.to_owned());
    assert_eq!(days, [day("Today is Sunday."), day("Today is Monday.")]);
}

#[tokio::test(start_paused = true)]
async fn a_cough_hushes_and_the_answer_goes_on() {
    let told = question().answers(FOX).coughs(5_000, 5_250).play().await;
    told.has("hush 1")
        .has("unhush 1")
        .has("said: Once there was a fox. It lived in a deep forest. It was very clever.");
    told.has_not("flush");
    let quiet = question().answers(FOX).play().await;
    let sound = |told: &support::Told| {
        told.answer
            .sound
            .samples()
            .iter()
            .filter(|s| **s == support::VOICE)
            .count()
    };
    let lost = sound(&quiet) - sound(&told);
    assert!(lost <= 240, "only the fades differ: {lost}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_for_thought_does_not_end_the_turn() {
    let told = Story::new()
        .says(500, 1_500, "turn on the")
        .says(2_300, 3_000, "kitchen light")
        .with(|s| s.complete = Some(0.1))
        .play()
        .await;
    assert_eq!(told.count("user:"), 1, "{}", told.text());
    told.has("user: turn on the kitchen light");
}

#[tokio::test(start_paused = true)]
async fn words_after_a_hasty_end_are_answered_with_those_before() {
    let told = Story::new()
        .says(500, 1_500, "turn on the")
        .says(2_000, 3_000, "kitchen light")
        .with(|s| s.llm = Behaviour::After(ms(900)))
        .play()
        .await;
    assert_eq!(
        asked(told.requests.last().unwrap()),
        "turn on the kitchen light"
    );
    assert_eq!(told.count("said:"), 1, "{}", told.text());
    assert!(told.requests[0].messages.len() == told.requests.last().unwrap().messages.len());
}

#[tokio::test(start_paused = true)]
async fn a_question_in_one_breath_with_the_wake_word_is_whole() {
    let told = Story::new()
        .calls(500, 1_230)
        .says(1_230, 2_700, "what time is it")
        .play()
        .await;
    told.has("woken hey_test")
        .has("what time is it")
        .has("said: It is noon.");
    told.has_not("~").has("show asleep");
}

/// The fake wake word model insists on not being run on the thread that feeds the loudspeaker, where
/// falling asleep would hold it up.
#[tokio::test(start_paused = true)]
async fn it_falls_asleep_beside_the_loudspeaker_and_can_be_woken_again() {
    let told = Story::new()
        .calls(500, 1_230)
        .says(1_230, 2_700, "what time is it")
        .calls(30_500, 31_230)
        .says(31_230, 32_700, "what time is it")
        .play()
        .await;
    assert_eq!(told.count("woken hey_test"), 2, "{}", told.text());
    assert_eq!(told.count("user:"), 2, "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn the_wake_word_alone_is_no_question() {
    let told = Story::new()
        .calls(500, 1_230)
        .says(2_500, 4_000, "what time is it")
        .play()
        .await;
    assert_eq!(told.count("user:"), 1, "{}", told.text());
    assert_eq!(asked(&told.requests[0]), "what time is it");
}

#[tokio::test(start_paused = true)]
async fn without_the_wake_word_nothing_is_answered() {
    let told = Story::new()
        .says(500, 1_500, "what time is it")
        .calls(0, 0)
        .play()
        .await;
    assert_eq!(told.count("user:"), 0, "{}", told.text());
    assert!(told.answer.begins.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_failure_is_said_once_and_the_conversation_goes_on() {
    let deaf = question().with(|s| s.stt = Behaviour::Fails).play().await;
    deaf.has("saying: Sorry, I am busy right now.")
        .has("show listening");
    let stuck = question().with(|s| s.stt = Behaviour::Hangs).play().await;
    stuck.has("saying: Sorry, that took too long.");
    let broken = question()
        .answers(FOX)
        .with(|s| s.llm = Behaviour::Fails)
        .play()
        .await;
    broken
        .has("saying: Once there was a fox.")
        .has("saying: Sorry, I cannot reach my language model right now.")
        .has("said: Once there was a fox.")
        .has("trouble: the language model server at fake broke off; try again");
    let silent = question().with(|s| s.llm = Behaviour::Hangs).play().await;
    silent
        .has("flush 1")
        .has("saying: Sorry, that took too long.");
    let empty = question().answers("").play().await;
    empty
        .has("saying: Sorry, something went wrong.")
        .has("trouble: the language model gave an empty answer");
    let mute = question().with(|s| s.tts = Behaviour::Fails).play().await;
    mute.has("trouble: the kokoro engine has stopped")
        .has("end 1")
        .has_not("said:");
    let stalled = question().with(|s| s.tts = Behaviour::Hangs).play().await;
    stalled.has("flush 1").has("flush 2");
}

#[tokio::test(start_paused = true)]
async fn a_slow_voice_is_started_early_enough_to_leave_no_gap() {
    // Each clause takes 1.4 s to make and lasts longer than that.
    let told = question()
        .answers(FOX)
        .with(|s| {
            s.tts = Behaviour::After(ms(1_400));
            s.per_letter = ms(80);
        })
        .play()
        .await;
    let sounds = told.sounds();
    let (first, last) = (
        sounds.iter().position(|s| *s).unwrap(),
        sounds.iter().rposition(|s| *s).unwrap(),
    );
    let gaps = sounds[first..last].split(|s| *s).map(<[bool]>::len).max();
    assert!(
        gaps <= Some(18),
        "only the pauses between sentences: {gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn fast_waits_for_a_slow_voice_in_the_middle_of_an_answer() {
    let told = question()
        .answers(FOX)
        .with(|s| {
            s.speed = Speed::Fast;
            s.tts = Behaviour::After(Duration::from_secs(8));
        })
        .play()
        .await;
    let sounds = told.sounds();
    let first = sounds.iter().position(|s| *s).unwrap();
    let last = sounds.iter().rposition(|s| *s).unwrap();
    let gaps = sounds[first..last].split(|s| *s).map(<[bool]>::len).max();
    assert!(gaps <= Some(18), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_running_after_stop() {
    let stop = CancellationToken::new();
    let (events, events_rx) = mpsc::channel(16);
    let (effects_tx, mut effects) = mpsc::channel(16);
    let alive = Arc::new(());
    let story = question().with(|s| s.llm = Behaviour::Hangs);
    let mut config = story.config();
    let held = alive.clone();
    config.frame = Arc::new(move |text| {
        let _ = &held;
        text.to_owned()
    });
    let mut tasks = tokio::task::JoinSet::new();
    let session = Session::new(config, story.engines(), None, stop.clone());
    tasks.spawn(session.run(events_rx, effects_tx));
    events.send(Event::Typed("hello".to_owned())).await.unwrap();
    while effects.recv().await != Some(Effect::Show(Phase::Thinking)) {}
    assert_eq!(Arc::strong_count(&alive), 2);
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(
        Arc::strong_count(&alive),
        1,
        "the session and its tasks are gone"
    );
    assert_eq!(effects.recv().await, None);
}

/// Where the log goes in the test below.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_has_timings_and_none_of_the_words() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone tracing asks the thread that comes to a line first whether it is wanted,
    // and for ever: mostly another test's, which has none. With a second it asks all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    question()
        .answers(FOX)
        .says(5_000, 6_500, "stop")
        .play()
        .await;
    question().with(|s| s.stt = Behaviour::Fails).play().await;
    drop(guard);
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("turn answered"), "{log}");
    assert!(
        log.contains("local conversation") && log.contains("speaking"),
        "{log}"
    );
    for word in ["what time", "fox", "stop", "forest"] {
        assert!(!log.contains(word), "{word} in\n{log}");
    }
}
