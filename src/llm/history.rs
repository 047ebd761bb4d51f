//! What was said so far: the user's turns and as much of each answer as the user *heard*. Pure.
//!
//! The history is the part of a request that grows. Three rules keep it useful:
//!
//! * **Only heard text.** An answer that was interrupted is kept up to its last heard word, marked
//!   with `…`. Otherwise the model refers to things nobody heard.
//! * **Whole messages.** Trimming drops the oldest exchanges, a question together with its answer;
//!   a message is never cut in the middle, and the newest question is never dropped.
//! * **A steady beginning.** Engines keep the beginning of the last request in their cache and
//!   evaluate only what is new. Dropping one exchange per turn would change the beginning every
//!   turn, so trimming goes down to three quarters of the limit at once and then leaves it alone
//!   for a while.

use super::{ChatRequest, Message, acts::Acts};
use crate::pii::Pii;

/// How much of a conversation is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exchanges (a question and its answer). At least 1.
    pub max_turns: usize,
    /// Tokens of the history, without the system prompt, by [`approximate_tokens`].
    pub max_tokens: usize,
    /// Calls of tools whose results are kept, at least; from twice as many on the oldest are dropped.
    pub results: usize,
}

impl Default for Limits {
    /// CAAL's 20 turns; tokens for a model with a context of 8192.
    fn default() -> Self {
        Self {
            max_turns: 20,
            max_tokens: 6000,
            results: 3,
        }
    }
}

/// What the model is told where the beginning was dropped, so that it does not claim to know it.
const SHORTENED: &str = "\nThe beginning of this conversation is no longer shown to you.";

/// How an answer ended for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Heard to its end.
    Complete,
    /// The user cut in.
    Interrupted,
}

/// An exchange from before this conversation began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// What the user said; empty where nobody asked.
    pub user: Pii<String>,
    /// What was heard of the answer.
    pub assistant: Pii<String>,
    /// How that ended.
    pub ending: Ending,
}

/// A question and what was heard of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exchange {
    user: String,
    /// What was called for it.
    acts: Acts,
    assistant: Option<String>,
}

impl Exchange {
    fn tokens(&self) -> usize {
        let answer = self.assistant.as_deref().map_or(0, message_tokens);
        let acts = self.acts.messages();
        message_tokens(&self.user) + acts.iter().map(tokens).sum::<usize>() + answer
    }
}

/// The history of one person's conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Conversation {
    limits: Limits,
    exchanges: Vec<Exchange>,
    /// Exchanges were dropped.
    shortened: bool,
}

