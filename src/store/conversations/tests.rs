//! Tests of conversations on a real file.

use std::fs;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

struct Fixture {
    home: tempfile::TempDir,
    rules: Arc<Mutex<Rules>>,
    conversations: Conversations,
}

async fn fixture() -> Fixture {
    let home = tempfile::tempdir().unwrap();
    let rules = Arc::new(Mutex::new(Rules {
        keep: true,
        resume: 30 * MINUTE,
        retention: Some(1440 * MINUTE),
    }));
    let conversations = opened(&home, &rules).await;
    Fixture {
        home,
        rules,
        conversations,
    }
}

async fn opened(home: &tempfile::TempDir, rules: &Arc<Mutex<Rules>>) -> Conversations {
    let store = Store::open(home.path()).await;
    let asked = rules.clone();
    Conversations::new(store, move || *asked.lock().unwrap())
}

fn exchange(ago: Duration, user: &str, assistant: &str) -> Exchange {
    let over_at = SystemTime::now() - ago;
    Exchange {
        asked_at: over_at,
        over_at,
        user: Pii(user.to_owned()),
        assistant: Pii(assistant.to_owned()),
        complete: true,
        meta: None,
    }
}

fn words(remembered: Vec<Remembered>) -> Vec<(String, String)> {
    let pairs = remembered.into_iter();
    pairs.map(|r| (r.user.0, r.assistant.0)).collect()
}

async fn titles(conversations: &Conversations, text: Option<&str>) -> Vec<String> {
    let which = Which {
        limit: 100,
        before: None,
        text: text.map(|text| Pii(text.to_owned())),
    };
    let listed = conversations.list(which).await.expect("it reads");
    listed.into_iter().map(|one| one.title.0).collect()
}

#[tokio::test]
async fn who_comes_back_soon_is_remembered_after_a_restart_too_and_in_this_room_alone() {
    let f = fixture().await;
    assert!(f.conversations.begin("den").await.is_empty());
    f.conversations
        .note("den", exchange(20 * MINUTE, "I am Ada.", "Hello Ada."));
    f.conversations
        .note("attic", exchange(MINUTE, "Who is there?", "Nobody."));
    let again = opened(&f.home, &f.rules).await;
    f.conversations.sweep().await.expect("all is written");
    let remembered = again.begin("den").await;
    assert_eq!(
        words(remembered),
        [("I am Ada.".to_owned(), "Hello Ada.".to_owned())]
    );
    again.note("den", exchange(Duration::ZERO, "Who am I?", ""));
    let (summary, messages) = again.get(1).await.expect("it reads").expect("it is there");
    assert_eq!((summary.messages, messages.len()), (3, 3));
    assert_eq!(summary.title.0, "I am Ada.");
}

#[tokio::test]
async fn who_comes_back_late_begins_another_conversation() {
    let f = fixture().await;
    let talk = &f.conversations;
    talk.note("den", exchange(40 * MINUTE, "I am Ada.", "Hello."));
    assert!(talk.begin("den").await.is_empty());
    talk.note("den", exchange(3 * MINUTE, "Who am I?", "I do not know."));
    assert_eq!(titles(talk, None).await, ["Who am I?", "I am Ada."]);
    // Nothing is to be remembered: each time another one.
    f.rules.lock().unwrap().resume = Duration::ZERO;
    assert!(talk.begin("den").await.is_empty());
    talk.note("den", exchange(2 * MINUTE, "And now?", "No."));
    talk.note("den", exchange(MINUTE, "And then?", "No."));
    let titles = titles(talk, None).await;
    assert_eq!(titles, ["And now?", "Who am I?", "I am Ada."]);
}

#[tokio::test]
async fn switched_off_nothing_is_written_and_nothing_read() {
    let f = fixture().await;
    let talk = &f.conversations;
    talk.note("den", exchange(MINUTE, "before", "yes"));
    f.rules.lock().unwrap().keep = false;
    assert!(!talk.keeps());
    talk.note("den", exchange(Duration::ZERO, "a secret", "yes"));
    assert!(talk.begin("den").await.is_empty());
    assert_eq!(titles(talk, None).await, ["before"]);
    f.rules.lock().unwrap().keep = true;
    assert_eq!(talk.begin("den").await.len(), 1);
}

#[tokio::test]
async fn what_is_old_goes_message_by_message() {
    let f = fixture().await;
    let talk = &f.conversations;
    talk.note("den", exchange(1450 * MINUTE, "yesterday", "yes"));
    talk.note("den", exchange(1430 * MINUTE, "today", "yes"));
    talk.note("attic", exchange(1450 * MINUTE, "gone", "yes"));
    assert_eq!(talk.sweep().await, Ok(4));
    let (_, messages) = talk.get(1).await.expect("it reads").expect("it is there");
    assert_eq!(messages[0].text.0, "today");
    assert_eq!(talk.get(2).await, Ok(None));
    f.rules.lock().unwrap().retention = None;
    assert_eq!(talk.sweep().await, Ok(0));
}

#[tokio::test]
async fn they_are_listed_searched_and_deleted_and_what_is_deleted_is_not_in_the_files() {
    let f = fixture().await;
    let talk = &f.conversations;
    for (room, text) in [("a", "100% of it"), ("b", "Apples"), ("c", "pears_x")] {
        talk.note(room, exchange(MINUTE, text, "I like apples."));
    }
    assert_eq!(
        titles(talk, None).await,
        ["pears_x", "Apples", "100% of it"]
    );
    assert_eq!(titles(talk, Some("APPLES")).await.len(), 3);
    assert_eq!(titles(talk, Some("100%")).await, ["100% of it"]);
    assert_eq!(titles(talk, Some("s_x")).await, ["pears_x"]);
    assert!(titles(talk, Some("_")).await.len() == 1);
    let before = Which {
        limit: 1,
        before: Some(3),
        text: None,
    };
    assert_eq!(talk.list(before).await.expect("it reads")[0].id, 2);
    assert_eq!(talk.delete(3).await, Ok(true));
    assert_eq!(talk.delete(3).await, Ok(false));
    assert_eq!(talk.after(1).await.unwrap().unwrap().0.id, 2);
    assert_eq!(talk.after(2).await, Ok(None));
    talk.note("c", exchange(Duration::ZERO, "new", "yes"));
    assert_eq!(talk.after(2).await.unwrap().unwrap().0.id, 4);
    assert_eq!(talk.delete_all().await, Ok(3));
    for entry in fs::read_dir(f.home.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(5).any(|w| w == b"pears"));
    }
}

#[tokio::test]
async fn without_a_file_conversations_go_on_and_whoever_asks_hears_why() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(crate::store::FILE)).unwrap();
    let store = Store::open(home.path()).await;
    let talk = Conversations::new(store, || Rules {
        keep: true,
        resume: MINUTE,
        retention: None,
    });
    talk.note("den", exchange(MINUTE, "hello", "hi"));
    assert!(talk.begin("den").await.is_empty());
    let error = talk.get(1).await.expect_err("no file");
    assert!(error.to_string().contains("caal.db"), "{error}");
    assert!(!talk.keeps());
}

#[test]
fn a_title_is_the_first_words() {
    let short = exchange(MINUTE, " a\n b ", "");
    assert_eq!(title(&short), "a b");
    let long = exchange(MINUTE, "", &"ä".repeat(100));
    assert_eq!(title(&long), format!("{}…", "ä".repeat(80)));
}

#[test]
fn a_debug_print_says_nothing_personal() {
    let said = exchange(MINUTE, "My name is Ada.", "Hello Ada.");
    assert!(!format!("{said:?}").contains("Ada"));
}
