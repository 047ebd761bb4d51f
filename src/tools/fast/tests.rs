//! What the grammar understands, and what it leaves alone.

use serde_json::json;

use super::*;

/// A Monday, ten past two in the afternoon.
const NOW: Now = Now {
    year: 2026,
    month: 11,
    day: 30,
    hour: 14,
    minute: 10,
};

/// Sentences that want no tool, or one that the grammar must not choose. One a line; written before the
/// grammar was tried on them.
const NOT_COMMANDS: &str = include_str!("../../../tests/fixtures/not_commands.txt");

fn check(tool: &str, cases: &[(&str, Value)]) {
    for (words, arguments) in cases {
        let plan = understand(words, Some(NOW));
        let found = plan
            .as_ref()
            .map(|plan| (plan.tool, Value::from(plan.arguments.clone())));
        assert_eq!(found, Some((tool, arguments.clone())), "{words}");
    }
}

fn control(cases: &[(&str, &str, &str)]) {
    for (words, action, target) in cases {
        check(
            "hass_control",
            &[(words, json!({"action": action, "target": target}))],
        );
    }
}

#[test]
fn things_are_switched() {
    control(&[
        ("Turn on the office lamp.", "turn_on", "office lamp"),
        (
            "Hey Jarvis, could you turn the office lamp off, please?",
            "turn_off",
            "office lamp",
        ),
        (
            "Hey Jarvis. Turn on the light in the kitchen.",
            "turn_on",
            "light in the kitchen",
        ),
        (
            "Computer switch off all the lights",
            "turn_off",
            "all lights",
        ),
        (
            "turn off all of the lights in the Office",
            "turn_off",
            "all lights in the office",
        ),
        ("Kitchen lights on!", "turn_on", "kitchen lights"),
        ("turn on Standing Light", "turn_on", "standing light"),
        ("toggle the desk fan", "toggle", "desk fan"),
        ("activate Mood Lighting", "turn_on", "mood lighting"),
        ("Turn on lamp 2 for me, thanks.", "turn_on", "lamp 2"),
        ("Open the garage door.", "open", "garage door"),
        (
            "Close the blinds in the bedroom",
            "close",
            "blinds in the bedroom",
        ),
        (
            "lower the living room blinds",
            "close",
            "living room blinds",
        ),
        ("Mute the TV.", "mute", "tv"),
        ("pause", "pause", "music"),
        ("Pause the music", "pause", "music"),
        ("Stop the music!", "pause", "music"),
        ("resume", "play", "music"),
        ("Skip this song.", "next", "music"),
        ("skip on TV", "next", "tv"),
        ("next", "next", "music"),
        ("Previous track", "previous", "music"),
        ("Turn the volume up", "volume_up", "music"),
        ("turn it down", "volume_down", "music"),
        ("turn up the volume on the TV", "volume_up", "tv"),
        ("Louder, please.", "volume_up", "music"),
        (
            "turn down the kitchen speaker",
            "volume_down",
            "kitchen speaker",
        ),
    ]);
}

#[test]
fn things_are_set() {
    let set = |words, action, target, value: Value| {
        check(
            "hass_control",
            &[(
                words,
                json!({"action": action, "target": target, "value": value}),
            )],
        );
    };
    set(
        "set Bed Light brightness to 50 percent",
        "set_brightness",
        "bed light",
        json!(50),
    );
    set(
        "Set the brightness of the office lamp to 20%.",
        "set_brightness",
        "office lamp",
        json!(20),
    );
    set(
        "Dim the office lamp to ten percent",
        "set_brightness",
        "office lamp",
        json!(10),
    );
    set(
        "dim the kitchen lights",
        "set_brightness",
        "kitchen lights",
        json!("down"),
    );
    set(
        "Make the lamp brighter",
        "set_brightness",
        "lamp",
        json!("up"),
    );
    set(
        "Set the lights to half",
        "set_brightness",
        "lights",
        json!(50),
    );
    set(
        "set Kitchen lights to green",
        "set_color",
        "kitchen lights",
        json!("green"),
    );
    set(
        "Make the office lamp warm white.",
        "set_color",
        "office lamp",
        json!("warm white"),
    );
    set(
        "Change the color of the desk lamp to blue",
        "set_color",
        "desk lamp",
        json!("blue"),
    );
    set(
        "Set the thermostat to 21 degrees",
        "set_temperature",
        "thermostat",
        json!(21),
    );
    set(
        "Set the temperature to twenty one point five",
        "set_temperature",
        "thermostat",
        json!(21.5),
    );
    set(
        "set the temperature in the bedroom to 19°",
        "set_temperature",
        "bedroom thermostat",
        json!(19),
    );
    set(
        "Turn the heating down to 18 degrees.",
        "set_temperature",
        "heating",
        json!(18),
    );
    set(
        "Set the blinds to thirty percent",
        "set_position",
        "blinds",
        json!(30),
    );
    set(
        "open the kitchen blinds halfway",
        "set_position",
        "kitchen blinds",
        json!(50),
    );
    set("Set the volume to zero", "set_volume", "music", json!(0));
    set("set the TV volume to 25", "set_volume", "tv", json!(25));
    set(
        "Volume twenty five percent",
        "set_volume",
        "music",
        json!(25),
    );
    set(
        "turn the volume down to 10",
        "set_volume",
        "music",
        json!(10),
    );
}

