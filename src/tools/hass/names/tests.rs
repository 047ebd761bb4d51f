//! Names as they are said, and what they mean.

use super::*;

fn thing(names: &str, domain: &str, area: &str) -> Entity {
    let list = |text: &str| {
        text.split(", ")
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Entity {
        names: list(names),
        domain: domain.to_owned(),
        areas: list(area),
        ..Entity::default()
    }
}

fn home() -> Vec<Entity> {
    vec![
        thing("Office Lamp, desk light", "light", "Office"),
        thing("Office Ceiling", "light", "Office"),
        thing("Kitchen Counter", "light", "Kitchen"),
        thing("Kitchen Ceiling", "light", "Kitchen"),
        thing("Living Room Lights", "light", "Living Room, lounge"),
        thing("Hall", "light", "Hall"),
        thing("Bedroom Blinds", "cover", "Bedroom"),
        thing("TV", "media_player", "Living Room, lounge"),
        thing("Coffee Machine", "switch", "Kitchen"),
        thing("Lamp 1", "light", "Cellar"),
        thing("Lamp 2", "light", "Cellar"),
        thing("Fridge Plug", "switch", "Kitchen"),
    ]
}

fn one(target: &str) -> String {
    let home = home();
    match find(target, &home, |_| true) {
        Found::One(i, _) => home[i].name().to_owned(),
        other => format!("{target}: {other:?}"),
    }
}

#[test]
fn names_are_found_as_they_are_said_and_as_whisper_writes_them() {
    for (said, name) in [
        ("office lamp", "Office Lamp"),
        ("the office lamb", "Office Lamp"),
        ("The lamp in the office", "Office Lamp"),
        ("desk light", "Office Lamp"),
        ("desk lights", "Office Lamp"),
        ("office sealing", "Office Ceiling"),
        ("living room likes", "Living Room Lights"),
        ("livingroom lights", "Living Room Lights"),
        ("lounge lights", "Living Room Lights"),
        ("the television", "TV"),
        ("coffee machine", "Coffee Machine"),
        ("cofee machine", "Coffee Machine"),
        ("bedroom blind", "Bedroom Blinds"),
        ("blinds in the bedroom", "Bedroom Blinds"),
        ("lamp two", "Lamp 2"),
        ("hall light", "Hall"),
        ("bedroom curtains", "Bedroom Blinds"),
    ] {
        assert_eq!(one(said), name, "{said}");
    }
}

#[test]
fn a_room_with_a_kind_means_all_of_them_there() {
    let home = home();
    for said in [
        "kitchen lights",
        "the lights in the kitchen",
        "light in the kitchen",
        "all kitchen lights",
        "kitchen",
    ] {
        let area = Found::Area {
            area: "Kitchen".to_owned(),
            domain: "light",
        };
        assert_eq!(find(said, &home, |_| true), area, "{said}");
    }
    assert_eq!(find("all lights", &home, |_| true), Found::All("light"));
}

#[test]
fn several_that_match_alike_are_all_named() {
    let home = home();
    assert_eq!(
        find("office light", &home, |e| e.name().starts_with("Office")
            && !e.names.contains(&"desk light".into())
            || e.name() == "Office Lamp"),
        Found::Area {
            area: "Office".to_owned(),
            domain: "light"
        }
    );
    let lamps = [
        thing("Red Lamp", "light", ""),
        thing("Blue Lamp", "light", ""),
    ];
    assert_eq!(find("lamp", &lamps, |_| true), Found::Several(vec![0, 1]));
    let twins = [
        thing("Lamp", "light", "Office"),
        thing("Lamp", "light", "Hall"),
    ];
    assert_eq!(find("lamp", &twins, |_| true), Found::Several(vec![0, 1]));
    assert_eq!(find("office lamp", &twins, |_| true), Found::One(0, 0.985));
    // The plug of a lamp that is called as the lamp is.
    let plugged = [
        thing("Lamp", "switch", "Office"),
        thing("Lamp", "light", "Office"),
    ];
    assert_eq!(find("lamp", &plugged, |_| true), Found::One(1, 1.0));
}

#[test]
fn what_is_not_there_is_not_found() {
    let home = home();
    for said in [
        "garage door",
        "bathroom lamp",
        "charm",
        "lamp 3",
        "the",
        "",
        "office",
        "damp wall",
        "password",
    ] {
        let found = find(said, &home, |entity| {
            entity.domain != "light" || said != "office"
        });
        assert!(matches!(found, Found::Nothing(_)), "{said}: {found:?}");
    }
    let Found::Nothing(near) = find("bathroom lamp", &home, |_| true) else {
        panic!("found")
    };
    assert_eq!(home[near[0]].domain, "light");
}

#[test]
fn temperature_is_asked_for_by_room() {
    assert_eq!(
        measure("living room temperature"),
        Some(("living room".to_owned(), "temperature"))
    );
    assert!(is_in("the lounge", &home()[4]) && !is_in("office", &home()[4]));
    assert!(is_music("the music") && !is_music("office lamp"));
}
