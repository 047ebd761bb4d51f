//! Pictures that questions can be about. One is shown to the assistant for a while ([`Shown`]); every question
//! asked meanwhile takes it along, and only the newest question of a request has it: pictures are large, and
//! who answers has said in words what was to be seen in them. A model that cannot see is told that there is
//! one, so that it can say so. Picture and note are gone from the question with the next one: what an engine has
//! read counts up to there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Message;
use crate::pii::Pii;

/// What a picture takes of a model's context, roughly: models cut them into so many pieces.
pub const TOKENS: usize = 1000;

/// Said behind a question whose picture the model sees.
const SEEN: &str = "\n(With this comes a picture of the user's screen. Look at it where the question is about it.)";

/// The same where it does not.
const UNSEEN: &str = "\n(The user has shown a picture of their screen, but you cannot see pictures. If the question is about it, say so.)";

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `image/jpeg` or `image/png`.
    pub kind: &'static str,
    /// The file.
    pub bytes: Pii<Arc<[u8]>>,
}

impl Picture {
    fn base64(&self) -> String {
        BASE64_STANDARD.encode(&self.bytes.0)
    }
}

/// What is shown to the assistant at the moment. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Option<(Picture, Instant)>>>);

impl Shown {
    /// Shows `picture` until then, in the place of what was shown.
    pub fn show(&self, picture: Picture, until: Instant) {
        *self.held() = Some((picture, until));
    }

    /// Shows nothing any more.
    pub fn forget(&self) {
        *self.held() = None;
    }

    /// What questions are to take along.
    pub fn now(&self) -> Vec<Picture> {
        let held = self.held();
        let shown = held.iter().filter(|(_, until)| *until > Instant::now());
        shown.map(|(picture, _)| picture.clone()).collect()
    }

    fn held(&self) -> MutexGuard<'_, Option<(Picture, Instant)>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `messages` for a model that sees what comes with the newest question.
pub(super) fn seen(messages: &[Message]) -> Vec<Message> {
    noted(messages, SEEN)
}

/// The same for one that does not see.
pub(super) fn unseen(messages: &[Message]) -> Vec<Message> {
    noted(messages, UNSEEN)
}

fn noted(messages: &[Message], note: &str) -> Vec<Message> {
    let mut messages = messages.to_vec();
    let newest = messages.iter_mut().rev().find_map(|message| match message {
        Message::User(text) => Some(text),
        _ => None,
    });
    if let Some(text) = newest {
        text.push_str(note);
    }
    messages
}

/// Puts `pictures` to the newest question among the messages of a body for Ollama.
pub(super) fn into_ollama(body: &mut Value, pictures: &[Picture]) {
    if let Some(question) = newest(body).filter(|_| !pictures.is_empty()) {
        question["images"] = pictures.iter().map(Picture::base64).collect();
    }
}

/// The same for a server of OpenAI's kind.
pub(super) fn into_openai(body: &mut Value, pictures: &[Picture]) {
    if let Some(question) = newest(body).filter(|_| !pictures.is_empty()) {
        let text = json!({"type": "text", "text": question["content"].take()});
        let pictures = pictures.iter().map(|picture| {
            let url = format!("data:{};base64,{}", picture.kind, picture.base64());
            json!({"type": "image_url", "image_url": {"url": url}})
        });
        question["content"] = [text].into_iter().chain(pictures).collect();
    }
}

fn newest(body: &mut Value) -> Option<&mut Value> {
    let messages = body.get_mut("messages")?.as_array_mut()?;
    messages.iter_mut().rev().find(|m| m["role"] == "user")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn picture() -> Picture {
        Picture {
            kind: "image/png",
            bytes: Pii(Arc::from(*b"pic")),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_shown_for_a_while_and_says_nothing_of_itself() {
        let shown = Shown::default();
        assert_eq!(shown.now(), []);
        shown.show(picture(), Instant::now() + Duration::from_secs(120));
        assert_eq!(shown.now(), [picture()]);
        assert!(!format!("{shown:?}").contains("112"));
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert_eq!(shown.now(), []);
    }

    #[test]
    fn only_the_newest_question_has_it() {
        let body = json!({"messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": "a"},
            {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]});
        let (mut ollama, mut openai) = (body.clone(), body.clone());
        into_ollama(&mut ollama, &[picture()]);
        assert_eq!(ollama["messages"][2]["images"], json!(["cGlj"]));
        assert_eq!(ollama.to_string().matches("cGlj").count(), 1);
        into_openai(&mut openai, &[picture()]);
        let parts = json!([{"type": "text", "text": "b"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,cGlj"}}]);
        assert_eq!(openai["messages"][2]["content"], parts);
        let mut none = body.clone();
        into_openai(&mut none, &[]);
        assert_eq!(none, body);
    }

    #[test]
    fn a_model_is_told_of_what_it_sees_or_does_not_with_the_newest_question() {
        let messages = [
            Message::User("a".to_owned()),
            Message::User("b".to_owned()),
            Message::Assistant("c".to_owned()),
        ];
        let told = unseen(&messages);
        assert_eq!(told[1], Message::User(format!("b{UNSEEN}")));
        assert_eq!((&told[0], &told[2]), (&messages[0], &messages[2]));
    }
}
