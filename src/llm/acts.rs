//! What was called for one question, and what came of it. Shared between who makes the answer, who keeps
//! the history, and a call that goes on after the user has cut the answer off: what it brought is in the
//! history all the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Message, ToolCall};

/// See the module's text. Clones are the same.
#[derive(Clone, Default)]
pub struct Acts(Arc<Mutex<Vec<Round>>>);

/// What the model called at once.
#[derive(Clone, PartialEq)]
struct Round {
    /// What it wrote before.
    text: String,
    /// With what each brought.
    calls: Vec<(ToolCall, Option<String>)>,
}

/// What stands for a result that is not there yet.
const UNDER_WAY: &str = "(This is still being done.)";

impl Acts {
    /// The model wrote `text` and calls these; what is given back names the round.
    pub fn begin(&self, text: &str, calls: &[ToolCall]) -> usize {
        let mut rounds = self.rounds();
        rounds.push(Round {
            text: text.to_owned(),
            calls: calls.iter().map(|call| (call.clone(), None)).collect(),
        });
        rounds.len() - 1
    }

    /// What the call number `call` of `round` brought.
    pub fn came(&self, round: usize, call: usize, content: String) {
        let mut rounds = self.rounds();
        let round = rounds.get_mut(round);
        if let Some((_, result)) = round.and_then(|round| round.calls.get_mut(call)) {
            *result = Some(content);
        }
    }

    /// `round` was no good, and is as if it had not been: nothing was done.
    pub fn undo(&self, round: usize) {
        self.rounds().truncate(round);
    }

    /// All of it as the model gets it, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        for round in self.rounds().iter() {
            messages.push(Message::Calls {
                text: round.text.clone(),
                calls: round.calls.iter().map(|(call, _)| call.clone()).collect(),
            });
            for (call, result) in &round.calls {
                messages.push(Message::Result {
                    id: call.id.clone(),
                    name: call.name.clone(),
                    content: result.clone().unwrap_or_else(|| UNDER_WAY.to_owned()),
                });
            }
        }
        messages
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        self.rounds().iter().map(|round| round.calls.len()).sum()
    }

    fn rounds(&self) -> MutexGuard<'_, Vec<Round>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Acts {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.rounds() == *other.rounds()
    }
}

impl Eq for Acts {}

impl std::fmt::Debug for Acts {
    /// Without a word of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Acts({} calls)", self.count())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_call_has_a_result_also_before_it_has_come() {
        let acts = Acts::default();
        let call = |id: &str| ToolCall {
            id: id.to_owned(),
            name: "lamp".to_owned(),
            arguments: json!({"on": true}),
        };
        let round = acts.begin("", &[call("a"), call("b")]);
        acts.came(round, 1, "On.".to_owned());
        acts.came(7, 7, "nobody's".to_owned());
        let messages = acts.messages();
        let result = |id: &str, content: &str| Message::Result {
            id: id.to_owned(),
            name: "lamp".to_owned(),
            content: content.to_owned(),
        };
        assert_eq!(messages[1..], [result("a", UNDER_WAY), result("b", "On.")]);
        acts.came(round, 0, "Off.".to_owned());
        assert_eq!(acts.messages()[1], result("a", "Off."));
        assert!(!format!("{acts:?}").contains("lamp"));
    }
}
