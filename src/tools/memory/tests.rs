//! Tests of memory on a real file.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};

use super::*;
use crate::tools::{Caller, Outcome};

struct Fixture {
    home: tempfile::TempDir,
    on: Arc<AtomicBool>,
    memory: Memory,
}

impl Fixture {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let on = Arc::new(AtomicBool::new(true));
        let asked = on.clone();
        let store = Store::open(home.path()).await;
        let memory = Memory::open(store, move || asked.load(Ordering::Relaxed)).await;
        Self { home, on, memory }
    }

    /// Another process with the same file, as far as SQLite can tell.
    async fn another(&self) -> Memory {
        Memory::open(Store::open(self.home.path()).await, || true).await
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<String, ToolError> {
        let tools = self.memory.tools();
        let tool = tools.iter().find(|tool| tool.spec().name == name);
        let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
        let tool = tool.expect("there is such a tool");
        let schema = jsonschema::validator_for(&tool.spec().parameters).expect("a schema");
        assert!(schema.is_valid(&Value::Object(arguments.clone())));
        let Outcome { content, say } = tool.call(arguments, &Caller::default()).await?;
        assert_eq!(say, None);
        Ok(content)
    }

    async fn says(&self, name: &str, arguments: Value) -> String {
        self.call(name, arguments).await.expect("it is done")
    }
}

#[tokio::test]
async fn facts_are_remembered_recalled_and_forgotten_and_survive() {
    let f = Fixture::new().await;
    for fact in [
        "My sister's\n birthday is on May 3.",
        "My brother's birthday is on June 9.",
        "I eat no peanuts.",
    ] {
        f.says("remember", json!({ "fact": fact })).await;
    }
    let again = f
        .says("remember", json!({"fact": "i eat no peanuts"}))
        .await;
    assert_eq!(again, "That was remembered already: I eat no peanuts.");
    assert_eq!(f.another().await.facts(), f.memory.facts());
    let all = f.says("recall_memories", json!({})).await;
    assert_eq!(all.lines().count(), 3);
    let some = f
        .says("recall_memories", json!({"query": "birthdays"}))
        .await;
    assert_eq!(
        some,
        "- My sister's birthday is on May 3.\n- My brother's birthday is on June 9."
    );
    let which = f.says("forget", json!({"fact": "the birthday"})).await;
    assert!(
        which.contains("Ask the user which") && which.contains("brother"),
        "{which}"
    );
    let none = f.says("forget", json!({"fact": "my bicycle"})).await;
    assert!(none.contains("nothing was forgotten"), "{none}");
    assert_eq!(f.memory.facts().len(), 3);
    let one = f
        .says("forget", json!({"fact": "my sister's birthday"}))
        .await;
    assert_eq!(one, "Forgotten: My sister's birthday is on May 3.");
    assert_eq!(f.another().await.facts().len(), 2);
    assert_eq!(f.memory.clear().await, Ok(2));
    assert_eq!(
        f.says("recall_memories", json!({})).await,
        "Nothing is remembered yet."
    );
}

#[tokio::test]
async fn the_prompt_has_the_facts_and_its_beginning_stays_when_one_comes() {
    let f = Fixture::new().await;
    assert_eq!(f.memory.facts_for_prompt(1000), "");
    f.memory.remember("One.").await.unwrap();
    f.memory.remember("Two.").await.unwrap();
    let mut watching = f.memory.watch();
    let before = f.memory.facts_for_prompt(1000);
    assert_eq!(before, "The user asked you to remember:\n- One.\n- Two.");
    f.memory.remember("two").await.unwrap();
    assert!(!watching.has_changed().unwrap(), "nothing is new");
    f.memory.remember("Three.").await.unwrap();
    assert!(watching.has_changed().unwrap());
    assert_eq!(watching.borrow_and_update().len(), 3);
    let after = f.memory.facts_for_prompt(1000);
    assert_eq!(after, format!("{before}\n- Three."));
    // Of more than fits, the newest.
    let few = f.memory.facts_for_prompt(20);
    assert!(few.ends_with("- Three.") && !few.contains("One"), "{few}");
    assert_eq!(f.memory.facts_for_prompt(3), "");
    f.on.store(false, Ordering::Relaxed);
    assert_eq!(f.memory.facts_for_prompt(1000), "");
}

#[tokio::test]
async fn what_another_process_changes_is_taken_over() {
    let f = Fixture::new().await;
    let mut watching = f.memory.watch();
    let following = f.memory.follow();
    tokio::pin!(following);
    let other = f.another().await;
    let changed = async {
        watching.changed().await.unwrap();
        watching.borrow_and_update().len()
    };
    tokio::select! {
        () = &mut following => unreachable!("it never ends"),
        (kept, facts) = async { (other.remember("A fact.").await, changed.await) } => {
            assert!(matches!(kept, Ok(Kept::New(_))));
            assert_eq!(facts, 1);
        }
    }
}

