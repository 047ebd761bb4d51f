//! What outlives the process, on real files: writers that are killed, a disk that is full, two processes at
//! once, and a conversation that is gone on with.

mod command;
mod restored;
mod survives;

use std::{path::Path, time::SystemTime};

use caal::{
    pii::Pii,
    store::{
        Conversations, Store,
        conversations::{Exchange, Rules},
    },
};

/// Those of the file in `folder`, as they are kept where nobody sets anything else.
async fn conversations(folder: &Path) -> (Store, Conversations) {
    let store = Store::open(folder).await.expect("it opens");
    let rules = || Rules {
        keep: true,
        resume: std::time::Duration::from_secs(30 * 60),
        retention: None,
    };
    let conversations = Conversations::new(Ok(store.clone()), rules);
    (store, conversations)
}

/// Over now.
fn exchange(user: &str, assistant: &str) -> Exchange {
    let now = SystemTime::now();
    Exchange {
        asked_at: now,
        over_at: now,
        user: Pii(user.to_owned()),
        assistant: Pii(assistant.to_owned()),
        complete: true,
        meta: None,
    }
}

/// All messages of all conversations, in order.
async fn messages(conversations: &Conversations) -> Vec<String> {
    let (mut after, mut all) = (0, Vec::new());
    while let Some((summary, messages)) = conversations.after(after).await.expect("it reads") {
        after = summary.id;
        all.extend(messages.into_iter().map(|message| message.text.0));
    }
    all
}
