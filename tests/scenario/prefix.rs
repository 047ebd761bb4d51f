//! An engine keeps what it has read of a request for as long as the next one begins with the same bytes. A
//! long conversation through the real client of Ollama, with calls of tools, interruptions, a clock that goes
//! on, and a prompt and tools that change: every request begins with the one before, byte for byte, but where
//! something changed, or what is old was dropped, which is seldom.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use caal::{
    llm::{
        Llm,
        history::Limits,
        ollama::{Ollama, OllamaConfig},
    },
    tools::{Outcome, Tool, Toolbox},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    support::{Story, ms},
    tools::{Fake, tool},
};
use crate::{
    llm::scripted::{Scripted, Seen, answer, streamed},
    support::Dice,
};

/// How many questions, and how far apart.
const QUESTIONS: u64 = 48;
const APART: u64 = 8_000;

/// The bytes of the list `name` of a request, without its end.
fn list<'a>(request: &'a str, name: &str) -> &'a str {
    let from = request
        .find(&format!("\"{name}\":["))
        .map(|at| at + name.len() + 3);
    let Some(from) = from else { return "" };
    let mut values = serde_json::Deserializer::from_str(&request[from..]).into_iter::<Value>();
    values.next().unwrap().unwrap();
    request[from..from + values.byte_offset()].trim_end_matches(']')
}

/// What the model does next: it talks, or calls a tool, and talks about that.
fn reply(seen: &Seen, dice: &mut Dice) -> String {
    let messages = seen.body["messages"].as_array().unwrap();
    if messages.last().unwrap()["role"] == "user" && dice.below(3) == 0 {
        let name = ["lamp", "fan"][dice.below(2)];
        let call = json!({"function": {"name": name, "arguments": {"on": dice.below(2) == 0}}});
        let said = json!({"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": false});
        return format!("{said}\n{}", answer(&[]));
    }
    let words = 3 + dice.below(40);
    let words: Vec<String> = (0..words).map(|n| format!("word{n} ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["end. "]).collect();
    answer(&words)
}

async fn long_conversation(seed: u64, changes: bool, limits: Limits) -> Vec<Seen> {
    let mut talk = Dice::new(seed);
    let script = std::sync::Mutex::new(1_000 * seed);
    let server = Scripted::with(move |seen| {
        let mut seed = script.lock().unwrap();
        *seed += 1;
        let mut dice = Dice::new(*seed);
        match seen.head.starts_with("POST /api/chat") {
            true => streamed(&[reply(seen, &mut dice).as_bytes()]),
            false => crate::llm::scripted::response(
                "200 OK",
                "application/json",
                &[br#"{"capabilities": ["completion", "tools"]}"#],
            ),
        }
    })
    .await;
    let ollama = Ollama::new(OllamaConfig {
        url: server.url(),
        model: "m".to_owned(),
        ..OllamaConfig::default()
    });
    let model: Arc<dyn Llm> = Arc::new(ollama.unwrap());
    let toolbox = Toolbox::default();
    let all: Vec<Fake> = ["lamp", "fan"]
        .map(|name| tool(name, 300, Ok(Outcome::of("It is done now."))))
        .into();
    let put = |toolbox: &Toolbox, all: &[Fake]| {
        let all = all
            .iter()
            .map(|fake| Arc::new(fake.clone()) as Arc<dyn Tool>);
        toolbox.put("own", all.collect());
    };
    put(&toolbox, &all);
    let polite = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let mut story = Story::new().with(|story| {
        let polite = polite.clone();
        story.model = Some(model);
        story.tools = toolbox.clone();
        story.history = limits;
        story.per_letter = ms(15);
        story.frame = Arc::new(move |words| format!("[{} s] {words}", began.elapsed().as_secs()));
        story.system = Arc::new(move || match polite.load(Ordering::SeqCst) {
            true => "Be polite.".to_owned(),
            false => "Be brief.".to_owned(),
        });
    });
    for n in 0..QUESTIONS {
        // At times into the answer before.
        let from = n * APART
            - if n > 0 && talk.below(4) == 0 {
                5_500
            } else {
                0
            };
        story = story.says(from, from + 900, "and what then");
    }
    let changing = async {
        if changes {
            sleep(ms(APART * QUESTIONS / 3)).await;
            polite.store(true, Ordering::SeqCst);
            sleep(ms(APART * QUESTIONS / 3)).await;
            let kettle = tool("kettle", 300, Ok(Outcome::of("It boils.")));
            put(&toolbox, &[all, vec![kettle]].concat());
        }
    };
    tokio::join!(story.play(), changing);
    let seen = server.seen();
    let chats = seen.into_iter();
    chats
        .filter(|seen| seen.head.starts_with("POST /api/chat"))
        .collect()
}

/// How often a request does not begin with the one before.
fn breaks(requests: &[Seen]) -> usize {
    assert!(requests.len() >= QUESTIONS as usize, "{}", requests.len());
    let same = |pair: &[Seen]| {
        let [before, after] = pair else {
            unreachable!()
        };
        list(&before.text, "tools") == list(&after.text, "tools")
            && list(&after.text, "messages").starts_with(list(&before.text, "messages"))
    };
    requests.windows(2).filter(|pair| !same(pair)).count()
}

#[tokio::test(start_paused = true)]
async fn every_request_begins_with_the_one_before() {
    let all = Limits {
        max_turns: 1_000,
        max_tokens: 100_000,
        results: 1_000,
    };
    for seed in 0..3 {
        let requests = long_conversation(seed, false, all).await;
        let called = requests
            .iter()
            .filter(|seen| seen.text.contains("It is done now."))
            .count();
        assert!(called > 10, "tools were called: {called}");
        assert!(
            requests.iter().any(|seen| seen.text.contains(" …")),
            "and answers cut short"
        );
        assert_eq!(breaks(&requests), 0, "seed {seed}");
        let requests = long_conversation(seed, true, all).await;
        assert_eq!(
            breaks(&requests),
            2,
            "seed {seed}: another prompt, another tool"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_old_is_dropped_seldom() {
    for seed in 0..3 {
        let requests = long_conversation(seed, false, Limits::default()).await;
        let (breaks, all) = (breaks(&requests), requests.len());
        assert!(
            (1..=all / 5).contains(&breaks),
            "seed {seed}: {breaks} of {all}"
        );
    }
}
