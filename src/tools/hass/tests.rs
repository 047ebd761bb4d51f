//! The tools against a stand-in for Home Assistant's MCP server, after its source (`mcp_server/server.py`,
//! `helpers/llm.py`, `helpers/intent.py`): a name must be exact but for capitals, errors are Python's, the
//! answers are JSON in text.

use std::sync::Mutex;

use super::*;

/// The stand-in. Its things are the [`context`]'s text.
#[derive(Default)]
struct Stand {
    things: Mutex<Vec<Thing>>,
    calls: Mutex<Vec<(String, Value)>>,
    prefix: &'static str,
    /// Answers instead of the true one.
    broken: Mutex<Option<Result<Reply, ToolError>>>,
}

#[derive(Clone)]
struct Thing {
    names: &'static str,
    domain: &'static str,
    state: &'static str,
    area: &'static str,
    attributes: &'static [(&'static str, &'static str)],
}

const fn thing(
    names: &'static str,
    domain: &'static str,
    state: &'static str,
    area: &'static str,
) -> Thing {
    Thing {
        names,
        domain,
        state,
        area,
        attributes: &[],
    }
}

fn home() -> Vec<Thing> {
    vec![
        Thing {
            attributes: &[("brightness", "'128'")],
            ..thing("Office Lamp, desk light", "light", "on", "Office")
        },
        thing("Office Ceiling", "light", "off", "Office"),
        thing("Kitchen Ceiling", "light", "off", "Kitchen"),
        thing("Kitchen Counter", "light", "on", "Kitchen"),
        thing("Living Room Lights", "light", "off", "Living Room"),
        thing("Red Candle", "light", "off", "Hall"),
        thing("Blue Candle", "light", "off", "Hall"),
        thing("Bedroom Blinds", "cover", "open", "Bedroom"),
        thing("Front Door", "lock", "locked", "Hall"),
        Thing {
            attributes: &[("temperature", "21"), ("current_temperature", "19.5")],
            ..thing("Nest", "climate", "heat", "Bedroom")
        },
        Thing {
            attributes: &[
                ("device_class", "temperature"),
                ("unit_of_measurement", "°C"),
            ],
            ..thing("Multisensor 7", "sensor", "22.1", "Living Room")
        },
        thing("TV", "media_player", "playing", "Living Room"),
        thing("Kitchen Speaker", "media_player", "idle", "Kitchen"),
    ]
}

impl Stand {
    fn new(things: Vec<Thing>) -> Arc<Self> {
        let stand = Self::default();
        *stand.things.lock().unwrap() = things;
        Arc::new(stand)
    }

    fn context(&self) -> String {
        let mut text =
            "Live Context: An overview of the areas and the devices in this smart home:\n"
                .to_owned();
        for thing in self.things.lock().unwrap().iter() {
            let state = match thing.state {
                "on" | "off" => format!("'{}'", thing.state),
                state => state.to_owned(),
            };
            text += &format!(
                "- names: {}\n  domain: {}\n  state: {state}\n  areas: {}\n",
                thing.names, thing.domain, thing.area
            );
            if !thing.attributes.is_empty() {
                text += "  attributes:\n";
            }
            for (name, value) in thing.attributes {
                text += &format!("    {name}: {value}\n");
            }
        }
        json!({"success": true, "result": text}).to_string()
    }

