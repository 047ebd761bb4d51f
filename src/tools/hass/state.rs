//! The state of things, as it is said. Pure.

use super::context::Entity;

/// A name inside a sentence: `the office lamp`; `Anna's lamp` needs no article.
pub(super) fn the(name: &str) -> String {
    let owned = name
        .split_whitespace()
        .next()
        .is_some_and(|word| word.ends_with("'s") || word.ends_with("’s"));
    if owned {
        return name.to_owned();
    }
    let small = small(name);
    match small.starts_with("the ") {
        true => small,
        false => format!("the {small}"),
    }
}

/// A name in small letters, but for what is no plain word: `TV`, `EcoBee`.
pub(super) fn small(name: &str) -> String {
    let plain = |word: &&str| {
        word.chars()
            .skip(1)
            .all(|c| c.is_lowercase() || !c.is_alphabetic())
            && word.len() > 1
    };
    let words = name.split_whitespace().map(|word| match plain(&word) {
        true => word.to_lowercase(),
        false => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// With a capital letter in front.
pub(super) fn start(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Whether a name means several.
pub(super) fn plural(name: &str) -> bool {
    name.ends_with('s') && !name.ends_with("ss") && !name.ends_with("'s") && !name.ends_with("us")
}

/// Things of a kind.
pub(super) fn kind(domain: &str) -> &str {
    match domain {
        "light" => "lights",
        "cover" => "covers",
        "fan" => "fans",
        "switch" => "switches",
        "media_player" => "players",
        "climate" => "thermostats",
        "lock" => "locks",
        _ => "things",
    }
}

/// Of a light, in percent; a light that is off has none.
pub(super) fn brightness(entity: &Entity) -> Option<i64> {
    let of_255: f64 = entity.attribute("brightness")?.parse().ok()?;
    Some((of_255 / 255.0 * 100.0).round().clamp(0.0, 100.0) as i64)
}

/// What there is to say of `entity`: `the office lamp is on, at 50 percent`.
pub(super) fn phrase(entity: &Entity) -> String {
    let the = the(entity.name());
    let are = if plural(&the) { "are" } else { "is" };
    let (state, class) = (
        entity.state.as_str(),
        entity.attribute("device_class").unwrap_or_default(),
    );
    if state == "unavailable" {
        return format!("{the} cannot be reached");
    }
    if state == "unknown" || state.is_empty() {
        return format!("nothing is known of {the}");
    }
    let is = match (entity.domain.as_str(), state) {
        ("light", "on") => match brightness(entity) {
            Some(level) => format!("on, at {level} percent"),
            None => "on".to_owned(),
        },
        ("fan", "on") => match entity.attribute("percentage") {
            Some(level) => format!("on, at {level} percent"),
            None => "on".to_owned(),
        },
        ("cover" | "valve", "open") => match entity.attribute("current_position") {
            Some("100") | None => "open".to_owned(),
            Some(position) => format!("{position} percent open"),
        },
        ("binary_sensor", state @ ("on" | "off")) => binary(class, state == "on").to_owned(),
        ("climate", _) => {
            let now = entity
                .attribute("current_temperature")
                .map(|now| format!(", it is {now} degrees now"));
            let set = match (state, entity.attribute("temperature")) {
                ("off", _) => "off".to_owned(),
                (_, Some(degrees)) => format!("set to {degrees} degrees"),
                (mode, None) => format!("on {}", mode.replace('_', " ")),
            };
            set + &now.unwrap_or_default()
        }
        ("media_player", "playing") => match (
            entity.attribute("media_title"),
            entity.attribute("media_artist"),
        ) {
            (Some(title), Some(artist)) => format!("playing {title} by {artist}"),
            (Some(title), None) => format!("playing {title}"),
            _ => "playing".to_owned(),
        },
        ("sensor", _) => format!("{state}{}", unit(entity.attribute("unit_of_measurement"))),
        _ => state.replace('_', " "),
    };
    format!("{the} {are} {is}")
}

fn unit(unit: Option<&str>) -> String {
    match unit {
        None => String::new(),
        Some("°C" | "°F" | "°") => " degrees".to_owned(),
        Some("%") => " percent".to_owned(),
        Some(unit) => format!(" {unit}"),
    }
}

/// What a sensor of two states says, by its class.
fn binary(class: &str, on: bool) -> &'static str {
    match (class, on) {
        ("door" | "window" | "opening" | "garage_door", true) => "open",
        ("door" | "window" | "opening" | "garage_door", false) => "closed",
        ("lock", true) => "unlocked",
        ("lock", false) => "locked",
        ("motion" | "occupancy" | "presence" | "smoke" | "gas" | "vibration" | "sound", true) => {
            "reporting something"
        }
        ("motion" | "occupancy" | "presence" | "smoke" | "gas" | "vibration" | "sound", false) => {
            "clear"
        }
        ("moisture", true) => "wet",
        ("moisture", false) => "dry",
        ("connectivity", true) => "connected",
        ("connectivity", false) => "not connected",
        ("battery", true) => "low",
        ("battery", false) => "fine",
        (_, true) => "on",
        (_, false) => "off",
    }
}

/// Several phrases as a sentence.
pub(super) fn sentence(phrases: &[String]) -> String {
    let all = match phrases {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{}, and {last}", before.join(", ")),
    };
    format!("{}.", start(&all))
}

/// Names as a choice: `the office lamp or the office ceiling`. Things of one name are told apart by area.
pub(super) fn choice(things: &[&Entity]) -> String {
    let name = |thing: &&Entity| {
        let twin = things
            .iter()
            .filter(|other| other.name() == thing.name())
            .count()
            > 1;
        match thing.area().filter(|_| twin) {
            Some(area) => format!("{} in {}", the(thing.name()), the(area)),
            None => the(thing.name()),
        }
    };
    let names: Vec<String> = things.iter().map(name).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(name: &str, domain: &str, state: &str, attributes: &[(&str, &str)]) -> Entity {
        Entity {
            names: vec![name.to_owned()],
            domain: domain.to_owned(),
            state: state.to_owned(),
            attributes: attributes
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Entity::default()
        }
    }

    #[test]
    fn states_are_said_as_people_say_them() {
        for (thing, said) in [
            (
                thing("Office Lamp", "light", "on", &[("brightness", "128")]),
                "The office lamp is on, at 50 percent.",
            ),
            (
                thing("Kitchen Lights", "light", "off", &[("brightness", "")]),
                "The kitchen lights are off.",
            ),
            (
                thing("Front Door", "lock", "locked", &[]),
                "The front door is locked.",
            ),
            (
                thing(
                    "Front Door",
                    "binary_sensor",
                    "on",
                    &[("device_class", "door")],
                ),
                "The front door is open.",
            ),
            (
                thing("Blinds", "cover", "open", &[("current_position", "30")]),
                "The blinds are 30 percent open.",
            ),
            (
                thing(
                    "EcoBee",
                    "climate",
                    "heat",
                    &[("temperature", "21"), ("current_temperature", "19.5")],
                ),
                "The EcoBee is set to 21 degrees, it is 19.5 degrees now.",
            ),
            (
                thing("TV", "media_player", "playing", &[("media_title", "News")]),
                "The TV is playing News.",
            ),
            (
                thing(
                    "Outdoor Humidity",
                    "sensor",
                    "61",
                    &[("unit_of_measurement", "%")],
                ),
                "The outdoor humidity is 61 percent.",
            ),
            (
                thing("Anna's Lamp", "light", "unavailable", &[]),
                "Anna's Lamp cannot be reached.",
            ),
        ] {
            assert_eq!(sentence(&[phrase(&thing)]), said);
        }
    }

    #[test]
    fn a_choice_tells_things_of_one_name_apart() {
        let mut lamps = [
            thing("Lamp", "light", "on", &[]),
            thing("Lamp", "light", "on", &[]),
        ];
        lamps[0].areas = vec!["Office".to_owned()];
        lamps[1].areas = vec!["Hall".to_owned()];
        assert_eq!(
            choice(&[&lamps[0], &lamps[1]]),
            "the lamp in the office or the lamp in the hall"
        );
        let others = [
            thing("Red Lamp", "light", "", &[]),
            thing("Blue Lamp", "light", "", &[]),
        ];
        assert_eq!(
            choice(&[&others[0], &others[1]]),
            "the red lamp or the blue lamp"
        );
    }
}
