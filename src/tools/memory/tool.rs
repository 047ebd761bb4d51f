//! The tools of memory, as the language model has them.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value, json};

use super::{Fact, Forgotten, Kept, Memory, Note, notes};
use crate::{
    llm::ToolSpec,
    tools::{Caller, Outcome, Tool, ToolError},
};

/// Facts that are told at once.
const TOLD: usize = 50;

/// Facts that are asked about when several are meant.
const ASKED: usize = 5;

/// All tools of `memory`, in the order in which a language model is told of them.
pub(super) fn all(memory: &Memory) -> Vec<Arc<dyn Tool>> {
    let tools = [Verb::Remember, Verb::Recall, Verb::Forget, Verb::Short];
    tools
        .into_iter()
        .map(|verb| {
            Arc::new(MemoryTool {
                spec: Arc::new(verb.spec()),
                verb,
                memory: memory.clone(),
            }) as Arc<dyn Tool>
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Remember,
    Recall,
    Forget,
    Short,
}

impl Verb {
    fn spec(self) -> ToolSpec {
        let (name, description, properties, required) = match self {
            Verb::Remember => (
                "remember",
                "Remember a fact for good, when the user asks you to remember something about them, their home or their wishes. Not for timers or reminders.",
                json!({ "fact": {
                    "type": "string",
                    "description": "The fact as one short sentence that is understood by itself: My sister's birthday is on the third of May.",
                }}),
                json!(["fact"]),
            ),
            Verb::Recall => (
                "recall_memories",
                "List what the user asked you to remember.",
                json!({ "query": {
                    "type": "string",
                    "description": "Only what has to do with these words. Leave it out for everything.",
                }}),
                json!([]),
            ),
            Verb::Forget => (
                "forget",
                "Forget one fact that you were asked to remember, when the user asks for that.",
                json!({ "fact": {
                    "type": "string",
                    "description": "Words of the fact.",
                }}),
                json!(["fact"]),
            ),
            Verb::Short => (
                "memory_short",
                "Note something for a while under a key, such as a parking spot or the result of another tool, and look it up again. Notes expire, after 7 days if nothing else is said.",
                json!({
                    "action": {
                        "type": "string",
                        "enum": ["store", "get", "list", "delete"],
                        "description": "What to do; list needs nothing else.",
                    },
                    "key": { "type": "string", "description": "A short name: parking spot." },
                    "value": { "type": "string", "description": "What to note; with store." },
                    "ttl_minutes": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": notes::LONGEST.as_secs() / 60,
                        "description": "With store: for how many minutes.",
                    },
                }),
                json!(["action"]),
            ),
        };
        ToolSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            }),
        }
    }
}

struct MemoryTool {
    spec: Arc<ToolSpec>,
    verb: Verb,
    memory: Memory,
}

impl Tool for MemoryTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn changes(&self) -> bool {
        self.verb != Verb::Recall
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let (verb, memory) = (self.verb, self.memory.clone());
        async move {
            let text = |name: &str| {
                let value = arguments.get(name).and_then(Value::as_str);
                value.unwrap_or_default().trim().to_owned()
            };
            match verb {
                Verb::Remember => remember(&memory, &text("fact")).await,
                Verb::Recall => recall(&memory, &text("query")),
                Verb::Forget => forget(&memory, &text("fact")).await,
                Verb::Short => {
                    let stay = arguments.get("ttl_minutes").and_then(Value::as_u64);
                    let stay = stay.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
                    short(&memory, &text("action"), &text("key"), &text("value"), stay).await
                }
            }
        }
        .boxed()
    }
}

async fn remember(memory: &Memory, fact: &str) -> Result<Outcome, ToolError> {
    Ok(Outcome::of(match memory.remember(fact).await? {
        Kept::New(fact) => format!("Remembered: {}", fact.text.0),
        Kept::Known(fact) => format!("That was remembered already: {}", fact.text.0),
    }))
}

fn recall(memory: &Memory, query: &str) -> Result<Outcome, ToolError> {
    let mut facts = memory.recall(query)?;
    let known = memory.facts().len();
    if facts.is_empty() {
        return Ok(Outcome::of(match known {
            0 => "Nothing is remembered yet.".to_owned(),
            n => format!(
                "Nothing that is remembered has to do with that; there are {n} other facts."
            ),
        }));
    }
    let more = facts.len().saturating_sub(TOLD);
    let newest = facts.split_off(more);
    let mut text = lines(&newest);
    if more > 0 {
        text.push_str(&format!("\n(and {more} older ones)"));
    }
    Ok(Outcome::of(text))
}

async fn forget(memory: &Memory, words: &str) -> Result<Outcome, ToolError> {
    Ok(Outcome::of(match memory.forget(words).await? {
        Forgotten::One(fact) => format!("Forgotten: {}", fact.text.0),
        Forgotten::Several(facts) => format!(
            "Nothing was forgotten, because it is not clear which fact is meant. Ask the user which of these:\n{}",
            lines(&facts[..facts.len().min(ASKED)])
        ),
        Forgotten::Nothing => {
            "Nothing like that is remembered, so nothing was forgotten.".to_owned()
        }
    }))
}

fn lines(facts: &[Fact]) -> String {
    let lines: Vec<String> = facts
        .iter()
        .map(|fact| format!("- {}", fact.text.0))
        .collect();
    lines.join("\n")
}

async fn short(
    memory: &Memory,
    action: &str,
    key: &str,
    value: &str,
    stay: Option<Duration>,
) -> Result<Outcome, ToolError> {
    let needed = || match key {
        "" => Err(ToolError::Refused(format!(
            "the action {action} needs a key"
        ))),
        _ => Ok(()),
    };
    Ok(Outcome::of(match action {
        "store" => {
            needed()?;
            let note = memory.store_note(key, value, stay, "assistant").await?;
            format!("Noted under {:?}.", note.key.0)
        }
        "get" => {
            needed()?;
            match memory.note(key).await? {
                Some(note) => as_json(&note).to_string(),
                None => nothing(memory, key).await?,
            }
        }
        "delete" => {
            needed()?;
            match memory
                .delete_note(key)
                .await
                .map_err(super::MemoryError::from)?
            {
                true => format!("The note under {key:?} was deleted."),
                false => nothing(memory, key).await?,
            }
        }
        "list" => {
            let notes = memory.notes().await?;
            match &notes[..] {
                [] => "There are no notes.".to_owned(),
                some => Value::from_iter(some.iter().map(as_json)).to_string(),
            }
        }
        other => {
            let why = format!("there is no action {other:?}; use store, get, list or delete");
            return Err(ToolError::Refused(why));
        }
    }))
}

/// There is no such note; which there are that it may have been.
async fn nothing(memory: &Memory, key: &str) -> Result<String, ToolError> {
    let notes = memory.notes().await?;
    let keys: Vec<&str> = notes
        .iter()
        .map(|note| note.key.0.as_str())
        .take(TOLD)
        .collect();
    Ok(match &keys[..] {
        [] => format!("There is no note under {key:?}; there are no notes."),
        keys => format!(
            "There is no note under {key:?}. There are: {}.",
            keys.join(", ")
        ),
    })
}

fn as_json(note: &Note) -> Value {
    let at = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .map(|at| at.to_string())
            .ok()
    };
    json!({
        "key": note.key.0,
        "value": note.value.0,
        "stored_at": at(note.stored_at),
        "expires_at": note.expires_at.and_then(at),
    })
}
