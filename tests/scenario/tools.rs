//! Whole conversations in which the language model calls tools.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use caal::{
    llm::{Delta, Message, ToolCall, ToolSpec},
    tools::{Caller, Outcome, Tool, ToolError, Toolbox},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::support::{Behaviour, Story, Told, asked, ms};

/// A lamp, say.
#[derive(Clone)]
pub(crate) struct Fake {
    spec: Arc<ToolSpec>,
    takes: Duration,
    deadline: Duration,
    end: Result<Outcome, ToolError>,
    changes: bool,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Tool for Fake {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn changes(&self) -> bool {
        self.changes
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn call(
        &self,
        _: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let fake = self.clone();
        async move {
            fake.begun.fetch_add(1, Ordering::SeqCst);
            sleep(fake.takes).await;
            fake.ended.fetch_add(1, Ordering::SeqCst);
            fake.end
        }
        .boxed()
    }
}

pub(crate) fn tool(name: &str, takes: u64, end: Result<Outcome, ToolError>) -> Fake {
    Fake {
        spec: Arc::new(ToolSpec {
            name: name.to_owned(),
            description: "A lamp.".to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {"on": {"type": "boolean"}},
                "required": ["on"],
            }),
        }),
        takes: ms(takes),
        deadline: Duration::from_secs(5),
        end,
        changes: true,
        begun: Arc::default(),
        ended: Arc::default(),
    }
}