#[tokio::test]
async fn notes_are_kept_under_their_key_for_their_time() {
    let f = Fixture::new().await;
    let short = |arguments: Value| f.says("memory_short", arguments);
    assert_eq!(
        short(json!({"action": "list"})).await,
        "There are no notes."
    );
    short(json!({"action": "store", "key": "Parking spot", "value": "B 12"})).await;
    short(json!({"action": "store", "key": "parking-spot", "value": "C 3", "ttl_minutes": 60}))
        .await;
    let got: Value =
        serde_json::from_str(&short(json!({"action": "get", "key": "the parking spot"})).await)
            .unwrap_or(Value::Null);
    assert_eq!(got, Value::Null, "another key");
    let got = short(json!({"action": "get", "key": "parking spot"})).await;
    let got: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["value"], "C 3");
    let missing = short(json!({"action": "get", "key": "car"})).await;
    assert!(missing.contains("There are: parking spot."), "{missing}");
    assert_eq!(f.memory.notes().await.unwrap().len(), 1);
    let gone = short(json!({"action": "delete", "key": "parking spot"})).await;
    assert!(gone.contains("was deleted"), "{gone}");
    let again = short(json!({"action": "delete", "key": "parking spot"})).await;
    assert!(again.contains("There is no note"), "{again}");
    let note = f
        .memory
        .store_note("k", "v", Some(Duration::ZERO), "api")
        .await
        .unwrap();
    assert_eq!(note.expires_at, Some(note.stored_at));
    assert_eq!(f.memory.note("k").await, Ok(None), "it has expired");
    let usual = f.memory.store_note("k", "v", None, "api").await.unwrap();
    assert_eq!(
        usual.expires_at,
        Some(usual.stored_at + 7 * 24 * 60 * 60 * 1000)
    );
}

#[tokio::test]
async fn memory_is_bounded_and_says_so() {
    let f = Fixture::new().await;
    let long = f.call("remember", json!({ "fact": "x".repeat(501) })).await;
    assert!(matches!(long, Err(ToolError::Refused(why)) if why.contains("500")));
    let none = f.call("remember", json!({ "fact": " " })).await;
    assert!(matches!(none, Err(ToolError::Refused(_))));
    let fill = f.memory.file().unwrap().run(|connection| {
        let transaction = connection.transaction()?;
        for n in 0..MOST_FACTS {
            let text = format!("fact {n}");
            transaction.execute("INSERT INTO facts (text, stored_at) VALUES (?1, 0)", [text])?;
        }
        for n in 0..notes::MOST_NOTES {
            let key = format!("key {n}");
            transaction.execute("INSERT INTO notes VALUES (?1, 'v', 0, NULL, 't')", [key])?;
        }
        transaction.commit()
    });
    fill.await.unwrap();
    let full = f.call("remember", json!({ "fact": "one more" })).await;
    assert!(matches!(full, Err(ToolError::Refused(why)) if why.contains("have some forgotten")));
    let full = f.memory.store_note("one more", "v", None, "api").await;
    assert!(matches!(full, Err(MemoryError::Refused(_))));
    f.memory
        .store_note("key 7", "new", None, "api")
        .await
        .expect("in the place of another");
    let told = f.says("recall_memories", json!({})).await;
    assert!(told.ends_with("(and 450 older ones)"), "{told}");
}

#[tokio::test]
async fn switched_off_there_are_no_tools_and_the_owner_may_still_delete() {
    let f = Fixture::new().await;
    f.memory.remember("One.").await.unwrap();
    let tools = f.memory.tools();
    f.on.store(false, Ordering::Relaxed);
    assert!(f.memory.tools().is_empty());
    for tool in tools {
        let mut arguments = Map::new();
        arguments.insert("fact".to_owned(), "x".into());
        arguments.insert("action".to_owned(), "list".into());
        let refused = tool.call(arguments, &Caller::default()).await;
        assert!(
            matches!(&refused, Err(ToolError::Refused(why)) if why.contains("memory_enabled")),
            "{refused:?}"
        );
    }
    assert_eq!(f.memory.facts().len(), 1);
    assert_eq!(f.memory.delete_fact(1).await, Ok(true));
}

#[tokio::test]
async fn without_a_file_every_wish_is_answered_with_why() {
    let store = Err(StoreError::Full {
        path: "/data/caal.db".into(),
    });
    let memory = Memory::open(store, || true).await;
    assert!(memory.tools().is_empty());
    let error = memory.remember("One.").await.expect_err("no file");
    assert!(error.to_string().contains("disk"), "{error}");
    assert!(memory.recall("").is_err());
}
