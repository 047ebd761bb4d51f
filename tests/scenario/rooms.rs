//! Conversations in a LiveKit room, seen from the room: sound in, sound and captions out. The room is
//! two channels here; real ones are in the tests of `rtc`.

use std::{sync::Arc, time::Duration};

use caal::{
    app::Keeping,
    audio::Pcm,
    pii::Pii,
    room::{self, Desk, Host, Order, OrderError, Outcome},
    rtc::{Closed, Departure, Identity, Link, Participant, RoomCommand, RoomEvent},
    session::{Manner, Setting, Turns},
    turn::Activation,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::support::{Story, ms, wake_word};

pub(crate) const ANNA: &str = "anna";

/// What the people do, in milliseconds.
pub(crate) type Script = Vec<(u64, RoomEvent)>;

pub(crate) struct Seen {
    lines: Vec<(u64, String)>,
    outcome: Outcome,
}

impl Seen {
    fn text(&self) -> String {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|(at, l)| format!("{at:>6} {l}"))
            .collect();
        lines.join("\n")
    }

    #[track_caller]
    fn at(&self, what: &str) -> u64 {
        match self.lines.iter().find(|(_, line)| line.contains(what)) {
            Some((at, _)) => *at,
            None => panic!("no {what:?} in\n{}", self.text()),
        }
    }

    #[track_caller]
    fn has_not(&self, what: &str) {
        assert!(
            !self.lines.iter().any(|(_, l)| l.contains(what)),
            "{what:?} in\n{}",
            self.text()
        );
    }

    /// All of a caption, put together from its pieces.
    fn caption(&self, segment: &str) -> String {
        let start = format!("voice {segment}: ");
        let pieces = self
            .lines
            .iter()
            .filter_map(|(_, l)| l.strip_prefix(&start));
        pieces.map(|p| p.trim_end_matches('$')).collect()
    }
}

pub(crate) fn join(who: &str) -> RoomEvent {
    RoomEvent::Joined(Participant {
        identity: Identity::new(who),
        name: Pii::default(),
        agent: false,
    })
}

/// Plays `story` as Anna's microphone, 20 ms at a time, among the events of `script`, for `length`.
async fn play(story: &Story, script: Script, length: u64, wake_word: bool) -> Seen {
    play_with(story, script, length, wake_word, Desk::default()).await
}

/// The same, with orders from outside over `desk`.
async fn play_with(
    story: &Story,
    script: Script,
    length: u64,
    wake_word: bool,
    desk: Desk,
) -> Seen {
    let (_, sleeps) = watch::channel(wake_word);
    play_live(story, script, length, sleeps, desk).await
}

/// The same, always awake, where what is said is kept.
pub(crate) async fn play_kept(
    story: &Story,
    script: Script,
    length: u64,
    keeping: Keeping,
    turns: Turns,
) -> Seen {
    let (_, sleeps) = watch::channel(false);
    play_all(
        story,
        script,
        length,
        sleeps,
        Desk::default(),
        (keeping, turns),
    )
    .await
}

/// The same, where it may change whether the assistant sleeps.
async fn play_live(
    story: &Story,
    script: Script,
    length: u64,
    sleeps: watch::Receiver<bool>,
    desk: Desk,
) -> Seen {
    let kept = (Keeping::default(), Turns::default());
    play_all(story, script, length, sleeps, desk, kept).await
}