#[test]
fn states_are_asked_for_where_it_is_surely_a_thing_of_the_home() {
    check(
        "hass_get_state",
        &[
            ("Is the front door locked?", json!({"target": "front door"})),
            ("is the Garage Door open", json!({"target": "garage door"})),
            (
                "Are the lights in the kitchen on?",
                json!({"target": "lights in the kitchen"}),
            ),
            (
                "What's the temperature in the living room?",
                json!({"target": "living room temperature"}),
            ),
            (
                "what is the bedroom humidity",
                json!({"target": "bedroom humidity"}),
            ),
            (
                "How warm is it in the office?",
                json!({"target": "office temperature"}),
            ),
            (
                "What's the status of the washer",
                json!({"target": "washer"}),
            ),
        ],
    );
}

#[test]
fn time_and_date_are_asked_for() {
    for (words, what) in [
        ("What time is it?", "time"),
        ("Tell me the time, please.", "time"),
        ("Do you know what time it is?", "time"),
        ("what's the date", "date"),
        ("What's today's date?", "date"),
        ("What day is it today?", "day"),
        ("What year is it?", "year"),
    ] {
        check("get_date_time", &[(words, json!({"what": what}))]);
    }
}

#[test]
fn alarms_and_reminders_are_listed_and_cancelled() {
    let (alarms, reminders) = (json!({"kind": "alarm"}), json!({"kind": "reminder"}));
    let ringing = json!({"kind": "alarm", "ringing": true});
    check(
        "list_timers",
        &[
            ("What reminders do I have?", reminders.clone()),
            ("Do I have any reminders?", reminders.clone()),
            ("List my reminders.", reminders.clone()),
            ("What alarms are set?", alarms.clone()),
            ("Show me my alarms", alarms.clone()),
            ("When is my alarm?", alarms.clone()),
            ("What time is my alarm set for?", alarms.clone()),
            ("Do I have an alarm set?", alarms.clone()),
        ],
    );
    check(
        "cancel_timer",
        &[
            ("Cancel my alarm.", alarms.clone()),
            ("stop the alarm", ringing.clone()),
            ("Turn off the alarm.", ringing.clone()),
            ("turn that alarm off", ringing.clone()),
            ("Delete that reminder, please.", reminders.clone()),
            ("Cancel all alarms.", json!({"kind": "alarm", "all": true})),
            (
                "cancel all my reminders",
                json!({"kind": "reminder", "all": true}),
            ),
            (
                "Clear every reminder.",
                json!({"kind": "reminder", "all": true}),
            ),
            (
                "Cancel the 7:30 alarm.",
                json!({"kind": "alarm", "name": "7:30"}),
            ),
            (
                "cancel my alarm for seven thirty",
                json!({"kind": "alarm", "name": "7:30"}),
            ),
            (
                "cancel the half past seven alarm",
                json!({"kind": "alarm", "name": "7:30"}),
            ),
            (
                "cancel my alarm for six p.m.",
                json!({"kind": "alarm", "name": "6:00 pm"}),
            ),
            (
                "cancel the dentist reminder",
                json!({"kind": "reminder", "name": "dentist"}),
            ),
            (
                "cancel the reminder to call mum",
                json!({"kind": "reminder", "name": "call mum"}),
            ),
        ],
    );
    for other in [
        "cancel all alarm",
        "cancel every reminders",
        "What alarm?",
        "Cancel the alarm for tomorrow",
        "cancel my alarm for seven tomorrow",
        "Is there an alarms",
        "cancel the alarm at the office",
        "Is there an alarm?",
        "Is my alarm set?",
        "check the alarm",
        "stop the smoke alarm",
        "Cancel the house alarm.",
    ] {
        assert_eq!(understand(other, Some(NOW)), None, "{other}");
    }
}

