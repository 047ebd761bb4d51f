//! Home Assistant, over its MCP server (`/api/mcp`, the Assist API): one tool that acts and one that looks,
//! instead of the server's two dozen. What is exposed to Assist is known from `GetLiveContext`, so that a
//! name as it was heard becomes the name that Home Assistant knows.

mod action;
mod context;
mod names;
mod reply;
mod state;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::{
    action::{ACTIONS, Action, Whom, toggled},
    context::Entity,
    names::Found,
    reply::{cut, done, listed, unknown},
};
use super::{Caller, Outcome, Remote, Reply, Tool, ToolError};
use crate::llm::ToolSpec;

/// How long Home Assistant may take, as in CAAL.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long names are believed. States are asked for anew whenever they matter.
const FRESH: Duration = Duration::from_secs(30);
/// As many things are told in a sentence; more are the language model's to sum up.
const TOLD: usize = 4;

/// A Home Assistant. Clones are the same.
#[derive(Clone)]
pub struct Hass(Arc<Home>);

struct Home {
    remote: Arc<dyn Remote>,
    /// The server's tools, by its own names; empty, where nobody said them.
    offered: BTreeSet<String>,
    /// What is exposed, and since when it is known.
    known: Mutex<Option<(Instant, Arc<[Entity]>)>>,
}

impl Hass {
    /// The Home Assistant behind `remote`, whose tools are called `HassTurnOn` and so on.
    pub fn new(remote: Arc<dyn Remote>) -> Self {
        Self::offering(remote, [])
    }

    /// The same, where the names of its tools are known: `HassTurnOn` is called as it is listed there, be it
    /// `assist__HassTurnOn`, and what is not listed is not tried.
    pub fn offering(remote: Arc<dyn Remote>, names: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Home {
            remote,
            offered: names.into_iter().collect(),
            known: Mutex::new(None),
        }))
    }

    /// `hass_control` and `hass_get_state`.
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        vec![
            Arc::new(Control {
                spec: Arc::new(control_spec()),
                home: self.0.clone(),
            }),
            Arc::new(GetState {
                spec: Arc::new(state_spec()),
                home: self.0.clone(),
            }),
        ]
    }
}

struct Control {
    spec: Arc<ToolSpec>,
    home: Arc<Home>,
}

impl Tool for Control {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let home = self.home.clone();
        async move {
            let text = |name: &str| {
                arguments
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let action = Action::named(text("action")).map_err(ToolError::Refused)?;
            home.control(action, text("target"), arguments.get("value"))
                .await
        }
        .boxed()
    }
}

struct GetState {
    spec: Arc<ToolSpec>,
    home: Arc<Home>,
}

impl Tool for GetState {
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
        let home = self.home.clone();
        async move {
            let target = arguments
                .get("target")
                .and_then(Value::as_str)
                .unwrap_or_default();
            home.state(target.trim()).await
        }
        .boxed()
    }
}

fn control_spec() -> ToolSpec {
    let actions = ACTIONS.map(|(name, _)| name);
    ToolSpec {
        name: "hass_control".to_owned(),
        description: "Control a device of the smart home: lights, switches, blinds, heating, music and TV. \
            The target is the device as the user calls it, or a kind of device with a room: kitchen lights."
            .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": actions, "description": "What to do"},
                "target": {"type": "string", "description": "Device or room, as the user said it"},
                "value": {
                    "type": ["integer", "number", "string"],
                    "description": "Percent for set_brightness, set_position and set_volume; degrees for \
                        set_temperature; a colour for set_color"
                }
            },
            "required": ["action", "target"]
        }),
    }
}

fn state_spec() -> ToolSpec {
    ToolSpec {
        name: "hass_get_state".to_owned(),
        description:
            "Get the current state of a device or room of the smart home (on or off, open, locked, \
            temperature), or of all devices."
                .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "target": {"type": "string", "description": "Device or room; nothing for all devices"}
            }
        }),
    }
}

