//! What is chosen, how steady it is, and how often the right tool is among it.

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, json};

use super::*;
use crate::tools::{Caller, Outcome, ToolError};

/// Tools as of a house with n8n, Home Assistant and other servers, each with two questions: our own writing,
/// before the chooser was tried on them. The column `tuned on` may be looked at when words are added to the
/// chooser, `held out` not.
const TOOLS: &str = include_str!("../../../tests/fixtures/tools.tsv");

struct Named(Arc<ToolSpec>);

impl Tool for Named {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.0
    }

    fn call(
        &self,
        _: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        async { Ok(Outcome::default()) }.boxed()
    }
}

fn tool(name: &str, description: &str, parameters: &str) -> Arc<dyn Tool> {
    let parameters = parameters.split(';').filter_map(|one| one.split_once(':'));
    let properties: Map<String, Value> = parameters
        .map(|(name, text)| {
            (
                name.to_owned(),
                json!({"type": "string", "description": text}),
            )
        })
        .collect();
    Arc::new(Named(Arc::new(ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({"type": "object", "properties": properties}),
    })))
}

/// The index of the right tool, and a question for it.
type Asked = (usize, &'static str);

/// The tools, and by half the questions with the index of the right one.
fn corpus() -> (Vec<Arc<dyn Tool>>, [Vec<Asked>; 2]) {
    let (mut tools, mut questions) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (i, line) in TOOLS.lines().skip(1).enumerate() {
        let [name, description, parameters, tuned, held] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        tools.push(tool(name, description, parameters));
        questions[0].push((i, tuned));
        questions[1].push((i, held));
    }
    (tools, questions)
}

fn names(tools: &[Arc<dyn Tool>]) -> Vec<String> {
    tools.iter().map(|tool| tool.spec().name.clone()).collect()
}

/// Tokens for about `many` tools of the corpus.
fn room_for(many: usize, tools: &[Arc<dyn Tool>]) -> usize {
    tools.iter().map(|tool| tokens(tool.spec())).sum::<usize>() * many / tools.len()
}

/// Percent of `questions` whose tool is among the chosen.
fn hits(
    tools: &[Arc<dyn Tool>],
    questions: &[(usize, &str)],
    budget: usize,
    missed: &mut Vec<String>,
) -> f64 {
    let hit = questions.iter().filter(|(right, question)| {
        let chosen = Chooser::default().choose(tools, question, budget);
        let right = tools[*right].spec();
        let hit = chosen.iter().any(|tool| tool.spec().name == right.name);
        if !hit {
            missed.push(format!("{}: {question}", right.name));
        }
        hit
    });
    hit.count() as f64 * 100.0 / questions.len() as f64
}

/// `cargo test --lib tools::choice -- --nocapture` prints the figures of docs/benchmarks.md.
#[test]
fn the_right_tool_is_nearly_always_among_the_chosen() {
    let (tools, [tuned, held]) = corpus();
    assert!(tools.len() >= 100 && tuned.len() + held.len() >= 200);
    println!(
        "{} tools of {} tokens on average",
        tools.len(),
        room_for(1, &tools)
    );
    for (many, floor) in [(5, 80.0), (10, 84.0), (20, 84.0)] {
        let budget = room_for(many, &tools);
        let mut missed = Vec::new();
        let tuned = hits(&tools, &tuned, budget, &mut missed);
        println!(
            "room for {many} ({budget} tokens): {tuned:.1} % of the questions tuned on; missed {missed:?}"
        );
        let held = hits(&tools, &held, budget, &mut Vec::new());
        println!("room for {many} ({budget} tokens): {held:.1} % of the questions held out");
        assert!(held >= floor, "{held:.1} % with room for {many}");
    }
}

#[test]
fn all_are_chosen_where_they_fit_in_their_order() {
    let (tools, _) = corpus();
    let mut chooser = Chooser::default();
    let chosen = chooser.choose(&tools, "anything", room_for(tools.len() + 1, &tools));
    assert_eq!(names(&chosen), names(&tools));
}

#[test]
fn the_chosen_stay_while_they_hold_what_is_needed_and_new_ones_come_at_the_end() {
    let (tools, _) = corpus();
    let budget = room_for(20, &tools);
    let mut chooser = Chooser::new(["set_timer".to_owned()]);
    let first = names(&chooser.choose(&tools, "Print the boarding pass", budget / 2));
    let again = names(&chooser.choose(&tools, "Print it once more", budget));
    assert_eq!(first, again);
    let more = names(&chooser.choose(&tools, "When does the next bus leave?", budget));
    assert!(
        more.len() > first.len() && more.starts_with(&first),
        "{more:?}"
    );
    assert!(more.contains(&"transit_departures".to_owned()));
    // Until the room is full.
    let budget = room_for(12, &tools);
    let mut before = more;
    let mut rebuilt = 0;
    for question in [
        "Tell me a joke",
        "Mow the lawn",
        "Is it full moon tonight?",
        "Log a 30 minute run",
        "Find a recipe for lasagna",
        "Back up the server now",
        "How is the Apple stock doing?",
        "Call the dentist",
    ] {
        let chosen = chooser.choose(&tools, question, budget);
        assert!(chosen.iter().map(|tool| tokens(tool.spec())).sum::<usize>() <= budget);
        let chosen = names(&chosen);
        rebuilt += usize::from(!chosen.starts_with(&before));
        assert!(chosen.contains(&"set_timer".to_owned()));
        before = chosen;
    }
    assert!(
        (1..4).contains(&rebuilt),
        "made anew {rebuilt} times in 8 questions"
    );
}

#[test]
fn what_is_always_there_and_what_was_used_is_chosen_for_any_question() {
    let (tools, _) = corpus();
    let mut chooser = Chooser::new(["set_timer".to_owned(), "not_there".to_owned()]);
    for name in [
        "moon_phase",
        "phone_call",
        "joke_random",
        "phone_call",
        "bank_balance",
    ] {
        chooser.used(name);
    }
    let chosen = names(&chooser.choose(&tools, "Mow the lawn", 1));
    // The oldest of four is used no more.
    assert_eq!(
        chosen,
        ["set_timer", "phone_call", "bank_balance", "joke_random"]
    );
    assert_eq!(names(&chooser.choose(&[], "Mow the lawn", 1)), [""; 0]);
}

#[test]
fn a_tool_that_is_gone_is_not_chosen_and_a_new_one_is() {
    let (mut tools, _) = corpus();
    let budget = room_for(20, &tools);
    let mut chooser = Chooser::default();
    let first = names(&chooser.choose(&tools, "Print the boarding pass", budget));
    assert!(first.contains(&"printer_print".to_owned()));
    tools.retain(|tool| tool.spec().name != "printer_print");
    tools.push(tool("label_printer", "Print a label.", "text:Text"));
    let then = names(&chooser.choose(&tools, "Print a label", budget + 100));
    assert!(
        !then.contains(&"printer_print".to_owned()) && then.contains(&"label_printer".to_owned()),
        "{then:?}"
    );
}

#[test]
fn words_meet_in_their_stems() {
    let stems = |text: &str| words(text).collect::<Vec<_>>();
    assert_eq!(
        stems("HassTurnOn light_set"),
        ["hass", "turn", "light", "set"]
    );
    for (one, other) in [
        ("lights", "lighting"),
        ("schedule", "scheduling"),
        ("running", "run"),
        ("groceries", "grocery"),
        ("planned", "plan"),
    ] {
        assert_eq!(stem(one), stem(other), "{one}");
    }
    assert!(synonyms("light").contains(&"lamp".to_owned()));
}
