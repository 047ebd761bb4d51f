//! The tools of timers, alarms and reminders. Their answers are spoken as they are.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Entry, Kind, Timers,
    ask::{self, LONGEST, Moment},
    book::MOST,
    names::Hint,
    say,
};
use crate::{
    llm::ToolSpec,
    pii::Pii,
    tools::{Caller, Outcome, Tool, ToolError},
};

/// All tools of `timers`.
pub(super) fn all(timers: &Timers) -> Vec<Arc<dyn Tool>> {
    let verbs = [
        Verb::Timer,
        Verb::Alarm,
        Verb::Reminder,
        Verb::List,
        Verb::Cancel,
    ];
    verbs
        .into_iter()
        .map(|verb| {
            Arc::new(TimerTool {
                spec: Arc::new(verb.spec()),
                verb,
                timers: timers.clone(),
            }) as Arc<dyn Tool>
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Timer,
    Alarm,
    Reminder,
    List,
    Cancel,
}

impl Verb {
    fn spec(self) -> ToolSpec {
        let seconds = json!({ "type": "integer", "minimum": 0, "maximum": LONGEST, "description": "Length in seconds." });
        let minutes = json!({ "type": "number", "minimum": 0, "description": "Minutes, instead of or beside seconds." });
        let hours = json!({ "type": "number", "minimum": 0, "description": "Hours, instead of or beside seconds." });
        let time =
            json!({ "type": "string", "description": "Time of day, 24 hours: 07:30, 19:00." });
        let date = json!({ "type": "string", "description": "Only for another day than the next possible one: YYYY-MM-DD." });
        let name = json!({ "type": "string", "description": "What the user calls it: pasta. Leave it out if they gave no name." });
        let kind = json!({ "type": "string", "enum": ["timer", "alarm", "reminder"], "description": "Only these." });
        let (name, description, properties, required) = match self {
            Verb::Timer => (
                "set_timer",
                "Set a timer that speaks up after a length of time.",
                json!({ "seconds": seconds, "minutes": minutes, "hours": hours, "name": name }),
                json!([]),
            ),
            Verb::Alarm => (
                "set_alarm",
                "Set an alarm for a time of day, to wake the user up.",
                json!({
                    "time": time, "date": date, "name": name,
                    "repeat": { "type": "string", "enum": ["daily", "weekdays", "weekends"], "description": "Only if the user wants it again and again." },
                }),
                json!(["time"]),
            ),
            Verb::Reminder => (
                "set_reminder",
                "Remind the user of something, after a length of time or at a time of day.",
                json!({
                    "text": { "type": "string", "description": "What to remind of: take out the bread." },
                    "seconds": seconds, "minutes": minutes, "hours": hours, "time": time, "date": date,
                }),
                json!(["text"]),
            ),
            Verb::List => (
                "list_timers",
                "Tell which timers, alarms and reminders there are, and how long is left.",
                json!({
                    "name": { "type": "string", "description": "Only the one that the user named." },
                    "kind": kind,
                }),
                json!([]),
            ),
            Verb::Cancel => (
                "cancel_timer",
                "Cancel or stop a timer, alarm or reminder.",
                json!({
                    "name": { "type": "string", "description": "Which one, in the user's words: pasta, ten minute, 7:30 alarm." },
                    "all": { "type": "boolean", "description": "All of them, if the user says so." },
                    "kind": kind,
                }),
                json!([]),
            ),
        };
        ToolSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({ "type": "object", "properties": properties, "required": required }),
        }
    }
}

struct TimerTool {
    spec: Arc<ToolSpec>,
    verb: Verb,
    timers: Timers,
}

impl Tool for TimerTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn changes(&self) -> bool {
        self.verb != Verb::List
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        caller: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let (verb, timers, place) = (self.verb, self.timers.clone(), caller.place.clone());
        async move {
            let said = match verb {
                Verb::Timer | Verb::Alarm | Verb::Reminder => {
                    let entry = wish(verb, &arguments, &place, &timers)?;
                    set(&timers, entry).await?
                }
                Verb::List => list(&timers, &arguments),
                Verb::Cancel => cancel(&timers, &arguments).await?,
            };
            Ok(Outcome::said(said))
        }
        .boxed()
    }
}