    fn answer(&self, tool: &str, arguments: &Map<String, Value>) -> Reply {
        let text = |text: String, failed| Reply {
            text,
            failed,
            ..Reply::default()
        };
        let Some(tool) = tool.strip_prefix(self.prefix) else {
            return text(
                format!("Error calling tool: Tool \"{tool}\" not found"),
                true,
            );
        };
        if tool == "GetLiveContext" {
            return text(self.context(), false);
        }
        let slot = |name: &str| {
            arguments
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_lowercase)
        };
        let domains = arguments.get("domain").and_then(Value::as_array);
        let things = self.things.lock().unwrap();
        let matched: Vec<&Thing> = things
            .iter()
            .filter(|thing| {
                let named = slot("name")
                    .is_none_or(|name| thing.names.to_lowercase().split(", ").any(|n| n == name));
                let there = slot("area").is_none_or(|area| thing.area.to_lowercase() == area);
                named
                    && there
                    && domains.is_none_or(|domains| domains.contains(&json!(thing.domain)))
            })
            .collect();
        let failed = |reason: &str| {
            text(
                format!(
                    "Error calling tool: <MatchFailedError result=MatchTargetsResult(is_match=False, \
            no_match_reason=<MatchFailedReason.{reason}: 1>, states=[]), constraints=…>"
                ),
                true,
            )
        };
        if matched.is_empty() {
            return failed("NAME");
        }
        if tool == "HassMediaPause" && !matched.iter().any(|thing| thing.state == "playing") {
            return failed("STATE");
        }
        let success: Vec<Value> = matched
            .iter()
            .map(|thing| json!({"name": thing.names, "type": "entity"}))
            .collect();
        text(json!({"speech": {}, "response_type": "action_done", "data": {"success": success, "failed": []}}).to_string(), false)
    }

    fn called(&self) -> Vec<(String, Value)> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(tool, _)| !tool.ends_with("GetLiveContext"))
            .cloned()
            .collect()
    }

    fn looked(&self) -> usize {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(tool, _)| tool.ends_with("GetLiveContext"))
            .count()
    }
}

impl Remote for Stand {
    fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        _: Duration,
    ) -> BoxFuture<'static, Result<Reply, ToolError>> {
        let broken = self.broken.lock().unwrap().clone();
        let reply = broken.unwrap_or_else(|| Ok(self.answer(tool, &arguments)));
        self.calls
            .lock()
            .unwrap()
            .push((tool.to_owned(), arguments.into()));
        async move { reply }.boxed()
    }
}

async fn control(hass: &Hass, arguments: Value) -> Result<Outcome, ToolError> {
    call(hass, 0, arguments).await
}

async fn ask(hass: &Hass, target: &str) -> Result<Outcome, ToolError> {
    call(hass, 1, json!({"target": target})).await
}

async fn call(hass: &Hass, tool: usize, arguments: Value) -> Result<Outcome, ToolError> {
    let tool = hass.tools()[tool].clone();
    let Value::Object(arguments) = arguments else {
        panic!("no object")
    };
    let schema = jsonschema::validator_for(&tool.spec().parameters).unwrap();
    assert!(
        schema.is_valid(&Value::from(arguments.clone())),
        "{arguments:?}"
    );
    tool.call(arguments, &Caller::default()).await
}

#[tokio::test]
async fn a_name_as_it_was_heard_becomes_the_one_that_home_assistant_knows() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    let done = control(
        &hass,
        json!({"action": "turn_on", "target": "the office lamb"}),
    )
    .await
    .unwrap();
    assert_eq!(done.say.unwrap(), "The office lamp is on.");
    assert_eq!(done.content, "Done: turn_on the office lamb");
    let done = control(
        &hass,
        json!({"action": "turn_off", "target": "lights in the kitchen"}),
    )
    .await
    .unwrap();
    assert_eq!(done.say.unwrap(), "The kitchen lights are off.");
    let done = control(
        &hass,
        json!({"action": "turn_on", "target": "living room likes"}),
    )
    .await
    .unwrap();
    assert_eq!(done.say.unwrap(), "The living room lights are on.");
    assert_eq!(
        stand.called(),
        [
            ("HassTurnOn".to_owned(), json!({"name": "Office Lamp"})),
            (
                "HassTurnOff".to_owned(),
                json!({"area": "Kitchen", "domain": ["light"]})
            ),
            (
                "HassTurnOn".to_owned(),
                json!({"name": "Living Room Lights"})
            ),
        ]
    );
    assert_eq!(stand.looked(), 1, "the names are known for a while");
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_anew_on_a_miss_and_after_a_while() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    let lamp = json!({"action": "turn_on", "target": "garden lantern"});
    assert!(control(&hass, lamp.clone()).await.is_err());
    assert_eq!(stand.looked(), 1);
    stand
        .things
        .lock()
        .unwrap()
        .push(thing("Garden Lantern", "light", "off", "Garden"));
    control(&hass, lamp.clone()).await.unwrap();
    assert_eq!(stand.looked(), 2);
    control(&hass, lamp.clone()).await.unwrap();
    assert_eq!(stand.looked(), 2);
    tokio::time::advance(FRESH).await;
    control(&hass, lamp).await.unwrap();
    assert_eq!(stand.looked(), 3);
}