fn call(name: &str, on: Value) -> Delta {
    Delta::Call(ToolCall {
        id: format!("id_{name}_{on}"),
        name: name.to_owned(),
        arguments: json!({ "on": on }),
    })
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn with(story: Story, fakes: &[&Fake], script: Vec<Vec<Delta>>) -> Story {
    let toolbox = Toolbox::default();
    let tools = fakes
        .iter()
        .map(|fake| Arc::new((*fake).clone()) as Arc<dyn Tool>);
    toolbox.put("own", tools.collect());
    story.with(|story| {
        story.tools = toolbox;
        story.script = script;
    })
}

/// The contents of the results that the model saw in its request number `n`.
fn results(told: &Told, n: usize) -> Vec<String> {
    let messages = told.requests[n].messages.iter();
    messages
        .filter_map(|message| match message {
            Message::Result { content, .. } => Some(content.clone()),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_written_before_a_call_is_spoken_and_what_the_tool_brought_is_told_by_the_model() {
    let lamp = tool("lamp", 200, Ok(Outcome::of("It is on now.")));
    let story = Story::new()
        .says(0, 1_000, "turn on the lamp")
        .says(9_000, 10_000, "thanks");
    let script = vec![
        vec![text("I will do that. "), call("lamp", json!("true"))],
        vec![text("The lamp is on. ")],
    ];
    let told = with(story, &[&lamp], script).play().await;
    told.has("saying: I will do that.")
        .has("tools: [Running, \"lamp\"]")
        .has("tools: [Complete, \"lamp\"]")
        .has("saying: The lamp is on.")
        .has("said: I will do that. The lamp is on.");
    assert_eq!(lamp.ended.load(Ordering::SeqCst), 1);
    assert_eq!(results(&told, 1), ["It is on now."]);
    // Byte for byte: what was read for one request is the beginning of the next.
    for (one, next) in [(0, 1), (1, 2)] {
        let (one, next) = (&told.requests[one], &told.requests[next]);
        assert_eq!(one.tools, next.tools);
        assert_eq!(one.messages[..], next.messages[..one.messages.len()]);
    }
    let words = |m: &Message| matches!(m, Message::Assistant(text) if text.starts_with("I will"));
    assert!(told.requests[2].messages.iter().any(words));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_tool_is_spoken_as_it_is_and_the_model_is_not_asked_again() {
    let lamp = tool("lamp", 200, Ok(Outcome::said("The lamp shines.")));
    let story = Story::new().says(0, 1_000, "turn on the lamp");
    let told = with(story, &[&lamp], vec![vec![call("lamp", json!(true))]])
        .play()
        .await;
    told.has("said: The lamp shines.");
    assert_eq!(told.requests.len(), 1, "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn where_more_was_wished_the_model_goes_on_behind_a_message() {
    let lamp = tool("lamp", 200, Ok(Outcome::said("The lamp shines.")));
    let fan = tool("fan", 200, Ok(Outcome::said("The fan turns.")));
    let story = Story::new().says(0, 1_000, "turn on the lamp and then the fan");
    let script = vec![
        vec![call("lamp", json!(true))],
        vec![call("fan", json!(true))],
        vec![],
    ];
    let told = with(story, &[&lamp, &fan], script).play().await;
    told.has("said: The lamp shines. The fan turns.");
    assert_eq!(told.count("saying:"), 2, "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn somebody_says_that_it_takes_a_moment_and_it_is_no_part_of_the_answer() {
    let lamp = tool("lamp", 3_000, Ok(Outcome::said("The lamp shines.")));
    let story = Story::new().says(0, 1_000, "turn on the lamp");
    let told = with(story, &[&lamp], vec![vec![call("lamp", json!(true))]])
        .play()
        .await;
    assert_eq!(told.count("saying:"), 2, "{}", told.text());
    let filled = told.at("saying:") - told.at("tools: [Running");
    assert!((1_000..1_100).contains(&filled), "{}", told.text());
    told.has("said: The lamp shines.");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_takes_its_time_is_waited_for_with_a_word_now_and_then_or_without_any() {
    let mut slow = tool("lamp", 55_000, Ok(Outcome::said("The lamp shines.")));
    slow.deadline = Duration::from_secs(60);
    for fillers in [true, false] {
        let story = Story::new()
            .says(0, 1_000, "turn on the lamp")
            .with(|story| story.mind.fillers = fillers);
        let script = vec![vec![text("I do that. "), call("lamp", json!(true))]];
        let told = with(story, &[&slow], script).play().await;
        told.has("said: I do that. The lamp shines.");
        assert_eq!(
            told.count("saying:"),
            if fillers { 7 } else { 2 },
            "{}",
            told.text()
        );
        assert_eq!(told.count("Sorry"), 0, "{}", told.text());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_answer_are_made_side_by_side_and_the_same_only_once() {
    let lamp = tool("lamp", 800, Ok(Outcome::of("on")));
    let fan = tool("fan", 800, Ok(Outcome::of("off")));
    let story = Story::new().says(0, 1_000, "lamp on, fan off");
    let script = vec![
        vec![
            call("lamp", json!(true)),
            call("fan", json!(false)),
            call("lamp", json!(true)),
        ],
        vec![text("Both are done. ")],
    ];
    let told = with(story, &[&lamp, &fan], script).play().await;
    assert_eq!(lamp.begun.load(Ordering::SeqCst), 1);
    let took = told.at("tools: [Complete") - told.at("tools: [Running");
    assert!(took < 1_000, "{}", told.text());
    assert_eq!(results(&told, 1), ["on", "off"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_begun_is_brought_to_its_end_when_the_user_speaks_over_it() {
    let lamp = tool("lamp", 4_000, Ok(Outcome::of("It is on now.")));
    let story = Story::new()
        .says(0, 1_000, "turn on the lamp")
        .says(3_500, 4_500, "wait a moment")
        .says(12_000, 13_000, "is it on");
    let script = vec![
        vec![
            text("I will do that for you now. "),
            call("lamp", json!(true)),
        ],
        vec![text("I wait. ")],
        vec![text("It is. ")],
    ];
    let told = with(story, &[&lamp], script).play().await;
    assert_eq!(lamp.begun.load(Ordering::SeqCst), 1);
    assert_eq!(lamp.ended.load(Ordering::SeqCst), 1, "{}", told.text());
    let last = told.requests.len() - 1;
    assert_eq!(results(&told, last), ["It is on now."], "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_not_asked_for_again_with_what_the_user_adds() {
    for fast in [false, true] {
        let lamp = hass(Ok(Outcome::said("The office lamp is on.")));
        // The voice has not begun when they go on.
        let story = Story::new()
            .says(0, 1_000, "turn on the office lamp")
            .says(1_900, 2_600, "please")
            .with(|story| {
                story.mind.fast = fast;
                story.tts = Behaviour::After(ms(3_000));
            });
        let call = ToolCall {
            id: "id".to_owned(),
            name: "hass_control".to_owned(),
            arguments: json!({"action": "turn_on", "target": "office lamp"}),
        };
        let script = vec![vec![Delta::Call(call)]; if fast { 0 } else { 1 }];
        let told = with(story, &[&lamp], script).play().await;
        assert_eq!(lamp.begun.load(Ordering::SeqCst), 1, "{}", told.text());
        told.has("user: please")
            .has_not("user: turn on the office lamp please");
        let last = told.requests.last().unwrap();
        assert_eq!(asked(last), "please");
        assert_eq!(
            results(&told, told.requests.len() - 1),
            ["The office lamp is on."]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_looks_is_stopped_when_the_user_speaks_over_it_and_the_model_hears_so() {
    let mut sky = tool("sky", 4_000, Ok(Outcome::of("blue")));
    sky.changes = false;
    let story = Story::new()
        .says(0, 1_000, "what is the sky like")
        .says(3_500, 4_500, "wait a moment")
        .says(12_000, 13_000, "and now");
    let script = vec![
        vec![text("I will look for you now. "), call("sky", json!(true))],
        vec![text("I wait. ")],
        vec![text("It is. ")],
    ];
    let told = with(story, &[&sky], script).play().await;
    assert_eq!(sky.begun.load(Ordering::SeqCst), 1);
    assert_eq!(sky.ended.load(Ordering::SeqCst), 0, "{}", told.text());
    let last = results(&told, told.requests.len() - 1);
    assert!(last[0].contains("it was stopped"), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_for_a_question_that_may_not_be_over() {
    let lamp = tool("lamp", 100, Ok(Outcome::said("The lamp shines.")));
    let mut sky = tool("sky", 100, Ok(Outcome::of("blue")));
    sky.changes = false;
    // A long pause in the sentence: the answer is made in advance, and thrown away.
    let story = Story::new()
        .says(0, 1_000, "turn on the lamp")
        .says(2_200, 3_200, "in the morning")
        .with(|story| {
            story.complete = Some(0.2);
            story.stt = Behaviour::After(ms(50));
            story.llm = Behaviour::After(ms(50));
        });
    let both = vec![call("lamp", json!(true)), call("sky", json!(true))];
    let script = vec![both.clone(), both, vec![text("Done so. ")]];
    let told = with(story, &[&lamp, &sky], script).play().await;
    assert_eq!(told.count("user:"), 1, "{}", told.text());
    assert!(told.requests.len() >= 2, "an answer was made in advance");
    assert_eq!(lamp.begun.load(Ordering::SeqCst), 1, "{}", told.text());
    assert_eq!(sky.begun.load(Ordering::SeqCst), 2, "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_call_is_told_to_the_model_once_and_then_to_the_user() {
    let lamp = tool("lamp", 100, Ok(Outcome::said("The lamp shines.")));
    let story = || Story::new().says(0, 1_000, "turn on the lamp");
    let wrong = vec![call("lamp", json!("blue"))];
    let right = vec![call("lamp", json!(true))];
    let script = vec![wrong.clone(), right];
    let told = with(story(), &[&lamp], script).play().await;
    assert!(
        results(&told, 1)[0].contains("on: "),
        "{:?}",
        results(&told, 1)
    );
    told.has("said: The lamp shines.");

    let unknown = vec![call("lantern", json!(true))];
    let told = with(story(), &[&lamp], vec![wrong, unknown]).play().await;
    assert_eq!(told.requests.len(), 2);
    told.has("saying: Sorry, I could not work out how to do that.");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_read_is_told_to_the_model_once_and_then_to_the_user() {
    let lamp = tool("lamp", 200, Ok(Outcome::of("It is on now.")));
    let story = || Story::new().says(0, 1_000, "turn on the lamp");
    let bad = || vec![Delta::BadCall("the JSON is broken".to_owned())];
    let script = vec![
        bad(),
        vec![call("lamp", json!(true))],
        vec![text("It is on. ")],
    ];
    let told = with(story(), &[&lamp], script).play().await;
    told.has("said: It is on.");
    assert_eq!(
        results(&told, 1),
        ["Error: the JSON is broken; call the tool again."]
    );
    let told = with(story(), &[&lamp], vec![bad(), bad()]).play().await;
    told.has("saying: Sorry, I could not work out how to do that.");
    assert_eq!(told.requests.len(), 2);
    assert_eq!(lamp.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_or_hangs_is_told_to_the_model_and_by_it_or_else_as_it_is() {
    let why = "The lamp does not answer. Look whether it has power.";
    let broken = tool("lamp", 100, Err(ToolError::Unreachable(why.to_owned())));
    let hangs = tool("fan", 60_000, Ok(Outcome::of("on")));
    let story = || Story::new().says(0, 1_000, "turn it on");
    let script = vec![
        vec![call("lamp", json!(true))],
        vec![text("It has no power, I think. ")],
    ];
    let told = with(story(), &[&broken], script).play().await;
    told.has("tools: [Failed").has("said: It has no power");
    assert_eq!(results(&told, 1), [format!("Error: {why}")]);

    let silent = vec![vec![call("lamp", json!(true))], vec![]];
    let told = with(story(), &[&broken], silent).play().await;
    told.has("said: The lamp does not answer. Look whether it has power.");

    let script = vec![vec![call("fan", json!(true))], vec![]];
    let told = with(story(), &[&hangs], script).play().await;
    told.has("fan gave no answer in 5 seconds.");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_calls_for_ever_comes_to_an_end() {
    let lamp = tool("lamp", 10, Ok(Outcome::of("on")));
    let story = Story::new().says(0, 1_000, "turn it on");
    let calls = vec![vec![call("lamp", json!(true))]; 40];
    let told = with(story, &[&lamp], calls).play().await;
    assert_eq!(told.requests.len(), 6, "five rounds and an answer");
    told.has("saying: Sorry, I could not work out how to do that.");
}

/// What Home Assistant's tool would be.
fn hass(end: Result<Outcome, ToolError>) -> Fake {
    let mut hass = tool("hass_control", 300, end);
    hass.spec = Arc::new(ToolSpec {
        name: "hass_control".to_owned(),
        description: String::new(),
        parameters: json!({
            "type": "object",
            "properties": {"action": {"type": "string"}, "target": {"type": "string"}},
            "required": ["action", "target"],
        }),
    });
    hass
}

#[tokio::test(start_paused = true)]
async fn a_plain_command_is_done_without_the_language_model_which_hears_of_it_afterwards() {
    let lamp = hass(Ok(Outcome::said("The office lamp is on.")));
    let story = Story::new()
        .says(0, 1_000, "turn on the office lamp")
        .says(6_000, 7_000, "why is the sky blue")
        .with(|story| story.mind.fast = true);
    let told = with(story, &[&lamp], Vec::new()).play().await;
    told.has("tools: [Running, \"hass_control\"]")
        .has("said: The office lamp is on.")
        .has("said: It is noon.");
    assert_eq!(told.requests.len(), 1, "{}", told.text());
    assert_eq!(results(&told, 0), ["The office lamp is on."]);
    let took = told.at("saying: The office") - told.at("user: turn on");
    assert!(took <= 301, "only the tool itself: {}", told.text());
}

#[tokio::test(start_paused = true)]
async fn what_the_tool_does_not_take_from_the_fast_path_is_the_language_models() {
    let refuses = ToolError::Refused("There is no office lamp.".to_owned());
    let lamp = hass(Err(refuses));
    let story = || {
        Story::new()
            .says(0, 1_000, "turn on the office lamp")
            .with(|story| story.mind.fast = true)
    };
    let told = with(story(), &[&lamp], Vec::new()).play().await;
    told.has("said: It is noon.");
    assert!(results(&told, 0).is_empty(), "nothing was done");
    // Nor what no tool is for.
    let told = with(story(), &[], Vec::new()).play().await;
    told.has("said: It is noon.");
    // But that it cannot be reached is told at once.
    let away = ToolError::Unreachable("Home Assistant does not answer.".to_owned());
    let told = with(story(), &[&hass(Err(away))], Vec::new()).play().await;
    told.has("said: Home Assistant does not answer.");
    assert!(told.requests.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_takes_back_what_was_just_done_is_not_told_okay_for_nothing() {
    let lamp = hass(Ok(Outcome::said("The office lamp is on.")));
    let story = || {
        Story::new()
            .says(0, 1_000, "turn on the office lamp")
            .with(|story| story.mind.fast = true)
    };
    let undone = story().says(6_000, 7_000, "cancel that");
    let told = with(undone, &[&lamp], vec![vec![text("It is off again. ")]])
        .play()
        .await;
    told.has("said: It is off again.");
    let nothing =
        story()
            .says(6_000, 7_000, "why is the sky blue")
            .says(12_000, 13_000, "cancel that");
    let told = with(nothing, &[&lamp], Vec::new()).play().await;
    told.has("said: Okay.");
    assert_eq!(told.requests.len(), 1, "{}", told.text());
}
