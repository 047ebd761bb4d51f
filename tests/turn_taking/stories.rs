//! The stories: what happens when, to the millisecond.

use std::time::Duration;

use caal::{
    fault::Fault,
    turn::{Activation, Duplex, Input, ReplyId, TurnConfig},
};

use super::{config, ended, judged, play, said, take};

const ONE: ReplyId = ReplyId(1);
const TWO: ReplyId = ReplyId(2);

fn always_on(duplex: Duplex) -> TurnConfig {
    TurnConfig {
        activation: Activation::AlwaysOn,
        duplex,
        ..config()
    }
}

fn typed(text: &str) -> Input {
    Input::Typed {
        text: text.to_owned(),
    }
}

fn announce(text: &str) -> Input {
    Input::Announce {
        text: text.to_owned(),
    }
}

#[test]
fn a_question_and_an_answer() {
    let log = play(
        config(),
        &[
            (100, Input::Wake),
            (400, Input::SpeechStarted),
            (1900, ended()), // last speech at 1.7 s
            (1950, judged(1, 1, 400)),
            (2600, said(1, 1, "what time is it")),
            (3100, Input::ReplyAudible { reply: ONE }),
            (4500, Input::ReplyOver { reply: ONE }),
            (10_000, Input::SpeechStarted),
        ],
    );
    assert_eq!(
        log,
        "\
0.000s Attend(WakeWord)
0.000s Show(Asleep)
0.100s Attend(Speech)
0.100s Show(Listening)
0.400s Capture { turn: TurnId(1) }
1.900s JudgeTurnEnd { take: Take { turn: TurnId(1), pause: 1 } }
1.950s Transcribe { take: Take { turn: TurnId(1), pause: 1 } }
2.100s TurnOver { turn: TurnId(1) }
2.100s Show(Thinking)
2.600s Release { turn: TurnId(1) }
2.600s StartReply { reply: ReplyId(1), prompt: User(\"what time is it\") }
3.100s Show(Speaking)
4.500s Show(Listening)
9.500s Attend(WakeWord)
9.500s Show(Asleep)
"
    );
}

#[test]
fn words_that_are_there_at_the_end_of_the_wait_are_answered_at_once() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1200, ended()),
            (1250, judged(1, 1, 1500)), // seems to go on
            (1600, said(1, 1, "turn on the light")),
        ],
    );
    assert!(log.contains("1.250s Transcribe"), "{log}");
    assert!(
        log.contains("1.600s Prepare { take: Take { turn: TurnId(1), pause: 1 }, text: \"turn on the light\" }"),
        "the answer may be begun: {log}"
    );
    assert!(
        log.contains("2.500s TurnOver { turn: TurnId(1) }\n2.500s Release"),
        "{log}"
    );
    assert!(log.contains("2.500s StartReply"), "{log}");
}

#[test]
fn a_pause_that_nobody_judges_waits_as_long_as_the_default_says() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1200, ended()),
        ],
    );
    assert!(log.contains("1.300s Transcribe"), "{log}");
    assert!(log.contains("1.700s TurnOver"), "{log}");
}

#[test]
fn no_judgement_waits_longer_than_the_ceiling() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1200, ended()),
            (1300, judged(1, 1, 60_000)),
        ],
    );
    assert!(log.contains("4.000s TurnOver"), "{log}");
}

#[test]
fn a_late_judgement_of_a_long_pause_ends_it_at_once() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1200, ended()),
            (1600, judged(1, 1, 300)),
        ],
    );
    assert!(log.contains("1.600s TurnOver"), "{log}");
}

#[test]
fn speaking_on_makes_the_draft_and_the_judgement_stale() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1000, ended()),
            (1100, judged(1, 1, 400)),
            (1150, Input::SpeechStarted),
            (1200, said(1, 1, "turn on the")),
            (1300, judged(1, 1, 10)),
            (2200, ended()),
            (2250, judged(1, 2, 400)),
            (2700, said(1, 2, "turn on the kitchen light")),
        ],
    );
    assert!(
        log.contains("1.150s Forget { take: Take { turn: TurnId(1), pause: 1 } }"),
        "{log}"
    );
    assert!(log.contains("2.400s TurnOver"), "{log}");
    assert!(log.contains("User(\"turn on the kitchen light\")"), "{log}");
    assert_eq!(log.matches("Capture").count(), 1, "one turn: {log}");
}

