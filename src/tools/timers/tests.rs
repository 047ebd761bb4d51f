//! The service on tokio's paused clock: the wall's clock is tied to it.

use serde_json::{Value, json};
use tokio::time::{Instant, advance, timeout};

use super::{book::RINGS, *};
use crate::tools::Caller;

/// A wall clock that begins at `start` and goes with tokio's; a zone and a jump can be put in.
#[derive(Clone)]
pub(super) struct Wall(Arc<Mutex<(Zoned, Instant)>>);

impl Wall {
    fn at(start: &str) -> Self {
        Self(Arc::new(Mutex::new((
            start.parse().unwrap(),
            Instant::now(),
        ))))
    }

    fn now(&self) -> Zoned {
        let held = self.0.lock().unwrap();
        &held.0 + SignedDuration::try_from(held.1.elapsed()).unwrap()
    }

    /// The machine sleeps: the wall goes on, tokio's clock does not.
    fn jump(&self, by: SignedDuration) {
        let mut held = self.0.lock().unwrap();
        held.0 = &held.0 + by;
    }

    fn zone(&self, name: &str) {
        let zone = jiff::tz::TimeZone::get(name).unwrap();
        let mut held = self.0.lock().unwrap();
        held.0 = held.0.with_time_zone(zone);
    }

    fn clock(&self) -> Clock {
        let wall = self.clone();
        Arc::new(move || wall.now())
    }
}

struct Kitchen {
    timers: Timers,
    due: mpsc::Receiver<Due>,
    wall: Wall,
}

impl Kitchen {
    async fn at(start: &str) -> Self {
        Self::with(None, Wall::at(start)).await
    }

    async fn with(store: Option<Store>, wall: Wall) -> Self {
        let (out, due) = mpsc::channel(1);
        let timers = Timers::start(store, wall.clock(), out).await.unwrap();
        Self { timers, due, wall }
    }

    async fn call(&self, tool: &str, arguments: Value) -> String {
        let tools = self.timers.tools();
        let tool = tools.iter().find(|one| one.spec().name == tool).unwrap();
        let schema = jsonschema::validator_for(&tool.spec().parameters).unwrap();
        assert!(schema.is_valid(&arguments), "{arguments}");
        let caller = Caller {
            place: "kitchen".to_owned(),
        };
        let arguments = arguments.as_object().unwrap().clone();
        match tool.call(arguments, &caller).await {
            Ok(outcome) => {
                assert_eq!(outcome.say.as_ref(), Some(&outcome.content));
                outcome.content
            }
            Err(error) => format!("refused: {error}"),
        }
    }

    /// Why a call was refused.
    async fn refused(&self, tool: &str, arguments: Value) -> String {
        let tools = self.timers.tools();
        let tool = tools.iter().find(|one| one.spec().name == tool).unwrap();
        let caller = Caller {
            place: "kitchen".to_owned(),
        };
        let arguments = arguments.as_object().unwrap().clone();
        tool.call(arguments, &caller).await.unwrap_err().to_string()
    }

