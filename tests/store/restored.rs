//! A conversation that is gone on with: through the room, as its people leave and come back, and after a
//! restart. The engines are the scenarios' fakes, the file is real.

use caal::{
    app::Keeping,
    llm::Message,
    rtc::{Departure, Identity, RoomEvent},
    session::Turns,
    settings::Live,
};
use serde_json::json;

use crate::{
    scenario::{
        rooms::{ANNA, Script, join, play_kept},
        support::Story,
    },
    settings::{live, map},
};

/// What the language model was asked, each with all that it was told.
fn asked(story: &Story) -> Vec<Vec<Message>> {
    let requests = story.requests();
    requests.into_iter().map(|one| one.messages).collect()
}

/// Anna asks, leaves for longer than anybody waits, comes back and asks again.
fn comes_back() -> (Story, Script) {
    let story = Story::new()
        .says(1_000, 2_000, "my name is Ada")
        .says(40_000, 41_000, "what is my name")
        .answers("Hello Ada.");
    let script = vec![
        (0, join(ANNA)),
        (8_000, RoomEvent::Left(Identity::new(ANNA), Departure::Left)),
        (35_000, join(ANNA)),
    ];
    (story, script)
}

async fn plays(live: &Live, (story, script): (Story, Script), length: u64) -> Vec<Vec<Message>> {
    let keeping = Keeping::open(live).await;
    let turns = Turns::default();
    keeping.follow(&turns);
    play_kept(&story, script, length, keeping.clone(), turns).await;
    keeping.settle().await;
    asked(&story)
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_into_a_room_is_remembered_and_after_a_restart_too() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[]);
    let first = plays(&live, comes_back(), 45_000).await;
    let said = [
        Message::User("my name is Ada".to_owned()),
        Message::Assistant("Hello there. Hello Ada.".to_owned()),
    ];
    let text = format!("{first:?}");
    let last = first.last().expect(&text);
    assert!(text.contains("my name is Ada"), "{text}");
    let user = |words: &str| Message::User(words.to_owned());
    assert_eq!(last.last(), Some(&user("what is my name")), "{text}");
    assert!(last.contains(&said[0]), "{text}");
    assert!(
        last.iter()
            .any(|m| matches!(m, Message::Assistant(heard) if heard.contains("Hello Ada."))),
        "{text}"
    );

    // Another process, a minute later.
    let story = Story::new()
        .says(1_000, 2_000, "and once more")
        .answers("Ada.");
    let again = plays(&live, (story, vec![(0, join(ANNA))]), 6_000).await;
    let text = format!("{again:?}");
    let last = again.last().expect(&text);
    assert!(
        last.contains(&said[0]) && last.contains(&user("what is my name")),
        "{text}"
    );

    // Switched off: at once, and nothing more is written.
    live.change(map(json!({ "conversation_history": false })))
        .expect("writable");
    let off = plays(&live, comes_back(), 45_000).await;
    let text = format!("{off:?}");
    assert_eq!(
        off.last().expect(&text).last(),
        Some(&user("what is my name"))
    );
    assert!(!off.last().expect(&text).contains(&said[0]), "{text}");
    live.change(map(json!({ "conversation_history": true })))
        .expect("writable");
    let keeping = Keeping::open(&live).await;
    let (summary, messages) = keeping.conversations.get(1).await.unwrap().unwrap();
    assert_eq!(summary.room, "kitchen");
    assert_eq!(
        messages.len(),
        6,
        "three exchanges, and none while it was off"
    );
    assert!(keeping.conversations.after(1).await.unwrap().is_none());
}
