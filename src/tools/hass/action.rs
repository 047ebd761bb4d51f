//! What can be done to a thing of the home: which of Home Assistant's tools does it, with which arguments,
//! and what is said of it afterwards. Pure.

use serde_json::{Map, Value, json};

use super::{context::Entity, state};
use crate::tools::spoken;

/// An action by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    TurnOn,
    TurnOff,
    Toggle,
    SetBrightness,
    SetColor,
    SetTemperature,
    Open,
    Close,
    SetPosition,
    Pause,
    Play,
    Next,
    Previous,
    VolumeUp,
    VolumeDown,
    SetVolume,
    Mute,
    Unmute,
}

/// All, by the names that a language model uses.
pub(super) const ACTIONS: [(&str, Action); 18] = [
    ("turn_on", Action::TurnOn),
    ("turn_off", Action::TurnOff),
    ("toggle", Action::Toggle),
    ("set_brightness", Action::SetBrightness),
    ("set_color", Action::SetColor),
    ("set_temperature", Action::SetTemperature),
    ("open", Action::Open),
    ("close", Action::Close),
    ("set_position", Action::SetPosition),
    ("pause", Action::Pause),
    ("play", Action::Play),
    ("next", Action::Next),
    ("previous", Action::Previous),
    ("volume_up", Action::VolumeUp),
    ("volume_down", Action::VolumeDown),
    ("set_volume", Action::SetVolume),
    ("mute", Action::Mute),
    ("unmute", Action::Unmute),
];

/// Things that only tell something.
const TELLS: &[&str] = &[
    "sensor",
    "binary_sensor",
    "weather",
    "person",
    "zone",
    "sun",
    "update",
    "device_tracker",
    "calendar",
    "todo",
    "event",
    "image",
    "date",
    "time",
    "datetime",
    "text",
    "number",
    "select",
];

