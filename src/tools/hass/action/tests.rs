//! Every action, as Home Assistant is called for it.

use super::*;

fn thing(name: &str, domain: &str) -> Entity {
    Entity {
        names: vec![name.to_owned()],
        domain: domain.to_owned(),
        areas: vec!["Office".to_owned()],
        attributes: vec![("brightness".to_owned(), "128".to_owned())],
        ..Entity::default()
    }
}

fn done(action: &str, domain: &str, value: Value) -> (String, Value, String) {
    let thing = thing("Office Thing", domain);
    let value = Some(value).filter(|value| !value.is_null());
    match call(
        Action::named(action).unwrap(),
        &Whom::Entity(&thing, false),
        value.as_ref(),
    ) {
        Ok(call) => (call.tool.to_owned(), call.arguments.into(), call.say),
        Err(sentence) => (String::new(), Value::Null, sentence),
    }
}

#[test]
fn every_action_is_home_assistants() {
    let name = "Office Thing";
    for (action, domain, value, tool, more) in [
        ("turn_on", "light", json!(null), "HassTurnOn", json!({})),
        ("turn_off", "switch", json!(null), "HassTurnOff", json!({})),
        (
            "set_brightness",
            "light",
            json!(30),
            "HassLightSet",
            json!({"brightness": 30}),
        ),
        (
            "set_brightness",
            "light",
            json!("thirty percent"),
            "HassLightSet",
            json!({"brightness": 30}),
        ),
        (
            "set_brightness",
            "light",
            json!("up"),
            "HassLightSet",
            json!({"brightness": 70}),
        ),
        (
            "set_brightness",
            "cover",
            json!("30%"),
            "HassSetPosition",
            json!({"position": 30}),
        ),
        (
            "set_color",
            "light",
            json!("Sky Blue"),
            "HassLightSet",
            json!({"color": "sky blue"}),
        ),
        (
            "set_color",
            "light",
            json!("warm white"),
            "HassLightSet",
            json!({"temperature": 2700}),
        ),
        (
            "set_temperature",
            "light",
            json!(4000),
            "HassLightSet",
            json!({"temperature": 4000}),
        ),
        (
            "set_temperature",
            "climate",
            json!(21.5),
            "HassClimateSetTemperature",
            json!({"temperature": 21.5}),
        ),
        (
            "set_temperature",
            "climate",
            json!("21 degrees"),
            "HassClimateSetTemperature",
            json!({"temperature": 21}),
        ),
        ("open", "cover", json!(null), "HassTurnOn", json!({})),
        ("close", "cover", json!(null), "HassTurnOff", json!({})),
        (
            "set_position",
            "cover",
            json!(0),
            "HassSetPosition",
            json!({"position": 0}),
        ),
        (
            "pause",
            "media_player",
            json!(null),
            "HassMediaPause",
            json!({}),
        ),
        (
            "play",
            "media_player",
            json!(null),
            "HassMediaUnpause",
            json!({}),
        ),
        (
            "next",
            "media_player",
            json!(null),
            "HassMediaNext",
            json!({}),
        ),
        (
            "previous",
            "media_player",
            json!(null),
            "HassMediaPrevious",
            json!({}),
        ),
        (
            "volume_up",
            "media_player",
            json!(null),
            "HassSetVolumeRelative",
            json!({"volume_step": "up"}),
        ),
        (
            "volume_down",
            "media_player",
            json!(null),
            "HassSetVolumeRelative",
            json!({"volume_step": "down"}),
        ),
        (
            "set_volume",
            "media_player",
            json!(0),
            "HassSetVolume",
            json!({"volume_level": 0}),
        ),
        (
            "set_volume",
            "media_player",
            json!(null),
            "HassSetVolume",
            json!({"volume_level": 50}),
        ),
        (
            "mute",
            "media_player",
            json!(null),
            "HassMediaPlayerMute",
            json!({}),
        ),
        (
            "unmute",
            "media_player",
            json!(null),
            "HassMediaPlayerUnmute",
            json!({}),
        ),
    ] {
        let mut arguments = more;
        arguments["name"] = name.into();
        let (called, with, say) = done(action, domain, value);
        assert_eq!(
            (called.as_str(), with),
            (tool, arguments),
            "{action} {domain}"
        );
        assert!(say.ends_with('.'), "{say}");
    }
}

#[test]
fn what_is_said_is_what_has_become_of_it() {
    let say = |action, domain, value| done(action, domain, value).2;
    assert_eq!(
        say("turn_on", "light", json!(null)),
        "The office thing is on."
    );
    assert_eq!(
        say("turn_off", "lock", json!(null)),
        "The office thing is unlocked."
    );
    assert_eq!(
        say("set_brightness", "light", json!(0)),
        "The office thing is off."
    );
    assert_eq!(
        say("set_color", "light", json!("red")),
        "The office thing is red."
    );
    assert_eq!(
        say("open", "cover", json!(null)),
        "The office thing is opening."
    );
    let area = call(Action::TurnOff, &Whom::Area("Living Room", "light"), None).unwrap();
    assert_eq!(area.say, "The living room lights are off.");
    assert_eq!(
        Value::from(area.arguments),
        json!({"area": "Living Room", "domain": ["light"]})
    );
}

#[test]
fn a_value_that_makes_no_sense_is_asked_for() {
    for (action, domain, value) in [
        ("set_brightness", "light", json!(120)),
        ("set_brightness", "light", json!("bright")),
        ("set_color", "light", json!(null)),
        ("set_temperature", "climate", json!("warm")),
        ("set_temperature", "light", json!(21)),
        ("set_position", "cover", json!(-1)),
        ("set_volume", "media_player", json!("loud")),
    ] {
        let (tool, _, sentence) = done(action, domain, value);
        assert!(
            tool.is_empty() && sentence.contains(' '),
            "{action}: {sentence}"
        );
    }
    let unknown = Action::named("explode").unwrap_err();
    assert!(
        unknown.starts_with("Unknown action: explode. Valid actions: turn_on, turn_off, toggle")
    );
}

#[test]
fn locks_are_not_opened_and_sensors_not_switched() {
    assert!(!Action::Open.fits("lock") && !Action::Toggle.fits("lock"));
    assert!(Action::TurnOff.needs_the_name("lock"));
    assert!(!Action::TurnOn.fits("sensor") && Action::TurnOn.fits("scene"));
    let (mut on, mut off) = (thing("a", "light"), thing("b", "light"));
    (on.state, off.state) = ("on".to_owned(), "off".to_owned());
    assert_eq!(toggled([&on, &off]), Action::TurnOff);
    assert_eq!(toggled([&off]), Action::TurnOn);
}