/// What is to be set.
fn wish(
    verb: Verb,
    arguments: &Map<String, Value>,
    place: &str,
    timers: &Timers,
) -> Result<Entry, ToolError> {
    let now = timers.now();
    // To the millisecond, as the store has it.
    let now = Timestamp::from_millisecond(now.timestamp().as_millisecond())
        .map_or(now.clone(), |at| at.to_zoned(now.time_zone().clone()));
    let refused = ToolError::Refused;
    let length = |seconds: i64| {
        let due = now
            .timestamp()
            .saturating_add(jiff::SignedDuration::from_secs(seconds));
        due.map_err(|_| refused("That length of time can't be set.".to_owned()))
    };
    let (mut seconds, mut moment, mut text) = (None, None, None);
    let kind = match verb {
        Verb::Alarm => {
            moment = ask::moment(arguments, &now).map_err(refused)?;
            Kind::Alarm
        }
        Verb::Reminder => {
            text = Some(ask::reminder(arguments).map_err(refused)?);
            moment = ask::moment(arguments, &now).map_err(refused)?;
            if moment.is_none() {
                seconds = ask::length(arguments).map_err(refused)?;
            }
            Kind::Reminder
        }
        Verb::Timer | Verb::List | Verb::Cancel => {
            seconds = ask::length(arguments).map_err(refused)?;
            Kind::Timer
        }
    };
    let due = match (&moment, seconds) {
        (Some(Moment { due, .. }), _) => *due,
        (None, Some(seconds)) => length(seconds)?,
        (None, None) => {
            let what = match kind {
                Kind::Timer => "Say how long the timer is to run.",
                Kind::Alarm => "Say for what time the alarm is to be set.",
                Kind::Reminder => "Say when I should remind you.",
            };
            return Err(refused(what.to_owned()));
        }
    };
    Ok(Entry {
        id: 0,
        kind,
        name: ask::name(arguments)
            .filter(|_| kind != Kind::Reminder)
            .map(Pii),
        text: text.map(Pii),
        due,
        created: now.timestamp(),
        seconds,
        wall: moment.as_ref().map(|moment| moment.wall),
        repeat: moment.and_then(|moment| moment.repeat),
        place: place.to_owned(),
    })
}

async fn set(timers: &Timers, entry: Entry) -> Result<String, ToolError> {
    let set = timers.set(entry).await;
    let set = set.map_err(|error| ToolError::Failed(format!("Nothing was set: {error}.")))?;
    let Some(entry) = set else {
        let why = format!("There are {MOST} already; cancel some first.");
        return Err(ToolError::Refused(why));
    };
    let mut said = say::set(&entry, &timers.now());
    if !timers.is_kept() {
        said.push_str(" If I am restarted before that, I will have forgotten it.");
    }
    Ok(said)
}

/// Which ones the arguments name: the kind, and the words where there are some.
fn asked(arguments: &Map<String, Value>) -> (Option<Kind>, Option<Hint>, Option<String>) {
    let kind = ask::text(arguments, "kind").and_then(|kind| Kind::named(&kind));
    let words = ask::text(arguments, "name");
    let mut hint = words.as_deref().map(Hint::of);
    let kind = kind.or(hint.as_ref().and_then(|hint| hint.kind));
    if let Some(hint) = &mut hint {
        hint.kind = kind;
    }
    let hint = hint.filter(|hint| !hint.is_bare());
    let shown = ask::name(arguments).or(words).filter(|_| hint.is_some());
    (kind, hint, shown)
}

fn list(timers: &Timers, arguments: &Map<String, Value>) -> String {
    let (now, all, ringing) = (timers.now(), timers.all(), timers.ringing());
    let (kind, hint, shown) = asked(arguments);
    let found = match &hint {
        Some(hint) => hint.find(&all, &now),
        None => of_kind(&all, kind),
    };
    match &found[..] {
        [] => say::nothing(kind, shown.as_deref(), &all, &now),
        found => say::list(found, &ringing, &now),
    }
}

async fn cancel(timers: &Timers, arguments: &Map<String, Value>) -> Result<String, ToolError> {
    let (now, all, ringing) = (timers.now(), timers.all(), timers.ringing());
    let (kind, hint, shown) = asked(arguments);
    let is = |name: &str| arguments.get(name).and_then(Value::as_bool) == Some(true);
    // The fast path's alone: what stops may as well be the siren of the house.
    let (every, only_ringing) = (is("all"), is("ringing"));
    if hint.is_none() && !every && of_kind(&ringing, kind).is_empty() {
        // Who stops what has just rung does not mean tomorrow's alarm.
        if let Some((one, since)) = timers.just_over(kind) {
            let others = of_kind(&all, Some(one.kind));
            // What was set since is meant.
            if others.iter().all(|other| other.created <= since) {
                return Ok(say::over(&one, &others, &now));
            }
        }
        if only_ringing {
            return Err(ToolError::Refused("Nothing rings.".to_owned()));
        }
    }
    let chosen = match &hint {
        Some(hint) => match hint.find(&all, &now) {
            several if several.len() > 1 && !every => return Ok(say::which(&several, &now)),
            found => found,
        },
        // "Cancel all timers" takes no alarm with it.
        None if every => of_kind(&all, Some(kind.unwrap_or(Kind::Timer))),
        // "Stop the timer": the one that rings.
        None if !of_kind(&ringing, kind).is_empty() => of_kind(&ringing, kind),
        None => match of_kind(&all, Some(kind.unwrap_or(Kind::Timer))) {
            several if several.len() > 1 => return Ok(say::which(&several, &now)),
            found => found,
        },
    };
    if chosen.is_empty() {
        return Ok(say::nothing(kind, shown.as_deref(), &all, &now));
    }
    let ids: Vec<i64> = chosen.iter().map(|entry| entry.id).collect();
    timers.cancel(&ids).await.map_err(|error| {
        ToolError::Failed(format!(
            "It is cancelled for now, and may come back after a restart: {error}."
        ))
    })?;
    Ok(say::cancelled(&chosen, &ringing, &now))
}

fn of_kind(entries: &[Entry], kind: Option<Kind>) -> Vec<Entry> {
    let of_kind = entries
        .iter()
        .filter(|entry| kind.is_none_or(|kind| entry.kind == kind));
    of_kind.cloned().collect()
}