impl Action {
    /// The action of `name`.
    ///
    /// # Errors
    ///
    /// CAAL's sentence with the names that there are.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let same = name.trim().to_lowercase().replace([' ', '-'], "_");
        let known = ACTIONS.iter().find(|(known, _)| *known == same);
        known.map(|(_, action)| *action).ok_or_else(|| {
            let all = ACTIONS.map(|(known, _)| known).join(", ");
            format!("Unknown action: {name}. Valid actions: {all}")
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        ACTIONS
            .iter()
            .find(|(_, action)| *action == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether it can be done to things of this kind.
    pub(super) fn fits(self, domain: &str) -> bool {
        match self {
            Action::TurnOn | Action::TurnOff => !TELLS.contains(&domain),
            Action::Toggle => {
                !TELLS.contains(&domain) && !["lock", "scene", "button"].contains(&domain)
            }
            // "set the blinds to 50 percent" may come as brightness.
            Action::SetBrightness => ["light", "cover", "valve", "media_player"].contains(&domain),
            Action::SetColor => domain == "light",
            Action::SetTemperature => ["climate", "light", "water_heater"].contains(&domain),
            // Home Assistant turns a lock "on" by locking it: opening is no word for it.
            Action::Open | Action::Close | Action::SetPosition => {
                ["cover", "valve"].contains(&domain)
            }
            _ => domain == "media_player",
        }
    }

    /// Whether a name that only sounds alike will do: not to unlock a door.
    pub(super) fn needs_the_name(self, domain: &str) -> bool {
        domain == "lock" || (domain == "alarm_control_panel" && self == Action::TurnOff)
    }
}

/// To what it is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom<'a> {
    /// One thing; whether another has its name.
    Entity(&'a Entity, bool),
    /// All of a kind in an area.
    Area(&'a str, &'a str),
    /// All of a kind.
    All(&'a str),
}

impl Whom<'_> {
    fn domain(&self) -> &str {
        match self {
            Whom::Entity(entity, _) => &entity.domain,
            Whom::Area(_, domain) | Whom::All(domain) => domain,
        }
    }

    /// Home Assistant's slots for it.
    fn slots(&self, with_domain: bool) -> Map<String, Value> {
        let mut slots = Map::new();
        match self {
            Whom::Entity(entity, twin) => {
                slots.insert("name".to_owned(), entity.name().into());
                if let Some(area) = entity.area().filter(|_| *twin) {
                    slots.insert("area".to_owned(), area.into());
                }
                if *twin && with_domain {
                    slots.insert("domain".to_owned(), json!([entity.domain]));
                }
            }
            Whom::Area(area, domain) => {
                slots.insert("area".to_owned(), (*area).into());
                if with_domain {
                    slots.insert("domain".to_owned(), json!([domain]));
                }
            }
            Whom::All(domain) => {
                slots.insert("domain".to_owned(), json!([domain]));
            }
        }
        slots
    }

    /// For people: `the office lamp`, `the kitchen lights`.
    pub(super) fn spoken(&self) -> String {
        match self {
            Whom::Entity(entity, _) => state::the(entity.name()),
            Whom::Area(area, domain) => {
                format!("the {} {}", state::small(area), state::kind(domain))
            }
            Whom::All(domain) => format!("all {}", state::kind(domain)),
        }
    }
}

/// A call of a tool of Home Assistant's, and what is said when it has worked.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    pub(super) arguments: Map<String, Value>,
    pub(super) say: String,
}

/// The call that does `action`.
///
/// # Errors
///
/// A sentence, where the value is missing or makes no sense.
pub(super) fn call(action: Action, whom: &Whom<'_>, value: Option<&Value>) -> Result<Call, String> {
    let domain = whom.domain();
    let the = state::start(&whom.spoken());
    let are = if state::plural(&the) { "are" } else { "is" };
    let action = match (action, domain) {
        (Action::SetBrightness, "cover" | "valve") => Action::SetPosition,
        (Action::SetBrightness, "media_player") => Action::SetVolume,
        (action, _) => action,
    };
    let done = |tool, more: &[(&str, Value)], say: String| {
        let onto = ["HassTurnOn", "HassTurnOff"].contains(&tool);
        let mut arguments = whom.slots(onto);
        arguments.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        Ok(Call {
            tool,
            arguments,
            say,
        })
    };
    let is = |what: &str| format!("{the} {are} {what}.");
    match action {
        Action::TurnOn | Action::Open => {
            let say = match domain {
                "lock" => is("locked"),
                "cover" | "valve" => is("opening"),
                "scene" | "script" | "automation" | "button" | "input_button" => "Done.".to_owned(),
                _ => is("on"),
            };
            done("HassTurnOn", &[], say)
        }
        Action::TurnOff | Action::Close => {
            let say = match domain {
                "lock" => is("unlocked"),
                "cover" | "valve" => is("closing"),
                _ => is("off"),
            };
            done("HassTurnOff", &[], say)
        }
        Action::Toggle => Err("Say whether it is to be turned on or off.".to_owned()), // see `toggled`
        Action::SetBrightness => {
            let level = brightness(whom, value)?;
            let say = if level == 0 {
                is("off")
            } else {
                is(&format!("at {level} percent"))
            };
            done("HassLightSet", &[("brightness", level.into())], say)
        }
        Action::SetColor => {
            let colour = value
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|colour| !colour.is_empty());
            let colour = colour
                .ok_or("Which colour? Give it as value, like red or warm white.")?
                .to_lowercase();
            match kelvin(&colour) {
                Some(kelvin) => done(
                    "HassLightSet",
                    &[("temperature", kelvin.into())],
                    is(&colour),
                ),
                None => done(
                    "HassLightSet",
                    &[("color", colour.as_str().into())],
                    is(&colour),
                ),
            }
        }
        Action::SetTemperature if domain == "light" => {
            let named = value.and_then(Value::as_str).and_then(kelvin);
            let kelvin = named.or_else(|| number(value).map(|kelvin| kelvin as i64));
            let kelvin = kelvin.filter(|kelvin| (1000..=10_000).contains(kelvin));
            let kelvin = kelvin.ok_or("A light takes a temperature of 1000 to 10000 kelvin.")?;
            done(
                "HassLightSet",
                &[("temperature", kelvin.into())],
                is(&format!("at {kelvin} kelvin")),
            )
        }
        Action::SetTemperature => {
            let degrees = number(value).filter(|degrees| (-30.0..=250.0).contains(degrees));
            let degrees = degrees.ok_or("To how many degrees? Give them as value.")?;
            let degrees = whole(degrees);
            let say = is(&format!("set to {degrees} degrees"));
            done(
                "HassClimateSetTemperature",
                &[("temperature", degrees)],
                say,
            )
        }
        Action::SetPosition => {
            let position =
                percent(value).ok_or("To how many percent open? Give a value from 0 to 100.")?;
            done(
                "HassSetPosition",
                &[("position", position.into())],
                is(&format!("going to {position} percent")),
            )
        }
        Action::Pause => done("HassMediaPause", &[], "Paused.".to_owned()),
        Action::Play => done("HassMediaUnpause", &[], "Playing.".to_owned()),
        Action::Next => done("HassMediaNext", &[], "Next one.".to_owned()),
        Action::Previous => done("HassMediaPrevious", &[], "The one before.".to_owned()),
        Action::VolumeUp | Action::VolumeDown => {
            let step = if action == Action::VolumeUp {
                "up"
            } else {
                "down"
            };
            done(
                "HassSetVolumeRelative",
                &[("volume_step", step.into())],
                format!("Volume {step}."),
            )
        }
        Action::SetVolume => {
            // As in CAAL nothing said is the half; 0 is 0.
            let level = match value {
                None | Some(Value::Null) => 50,
                value => percent(value).ok_or("How loud? Give a value from 0 to 100.")?,
            };
            done(
                "HassSetVolume",
                &[("volume_level", level.into())],
                format!("The volume is at {level} percent."),
            )
        }
        Action::Mute => done("HassMediaPlayerMute", &[], "Muted.".to_owned()),
        Action::Unmute => done(
            "HassMediaPlayerUnmute",
            &[],
            "Not muted any more.".to_owned(),
        ),
    }
}

/// What toggling means, as all of `things` are now.
pub(super) fn toggled<'a>(things: impl IntoIterator<Item = &'a Entity>) -> Action {
    let off = [
        "off",
        "closed",
        "closing",
        "idle",
        "standby",
        "unavailable",
        "unknown",
    ];
    match things
        .into_iter()
        .any(|thing| !off.contains(&thing.state.as_str()))
    {
        true => Action::TurnOff,
        false => Action::TurnOn,
    }
}