#[test]
fn timers_are_set_listed_and_cancelled() {
    check(
        "set_timer",
        &[
            ("Set a timer for 5 minutes.", json!({"seconds": 300})),
            (
                "set a timer for 3 hours and 10 minutes",
                json!({"seconds": 11400}),
            ),
            (
                "Set a timer for 3 hours, 10 minutes",
                json!({"seconds": 11400}),
            ),
            (
                "Set a ten minute pasta timer",
                json!({"seconds": 600, "name": "pasta"}),
            ),
            ("Start a twenty-five-minute timer", json!({"seconds": 1500})),
            ("Timer for half an hour", json!({"seconds": 1800})),
            ("set an hour and a half timer", json!({"seconds": 5400})),
            (
                "Set a timer for two and a half hours.",
                json!({"seconds": 9000}),
            ),
            (
                "Set a timer for an hour and fifteen minutes",
                json!({"seconds": 4500}),
            ),
            (
                "Set a pasta timer for eleven minutes",
                json!({"seconds": 660, "name": "pasta"}),
            ),
            (
                "set a timer for 10 minutes called green tea",
                json!({"seconds": 600, "name": "green tea"}),
            ),
            (
                "Set a timer for the eggs for six minutes.",
                json!({"seconds": 360, "name": "eggs"}),
            ),
            (
                "set a timer for 90 seconds for the tea",
                json!({"seconds": 90, "name": "tea"}),
            ),
        ],
    );
    check(
        "list_timers",
        &[
            (
                "How long is left on the pasta timer?",
                json!({"name": "pasta"}),
            ),
            ("How much time is left?", json!({})),
            ("What timers are set?", json!({})),
            ("timer status", json!({})),
        ],
    );
    check(
        "cancel_timer",
        &[
            ("Cancel the pasta timer", json!({"name": "pasta"})),
            ("cancel timer", json!({})),
            ("cancel all timers", json!({"all": true})),
            ("Stop the ten minute timer", json!({"name": "ten minute"})),
        ],
    );
}

#[test]
fn alarms_come_next_or_on_the_day_that_was_said() {
    check(
        "set_alarm",
        &[
            ("Set an alarm for 7:30 am", json!({"time": "07:30"})),
            ("Set an alarm for seven", json!({"time": "19:00"})),
            ("Wake me up at seven", json!({"time": "07:00"})),
            ("wake me at eleven", json!({"time": "11:00"})),
            ("wake me up at six", json!({"time": "06:00"})),
            (
                "wake me up at 7 tomorrow",
                json!({"time": "07:00", "date": "2026-12-01"}),
            ),
            (
                "Wake me up tomorrow at quarter past six.",
                json!({"time": "06:15", "date": "2026-12-01"}),
            ),
            ("set an alarm for half past two", json!({"time": "14:30"})),
            (
                "set an alarm for ten to three p.m.",
                json!({"time": "14:50"}),
            ),
            ("Set an alarm for two o'clock", json!({"time": "02:00"})),
            (
                "Set a 6 am alarm called gym",
                json!({"time": "06:00", "name": "gym"}),
            ),
            ("set an alarm for 19:45", json!({"time": "19:45"})),
            (
                "Set an alarm for eight in the morning on Wednesday",
                json!({"time": "08:00", "date": "2026-12-02"}),
            ),
            ("alarm at seven thirty pm", json!({"time": "19:30"})),
            (
                "set an alarm for noon tomorrow",
                json!({"time": "12:00", "date": "2026-12-01"}),
            ),
        ],
    );
    for doubtful in [
        "set an alarm for 1 pm today",      // has passed
        "wake me up tomorrow",              // when?
        "wake me up at four",               // from a nap?
        "set an alarm for two tomorrow",    // in the night?
        "set an alarm for twelve at night", // of which day?
        "set an alarm for 25:00",
        "wake me up at seven on monday", // today or in a week?
        "set an alarm for 20 minutes",
    ] {
        assert_eq!(understand(doubtful, Some(NOW)), None, "{doubtful}");
    }
    assert_eq!(understand("set an alarm for seven", None), None);
    assert!(understand("wake me up at seven am", None).is_some());
}