#[test]
fn who_thinks_aloud_is_not_answered_in_advance_again_and_again() {
    let pauses = 1..=5;
    let script: Vec<_> = [(0, Input::Wake)]
        .into_iter()
        .chain(pauses.flat_map(|n| {
            let at = u64::from(n) * 1_000;
            [
                (at, Input::SpeechStarted),
                (at + 400, ended()),
                (at + 450, judged(1, n, 1_500)),
                (at + 600, said(1, n, "well")),
            ]
        }))
        .collect();
    let log = play(config(), &script);
    assert_eq!(log.matches("Prepare").count(), 3, "{log}");
}

#[test]
fn what_is_answered_in_advance_is_all_that_was_not_answered_yet() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, Input::SpeechStarted),
            (1000, ended()),
            (1050, judged(1, 1, 1500)),
            (1100, typed("in the kitchen")),
            (1200, said(1, 1, "turn on the light")),
        ],
    );
    let all = "in the kitchen turn on the light";
    assert!(log.contains(&format!("text: \"{all}\"")), "{log}");
    assert!(log.contains(&format!("User(\"{all}\")")), "{log}");
}

#[test]
fn speaking_on_while_the_words_are_awaited_is_the_same_turn() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1000, ended()),
            (1600, Input::SpeechStarted), // after the end of the turn, before its words
            (1700, said(1, 1, "turn on")),
            (2500, ended()),
            (3100, said(1, 2, "turn on the kitchen light")),
        ],
    );
    assert!(log.contains("1.600s Forget"), "{log}");
    assert_eq!(log.matches("prompt: User").count(), 1, "{log}");
    assert!(log.contains("User(\"turn on the kitchen light\")"), "{log}");
}

#[test]
fn words_spoken_over_a_reply_that_nobody_heard_are_answered_together() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1000, ended()),
            (1600, said(1, 1, "turn on the light")),
            (1800, Input::SpeechStarted),
            (2900, ended()),
            (3500, said(2, 1, "in the kitchen")),
        ],
    );
    assert!(log.contains("1.800s Hush { reply: ReplyId(1) }"), "{log}");
    assert!(
        log.contains("2.400s Cancel { reply: ReplyId(1), why: BargeIn }"),
        "{log}"
    );
    assert!(
        log.contains("User(\"turn on the light in the kitchen\")"),
        "{log}"
    );
}

#[test]
fn a_cough_hushes_but_does_not_cut() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (1300, ended()),
            (1500, said(1, 1, " ")),
            (2000, Input::ReplyOver { reply: ONE }),
        ],
    );
    assert!(
        log.contains("0.900s Hush") && log.contains("1.500s Unhush"),
        "{log}"
    );
    assert!(log.contains("1.500s Release { turn: TurnId(1) }"), "{log}");
    assert!(!log.contains("Cancel"), "{log}");
}

#[test]
fn a_short_word_ends_a_reply_and_is_answered() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (1300, ended()),
            (1500, said(1, 1, "stop")),
            (1550, judged(1, 1, 400)),
        ],
    );
    assert!(log.contains("1.300s Transcribe"), "{log}");
    assert!(
        log.contains("1.500s Cancel { reply: ReplyId(1), why: BargeIn }"),
        "{log}"
    );
    assert!(!log.contains("Unhush"), "{log}");
    assert!(
        log.contains("1.550s StartReply { reply: ReplyId(2), prompt: User(\"stop\") }"),
        "{log}"
    );
}

#[test]
fn a_reply_whose_interruption_nobody_can_read_goes_on() {
    let over = |answer: Option<Input>| {
        let mut script = vec![
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (1300, ended()),
        ];
        script.extend(answer.map(|answer| (1600, answer)));
        play(always_on(Duplex::Full), &script)
    };
    let failed = Input::TranscriptFailed {
        take: take(1, 1),
        fault: Fault::Internal,
    };
    let log = over(Some(failed));
    assert!(log.contains("1.600s Unhush"), "{log}");
    let log = over(None);
    assert!(log.contains("3.300s Unhush"), "no answer at all: {log}");
}

#[test]
fn speech_that_comes_again_while_it_is_doubted_ends_the_reply() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (1300, ended()),
            (1400, Input::SpeechStarted),
            (1500, said(1, 1, "wait")),
            (2300, ended()),
        ],
    );
    assert!(
        log.contains("1.400s Cancel { reply: ReplyId(1), why: BargeIn }"),
        "{log}"
    );
    assert_eq!(log.matches("Capture").count(), 1, "one turn: {log}");
}