impl Conversation {
    /// An empty conversation.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            exchanges: Vec::new(),
            shortened: false,
        }
    }

    /// Keeps so much from now on.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.trim();
    }

    /// The user said `text`. When the last question was not answered audibly, both are one message:
    /// chat models are trained on alternating turns.
    pub fn user_said(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match self.exchanges.last_mut() {
            Some(last) if last.assistant.is_none() && last.acts.count() == 0 => {
                last.user.push('\n');
                last.user.push_str(text);
            }
            _ => self.exchanges.push(Exchange {
                user: text.to_owned(),
                acts: Acts::default(),
                assistant: None,
            }),
        }
        self.trim();
    }

    /// This was called for the last question. What is still being done is in it when it is done.
    pub fn acted(&mut self, acts: Acts) {
        if acts.count() == 0 {
            return;
        }
        if let Some(last) = self.exchanges.last_mut() {
            last.acts = acts;
        }
        self.trim();
    }

    /// The user heard `text` as the answer, or as more of it. Nothing heard leaves the question
    /// open. An answer without a question (a greeting, an announcement) is kept under an empty one.
    pub fn assistant_heard(&mut self, text: &str, ending: Ending) {
        let mut text = text.trim().to_owned();
        if text.is_empty() {
            return;
        }
        if ending == Ending::Interrupted && !text.ends_with('…') {
            text.push_str(" …");
        }
        match self.exchanges.last_mut() {
            Some(last) => match &mut last.assistant {
                Some(before) => {
                    before.push(' ');
                    before.push_str(&text);
                }
                None => last.assistant = Some(text),
            },
            None => self.exchanges.push(Exchange {
                user: String::new(),
                acts: Acts::default(),
                assistant: Some(text),
            }),
        }
        self.trim();
    }

    /// Goes on from what was said before, oldest first; as much of it as is kept. A question without an answer
    /// is left out: what was done for it is not known any more, and it is not to be done again.
    pub fn restore(&mut self, past: impl IntoIterator<Item = Past>) {
        for exchange in past {
            if exchange.assistant.0.trim().is_empty() {
                continue;
            }
            self.user_said(&exchange.user.0);
            self.assistant_heard(&exchange.assistant.0, exchange.ending);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.exchanges.clear();
        self.shortened = false;
    }

    /// How many exchanges are kept.
    pub fn turns(&self) -> usize {
        self.exchanges.len()
    }

    /// True at the beginning.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// The request that asks for an answer to what the user said last.
    pub fn request(&self, system: &str) -> ChatRequest {
        let mut messages = Vec::with_capacity(2 * self.exchanges.len() + 1);
        if !system.is_empty() {
            let mut system = system.to_owned();
            if self.shortened {
                system.push_str(SHORTENED);
            }
            messages.push(Message::System(system));
        }
        for exchange in &self.exchanges {
            if !exchange.user.is_empty() {
                messages.push(Message::User(exchange.user.clone()));
            }
            messages.extend(exchange.acts.messages());
            if let Some(heard) = &exchange.assistant {
                messages.push(Message::Assistant(heard.clone()));
            }
        }
        messages.into()
    }

    /// The oldest results go first: they are long, and seldom asked for again.
    fn drop_results(&mut self) {
        let count =
            |exchanges: &[Exchange]| exchanges.iter().map(|e| e.acts.count()).sum::<usize>();
        let Some((_, before)) = self.exchanges.split_last() else {
            return;
        };
        let mut kept = count(before);
        if kept <= 2 * self.limits.results {
            return;
        }
        let last = self.exchanges.len() - 1;
        for exchange in &mut self.exchanges[..last] {
            if kept <= self.limits.results {
                break;
            }
            kept -= exchange.acts.count();
            exchange.acts = Acts::default();
        }
    }

    fn trim(&mut self) {
        self.drop_results();
        let Limits {
            max_turns,
            max_tokens,
            ..
        } = self.limits;
        let tokens = |exchanges: &[Exchange]| exchanges.iter().map(Exchange::tokens).sum::<usize>();
        if self.exchanges.len() <= max_turns.max(1) && tokens(&self.exchanges) <= max_tokens {
            return;
        }
        let keep_turns = (max_turns * 3 / 4).max(1);
        let keep_tokens = max_tokens * 3 / 4;
        let mut first = self.exchanges.len().saturating_sub(keep_turns);
        while first + 1 < self.exchanges.len() && tokens(&self.exchanges[first..]) > keep_tokens {
            first += 1;
        }
        self.exchanges.drain(..first);
        self.shortened |= first > 0;
    }
}

impl std::fmt::Debug for Conversation {
    /// Without a word of it: what people say is nobody's business in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conversation({} turns)", self.exchanges.len())
    }
}

/// So many exchanges are dropped at once: what is left begins the same for as many questions, and engines
/// keep what they have read of it.
const DROPPED_AT_ONCE: usize = 4;

/// Makes `messages` fit into `max_tokens` as `count` counts them: drops the oldest exchanges, each
/// as a whole and [`DROPPED_AT_ONCE`] where there are so many, and keeps the system messages at the start and
/// the newest question with what was called for it. An engine calls it with its true tokenizer as the last
/// guard behind [`Conversation`]'s estimate. The result may still be too long: then the newest message alone
/// does not fit.
pub fn fit(
    messages: &[Message],
    max_tokens: usize,
    count: impl Fn(&Message) -> usize,
) -> Vec<Message> {
    let head = messages
        .iter()
        .take_while(|m| matches!(m, Message::System(_)))
        .count();
    let (system, rest) = messages.split_at(head);
    let counts: Vec<usize> = rest.iter().map(&count).collect();
    let total = system.iter().map(&count).sum::<usize>() + counts.iter().sum::<usize>();
    // What was called for the newest question stays with it.
    let is_question = |message: &Message| matches!(message, Message::User(_));
    let newest = rest.iter().rposition(is_question);
    let newest = newest.unwrap_or(rest.len().saturating_sub(1));
    // Where the list may begin: at a question, since an answer does not stay without its own.
    let mut starts: Vec<usize> = (1..=newest).filter(|i| is_question(&rest[*i])).collect();
    if starts.last() != Some(&newest) {
        starts.push(newest);
    }
    let is_over =
        |first: usize, total: usize| total - counts[..first].iter().sum::<usize>() > max_tokens;
    let mut first = 0;
    if is_over(first, total) {
        let whole = starts
            .iter()
            .skip(DROPPED_AT_ONCE - 1)
            .step_by(DROPPED_AT_ONCE);
        let fits = |start: &&usize| !is_over(**start, total);
        first = whole
            .copied()
            .find(|start| fits(&start))
            .unwrap_or_else(|| {
                let single = starts.iter().find(fits);
                single.copied().unwrap_or(newest)
            });
    }
    [system, &rest[first..]].concat()
}