#[tokio::test]
async fn two_that_match_are_asked_about_and_none_is_touched() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    let asked = control(&hass, json!({"action": "turn_on", "target": "candle"}))
        .await
        .unwrap();
    assert_eq!(
        asked.say.unwrap(),
        "Did you mean the red candle or the blue candle?"
    );
    let none = control(
        &hass,
        json!({"action": "turn_on", "target": "office heater lamp"}),
    )
    .await
    .unwrap_err();
    let ToolError::Refused(sentence) = none else {
        panic!("{none}")
    };
    assert!(sentence.contains("Office Lamp"), "{sentence}");
    assert!(stand.called().is_empty());
}

#[tokio::test]
async fn values_go_where_they_belong() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    for (action, target, value) in [
        ("set_brightness", "office lamp", json!("up")),
        ("set_volume", "music", json!(0)),
        ("set_temperature", "bedroom thermostat", json!(19)),
        ("set_temperature", "thermostat", json!(20)),
        ("set_position", "blinds", json!(30)),
        ("toggle", "office lamp", json!(null)),
        ("pause", "music", json!(null)),
        ("turn_off", "all lights", json!(null)),
    ] {
        let mut arguments = json!({"action": action, "target": target, "value": value});
        if value.is_null() {
            arguments.as_object_mut().unwrap().remove("value");
        }
        let done = control(&hass, arguments).await;
        assert!(
            done.as_ref()
                .is_ok_and(|done| done.content.starts_with("Done: ")),
            "{action} {target}: {done:?}"
        );
    }
    assert_eq!(
        stand.called(),
        [
            (
                "HassLightSet".to_owned(),
                json!({"name": "Office Lamp", "brightness": 70})
            ),
            (
                "HassSetVolume".to_owned(),
                json!({"name": "TV", "volume_level": 0})
            ),
            (
                "HassClimateSetTemperature".to_owned(),
                json!({"name": "Nest", "temperature": 19})
            ),
            (
                "HassClimateSetTemperature".to_owned(),
                json!({"name": "Nest", "temperature": 20})
            ),
            (
                "HassSetPosition".to_owned(),
                json!({"name": "Bedroom Blinds", "position": 30})
            ),
            ("HassTurnOff".to_owned(), json!({"name": "Office Lamp"})),
            ("HassMediaPause".to_owned(), json!({"name": "TV"})),
            ("HassTurnOff".to_owned(), json!({"domain": ["light"]})),
        ]
    );
}

#[tokio::test]
async fn a_door_is_not_unlocked_by_what_only_sounds_alike() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    for target in ["frond door", "door", "lock"] {
        assert!(
            control(&hass, json!({"action": "turn_off", "target": target}))
                .await
                .is_err(),
            "{target}"
        );
    }
    assert!(
        control(&hass, json!({"action": "open", "target": "front door"}))
            .await
            .is_err()
    );
    assert!(stand.called().is_empty());
    let done = control(
        &hass,
        json!({"action": "turn_off", "target": "the front door"}),
    )
    .await
    .unwrap();
    assert_eq!(done.say.unwrap(), "The front door is unlocked.");
}