impl Home {
    async fn control(
        &self,
        action: Action,
        target: &str,
        value: Option<&Value>,
    ) -> Result<Outcome, ToolError> {
        let fits = |entity: &Entity| action.fits(&entity.domain);
        let relative = value
            .and_then(Value::as_str)
            .is_some_and(|value| value.parse::<f64>().is_err());
        // What depends on the state of now asks for it.
        let by_state = matches!(action, Action::Toggle) || relative || names::is_music(target);
        let (things, found) = self
            .find(target, by_state, |things| meant(action, target, things))
            .await?;
        let several = |indices: &[usize]| -> Vec<&Entity> {
            indices.iter().filter_map(|i| things.get(*i)).collect()
        };
        let (whom, toggles): (Whom<'_>, Vec<&Entity>) = match &found {
            Found::One(i, sure) => {
                let Some(thing) = things.get(*i) else {
                    return Err(ToolError::Failed(
                        "Home Assistant's list of devices has changed.".to_owned(),
                    ));
                };
                if *sure < 0.97 && action.needs_the_name(&thing.domain) {
                    let name = thing.name();
                    return Err(ToolError::Refused(format!(
                        "A lock needs its full name; did you mean {name}?"
                    )));
                }
                let twin = |other: &Entity| other.name().eq_ignore_ascii_case(thing.name());
                let twin = things.iter().filter(|other| twin(other)).count() > 1;
                (Whom::Entity(thing, twin), vec![thing])
            }
            Found::Area { area, domain } => {
                let there = things
                    .iter()
                    .filter(|thing| thing.domain == *domain && thing.area() == Some(area));
                (Whom::Area(area, domain), there.collect())
            }
            Found::All(domain) => {
                let all = things.iter().filter(|thing| thing.domain == *domain);
                (Whom::All(domain), all.collect())
            }
            Found::Several(alike) => {
                let alike = several(alike);
                return Ok(match alike.len() {
                    ..=TOLD => Outcome::said(format!("Did you mean {}?", state::choice(&alike))),
                    many => {
                        Outcome::said(format!("There are {many} that match {target}. Which one?"))
                    }
                });
            }
            Found::Nothing(near) => {
                return Err(unknown(target, &several(near), things.iter().any(fits)));
            }
        };
        let action = if action == Action::Toggle {
            toggled(toggles)
        } else {
            action
        };
        let call = action::call(action, &whom, value).map_err(ToolError::Refused)?;
        let reply = self.call(call.tool, call.arguments).await?;
        done(&reply, &whom.spoken())?;
        Ok(Outcome {
            content: format!("Done: {} {target}", action.name()),
            say: Some(call.say),
        })
    }

    async fn state(&self, target: &str) -> Result<Outcome, ToolError> {
        if target.is_empty() {
            let things = self.things(true).await?;
            if things.is_empty() {
                return Ok(Outcome::of("No devices found"));
            }
            return Ok(Outcome::of(blocks(things.iter())));
        }
        let asked = |things: &[Entity]| asked_for(target, things);
        let (things, found) = self.find(target, true, asked).await?;
        let picked: Vec<&Entity> = match &found {
            Found::One(i, _) => things.get(*i).into_iter().collect(),
            Found::Area { area, domain } => things
                .iter()
                .filter(|thing| thing.domain == *domain && thing.area() == Some(area))
                .collect(),
            Found::All(domain) => things
                .iter()
                .filter(|thing| thing.domain == *domain)
                .collect(),
            Found::Several(alike) => alike.iter().filter_map(|i| things.get(*i)).collect(),
            Found::Nothing(near) => {
                let near: Vec<&Entity> = near.iter().filter_map(|i| things.get(*i)).collect();
                let nearest = if near.is_empty() {
                    String::new()
                } else {
                    format!("; the nearest are: {}", listed(&near))
                };
                return Err(ToolError::Refused(format!(
                    "Device '{target}' not found{nearest}"
                )));
            }
        };
        let phrases: Vec<String> = picked.iter().map(|thing| state::phrase(thing)).collect();
        Ok(Outcome {
            content: blocks(picked),
            say: (1..=TOLD)
                .contains(&phrases.len())
                .then(|| state::sentence(&phrases)),
        })
    }

    /// What is exposed, and what `by` finds in it; looked up anew where it finds nothing in what is known.
    async fn find(
        &self,
        target: &str,
        now: bool,
        by: impl Fn(&[Entity]) -> Found,
    ) -> Result<(Arc<[Entity]>, Found), ToolError> {
        if target.trim().is_empty() {
            return Err(ToolError::Refused(
                "Which device? Give its name as target.".to_owned(),
            ));
        }
        let fetched = now || self.known().is_none();
        let mut things = self.things(now).await?;
        let mut found = by(&things);
        if matches!(found, Found::Nothing(_)) && !fetched {
            things = self.things(true).await?;
            found = by(&things);
        }
        Ok((things, found))
    }