#[test]
fn a_cough_before_the_first_sound_resumes_too() {
    let log = play(
        always_on(Duplex::Half),
        &[
            (0, typed("hello")),
            (900, Input::SpeechStarted),
            (1300, ended()),
            (1500, said(1, 1, "")),
            (2000, Input::ReplyAudible { reply: ONE }),
            (3000, Input::ReplyOver { reply: ONE }),
        ],
    );
    assert!(log.contains("1.500s Unhush"), "{log}");
    assert!(log.contains("2.000s Show(Speaking)"), "{log}");
    assert!(!log.contains("Cancel"), "{log}");
}

#[test]
fn a_barge_in_hushes_at_once_and_cuts_when_it_is_certain() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (2000, ended()),
            (2600, said(1, 1, "stop please")),
        ],
    );
    assert!(log.contains("0.900s Hush"), "{log}");
    assert!(
        log.contains("1.500s Cancel { reply: ReplyId(1), why: BargeIn }"),
        "{log}"
    );
    assert!(
        log.contains("prompt: User(\"stop please\")"),
        "the story was heard: {log}"
    );
}

#[test]
fn with_loudspeakers_speech_over_a_reply_is_its_echo() {
    let log = play(
        always_on(Duplex::Half),
        &[
            (0, typed("hello")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (2000, ended()),
            (3000, Input::ReplyOver { reply: ONE }),
            (3100, Input::SpeechStarted),
            (3200, ended()),
            (3500, Input::SpeechStarted),
        ],
    );
    assert!(log.contains("0.500s Attend(Deaf)"), "{log}");
    assert!(log.contains("3.400s Attend(Speech)"), "{log}");
    assert_eq!(log.matches("Capture").count(), 1, "{log}");
    assert!(log.contains("3.500s Capture"), "{log}");
}

#[test]
fn with_loudspeakers_a_reply_that_was_cut_still_rings() {
    let log = play(
        always_on(Duplex::Half),
        &[
            (0, typed("hello")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, typed("never mind")),
            (1000, Input::SpeechStarted),
            (1100, ended()),
        ],
    );
    assert!(log.contains("0.900s Cancel"), "{log}");
    assert!(!log.contains("Capture") && !log.contains("Hush"), "{log}");
}

#[test]
fn a_noise_without_words_goes_back_to_listening() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1000, ended()),
            (1600, said(1, 1, " ")),
        ],
    );
    assert!(!log.contains("StartReply"), "{log}");
    assert!(
        log.contains("5.000s Show(Asleep)"),
        "the wake word's window goes on: {log}"
    );
}

#[test]
fn a_click_is_not_even_transcribed() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (350, ended()),
            (400, judged(1, 1, 3_000)),
        ],
    );
    assert!(
        log.contains("Release") && !log.contains("TurnOver"),
        "{log}"
    );
}

#[test]
fn an_endless_voice_is_transcribed_at_the_ceiling() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, Input::SpeechStarted),
            (30_500, Input::SpeechStarted),
            (31_000, said(1, 1, "and another thing")),
        ],
    );
    assert!(log.contains("30.000s TurnOver"), "{log}");
    assert!(log.contains("30.000s Transcribe"), "{log}");
    assert!(log.contains("31.000s StartReply"), "{log}");
}

#[test]
fn words_that_do_not_come_end_in_an_apology() {
    let log = play(
        config(),
        &[
            (0, Input::Wake),
            (100, Input::SpeechStarted),
            (1000, ended()),
        ],
    );
    // Until 1.5 s the pause, then 10 s and the turn's own 0.7 s.
    assert!(
        log.contains("12.200s StartReply { reply: ReplyId(1), prompt: Apology(TooSlow) }"),
        "{log}"
    );
    // And an apology that is never heard does not beget another.
    assert!(
        log.contains("32.200s Cancel { reply: ReplyId(1), why: TooSlow }"),
        "{log}"
    );
    assert!(log.ends_with("37.200s Show(Asleep)\n"), "{log}");
}

#[test]
fn an_engine_that_fails_is_apologised_for() {
    let failed = |fault| Input::TranscriptFailed {
        take: take(1, 1),
        fault,
    };
    let start = [
        (0, Input::Wake),
        (100, Input::SpeechStarted),
        (1000, ended()),
    ];
    let early = play(
        config(),
        &[&start[..], &[(1300, failed(Fault::Busy))]].concat(),
    );
    assert!(
        early.contains("1.500s StartReply { reply: ReplyId(1), prompt: Apology(Failed(Busy)) }"),
        "{early}"
    );
    let late = play(
        config(),
        &[&start[..], &[(1900, failed(Fault::Internal))]].concat(),
    );
    assert!(
        late.contains("1.900s StartReply { reply: ReplyId(1), prompt: Apology(Failed(Internal)) }"),
        "{late}"
    );
}

