//! A language model that can be exchanged for another while conversations go on: whoever asks next is
//! answered by the new one, an answer that has begun is written to its end by the old one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{future::BoxFuture, stream::BoxStream};

use super::{ChatRequest, Delta, Llm, LlmError};

/// See the module's text.
pub struct Exchange {
    // Held for a copy only, never across a wait.
    present: Mutex<Arc<dyn Llm>>,
}

impl Exchange {
    /// Begins with `llm`.
    pub fn new(llm: Arc<dyn Llm>) -> Self {
        Self {
            present: Mutex::new(llm),
        }
    }

    /// From now on `llm` answers. The old one ends with the last of its answers.
    pub fn put(&self, llm: Arc<dyn Llm>) {
        let old = std::mem::replace(&mut *self.present(), llm);
        drop(old); // outside the lock: a model's thread may take a moment to end
    }

    fn present(&self) -> MutexGuard<'_, Arc<dyn Llm>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Llm for Exchange {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        let present = self.present().clone();
        present.chat(request)
    }

    fn warm(&self, request: ChatRequest) -> BoxFuture<'static, Result<(), LlmError>> {
        self.present().warm(request)
    }

    fn takes_tools(&self) -> bool {
        self.present().takes_tools()
    }

    fn sees(&self) -> BoxFuture<'static, bool> {
        self.present().sees()
    }

    fn name(&self) -> String {
        self.present().name()
    }

    fn model(&self) -> (&'static str, String) {
        self.present().model()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    struct Says(&'static [&'static str]);

    impl Llm for Says {
        fn chat(&self, _: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
            let words = self.0.iter();
            stream::iter(words.map(|word| Ok(Delta::Text((*word).to_owned())))).boxed()
        }

        fn name(&self) -> String {
            self.0.concat()
        }
    }

    fn text(delta: Option<Result<Delta, LlmError>>) -> String {
        match delta {
            Some(Ok(Delta::Text(text))) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_answer_that_has_begun_is_ended_by_the_old_one_and_the_next_is_the_new_ones() {
        let llm = Exchange::new(Arc::new(Says(&["one ", "two"])));
        let mut begun = llm.chat(ChatRequest::default());
        assert_eq!(text(begun.next().await), "one ");
        llm.put(Arc::new(Says(&["three"])));
        assert_eq!(llm.name(), "three");
        let mut next = llm.chat(ChatRequest::default());
        assert_eq!(text(next.next().await), "three");
        assert_eq!(text(begun.next().await), "two");
        assert!(begun.next().await.is_none());
    }
}