    /// The next that is due, at whatever time that is.
    async fn next(&mut self) -> Due {
        timeout(Duration::from_secs(86_400 * 9), self.due.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Nothing is due for `seconds`.
    async fn silence(&mut self, seconds: u64) {
        let due = timeout(Duration::from_secs(seconds), self.due.recv()).await;
        assert!(due.is_err(), "{due:?}");
    }
}

const EVENING: &str = "2026-11-24T20:00:00+01:00[Europe/Berlin]";

fn store() -> (tempfile::TempDir, impl AsyncFn() -> Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, async move || Store::open(&path).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn several_timers_run_at_once_and_are_called_by_name_or_length() {
    let mut kitchen = Kitchen::at(EVENING).await;
    let forgotten = " If I am restarted before that, I will have forgotten it.";
    let pasta = kitchen
        .call("set_timer", json!({"seconds": 600, "name": "pasta"}))
        .await;
    assert_eq!(
        pasta,
        format!("The pasta timer is set for ten minutes.{forgotten}")
    );
    kitchen
        .call("set_timer", json!({"minutes": 4, "name": "tea"}))
        .await;
    kitchen.call("set_timer", json!({"hours": 1})).await;
    let left = kitchen.call("list_timers", json!({"name": "pasta"})).await;
    assert_eq!(left, "Ten minutes are left on the pasta timer.");
    let tea = kitchen.next().await;
    assert_eq!(tea.text().unwrap(), "Your tea timer is done.");
    assert_eq!(tea.place, "kitchen");
    tea.spoken("kitchen");
    advance(Duration::from_secs(10)).await;
    assert_eq!(
        kitchen.call("list_timers", json!({})).await,
        "The tea timer is due. Five minutes and fifty seconds are left on the pasta timer. Fifty-five minutes and fifty seconds are left on the one hour timer."
    );
    assert_eq!(
        kitchen.call("cancel_timer", json!({})).await,
        "The tea timer is off."
    );
    assert_eq!(
        kitchen.call("cancel_timer", json!({})).await,
        "Which one do you mean: the pasta timer or the one hour timer?"
    );
    assert_eq!(
        kitchen
            .call("cancel_timer", json!({"name": "one hour"}))
            .await,
        "The one hour timer is cancelled."
    );
    assert_eq!(
        kitchen.call("cancel_timer", json!({"name": "pizza"})).await,
        "There is no timer called pizza. There is only the pasta timer."
    );
    kitchen.call("set_alarm", json!({"time": "07:30"})).await;
    assert_eq!(
        kitchen.call("cancel_timer", json!({"all": true})).await,
        "The pasta timer is cancelled."
    );
    assert_eq!(
        kitchen.call("cancel_timer", json!({})).await,
        "There is no timer. There is only the alarm at 7:30 AM tomorrow."
    );
    kitchen.silence(3600).await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_rings_on_until_somebody_reacts() {
    let mut kitchen = Kitchen::at(EVENING).await;
    kitchen.call("set_timer", json!({"seconds": 60})).await;
    kitchen.next().await.spoken("den");
    kitchen.next().await.spoken("den");
    tokio::task::yield_now().await;
    advance(Duration::from_secs(1)).await;
    kitchen
        .timers
        .quiet("den", kitchen.wall.now().timestamp())
        .await;
    kitchen.silence(600).await;
    assert_eq!(kitchen.timers.all(), []);
}

#[tokio::test(start_paused = true)]
async fn who_stops_what_has_just_rung_does_not_lose_tomorrows_alarm() {
    let mut kitchen = Kitchen::at(EVENING).await;
    let daily = json!({"time": "20:30", "repeat": "daily"});
    kitchen.call("set_alarm", daily).await;
    for _ in 0..RINGS {
        kitchen.next().await.spoken("den");
    }
    while !kitchen.timers.ringing().is_empty() {
        tokio::task::yield_now().await;
    }
    let stop = json!({"kind": "alarm", "ringing": true});
    assert_eq!(
        kitchen.call("cancel_timer", stop.clone()).await,
        "That alarm is off already. The alarm at 8:30 PM every day is still to come; to cancel it, say which."
    );
    let cancel = json!({"kind": "alarm"});
    let again = kitchen.call("cancel_timer", cancel.clone()).await;
    assert!(again.starts_with("That alarm is off already."), "{again}");
    assert_eq!(kitchen.timers.all().len(), 1);
    // What is set now is meant, and so is what is asked for later.
    advance(Duration::from_secs(1)).await;
    kitchen.call("set_alarm", json!({"time": "23:00"})).await;
    let which = kitchen.call("cancel_timer", cancel.clone()).await;
    assert!(which.starts_with("Which one do you mean"), "{which}");
    kitchen.call("cancel_timer", json!({"name": "11 pm"})).await;
    advance(Duration::from_secs(91)).await;
    let nothing = kitchen.refused("cancel_timer", stop).await;
    assert_eq!(nothing, "Nothing rings.");
    assert_eq!(
        kitchen.call("cancel_timer", cancel).await,
        "The alarm at 8:30 PM every day is cancelled."
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_due_and_was_not_spoken_comes_again_and_when_cancelled_has_nothing_to_say() {
    let mut kitchen = Kitchen::at(EVENING).await;
    kitchen.call("set_timer", json!({"seconds": 60})).await;
    drop(kitchen.next().await);
    let again = kitchen.next().await;
    assert!(again.text().is_some());
    kitchen.call("cancel_timer", json!({})).await;
    assert_eq!(again.text(), None);
    again.spoken("den");
    kitchen.silence(600).await;
}

#[tokio::test(start_paused = true)]
async fn an_alarm_for_a_time_that_has_passed_rings_tomorrow_over_the_change_of_clocks() {
    // In Berlin the clock is put forward an hour in this night.
    let mut kitchen = Kitchen::at("2026-03-28T22:00:00+01:00[Europe/Berlin]").await;
    let set = kitchen.call("set_alarm", json!({"time": "06:30"})).await;
    assert!(
        set.starts_with("The alarm is set for 6:30 AM tomorrow."),
        "{set}"
    );
    let alarm = kitchen.next().await;
    assert_eq!(
        kitchen.wall.now().strftime("%F %R").to_string(),
        "2026-03-29 06:30"
    );
    assert_eq!(alarm.text().unwrap(), "It's 6:30 AM: time to get up.");
}

#[tokio::test(start_paused = true)]
async fn another_zone_in_the_settings_moves_an_alarm_to_its_clock() {
    let mut kitchen = Kitchen::at("2026-11-24T20:00:00+00:00[UTC]").await;
    kitchen.call("set_alarm", json!({"time": "21:30"})).await;
    kitchen.wall.zone("Europe/Berlin");
    let alarm = kitchen.next().await;
    assert_eq!(kitchen.wall.now().strftime("%R").to_string(), "21:30");
    assert_eq!(alarm.text().unwrap(), "It's 9:30 PM. This is your alarm.");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_speaks_up_when_it_wakes_and_says_so() {
    let mut kitchen = Kitchen::at(EVENING).await;
    kitchen
        .call(
            "set_reminder",
            json!({"text": "take out the bread", "seconds": 1200}),
        )
        .await;
    tokio::task::yield_now().await;
    kitchen.wall.jump(SignedDuration::from_hours(3));
    let since = Instant::now();
    let bread = kitchen.next().await;
    assert!(since.elapsed() <= LOOK);
    assert_eq!(
        bread.text().unwrap(),
        "While I was off, your reminder was due at 8:20 PM: take out the bread."
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_not_there_for_half_an_hour_is_told_when_it_was_due() {
    let mut kitchen = Kitchen::at(EVENING).await;
    kitchen
        .call("set_timer", json!({"seconds": 60, "name": "pasta"}))
        .await;
    // The channel takes one; the second waits outside and is not lost.
    kitchen
        .call("set_timer", json!({"seconds": 60, "name": "tea"}))
        .await;
    let pasta = kitchen.next().await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    assert_eq!(
        pasta.text().unwrap(),
        "Your pasta timer was due at 8:01 PM."
    );
    pasta.spoken("den");
    let tea = kitchen.next().await;
    assert_eq!(tea.text().unwrap(), "Your tea timer was due at 8:01 PM.");
}

#[tokio::test]
async fn a_restart_keeps_what_is_to_come_and_what_nobody_has_spoken() {
    let (_folder, open) = store();
    let wall = Wall::at(EVENING);
    let mut kitchen = Kitchen::with(Some(open().await), wall.clone()).await;
    assert_eq!(
        kitchen
            .call("set_timer", json!({"seconds": 600, "name": "pasta"}))
            .await,
        "The pasta timer is set for ten minutes."
    );
    kitchen
        .call(
            "set_alarm",
            json!({"time": "07:30", "repeat": "weekdays", "name": "work"}),
        )
        .await;
    kitchen
        .call("set_timer", json!({"seconds": 1, "name": "egg"}))
        .await;
    kitchen
        .call("set_timer", json!({"seconds": 1, "name": "toast"}))
        .await;
    wall.jump(SignedDuration::from_secs(2));
    // One is spoken; one has been handed out and is not.
    let egg = kitchen.next().await;
    assert_eq!(egg.text().unwrap(), "Your egg timer is done.");
    egg.spoken("den");
    let toast = kitchen.next().await;
    while kitchen.timers.ringing().is_empty() {
        tokio::task::yield_now().await;
    }
    kitchen
        .timers
        .0
        .inner
        .store
        .as_ref()
        .unwrap()
        .settle()
        .await;
    let before = kitchen.timers.all();
    drop((kitchen, toast));

    wall.jump(SignedDuration::from_hours(2));
    let mut kitchen = Kitchen::with(Some(open().await), wall).await;
    let after = kitchen.timers.all();
    let kept = before
        .into_iter()
        .filter(|entry| entry.name != Some(crate::pii::Pii("egg".to_owned())));
    assert_eq!(after, kept.collect::<Vec<_>>());
    let toast = kitchen.next().await;
    assert_eq!(
        toast.text().unwrap(),
        "While I was off, your toast timer was due at 8 PM."
    );
    toast.spoken("den");
    let pasta = kitchen.next().await;
    assert_eq!(
        pasta.text().unwrap(),
        "While I was off, your pasta timer was due at 8:10 PM."
    );
    let work = kitchen.call("list_timers", json!({"name": "work"})).await;
    assert_eq!(work, "The work alarm is set for 7:30 AM on weekdays.");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let kitchen = Kitchen::at(EVENING).await;
    for (tool, arguments, says) in [
        ("set_timer", json!({}), "how long"),
        ("set_timer", json!({"hours": 500}), "seven days"),
        ("set_alarm", json!({"time": "soon"}), "hours and minutes"),
        (
            "set_alarm",
            json!({"time": "07:30", "date": "2026-01-01"}),
            "passed",
        ),
        ("set_reminder", json!({"text": "bread"}), "when"),
        (
            "set_reminder",
            json!({"text": " ", "seconds": 5}),
            "remind you of",
        ),
    ] {
        let said = kitchen.call(tool, arguments).await;
        assert!(
            said.starts_with("refused:") && said.contains(says),
            "{said}"
        );
    }
    assert_eq!(kitchen.timers.all(), []);
}

#[tokio::test]
async fn a_store_that_takes_nothing_sets_nothing() {
    let (folder, open) = store();
    let store = open().await;
    let kitchen = Kitchen::with(Some(store.clone()), Wall::at(EVENING)).await;
    store
        .run(|file| file.execute_batch("DROP TABLE timers"))
        .await
        .unwrap();
    let said = kitchen.call("set_timer", json!({"seconds": 60})).await;
    assert!(said.contains("Nothing was set"), "{said}");
    assert_eq!(kitchen.timers.all(), []);
    drop(folder);
}
