//! The tool for time and date, here and elsewhere. Which zone a place is in says `zones`.

mod zones;

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Zoned;
use serde_json::{Map, Value, json};

use super::{
    Caller, Outcome, Tool, ToolError,
    timers::{Clock, words},
};
use crate::llm::ToolSpec;

/// Tells time, date, day of the week and year. Its answers are spoken as they are.
pub struct DateTime {
    spec: Arc<ToolSpec>,
    clock: Clock,
}

impl DateTime {
    /// `clock` is asked with every call; its zone is the one that counts where none is named.
    pub fn new(clock: Clock) -> Self {
        let spec = ToolSpec {
            name: "get_date_time".to_owned(),
            description: "Tell the time or the date, here or in another city or time zone."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "what": {
                        "type": "string",
                        "enum": ["time", "date", "day", "year", "all"],
                        "description": "What is asked for; the time if nothing is said.",
                    },
                    "zone": {
                        "type": "string",
                        "description": "Only for another place: a city or a time zone, such as Tokyo or America/New_York.",
                    },
                },
                "required": [],
            }),
        };
        Self {
            spec: Arc::new(spec),
            clock,
        }
    }
}

impl Tool for DateTime {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn changes(&self) -> bool {
        false
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let now = (self.clock)();
        async move {
            let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::trim);
            let what = text("what").unwrap_or("time").to_lowercase();
            let said = match text("zone").filter(|zone| !zone.is_empty()) {
                None => answer(&what, &now, None),
                Some(zone) => match zones::find(zone) {
                    Some(found) => {
                        let there = now.with_time_zone(found.zone);
                        answer(&what, &there, Some(&found.name))
                    }
                    None => {
                        return Err(ToolError::Refused(format!(
                            "I don't know the time zone of {zone}; name a large city, or a zone such as Europe/Paris."
                        )));
                    }
                },
            };
            Ok(Outcome::said(said))
        }
        .boxed()
    }
}

/// The sentence; `place` is where that is, if not here.
fn answer(what: &str, now: &Zoned, place: Option<&str>) -> String {
    let time = words::clock(now.time());
    let date = now.strftime("%A, %B %-d, %Y");
    match (what, place) {
        ("date", None) => format!("Today is {date}."),
        ("date", Some(place)) => format!("In {place} it's {date}."),
        ("day", None) => now.strftime("Today is %A.").to_string(),
        ("day", Some(place)) => format!("In {place} it's {}.", now.strftime("%A")),
        ("year", _) => now.strftime("It's %Y.").to_string(),
        ("all" | "datetime" | "both", None) => format!("It's {time} on {date}."),
        ("all" | "datetime" | "both", Some(place)) => format!("In {place} it's {time} on {date}."),
        (_, None) => format!("It's {time}."),
        (_, Some(place)) => format!("In {place} it's {time} on {}.", now.strftime("%A")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(arguments: Value) -> Result<String, ToolError> {
        let now: Zoned = "2026-11-24T16:05:00+01:00[Europe/Berlin]".parse().unwrap();
        let tool = DateTime::new(Arc::new(move || now.clone()));
        let schema = jsonschema::validator_for(&tool.spec().parameters).unwrap();
        assert!(schema.is_valid(&arguments), "{arguments}");
        let arguments = arguments.as_object().unwrap().clone();
        let outcome = tool.call(arguments, &Caller::default()).await?;
        Ok(outcome.say.unwrap())
    }

    #[tokio::test]
    async fn time_and_date_are_told_here_and_elsewhere() {
        for (arguments, expected) in [
            (json!({}), "It's 4:05 PM."),
            (json!({"what": "time"}), "It's 4:05 PM."),
            (
                json!({"what": "date"}),
                "Today is Tuesday, November 24, 2026.",
            ),
            (json!({"what": "day"}), "Today is Tuesday."),
            (json!({"what": "year"}), "It's 2026."),
            (
                json!({"zone": "Tokyo"}),
                "In Tokyo it's 12:05 AM on Wednesday.",
            ),
            (
                json!({"zone": "new york"}),
                "In New York it's 10:05 AM on Tuesday.",
            ),
            (
                json!({"what": "date", "zone": "Asia/Tokyo"}),
                "In Tokyo it's Wednesday, November 25, 2026.",
            ),
            (
                json!({"what": "all", "zone": "UTC"}),
                "In UTC it's 3:05 PM on Tuesday, November 24, 2026.",
            ),
        ] {
            assert_eq!(asked(arguments).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_place_that_nobody_knows_is_refused() {
        for place in ["Gondor", "../../etc/passwd", "é", "/", "Posix"] {
            let refused = asked(json!({ "zone": place })).await;
            assert!(
                matches!(refused, Err(ToolError::Refused(_))),
                "{place}: {refused:?}"
            );
        }
    }
}
