//! Timers over the end of a process: one is killed with SIGKILL as soon as it has said that they are set.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use caal::{
    store::Store,
    tools::{
        Caller,
        timers::{Due, Timers},
    },
};
use jiff::Zoned;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

const FOLDER: &str = "CAAL_TEST_TIMERS";

async fn timers(folder: &Path) -> (Timers, mpsc::Receiver<Due>) {
    let store = Store::open(folder).await.unwrap();
    let (out, due) = mpsc::channel(4);
    let timers = Timers::start(Some(store), Arc::new(Zoned::now), out).await;
    (timers.unwrap(), due)
}

async fn call(timers: &Timers, tool: &str, arguments: Value) -> String {
    let tools = timers.tools();
    let tool = tools.iter().find(|one| one.spec().name == tool).unwrap();
    let arguments = arguments.as_object().unwrap().clone();
    tool.call(arguments, &Caller::default())
        .await
        .unwrap()
        .content
}

/// The process that is killed: only where the test below starts it.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let (timers, mut due) = timers(Path::new(&folder)).await;
    call(&timers, "set_timer", json!({"seconds": 1, "name": "egg"})).await;
    call(&timers, "set_timer", json!({"hours": 2, "name": "roast"})).await;
    call(
        &timers,
        "set_reminder",
        json!({"text": "take out the bread", "hours": 3}),
    )
    .await;
    // The egg is due and handed out, and nobody has said that it was spoken.
    let _egg = due.recv().await.unwrap();
    println!("\nall are set");
    std::future::pending().await
}

#[tokio::test]
async fn a_process_that_is_killed_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "tools::timers::the_process_that_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let set = lines.any(|line| line == "all are set");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(set, "it ended before");

    let (timers, mut due) = timers(folder.path()).await;
    let egg = timeout(Duration::from_secs(20), due.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(egg.text().unwrap(), "Your egg timer is done.");
    let left = call(&timers, "list_timers", json!({"name": "roast"})).await;
    assert!(left.ends_with("left on the roast timer."), "{left}");
    assert_eq!(timers.all().len(), 3);
    let cancelled = call(&timers, "cancel_timer", json!({"name": "bread"})).await;
    assert_eq!(
        cancelled,
        "The reminder \"take out the bread\" is cancelled."
    );
}