/// Percent; `up` and `down` are a fifth from where it is.
fn brightness(whom: &Whom<'_>, value: Option<&Value>) -> Result<i64, String> {
    let step = match value.and_then(Value::as_str).map(str::trim) {
        Some("up" | "brighter") => 20,
        Some("down" | "dimmer" | "darker") => -20,
        _ => {
            return percent(value)
                .ok_or_else(|| "How bright? Give a value from 0 to 100.".to_owned());
        }
    };
    let now = match whom {
        Whom::Entity(entity, _) => state::brightness(entity),
        _ => None,
    };
    let unknown = "It does not say how bright it is now; give a value from 0 to 100.";
    Ok((now.ok_or(unknown)? + step).clamp(5, 100))
}

fn kelvin(colour: &str) -> Option<i64> {
    match colour.trim().to_lowercase().as_str() {
        "warm white" | "warm" => Some(2700),
        "neutral white" | "neutral" => Some(4000),
        "cool white" | "cold white" | "cool" | "cold" => Some(5500),
        "daylight" => Some(6500),
        _ => None,
    }
}

fn percent(value: Option<&Value>) -> Option<i64> {
    let value = number(value)?.round();
    (0.0..=100.0).contains(&value).then_some(value as i64)
}

/// A number, or one in words: `50`, `"50%"`, `"fifty percent"`.
fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let words: Vec<String> = spoken::sentences(text)
                .into_iter()
                .flatten()
                .map(|word| word.low)
                .collect();
            let (number, used) = spoken::number(&words)?;
            let unit = words.get(used..)?;
            let units = [
                "percent",
                "degrees",
                "degree",
                "kelvin",
                "k",
                "celsius",
                "fahrenheit",
                "c",
                "f",
            ];
            unit.iter()
                .all(|word| units.contains(&word.as_str()))
                .then_some(number)
        }
        _ => None,
    }
}

fn whole(number: f64) -> Value {
    if number.fract() == 0.0 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

#[cfg(test)]
mod tests;
