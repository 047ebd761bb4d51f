//! What speaks up by itself (timers, alarms, reminders), brought to where somebody hears it: the room that it
//! was asked for in, else another one with people in it. Where nobody is, it waits until somebody comes.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{Instant, sleep, sleep_until},
};
use tracing::warn;

use crate::{
    pii::Pii,
    room::{Desk, Order, RoomStatus},
    rtc::AgentState,
    session::Turns,
    tools::timers::{Due, Timers},
};

/// How often it is looked for somebody while something waits.
const LOOK: Duration = Duration::from_millis(500);

/// Between two announcements: a room that was given one says so only a moment later, and drops what is too much
/// for it.
const GAP: Duration = Duration::from_secs(3);

/// Announces in `desk`'s rooms what comes from `due`, one at a time, and ends the ringing of `timers` where a turn
/// of `turns` shows that somebody reacted. Goes on until the sender of `due` is gone.
pub async fn speak_up(mut due: mpsc::Receiver<Due>, desk: Desk, timers: Timers, turns: Turns) {
    let mut news = turns.news();
    let mut waiting: Option<Due> = None;
    let mut not_before = Instant::now();
    // Whose waiting is in the log.
    let mut told = None;
    loop {
        tokio::select! {
            next = due.recv(), if waiting.is_none() => match next {
                Some(next) => waiting = Some(next),
                None => return,
            },
            past = news.recv() => {
                match past {
                    Ok(past) => {
                        if let Ok(at) = Timestamp::try_from(past.asked_at) {
                            timers.quiet(&past.room, at).await;
                        }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    // `turns` is here, and has the sender.
                    Err(RecvError::Closed) => return,
                }
                continue;
            }
            () = sleep(LOOK), if waiting.is_some() => {}
        }
        if let Some(due) = waiting.take() {
            sleep_until(not_before).await;
            waiting = announce(due, &desk);
            match &waiting {
                None => not_before = Instant::now() + GAP,
                Some(due) if told != Some(due.id) && nobody(&desk) => {
                    told = Some(due.id);
                    warn!(
                        number = due.id,
                        kind = due.kind.name(),
                        "nobody is in a room to hear what is due; it is said as soon as somebody comes"
                    );
                }
                Some(_) => {}
            }
        }
    }
}

/// Announces `due` where somebody is; gives it back where nobody is, or nobody can listen now.
fn announce(due: Due, desk: &Desk) -> Option<Due> {
    // None: cancelled while it waited.
    let text = due.text()?;
    let rooms = desk.rooms();
    let room = best(&rooms, &due.place).map(|room| room.to_owned());
    let Some(room) = room else {
        return Some(due);
    };
    match desk.order(&room, Order::Announce(Pii(text))) {
        Ok(()) => {
            due.spoken(&room);
            None
        }
        // They have just gone, or have too much to do.
        Err(_) => Some(due),
    }
}

/// Whether all rooms are empty.
fn nobody(desk: &Desk) -> bool {
    desk.rooms().iter().all(|(_, status)| status.people == 0)
}

/// Of the rooms with people, `place`, else the first in which nobody is being answered. None where it has to
/// wait.
fn best<'a>(rooms: &'a [(String, RoomStatus)], place: &str) -> Option<&'a str> {
    let peopled = || rooms.iter().filter(|(_, status)| status.people > 0);
    let free =
        |status: &RoomStatus| !matches!(status.state, AgentState::Thinking | AgentState::Speaking);
    let own = peopled().find(|(name, _)| name == place);
    let found = match own {
        Some(own) => Some(own).filter(|(_, status)| free(status)),
        None => peopled().find(|(_, status)| free(status)),
    };
    found.map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use futures_util::FutureExt as _;
    use jiff::{SignedDuration, Zoned};
    use serde_json::{Value, json};
    use tokio::{task::JoinSet, time::timeout};

    use super::*;
    use crate::{
        session::{Answered, Marks, TurnTimings},
        telemetry::Outcome,
        tools::Caller,
        turn::ReplyId,
    };

    struct House {
        desk: Desk,
        timers: Timers,
        turns: Turns,
        _speaking: JoinSet<()>,
    }

    async fn house() -> House {
        let began = Instant::now();
        let start: Zoned = "2026-11-24T20:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let clock = move || &start + SignedDuration::try_from(began.elapsed()).unwrap();
        let (out, due) = mpsc::channel(4);
        let timers = Timers::start(None, Arc::new(clock), out).await.unwrap();
        let (desk, turns) = (Desk::default(), Turns::default());
        let mut speaking = JoinSet::new();
        speaking.spawn(speak_up(due, desk.clone(), timers.clone(), turns.clone()));
        House {
            desk,
            timers,
            turns,
            _speaking: speaking,
        }
    }

    impl House {
        async fn call(&self, tool: &str, arguments: Value) {
            let tools = self.timers.tools();
            let tool = tools.iter().find(|one| one.spec().name == tool).unwrap();
            let caller = Caller {
                place: "kitchen".to_owned(),
            };
            let arguments = arguments.as_object().unwrap().clone();
            tool.call(arguments, &caller).await.unwrap();
        }
    }

    /// What is announced next to a room, within a quarter of an hour.
    async fn said(orders: &mut mpsc::Receiver<Order>) -> Option<String> {
        let order = timeout(Duration::from_secs(900), orders.recv()).await;
        match order.ok()? {
            Some(Order::Announce(words)) => Some(words.0),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_waits_in_an_empty_house_until_somebody_comes() {
        let house = house().await;
        house
            .call("set_timer", json!({"seconds": 60, "name": "pasta"}))
            .await;
        let mut empty = house.desk.enter("kitchen");
        assert_eq!(said(&mut empty.orders).await, None);
        let mut attic = house.desk.enter("attic");
        attic.show(|status| status.people = 1);
        assert_eq!(
            said(&mut attic.orders).await.as_deref(),
            Some("Your pasta timer was due at 8:01 PM.")
        );
        // It was late, so it is said once.
        assert_eq!(said(&mut attic.orders).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_where_it_was_asked_for_and_again_until_somebody_there_says_something() {
        let house = house().await;
        let (mut attic, mut kitchen) = (house.desk.enter("attic"), house.desk.enter("kitchen"));
        for tray in [&attic, &kitchen] {
            tray.show(|status| status.people = 1);
        }
        house.call("set_timer", json!({"seconds": 60})).await;
        for _ in 0..2 {
            let text = said(&mut kitchen.orders).await;
            assert_eq!(text.as_deref(), Some("Your one minute timer is done."));
        }
        let answered = Answered {
            // The house's calendar, a moment after.
            asked_at: SystemTime::from(
                house.timers.now().timestamp() + SignedDuration::from_secs(2),
            ),
            timings: TurnTimings::of(None, ReplyId(1), &Marks::default()),
            outcome: Outcome::Interrupted,
            user: Pii("thanks".to_owned()),
            assistant: Pii(String::new()),
            over_at: SystemTime::now(),
            steps: Vec::new(),
        };
        house.turns.note("kitchen", &answered);
        assert_eq!(said(&mut kitchen.orders).await, None);
        assert!(attic.orders.recv().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_is_not_talked_over() {
        let house = house().await;
        let mut kitchen = house.desk.enter("kitchen");
        kitchen.show(|status| {
            status.people = 1;
            status.state = AgentState::Speaking;
        });
        house
            .call("set_reminder", json!({"text": "the bread", "seconds": 60}))
            .await;
        sleep(Duration::from_secs(90)).await;
        assert!(kitchen.orders.try_recv().is_err());
        kitchen.show(|status| status.state = AgentState::Listening);
        let text = said(&mut kitchen.orders).await;
        assert_eq!(text.as_deref(), Some("A reminder: the bread."));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_cancelled_while_it_waits_is_never_said() {
        let house = house().await;
        house.call("set_timer", json!({"seconds": 60})).await;
        sleep(Duration::from_secs(90)).await;
        house.call("cancel_timer", json!({})).await;
        let mut kitchen = house.desk.enter("kitchen");
        kitchen.show(|status| status.people = 1);
        assert_eq!(said(&mut kitchen.orders).await, None);
    }
}