#[test]
fn reminders_keep_the_users_words() {
    check(
        "set_reminder",
        &[
            (
                "Remind me in ten minutes to call Mum.",
                json!({"text": "call Mum", "seconds": 600}),
            ),
            (
                "remind me to buy milk and eggs at 6 pm",
                json!({"text": "buy milk and eggs", "time": "18:00"}),
            ),
            (
                "Remind me tomorrow at 9 to water the plants",
                json!({
                    "text": "water the plants", "time": "09:00", "date": "2026-12-01"
                }),
            ),
            (
                "Remind me to take out the trash tonight at eight.",
                json!({
                    "text": "take out the trash", "time": "20:00", "date": "2026-11-30"
                }),
            ),
            (
                "Set a reminder to stretch in an hour",
                json!({"text": "stretch", "seconds": 3600}),
            ),
        ],
    );
    for doubtful in [
        "remind me to buy milk",
        "remind me to call mum when I get home",
        "remind me to take my pills every day at 8",
        "remind me in ten minutes to call mum and turn on the light",
    ] {
        assert_eq!(understand(doubtful, Some(NOW)), None, "{doubtful}");
    }
}

#[test]
fn who_takes_something_back_may_mean_what_was_done() {
    for words in ["Cancel.", "cancel that please", "Forget it!"] {
        let tool = understand(words, None).map(|plan| plan.tool);
        assert_eq!(tool, Some(Plan::TAKE_BACK), "{words}");
    }
}

#[test]
fn who_answers_a_question_sets_no_timer() {
    for words in ["The ten minute timer.", "my 5 minute timer"] {
        assert_eq!(understand(words, Some(NOW)), None, "{words}");
    }
}

#[test]
fn who_wants_nothing_gets_nothing() {
    for words in [
        "Stop.",
        "be quiet",
        "Shut up!",
        "Never mind.",
        "Okay, stop, please",
        "Hey Jarvis, stop.",
    ] {
        assert_eq!(understand(words, None), Some(Plan::stop()), "{words}");
    }
    for words in [
        "",
        "...",
        "hey jarvis",
        "please",
        ",",
        "the",
        "to",
        "in",
        "all",
    ] {
        assert_eq!(understand(words, Some(NOW)), None, "{words}");
    }
}

#[test]
fn dates_go_over_the_ends_of_months_and_years() {
    for (now, date) in [
        ((2026, 12, 31), "2027-01-01"),
        ((2028, 2, 28), "2028-02-29"),
        ((2027, 2, 28), "2027-03-01"),
    ] {
        let now = Now {
            year: now.0,
            month: now.1,
            day: now.2,
            ..NOW
        };
        let plan = understand("wake me up tomorrow at 7 am", Some(now)).unwrap();
        assert_eq!(plan.arguments["date"], date);
    }
}

#[test]
fn what_is_no_command_is_left_to_the_language_model() {
    let lines: Vec<&str> = NOT_COMMANDS
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert!(lines.len() >= 200, "{}", lines.len());
    let wrong: Vec<_> = lines
        .iter()
        .filter_map(|line| understand(line, Some(NOW)).map(|plan| (line, plan)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        lines.len()
    );
}

#[test]
fn no_words_make_it_panic() {
    let mut seed = 7_u64;
    let pool: Vec<&str> = "set a timer for the lamp to 10 percent , and half an hour at quarter past seven \
        tomorrow in on off volume up remind me wake alarm called 7:30 25:99 99999999999 point five hundred \
        turn open is what's of all 3.5.7 %"
        .split_whitespace()
        .collect();
    for _ in 0..20_000 {
        let mut words = Vec::new();
        for _ in 0..seed % 9 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            words.push(pool[(seed >> 33) as usize % pool.len()]);
        }
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407)
            >> 1;
        let _ = understand(&words.join(" "), Some(NOW));
    }
}