#[test]
fn an_answer_that_does_not_come_ends_in_an_apology() {
    let log = play(
        always_on(Duplex::Half),
        &[
            (0, typed("hello")),
            (25_000, Input::ReplyAudible { reply: ONE }),
        ],
    );
    assert!(
        log.contains("20.000s Cancel { reply: ReplyId(1), why: TooSlow }"),
        "{log}"
    );
    assert!(
        log.contains("20.000s StartReply { reply: ReplyId(2), prompt: Apology(TooSlow) }"),
        "{log}"
    );
}

#[test]
fn an_answer_that_stalls_ends_in_an_apology_and_one_that_goes_on_does_not() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("hello")),
            (1_000, Input::ReplyAudible { reply: ONE }),
            (10_000, Input::ReplyProgress { reply: ONE }),
            (24_000, Input::ReplyProgress { reply: ONE }),
        ],
    );
    assert!(
        log.contains("39.000s Cancel { reply: ReplyId(1), why: TooSlow }"),
        "{log}"
    );
    assert!(
        log.contains("39.000s StartReply { reply: ReplyId(2), prompt: Apology(TooSlow) }"),
        "{log}"
    );
}

#[test]
fn an_answer_that_is_worked_on_is_waited_for_before_and_after_its_first_words() {
    let think = always_on(Duplex::Full).think_limit;
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("hello")),
            (5_000, Input::ReplyBusy { reply: ONE }),
            (10_000, Input::ReplyAudible { reply: ONE }),
            (24_000, Input::ReplyBusy { reply: ONE }),
        ],
    );
    assert!(
        log.contains("39.000s Cancel { reply: ReplyId(1), why: TooSlow }"),
        "{log}"
    );
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("hello")),
            (5_000, Input::ReplyBusy { reply: ONE }),
        ],
    );
    let end = format!("{:.3}s Cancel", 5.0 + think.as_secs_f64());
    assert!(log.contains(&end), "{end} in {log}");
}

#[test]
fn announcements_wait_for_the_floor() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, Input::SpeechStarted),
            (500, announce("Dinner is ready.")),
            (1000, ended()),
            (1600, said(1, 1, "what time is it")),
            (1700, announce("The door is open.")),
            (2000, Input::ReplyAudible { reply: ONE }),
            (3000, Input::ReplyOver { reply: ONE }),
            (3500, Input::ReplyAudible { reply: TWO }),
            (4000, Input::ReplyOver { reply: TWO }),
        ],
    );
    assert!(
        log.contains(
            "3.000s StartReply { reply: ReplyId(2), prompt: Verbatim(\"Dinner is ready.\") }"
        ),
        "{log}"
    );
    assert!(
        log.contains(
            "4.000s StartReply { reply: ReplyId(3), prompt: Verbatim(\"The door is open.\") }"
        ),
        "{log}"
    );
}

#[test]
fn an_announcement_to_a_sleeper_wakes_nobody() {
    let log = play(
        config(),
        &[
            (0, announce("Dinner is ready.")),
            (100, Input::SpeechStarted),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::SpeechStarted),
            (2000, Input::ReplyOver { reply: ONE }),
        ],
    );
    assert!(!log.contains("Hush") && !log.contains("Capture"), "{log}");
    assert!(log.ends_with("2.000s Show(Asleep)\n"), "{log}");
    let woken = play(
        config(),
        &[
            (0, announce("Dinner is ready.")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::Wake),
            (1500, Input::SpeechStarted),
        ],
    );
    assert!(
        woken.contains("0.900s Cancel") && woken.contains("1.500s Capture"),
        "{woken}"
    );
}

#[test]
fn typing_interrupts_a_reply_and_joins_what_is_being_said() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, typed("a short one")),
            (1000, typed("about a fox")), // nobody has heard the second answer
        ],
    );
    assert!(
        log.contains("0.900s Cancel { reply: ReplyId(1), why: Superseded }"),
        "{log}"
    );
    assert!(
        log.contains("0.900s StartReply { reply: ReplyId(2), prompt: User(\"a short one\") }"),
        "{log}"
    );
    assert!(log.contains("User(\"a short one about a fox\")"), "{log}");
    let spoken = play(
        always_on(Duplex::Full),
        &[
            (0, Input::SpeechStarted),
            (500, typed("https://example.org")),
            (1000, ended()),
            (1600, said(1, 1, "what is this")),
        ],
    );
    assert!(
        spoken.contains("User(\"https://example.org what is this\")"),
        "{spoken}"
    );
}