    fn known(&self) -> Option<Arc<[Entity]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, things) = known.as_ref()?;
        (since.elapsed() < FRESH).then(|| things.clone())
    }

    async fn things(&self, now: bool) -> Result<Arc<[Entity]>, ToolError> {
        if let Some(known) = self.known().filter(|_| !now) {
            return Ok(known);
        }
        let reply = self.call("GetLiveContext", Map::new()).await?;
        let failed = |why: &str| ToolError::Failed(format!("Failed to get state: {}", cut(why)));
        if reply.failed {
            return Err(failed(&reply.text));
        }
        let things: Arc<[Entity]> = context::entities(&reply.text)
            .map_err(|why| failed(&why))?
            .into();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), things.clone()));
        Ok(things)
    }

    async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<Reply, ToolError> {
        let listed = |name: &&String| {
            let own = name.strip_suffix(tool);
            own.is_some_and(|before| before.is_empty() || before.ends_with(['_', '.', '-']))
        };
        let name = self.offered.iter().find(listed).map(String::as_str);
        if name.is_none() && !self.offered.is_empty() {
            return Err(ToolError::Refused(format!(
                "This Home Assistant does not offer {tool}; expose such a device to Assist, or update it."
            )));
        }
        self.remote
            .call(name.unwrap_or(tool), arguments, PATIENCE)
            .await
    }
}

/// What `target` means for `action`.
fn meant(action: Action, target: &str, things: &[Entity]) -> Found {
    let fits = |entity: &Entity| action.fits(&entity.domain);
    if action.fits("media_player") && !action.fits("light") && names::is_music(target) {
        let of = |states: &[&str]| -> Vec<usize> {
            let player = |thing: &Entity| {
                thing.domain == "media_player" && states.contains(&thing.state.as_str())
            };
            let all = things.iter().enumerate().filter(|(_, thing)| player(thing));
            all.map(|(i, _)| i).collect()
        };
        let players = match action {
            Action::Play => of(&["paused"]),
            Action::Unmute
            | Action::VolumeUp
            | Action::VolumeDown
            | Action::SetVolume
            | Action::Mute => of(&["playing", "paused", "on", "idle", "buffering"]),
            _ => of(&["playing", "buffering"]),
        };
        let playing = of(&["playing"]);
        return match (players.as_slice(), playing.as_slice()) {
            ([one], _) | ([_, ..], [one]) => Found::One(*one, 1.0),
            ([], _) => Found::Nothing(Vec::new()),
            (several, _) => Found::Several(several.to_vec()),
        };
    }
    let found = names::find(target, things, fits);
    let only_climate = matches!(found, Found::Nothing(_)) && action == Action::SetTemperature;
    if !only_climate {
        return found;
    }
    // "bedroom thermostat", where it is called by its maker's name; "the temperature", where there is one.
    let climate: Vec<usize> = indices(things, |thing| thing.domain == "climate");
    let words = target
        .replace("thermostat", "")
        .replace("heating", "")
        .replace("temperature", "");
    let generic = words.len() != target.len();
    let place = words.trim();
    let there: Vec<usize> = climate
        .into_iter()
        .filter(|i| {
            place.is_empty()
                || things
                    .get(*i)
                    .is_some_and(|thing| names::is_in(place, thing))
        })
        .collect();
    match there.as_slice() {
        [one] if generic => Found::One(*one, 0.9),
        [_, ..] if generic => Found::Several(there),
        _ => found,
    }
}

/// What a question for `target` means: a measure of a room, a thing, all of a room.
fn asked_for(target: &str, things: &[Entity]) -> Found {
    let found = names::find(target, things, |_| true);
    if matches!(found, Found::One(_, sure) if sure >= 0.97) {
        return found;
    }
    if let Some((place, what)) = names::measure(target).filter(|(place, _)| !place.is_empty()) {
        let there = |thing: &Entity| names::is_in(&place, thing);
        let sensors = indices(things, |t| {
            there(t) && t.attribute("device_class") == Some(what)
        });
        let current = if what == "temperature" {
            "current_temperature"
        } else {
            "humidity"
        };
        let climates = indices(things, |t| there(t) && t.attribute(current).is_some());
        match (sensors.as_slice(), climates.as_slice()) {
            ([one], _) | ([], [one]) => return Found::One(*one, 1.0),
            ([_, ..], _) => return Found::Several(sensors),
            _ => {}
        }
    }
    match found {
        Found::Nothing(near) => {
            let room = indices(things, |thing| names::is_in(target, thing));
            if room.is_empty() {
                Found::Nothing(near)
            } else {
                Found::Several(room)
            }
        }
        found => found,
    }
}

fn indices(things: &[Entity], by: impl Fn(&Entity) -> bool) -> Vec<usize> {
    things
        .iter()
        .enumerate()
        .filter(|(_, thing)| by(thing))
        .map(|(i, _)| i)
        .collect()
}

fn blocks<'a>(things: impl IntoIterator<Item = &'a Entity>) -> String {
    let all: String = things
        .into_iter()
        .map(|thing| thing.block.as_str())
        .collect();
    all.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