#[tokio::test]
async fn states_are_told() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    for (target, said) in [
        ("front door", "The front door is locked."),
        ("desk light", "The office lamp is on, at 50 percent."),
        (
            "living room temperature",
            "The multisensor 7 is 22.1 degrees.",
        ),
        (
            "bedroom temperature",
            "The Nest is set to 21 degrees, it is 19.5 degrees now.",
        ),
        (
            "kitchen lights",
            "The kitchen ceiling is off, and the kitchen counter is on.",
        ),
    ] {
        let told = ask(&hass, target).await.unwrap();
        let said = said.replace("The Nest", "The nest");
        assert_eq!(told.say.unwrap(), said, "{target}");
        assert!(told.content.starts_with("- names: "), "{}", told.content);
    }
    assert!(stand.looked() >= 5, "a state is never an old one");
    let all = call(&hass, 1, json!({})).await.unwrap();
    assert!(all.say.is_none() && all.content.matches("- names:").count() == 13);
    let missing = ask(&hass, "garage door").await.unwrap_err().to_string();
    assert!(
        missing.starts_with("Device 'garage door' not found"),
        "{missing}"
    );
    stand.things.lock().unwrap().clear();
    assert_eq!(
        call(&hass, 1, json!({})).await.unwrap().content,
        "No devices found"
    );
}

#[tokio::test]
async fn home_assistants_errors_are_told_honestly() {
    let stand = Stand::new(home());
    let hass = Hass::new(stand.clone());
    let pause = json!({"action": "pause", "target": "kitchen speaker"});
    let refused = control(&hass, pause).await.unwrap_err();
    assert!(
        matches!(&refused, ToolError::Refused(s) if s.starts_with("Nothing is playing on the kitchen speaker")),
        "{refused}"
    );
    let lamp = json!({"action": "turn_on", "target": "office lamp"});
    let reply = |text: &str, failed| {
        Some(Ok(Reply {
            text: text.to_owned(),
            failed,
            structured: None,
        }))
    };
    for (broken, says) in [
        (
            reply("Error calling tool: Timeout talking to the bridge", true),
            "Timeout talking to the bridge",
        ),
        (
            reply(
                r#"{"response_type": "error", "speech": {"plain": {"speech": "No light"}}}"#,
                false,
            ),
            "No light",
        ),
        (
            reply(
                r#"{"response_type": "action_done", "data": {"success": [], "failed": [{"name": "x"}]}}"#,
                false,
            ),
            "could not do that",
        ),
        (
            Some(Err(ToolError::Unreachable(
                "Home Assistant does not answer.".to_owned(),
            ))),
            "does not answer",
        ),
    ] {
        *stand.broken.lock().unwrap() = broken;
        let error = control(&hass, lamp.clone()).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    *stand.broken.lock().unwrap() = reply(r#"{"success": false, "error": "no entities"}"#, false);
    let error = ask(&hass, "office lamp").await.unwrap_err();
    assert_eq!(error.to_string(), "Failed to get state: no entities");
    let unknown = call_unchecked(&hass, json!({"action": "explode", "target": "lamp"}))
        .await
        .unwrap_err();
    assert!(
        unknown
            .to_string()
            .starts_with("Unknown action: explode. Valid actions: ")
    );
}

async fn call_unchecked(hass: &Hass, arguments: Value) -> Result<Outcome, ToolError> {
    let Value::Object(arguments) = arguments else {
        panic!("no object")
    };
    hass.tools()[0].call(arguments, &Caller::default()).await
}

#[tokio::test]
async fn tools_are_called_as_the_server_lists_them() {
    let stand = Arc::new(Stand {
        prefix: "assist__",
        ..Stand::default()
    });
    *stand.things.lock().unwrap() = home();
    let names = ["assist__HassTurnOn", "assist__GetLiveContext"].map(str::to_owned);
    let hass = Hass::offering(stand.clone(), names);
    control(&hass, json!({"action": "turn_on", "target": "office lamp"}))
        .await
        .unwrap();
    assert_eq!(stand.called()[0].0, "assist__HassTurnOn");
    let lacking = control(&hass, json!({"action": "mute", "target": "tv"}))
        .await
        .unwrap_err();
    assert!(
        lacking.to_string().contains("HassMediaPlayerMute"),
        "{lacking}"
    );
}

#[test]
fn only_control_changes_something() {
    let tools = Hass::new(Stand::new(home())).tools();
    assert_eq!(
        tools.iter().map(|tool| tool.changes()).collect::<Vec<_>>(),
        [true, false]
    );
}