#[test]
fn an_interrupt_silences_whatever_is_going_on() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("tell me a story")),
            (500, Input::ReplyAudible { reply: ONE }),
            (900, Input::Interrupt),
            (1000, typed("hello")),
            (1100, Input::Interrupt),
        ],
    );
    assert!(
        log.contains("0.900s Cancel { reply: ReplyId(1), why: Interrupted }"),
        "{log}"
    );
    assert!(
        log.contains("1.100s Cancel { reply: ReplyId(2), why: Interrupted }"),
        "{log}"
    );
    assert!(log.ends_with("1.100s Show(Listening)\n"), "{log}");
}

#[test]
fn a_first_sample_that_was_on_its_way_when_it_was_hushed_counts_as_heard() {
    let log = play(
        always_on(Duplex::Half),
        &[
            (0, typed("hello")),
            (900, Input::SpeechStarted),
            (920, Input::ReplyAudible { reply: ONE }),
            (1300, ended()),
            (1500, said(1, 1, "")),
            (2000, Input::ReplyOver { reply: ONE }),
        ],
    );
    assert!(log.contains("1.500s Attend(Deaf)"), "{log}");
    assert!(log.contains("2.400s Attend(Speech)"), "{log}");
}

#[test]
fn the_end_of_an_old_reply_does_not_end_the_new_one() {
    let log = play(
        always_on(Duplex::Full),
        &[
            (0, typed("one")),
            (100, typed("two")),
            (200, Input::ReplyOver { reply: ONE }),
            (300, Input::ReplyAudible { reply: ONE }),
            (400, Input::ReplyAudible { reply: TWO }),
            (500, Input::ReplyProgress { reply: ONE }),
        ],
    );
    assert!(log.contains("0.400s Show(Speaking)"), "{log}");
    assert!(!log.contains("0.300s"), "{log}");
}

#[test]
fn the_wake_words_window_is_renewed_by_a_reply() {
    let window = Duration::from_secs(5);
    assert_eq!(config().follow_up, window);
    let log = play(config(), &[(1_000, Input::Wake), (4_000, Input::Wake)]);
    assert!(log.contains("9.000s Show(Asleep)"), "{log}");
}

fn greet() -> Input {
    Input::Greet {
        text: "Yes?".to_owned(),
    }
}

#[test]
fn who_says_the_wake_word_and_waits_is_greeted_and_has_time_after_it() {
    let log = play(
        config(),
        &[
            (100, Input::Wake),
            (100, greet()),
            (900, Input::ReplyAudible { reply: ONE }),
            (1_400, Input::ReplyOver { reply: ONE }),
        ],
    );
    assert_eq!(
        log,
        "\
0.000s Attend(WakeWord)
0.000s Show(Asleep)
0.100s Attend(Speech)
0.100s Show(Listening)
0.600s StartReply { reply: ReplyId(1), prompt: Greeting(\"Yes?\") }
0.900s Show(Speaking)
1.400s Show(Listening)
6.400s Attend(WakeWord)
6.400s Show(Asleep)
"
    );
}

#[test]
fn nobody_is_greeted_who_speaks_on_types_or_wants_silence() {
    for meanwhile in [
        Input::SpeechStarted,
        typed("hello"),
        announce("News."),
        Input::Interrupt,
    ] {
        let script = [(100, Input::Wake), (100, greet()), (400, meanwhile)];
        let log = play(config(), &script);
        assert!(!log.contains("Greeting"), "{log}");
    }
    let asleep = play(config(), &[(100, greet())]);
    assert!(!asleep.contains("Greeting"), "{asleep}");
}

#[test]
fn other_rules_count_at_rest_only() {
    let rules = |config: TurnConfig| Input::Rules(Box::new(config));
    let sleepy = play(always_on(Duplex::Full), &[(1_000, rules(config()))]);
    let asleep = "6.000s Attend(WakeWord)\n6.000s Show(Asleep)\n";
    assert!(sleepy.ends_with(asleep), "{sleepy}");
    let awake = play(config(), &[(1_000, rules(always_on(Duplex::Full)))]);
    let woken = "1.000s Attend(Speech)\n1.000s Show(Listening)\n";
    assert!(awake.ends_with(woken), "{awake}");
    let talking = [(1_000, Input::SpeechStarted), (1_500, rules(config()))];
    let talking = play(always_on(Duplex::Full), &talking);
    assert!(!talking.contains("Asleep"), "{talking}");
}