async fn play_all(
    story: &Story,
    script: Script,
    length: u64,
    sleeps: watch::Receiver<bool>,
    desk: Desk,
    (keeping, turns): (Keeping, Turns),
) -> Seen {
    let (events_tx, events) = mpsc::channel(16);
    let (commands, mut commands_rx) = mpsc::channel(64);
    let link = Link {
        room: "kitchen".to_owned(),
        us: Identity::new("agent-1"),
        events,
        commands,
    };
    let teller = story.clone();
    let host = Host {
        setting: Arc::new(move |room| {
            let (setting, keeping) = (teller.setting(), keeping.clone());
            let room = room.to_owned();
            Box::pin(async move {
                let past = keeping.past(&room).await;
                Ok(Setting { past, ..setting })
            })
        }),
        greeting: Arc::new(|| "Hello there.".to_owned()),
        wake_word: Arc::new(move || *sleeps.borrow()),
        woken: Arc::new(|| "Yes?".to_owned()),
        missing: Arc::new(Vec::new),
        desk,
        turns,
    };
    let stop = CancellationToken::new();
    let started = Instant::now();
    let conversation = room::host(link, &host, stop.clone());
    let listening = async move {
        let mut lines = Vec::new();
        while let Some(command) = commands_rx.recv().await {
            let line = match command {
                RoomCommand::Voice(_) => "sound".to_owned(),
                RoomCommand::VoicePause => "pause".to_owned(),
                RoomCommand::State(state) => format!("state {}", state.as_str()),
                RoomCommand::Data { topic, payload, .. } => {
                    format!("data {topic} {}", String::from_utf8_lossy(&payload))
                }
                RoomCommand::UserText {
                    who, text, last, ..
                } => format!(
                    "{}{} {}",
                    who.as_str(),
                    if last { ":" } else { "…" },
                    text.0
                ),
                RoomCommand::VoiceText {
                    segment,
                    more,
                    last,
                } => {
                    // SG_<when the conversation began>_voice_<reply>
                    let (sg, rest) = segment.split_once('_').expect("a prefix");
                    let (_, name) = rest.split_once('_').expect("a name");
                    format!(
                        "voice {sg}_{name}: {}{}",
                        more.0,
                        if last { "$" } else { "" }
                    )
                }
                RoomCommand::Leave => "leave".to_owned(),
            };
            lines.push((started.elapsed().as_millis() as u64, line));
        }
        lines
    };
    let sound = story.sound().to_vec();
    let playing = async move {
        let mut script = script.into_iter().peekable();
        let mut quiet = false;
        for step in 0..length / 20 {
            sleep_until(started + ms(step * 20)).await;
            while let Some((_, event)) = script.next_if(|(at, _)| *at <= step * 20) {
                quiet = match &event {
                    RoomEvent::Muted(_, muted) => *muted,
                    RoomEvent::Left(..) => true,
                    RoomEvent::Joined(_) => false,
                    _ => quiet,
                };
                if events_tx.send(event).await.is_err() {
                    return;
                }
            }
            let from = step as usize * 320;
            let mut piece = sound.get(from..).unwrap_or_default().to_vec();
            piece.resize(320, 0.0);
            let event = RoomEvent::Sound(Identity::new(ANNA), Pcm::new(piece));
            if !quiet && events_tx.send(event).await.is_err() {
                return;
            }
        }
        stop.cancel();
        sleep(Duration::from_secs(1)).await;
    };
    let (outcome, lines, ()) = tokio::join!(conversation, listening, playing);
    Seen { lines, outcome }
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_with_captions_of_both_sides_and_states() {
    let story = Story::new()
        .says(3_000, 4_500, "what time is it")
        .answers("It is noon. Time for lunch.");
    let script = vec![(0, join(ANNA)), (500, RoomEvent::Audible)];
    let seen = play(&story, script, 9_000, false).await;
    assert!(
        seen.at("sound") >= 500,
        "not before it can be heard\n{}",
        seen.text()
    );
    assert_eq!(seen.caption("SG_voice_1"), "Hello there.");
    let said = seen.at("anna: what time is it");
    assert!(
        seen.at("anna… what time is it") <= said,
        "early\n{}",
        seen.text()
    );
    assert!(said > 4_500 && said < 5_200, "{}", seen.text());
    assert_eq!(seen.caption("SG_voice_2"), "It is noon. Time for lunch.");
    let pauses: Vec<_> = seen
        .lines
        .windows(2)
        .filter(|two| two[1].1 == "pause")
        .map(|two| (two[0].1.as_str(), two[1].0 - two[0].0))
        .collect();
    assert!(
        pauses.len() >= 2 && pauses.iter().all(|p| *p == ("sound", 0)),
        "the room is told with the last sound: {pauses:?}"
    );
    assert!(seen.at("state listening") < 100);
    assert!(seen.at("state thinking") <= seen.at("data tool_status {\"tool_used\":false"));
    assert!(seen.at("data caal.turn {\"total_ms\":") > said);
    seen.has_not("wakeword_state");
    assert_eq!(seen.outcome, Outcome::Stopped);
    seen.at("leave");
}

#[tokio::test(start_paused = true)]
async fn whoever_speaks_while_it_speaks_silences_it_and_the_caption_ends_with_what_was_heard() {
    let answer =
        "One two three four five six seven eight nine ten eleven twelve thirteen fourteen.";
    let story = Story::new()
        .says(1_000, 2_000, "count")
        .says(4_000, 5_500, "thank you")
        .answers(answer);
    let script = vec![(0, join(ANNA))];
    let seen = play(&story, script, 8_000, false).await;
    let cut = seen.caption("SG_voice_1");
    assert!(
        answer.starts_with(&cut) && cut.len() < answer.len() && !cut.is_empty(),
        "{cut:?}"
    );
    let quiet_from = 4_600;
    let second = seen.at("anna: thank you");
    let heard = |(at, l): &&(u64, String)| l == "sound" && *at > quiet_from && *at < second;
    assert_eq!(
        seen.lines.iter().filter(heard).count(),
        0,
        "{}",
        seen.text()
    );
}

#[tokio::test(start_paused = true)]
async fn muting_in_the_middle_of_a_question_ends_it() {
    let story = Story::new().says(1_000, 2_000, "lights off");
    let script = vec![
        (0, join(ANNA)),
        (2_020, RoomEvent::Muted(Identity::new(ANNA), true)),
    ];
    let seen = play(&story, script, 6_000, false).await;
    assert!(seen.at("anna: lights off") < 3_500, "{}", seen.text());
    seen.at("voice SG_voice_1");
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_of_sleep_and_waking() {
    let story = Story::new()
        .calls(1_000, 1_500)
        .says(1_600, 2_500, "what time is it");
    let seen = play(&story, vec![(0, join(ANNA))], 16_000, true).await;
    let woken = seen.at("wakeword_state\",\"state\":\"active\"");
    assert!((1_400..2_000).contains(&woken), "{}", seen.text());
    assert!(seen.at("wakeword_state\",\"state\":\"listening\"") > seen.at("sound"));
}

#[tokio::test(start_paused = true)]
async fn only_the_server_gives_commands() {
    let command = |message: &str, from: Option<&str>| RoomEvent::Data {
        from: from.map(Identity::new),
        topic: "webhook_command".to_owned(),
        payload: format!(r#"{{"action":"announce","message":"{message}"}}"#).into_bytes(),
    };
    let script = vec![
        (0, join(ANNA)),
        (1_000, command("Open the door", Some(ANNA))),
        (2_000, command("Dinner is ready", None)),
    ];
    let seen = play(&Story::new(), script, 6_000, false).await;
    assert_eq!(seen.caption("SG_voice_1"), "Dinner is ready");
    seen.has_not("door");
}

#[tokio::test(start_paused = true)]
async fn tools_are_looked_for_when_another_process_tells_a_room_of_them() {
    let told = RoomEvent::Data {
        from: None,
        topic: "webhook_command".to_owned(),
        payload: br#"{"action":"reload_tools","tool_name":"office lamp"}"#.to_vec(),
    };
    let desk = Desk::default();
    let script = vec![(0, join(ANNA)), (1_000, told)];
    let seen = play_with(&Story::new(), script, 6_000, false, desk.clone()).await;
    let said = seen.caption("SG_voice_1");
    assert!(said.contains("office lamp"), "{said}");
    let listed = tokio::time::timeout(ms(1), desk.tools_changed());
    listed.await.expect("whoever lists them is told");
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_conversation_and_leaving_ends_it() {
    let story = Story::new()
        .says(1_000, 2_000, "hello")
        .says(7_000, 8_000, "again");
    let anna = || Identity::new(ANNA);
    let script = vec![
        (0, join(ANNA)),
        (100, RoomEvent::Audible),
        (5_000, RoomEvent::Left(anna(), Departure::Replaced)),
        (5_020, join(ANNA)),
        (5_500, RoomEvent::Audible),
        (13_000, RoomEvent::Left(anna(), Departure::Left)),
        (40_000, join(ANNA)),
        (40_500, RoomEvent::Audible),
        (45_000, RoomEvent::Closed(Closed::RoomClosed)),
    ];
    let seen = play(&story, script, 46_000, false).await;
    let greetings: Vec<_> = seen
        .lines
        .iter()
        .filter(|(_, l)| l.contains(": Hello"))
        .collect();
    assert_eq!(
        greetings.len(),
        2,
        "one for each conversation\n{}",
        seen.text()
    );
    seen.at("anna: again");
    assert_eq!(seen.outcome, Outcome::Closed(Closed::RoomClosed));
}

#[tokio::test(start_paused = true)]
async fn what_is_typed_is_answered_and_shown_by_who_typed_it() {
    let script = vec![
        (0, join(ANNA)),
        (
            500,
            RoomEvent::Chat(Identity::new(ANNA), Pii("What time is it?".to_owned())),
        ),
    ];
    let seen = play(&Story::new(), script, 4_000, false).await;
    assert_eq!(seen.caption("SG_voice_1"), "It is noon.");
    seen.has_not("anna:");
}

#[tokio::test(start_paused = true)]
async fn orders_from_outside_are_carried_out_in_their_room_and_questions_are_answered_to_who_asked()
{
    let desk = Desk::default();
    let script = vec![(0, join(ANNA))];
    let outside = async {
        assert_eq!(
            desk.order("kitchen", Order::Wake),
            Err(OrderError::NoConversation)
        );
        sleep(ms(500)).await;
        assert_eq!(desk.rooms()[0].1.people, 1);
        let announce = Order::Announce(Pii("Dinner is ready".to_owned()));
        desk.order("kitchen", announce).unwrap();
        sleep(ms(4_000)).await;
        let (sender, answer) = oneshot::channel();
        let question = Pii("What time is it?".to_owned());
        desk.order("kitchen", Order::Ask(question, sender)).unwrap();
        assert_eq!(answer.await.as_deref(), Ok("It is noon."));
        assert_eq!(
            desk.order("cellar", Order::Stop),
            Err(OrderError::NoConversation)
        );
    };
    let story = Story::new();
    let playing = play_with(&story, script, 10_000, false, desk.clone());
    let (seen, ()) = tokio::join!(playing, outside);
    assert_eq!(seen.caption("SG_voice_1"), "Dinner is ready");
    assert_eq!(seen.caption("SG_voice_2"), "It is noon.");
    assert!(desk.rooms().is_empty(), "the conversation is over");
}

#[tokio::test(start_paused = true)]
async fn who_is_muted_from_outside_is_not_heard_until_it_listens_again() {
    let desk = Desk::default();
    let story =
        Story::new()
            .says(2_000, 3_000, "open the door")
            .says(8_000, 9_000, "close the door");
    let outside = async {
        sleep(ms(500)).await;
        desk.order("kitchen", Order::Mute(true)).unwrap();
        sleep(ms(6_500)).await;
        assert!(desk.rooms()[0].1.muted);
        desk.order("kitchen", Order::Mute(false)).unwrap();
    };
    let playing = play_with(&story, vec![(0, join(ANNA))], 13_000, false, desk.clone());
    let (seen, ()) = tokio::join!(playing, outside);
    seen.has_not("open the door");
    seen.at("anna: close the door");
}

#[tokio::test(start_paused = true)]
async fn a_stop_from_outside_is_silence_at_once() {
    let desk = Desk::default();
    let answer =
        "One two three four five six seven eight nine ten eleven twelve thirteen fourteen.";
    let story = Story::new().says(1_000, 2_000, "count").answers(answer);
    let outside = async {
        sleep(ms(4_000)).await;
        desk.order("kitchen", Order::Stop).unwrap();
    };
    let playing = play_with(&story, vec![(0, join(ANNA))], 9_000, false, desk.clone());
    let (seen, ()) = tokio::join!(playing, outside);
    let cut = seen.caption("SG_voice_1");
    assert!(
        answer.starts_with(&cut) && cut.len() < answer.len() && !cut.is_empty(),
        "{cut:?}"
    );
    let late = |(at, line): &&(u64, String)| line == "sound" && *at > 4_200;
    assert_eq!(seen.lines.iter().filter(late).count(), 0, "{}", seen.text());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_woken_from_outside_greets_and_hears_a_question_without_its_wake_word() {
    let desk = Desk::default();
    // Its wake word is said when all is over.
    let story = Story::new()
        .says(4_000, 5_500, "what time is it")
        .calls(20_000, 20_500);
    let outside = async {
        sleep(ms(2_000)).await;
        desk.order("kitchen", Order::Wake).unwrap();
    };
    let playing = play_with(&story, vec![(0, join(ANNA))], 11_000, true, desk.clone());
    let (seen, ()) = tokio::join!(playing, outside);
    assert!(seen.at("wakeword_state\",\"state\":\"active\"") >= 2_000);
    assert_eq!(seen.caption("SG_voice_1"), "Yes?");
    seen.at("anna: what time is it");
}

#[tokio::test(start_paused = true)]
async fn the_wake_word_may_be_wanted_and_not_wanted_any_more_while_they_talk() {
    let story = Story::new()
        .says(1_000, 2_000, "what time is it")
        .says(13_000, 14_000, "who are you")
        .calls(20_000, 20_500)
        .says(20_600, 21_600, "and now")
        .says(46_000, 47_000, "still there")
        .with(|story| story.turn.activation = Activation::AlwaysOn);
    let always = Manner {
        config: story.config(),
        wake: None,
        gate: Default::default(),
    };
    let mut asleep = always.clone();
    asleep.config.turn.activation = Activation::WakeWord;
    asleep.config.turn.follow_up = ms(3_000);
    asleep.wake = Some(wake_word());
    let (sender, manners) = watch::channel(Arc::new(always.clone()));
    let (sleeps, sleeping) = watch::channel(false);
    let story = story.with(|story| story.manners = Some(manners));
    let script = vec![(0, join(ANNA))];
    let playing = play_live(&story, script, 52_000, sleeping, Desk::default());
    let changing = async {
        sleep(ms(6_000)).await;
        sleeps.send_replace(true);
        sender.send_replace(Arc::new(asleep));
        sleep(ms(34_000)).await;
        sleeps.send_replace(false);
        sender.send_replace(Arc::new(always));
    };
    let (seen, ()) = tokio::join!(playing, changing);
    for heard in ["what time is it", "and now", "still there"] {
        seen.at(heard);
    }
    seen.has_not("who are you");
    let told = |at: u64| {
        let state = |(when, line): &&(u64, String)| *when <= at && line.contains("wakeword_state");
        let last = seen.lines.iter().rfind(state);
        last.map(|(_, line)| line.contains("active"))
    };
    assert_eq!(told(5_000), None, "{}", seen.text());
    assert_eq!(
        told(6_500),
        Some(true),
        "it sleeps from now on, and not yet"
    );
    assert_eq!(told(12_000), Some(false), "{}", seen.text());
    assert_eq!(told(21_000), Some(true), "{}", seen.text());
    assert_eq!(told(39_000), Some(false), "{}", seen.text());
    assert_eq!(told(41_000), Some(true), "{}", seen.text());
}