/// What the chat template adds around a message, in tokens: two markers, the role, line breaks.
const TEMPLATE_TOKENS: usize = 5;

/// The same of a whole message.
pub fn tokens(message: &Message) -> usize {
    match message {
        Message::System(text) | Message::User(text) | Message::Assistant(text) => {
            message_tokens(text)
        }
        Message::Calls { text, calls } => {
            let calls = calls.iter().map(|call| {
                approximate_tokens(&call.name) + approximate_tokens(&call.arguments.to_string())
            });
            message_tokens(text) + calls.sum::<usize>()
        }
        Message::Result { content, .. } => message_tokens(content),
    }
}

/// An estimate of a message's tokens, with its share of the chat template.
pub fn message_tokens(text: &str) -> usize {
    approximate_tokens(text) + TEMPLATE_TOKENS
}

/// An estimate of the tokens of `text`, on the high side for the byte-level vocabularies of current
/// models: four ASCII letters to a token, a digit or a sign one each, a letter of another script as
/// many as it has bytes. Where the true tokenizer is at hand it decides ([`fit`]).
pub fn approximate_tokens(text: &str) -> usize {
    let (mut letters, mut others) = (0, 0);
    for c in text.chars() {
        if c.is_ascii_alphabetic() || c == ' ' {
            letters += 1;
        } else {
            others += c.len_utf8();
        }
    }
    usize::div_ceil(letters, 4) + others
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::ToolCall;

    fn limits(max_turns: usize, max_tokens: usize) -> Limits {
        Limits {
            max_turns,
            max_tokens,
            ..Limits::default()
        }
    }

    fn user(text: &str) -> Message {
        Message::User(text.to_owned())
    }

    fn assistant(text: &str) -> Message {
        Message::Assistant(text.to_owned())
    }

    #[test]
    fn an_interrupted_answer_is_kept_as_far_as_it_was_heard() {
        let mut talk = Conversation::new(Limits::default());
        talk.user_said("Tell me a story.");
        talk.assistant_heard("Once upon a time", Ending::Interrupted);
        talk.user_said("Stop.");
        assert_eq!(
            talk.request("Be brief.").messages,
            [
                Message::System("Be brief.".to_owned()),
                user("Tell me a story."),
                assistant("Once upon a time …"),
                user("Stop."),
            ]
        );
    }

    #[test]
    fn a_question_without_an_audible_answer_joins_the_next() {
        let mut talk = Conversation::new(Limits::default());
        talk.user_said("What is");
        talk.assistant_heard("  ", Ending::Interrupted);
        talk.user_said("the capital of France?");
        assert_eq!(
            talk.request("").messages,
            [user("What is\nthe capital of France?")]
        );
        talk.user_said("   ");
        assert_eq!(talk.turns(), 1);
    }

    #[test]
    fn a_greeting_needs_no_question() {
        let mut talk = Conversation::new(Limits::default());
        talk.assistant_heard("Good morning.", Ending::Complete);
        talk.user_said("Hello.");
        assert_eq!(
            talk.request("").messages,
            [assistant("Good morning."), user("Hello.")]
        );
    }

    #[test]
    fn an_answer_in_two_parts_is_one_message() {
        let mut talk = Conversation::new(Limits::default());
        talk.user_said("Add two and two.");
        talk.assistant_heard("Let me see.", Ending::Complete);
        talk.assistant_heard("It is four.", Ending::Complete);
        assert_eq!(
            talk.request("").messages[1],
            assistant("Let me see. It is four.")
        );
    }

    #[test]
    fn trimming_by_turns_keeps_the_newest_and_then_the_beginning_is_steady() {
        let mut talk = Conversation::new(limits(8, 100_000));
        let mut beginnings = Vec::new();
        for turn in 0..40 {
            talk.user_said(&format!("question {turn}"));
            let request = talk.request("");
            assert!(talk.turns() <= 8);
            assert_eq!(
                request.messages.last(),
                Some(&user(&format!("question {turn}")))
            );
            assert!(matches!(request.messages[0], Message::User(_)));
            beginnings.push(request.messages[0].clone());
            talk.assistant_heard(&format!("answer {turn}"), Ending::Complete);
        }
        let changes = beginnings.windows(2).filter(|w| w[0] != w[1]).count();
        assert!(
            changes <= 40 / 2,
            "the beginning changed {changes} times in 40 turns"
        );
    }

    #[test]
    fn trimming_by_tokens_never_cuts_a_message_and_keeps_the_question() {
        let mut talk = Conversation::new(limits(1000, 200));
        let long = "word ".repeat(100);
        for turn in 0..20 {
            talk.user_said(&format!("{turn} {long}"));
            let request = talk.request("");
            let Some(Message::User(last)) = request.messages.last() else {
                panic!("the question is last");
            };
            assert_eq!(last.trim(), format!("{turn} {long}").trim());
            assert!(talk.turns() <= 2);
            talk.assistant_heard("Yes.", Ending::Complete);
        }
        let huge = "word ".repeat(10_000);
        talk.user_said(&huge);
        assert_eq!(talk.request("").messages, [user(huge.trim())]);
    }

    #[test]
    fn fitting_drops_whole_exchanges_and_keeps_system_and_question() {
        let messages = [
            Message::System("s".to_owned()),
            user("a"),
            assistant("b"),
            user("c"),
            assistant("d"),
            user("e"),
        ];
        let ten = |_: &Message| 10;
        assert_eq!(fit(&messages, 60, ten), messages);
        let kept = [&messages[..1], &messages[3..]].concat();
        for max in [40, 45, 59] {
            assert_eq!(fit(&messages, max, ten), kept, "{max}");
        }
        let least = [messages[0].clone(), messages[5].clone()];
        for max in [0, 20, 39] {
            assert_eq!(fit(&messages, max, ten), least, "{max}");
        }
        assert_eq!(fit(&[], 0, ten), []);
        assert_eq!(fit(&messages[..1], 0, ten), messages[..1]);
    }

    #[test]
    fn fitting_drops_several_exchanges_at_once_so_that_the_beginning_stays() {
        let ten = |_: &Message| 10;
        let mut messages = vec![Message::System("s".to_owned())];
        let mut begins = Vec::new();
        for turn in 0..40 {
            messages.push(user(&turn.to_string()));
            let fitted = fit(&messages, 250, ten);
            assert!(fitted.len() * 10 <= 250);
            begins.push(fitted[1].clone());
            messages.push(assistant("yes"));
        }
        begins.dedup();
        let expected: Vec<_> = (0..8).map(|n| user(&(4 * n).to_string())).collect();
        assert_eq!(begins, expected);
    }

    #[test]
    fn what_was_said_before_is_gone_on_from_as_far_as_it_is_kept() {
        let past = |n: usize, ending| Past {
            user: Pii(format!("question {n}")),
            assistant: Pii(format!("answer {n}")),
            ending,
        };
        let mut talk = Conversation::new(limits(4, 1000));
        talk.restore((0..9).map(|n| past(n, Ending::Complete)));
        talk.restore([past(9, Ending::Interrupted)]);
        talk.user_said("And?");
        let messages = talk.request("").messages;
        assert!(talk.turns() <= 4);
        let last = [user("question 9"), assistant("answer 9 …"), user("And?")];
        assert!(messages.ends_with(&last), "{messages:?}");
    }

    #[test]
    fn what_was_called_for_the_newest_question_stays_with_it_however_long_it_is() {
        let call = ToolCall {
            id: "1".to_owned(),
            name: "lamp".to_owned(),
            arguments: serde_json::Value::Null,
        };
        let newest = [
            user("e"),
            Message::Calls {
                text: String::new(),
                calls: vec![call],
            },
            Message::Result {
                id: "1".to_owned(),
                name: "lamp".to_owned(),
                content: "on".to_owned(),
            },
        ];
        let all = [&[user("a"), assistant("b")][..], &newest].concat();
        let ten = |_: &Message| 10;
        assert_eq!(fit(&all, 50, ten), all);
        for max in [0, 10, 30, 49] {
            assert_eq!(fit(&all, max, ten), newest, "{max}");
        }
    }

    #[test]
    fn a_model_is_told_that_the_beginning_was_dropped() {
        let mut talk = Conversation::new(limits(2, 100_000));
        for turn in 0..3 {
            talk.user_said(&format!("question {turn}"));
            let told = talk.request("Be brief.").messages[0].clone();
            let shortened = told == Message::System(format!("Be brief.{SHORTENED}"));
            assert_eq!(shortened, turn == 2, "{told:?}");
            talk.assistant_heard("answer", Ending::Complete);
        }
    }

    #[test]
    fn a_debug_print_says_nothing_personal() {
        let mut talk = Conversation::new(Limits::default());
        talk.user_said("My name is Ada.");
        assert!(!format!("{talk:?}").contains("Ada"));
    }
}
