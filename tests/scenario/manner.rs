//! What changes while a conversation goes on counts from its next turn on, and loses no word.

use std::sync::Arc;

use caal::session::{Manner, SessionConfig};
use tokio::{sync::watch, time::sleep};

use super::support::{Story, Told, ms};

fn two_questions() -> Story {
    Story::new()
        .says(500, 2_000, "what time is it")
        .says(7_000, 8_500, "and what day")
        .answers("It is noon. Time for lunch.")
}

/// Plays `story` and has everything changed at this millisecond.
async fn changed_at(at: u64, story: Story) -> Told {
    let before = story.config();
    let (sender, manners) = watch::channel(Arc::new(Manner {
        config: before.clone(),
        wake: None,
        gate: Default::default(),
    }));
    let after = SessionConfig {
        voice: "another".to_owned(),
        speed: 1.5,
        hints: "Nguyen".to_owned(),
        system: Arc::new(|| "Be verbose.".to_owned()),
        ..before
    };
    let mut after = Manner {
        config: after,
        ..(**manners.borrow()).clone()
    };
    after.config.endpoint.complete = ms(900);
    let playing = story.with(|story| story.manners = Some(manners)).play();
    let changing = async {
        sleep(ms(at)).await;
        sender.send_replace(Arc::new(after));
    };
    tokio::join!(playing, changing).0
}

/// The voices of the clauses that were spoken, in order.
fn voices(told: &Told) -> Vec<&str> {
    told.spoken.iter().map(|s| s.voice.as_str()).collect()
}

/// How long the pause was that ended each turn, in milliseconds.
fn pauses(told: &Told) -> Vec<u64> {
    let after = |line: &String| {
        let number = line.split("endpoint ").nth(1)?;
        number.split(' ').next()?.parse().ok()
    };
    told.log.iter().filter_map(after).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_leaves_the_turn_that_is_going_on_as_it_is_and_counts_in_the_next() {
    // While the user speaks, while it is found out whether they are done, while the answer is made,
    // while it is heard, and when nobody speaks.
    for at in [1_000, 2_150, 2_450, 3_500, 6_000] {
        let told = changed_at(at, two_questions()).await;
        assert_eq!(told.count("user:"), 2, "{at}: {}", told.text());
        assert_eq!(voices(&told), ["", "another"], "{at}");
        let pauses = pauses(&told);
        assert!((250..300).contains(&pauses[0]), "{at}: {pauses:?}");
        assert!((900..950).contains(&pauses[1]), "{at}: {pauses:?}");
        let system = |n: usize| format!("{:?}", told.requests[n].messages[0]);
        assert!(system(0).contains("Be brief."), "{at}: {}", system(0));
        assert!(system(1).contains("Be verbose."), "{at}: {}", system(1));
        let history = format!("{:?}", told.requests[1].messages);
        assert!(
            history.contains("Time for lunch."),
            "{at}: nothing is forgotten"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_short_is_answered_in_the_new_voice_although_there_was_no_rest() {
    let story = Story::new()
        .says(500, 2_000, "count")
        .says(4_000, 5_500, "thank you")
        .answers("One two three four five six seven eight nine ten eleven. Twelve thirteen.");
    let told = changed_at(3_500, story).await;
    assert_eq!(told.count("flush"), 1, "{}", told.text());
    let second = told.log.iter().position(|l| l.contains("user: thank you"));
    let clauses = |lines: &[String]| lines.iter().filter(|l| l.contains("saying:")).count();
    let first = clauses(&told.log[..second.expect("it was heard")]);
    let voices = voices(&told);
    assert!(
        voices[..first].iter().all(|voice| voice.is_empty()),
        "{voices:?}"
    );
    assert!(
        voices[first..].iter().all(|voice| *voice == "another"),
        "{voices:?}"
    );
    assert!(voices.len() > first, "{voices:?}");
}

#[tokio::test(start_paused = true)]
async fn who_says_the_wake_word_and_no_more_is_greeted_and_asks_then() {
    let story = Story::new()
        .calls(1_000, 1_500)
        .says(4_500, 5_500, "what time is it")
        .with(|story| story.greeting = "Yes?");
    let told = story.play().await;
    let woken = told.at("woken");
    let greeted = told.at("saying: Yes?");
    assert!((600..800).contains(&(greeted - woken)), "{}", told.text());
    told.has("said: Yes?").has("user: what time is it");
    // It is no part of what was said.
    assert_eq!(told.requests[0].messages.len(), 2, "{:?}", told.requests);
    assert_eq!(told.count("took"), 1, "nor an answer whose time is taken");
}

#[tokio::test(start_paused = true)]
async fn a_question_in_the_same_breath_is_not_talked_over_by_a_greeting() {
    for from in [1_560, 2_000] {
        let story = Story::new()
            .calls(1_000, 1_500)
            .says(from, from + 1_200, "what time is it")
            .with(|story| story.greeting = "Yes?");
        let told = story.play().await;
        told.has_not("Yes?")
            .has("what time is it")
            .has("said: It is noon.");
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_meets_the_users_words_gives_way_to_them() {
    // The greeting is being made, or heard, when they begin.
    for from in [2_350, 2_600] {
        let story = Story::new()
            .calls(1_000, 1_500)
            .says(from, from + 1_500, "what time is it")
            .with(|story| story.greeting = "What can I do for you, my dear friend?");
        let told = story.play().await;
        told.has("user: what time is it").has("said: It is noon.");
    }
}
