//! Pulls when something goes wrong on the way: cuts, silence, refusals, wrong bytes, two at once, a full disk.

use std::{sync::Arc, time::Duration};

use caal::{
    fault::Fault as Kind,
    models::{Event, ModelsError, State, Store, Watch},
};
use tokio::sync::Notify;

use super::{
    Diary, empty_store, manifest, names,
    server::{Fault, Hub, TOKEN, large, sha256},
};
use crate::support::SmallDisk;

const REPO: &str = "acme/tiny";
const BIG: usize = 600_000;

async fn hub_with(faults: &[Fault]) -> Hub {
    let hub = Hub::start().await;
    hub.put_whisper(REPO);
    hub.spoil(REPO, "model.bin", faults);
    hub
}

/// First bytes of the ranges that were asked of the CDN.
fn offsets(hub: &Hub) -> Vec<usize> {
    let ranges = hub.ranges("model.bin").into_iter();
    ranges
        .map(|r| r.map_or(0, |r| r["bytes=".len()..r.len() - 1].parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_cut_is_taken_up_at_the_byte_where_it_was() {
    let hub = hub_with(&[Fault::Cut(100_000), Fault::Cut(300_000)]).await;
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    store
        .pull(&names(REPO), hub.options(), &diary)
        .await
        .unwrap();
    assert_eq!(store.verify(REPO), State::Present);
    let offsets = offsets(&hub);
    assert_eq!(offsets.len(), 3);
    assert!(
        offsets.is_sorted() && offsets[0] == 0 && offsets[2] > offsets[1],
        "{offsets:?}"
    );
    assert!(offsets[2] <= 400_000, "{offsets:?}");
    assert!(diary.has("the connection was cut"), "{:?}", diary.lines());
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_beginning() {
    let hub = hub_with(&[Fault::Cut(100_000), Fault::NoRange]).await;
    let (_dir, store) = empty_store();
    store.pull(&names(REPO), hub.options(), &()).await.unwrap();
    assert_eq!(store.verify(REPO), State::Present);
}

#[tokio::test]
async fn a_line_that_only_breaks_is_given_up_and_what_came_is_kept() {
    let cut = Fault::Cut(1000);
    let hub = hub_with(&[cut.clone(), cut.clone(), cut]).await;
    let (_dir, store) = empty_store();
    let error = store
        .pull(&names(REPO), hub.options(), &())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("3 tries in a row"), "{error}");
    assert_eq!(error.fault(), Kind::Remote);
    assert_eq!(store.state(REPO).name(), "incomplete");
    assert!(store.resolve_whisper(REPO).is_err());
    let had = offsets(&hub);
    store.pull(&names(REPO), hub.options(), &()).await.unwrap();
    assert_eq!(store.verify(REPO), State::Present);
    let last = *offsets(&hub).last().unwrap();
    assert!(
        last > 0 && last >= *had.last().unwrap(),
        "{last} after {had:?}"
    );
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_and_asked_again() {
    let hub = hub_with(&[Fault::Silence(200_000)]).await;
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    store
        .pull(&names(REPO), hub.options(), &diary)
        .await
        .unwrap();
    assert_eq!(store.verify(REPO), State::Present);
    assert!(diary.has("fell silent"), "{:?}", diary.lines());
    assert!(*offsets(&hub).last().unwrap() > 0);
}

#[tokio::test]
async fn a_wrong_sha256_is_deleted_told_and_the_next_source_is_tried() {
    let hub = Hub::start().await;
    for repo in ["acme/bad", "acme/good"] {
        hub.put(repo, "model.bin", large(5000));
    }
    hub.hide_digests(); // else the second half of the check is never reached
    hub.spoil("acme/bad", "model.bin", &[Fault::Wrong, Fault::Wrong]);
    let dir = tempfile::tempdir().unwrap();
    let bytes = large(5000);
    let store = Store::with_manifest(dir.path(), manifest(&bytes, &["acme/bad", "acme/good"]));
    let diary = Diary::default();
    store
        .pull(&names("m"), hub.options(), &diary)
        .await
        .unwrap();
    assert_eq!(store.verify("m"), State::Present);
    let mut wrong = large(5000);
    wrong[4999] ^= 1;
    let sentence = format!(
        "wrong sha256 ({}… instead of {}…)",
        &sha256(&wrong)[..12],
        &sha256(&bytes)[..12]
    );
    assert!(
        diary.has(&sentence),
        "{sentence} is not in {:?}",
        diary.lines()
    );
}

#[tokio::test]
async fn when_every_source_fails_each_is_named_with_its_reason() {
    let hub = Hub::start().await;
    hub.put("acme/bad", "model.bin", large(5000));
    hub.spoil("acme/bad", "model.bin", &[Fault::Wrong]);
    hub.refuse("acme/gated", 403, "GatedRepo");
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(&large(5000), &["acme/bad", "acme/gated"]);
    let store = Store::with_manifest(dir.path(), manifest);
    let error = store
        .pull(&names("m"), hub.options(), &())
        .await
        .unwrap_err();
    let text = error.to_string();
    for part in [
        "m could not be fetched",
        "acme/bad",
        "wrong sha256",
        "acme/gated",
        "restricted (403)",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert_eq!(error.fault(), Kind::Remote);
    assert_eq!(store.state("m"), State::Missing);
    let left = std::fs::read_dir(store.path("m")).unwrap().count();
    assert_eq!(left, 0, "the wrong bytes are gone");
}

#[tokio::test]
async fn a_part_of_another_version_is_dropped_and_not_held_against_the_hub() {
    let hub = hub_with(&[]).await;
    let (_dir, store) = empty_store();
    let folder = store.path(REPO);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("model.bin.part"), vec![7; 1234]).unwrap();
    // Longer than the file: cannot be its beginning.
    std::fs::write(folder.join("config.json.part"), vec![7; 1234]).unwrap();
    store.pull(&names(REPO), hub.options(), &()).await.unwrap();
    assert_eq!(store.verify(REPO), State::Present);
    assert_eq!(offsets(&hub), [1234, 0]);
}

#[tokio::test]
async fn a_file_without_a_promised_sha256_is_fetched_anew() {
    let hub = hub_with(&[]).await;
    let (_dir, store) = empty_store();
    let folder = store.path(REPO);
    std::fs::create_dir_all(&folder).unwrap();
    // The beginning of an older commit's file: the length fits, the halves do not.
    let config = "{\"suppress_ids\": []}";
    std::fs::write(folder.join("config.json.part"), "{\"older").unwrap();
    store.pull(&names(REPO), hub.options(), &()).await.unwrap();
    let got = std::fs::read_to_string(folder.join("config.json")).unwrap();
    assert_eq!(got, config);
}

#[tokio::test]
async fn refusals_are_told_with_the_next_step_and_not_repeated() {
    let hub = Hub::start().await;
    let cases = [
        ("a/private", 401, "", "check both"),
        ("a/gated", 403, "GatedRepo", "ask for it at"),
        ("a/gone", 404, "RepoNotFound", "check the spelling"),
        ("a/teapot", 418, "", "answered 418"),
    ];
    let (_dir, store) = empty_store();
    for (repo, status, code, words) in cases {
        hub.refuse(repo, status, code);
        let before = hub.seen().len();
        let error = store
            .pull(&names(repo), hub.options(), &())
            .await
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(words), "{words} is not in: {text}");
        assert!(!text.contains(TOKEN), "{text}");
        assert_eq!(error.fault(), Kind::Request, "{text}");
        assert_eq!(hub.seen().len(), before + 1, "{repo} was asked once");
    }
    let mut stranger = hub.options();
    stranger.token = None;
    let error = store
        .pull(&names("a/private"), stranger, &())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("or set HF_TOKEN"), "{error}");
}

#[tokio::test]
async fn a_repository_without_a_whisper_model_is_refused_before_anything_is_fetched() {
    let hub = Hub::start().await;
    hub.put("acme/llm", "model.safetensors", large(5000));
    let (_dir, store) = empty_store();
    let error = store
        .pull(&names("acme/llm"), hub.options(), &())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no CTranslate2 Whisper model (no model.bin)"),
        "{error}"
    );
    assert_eq!(error.fault(), Kind::Request);
    assert!(hub.seen().iter().all(|s| !s.cdn));
}

#[tokio::test]
async fn a_busy_hub_is_given_the_rest_it_asks_for() {
    let rest = |s: &str| Fault::Status(429, vec![("retry-after", s.to_owned())]);
    let hub = hub_with(&[rest("1"), Fault::Status(503, vec![])]).await;
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    store
        .pull(&names(REPO), hub.options(), &diary)
        .await
        .unwrap();
    assert!(diary.has("(429)\", wait: 1s"), "{:?}", diary.lines());
    assert!(diary.has("in trouble (503)"), "{:?}", diary.lines());

    let hub = hub_with(&[rest("3600")]).await;
    let (_dir, store) = empty_store();
    let error = store
        .pull(&names(REPO), hub.options(), &())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("wants 3600 s of rest"),
        "{error}"
    );
    assert_eq!(error.fault(), Kind::Remote);
}

#[tokio::test]
async fn no_hub_at_all_is_noticed_at_once() {
    // A port that nobody listens on: bound and let go again.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let hub = Hub::start().await;
    let mut options = hub.options();
    options.endpoint = format!("http://{free}");
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    let error = store
        .pull(&names(REPO), options.clone(), &diary)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert_eq!(error.fault(), Kind::Remote);
    assert!(!diary.has("Retry"), "{:?}", diary.lines());
    options.endpoint = "nonsense".to_owned();
    let error = store.pull(&names(REPO), options, &()).await.unwrap_err();
    assert!(
        error.to_string().contains("HF_ENDPOINT is no address"),
        "{error}"
    );
}

#[tokio::test]
async fn of_two_pulls_at_once_the_second_waits_and_finds_the_files() {
    let hub = hub_with(&[Fault::Silence(100_000)]).await; // long enough for the second to meet the first
    let (_dir, store) = empty_store();
    let (first, second) = (Diary::default(), Diary::default());
    let wanted = names(REPO);
    let (a, b) = tokio::join!(
        store.pull(&wanted, hub.options(), &first),
        store.pull(&wanted, hub.options(), &second),
    );
    a.unwrap();
    b.unwrap();
    // Whichever came second.
    let waited = if second.has("Waiting") {
        (&second, &first)
    } else {
        (&first, &second)
    };
    assert!(
        waited.0.has("Waiting") && waited.0.has("Already"),
        "{:?}",
        waited.0.lines()
    );
    assert!(!waited.1.has("Waiting"), "{:?}", waited.1.lines());
    assert_eq!(
        offsets(&hub).len(),
        2,
        "the file was fetched once, in two goes"
    );
}

/// Wakes somebody when so many bytes are there.
struct Alarm(u64, Arc<Notify>);

impl Watch for Alarm {
    fn on(&self, event: Event<'_>) {
        if matches!(event, Event::Bytes(n) if n >= self.0) {
            self.1.notify_one();
        }
    }
}

#[tokio::test]
async fn a_dropped_pull_lets_go_of_the_store_and_the_next_goes_on() {
    let hub = hub_with(&[Fault::Silence(300_000)]).await;
    let (_dir, store) = empty_store();
    let mut options = hub.options();
    options.patience.stall = Duration::from_secs(60);
    let reached = Arc::new(Notify::new());
    let alarm = Alarm(100_000, reached.clone());
    let wanted = names(REPO);
    tokio::select! {
        result = store.pull(&wanted, options, &alarm) => panic!("ended: {result:?}"),
        () = reached.notified() => {}
    }
    let part = store.path(REPO).join("model.bin.part");
    assert!(part.is_file());
    assert_eq!(store.state(REPO).name(), "incomplete");
    store.pull(&names(REPO), hub.options(), &()).await.unwrap();
    assert_eq!(store.verify(REPO), State::Present);
    assert!(offsets(&hub)[1] > 0, "{:?}", offsets(&hub));
    assert!(!part.exists());
}

#[tokio::test]
async fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let Some(disk) = SmallDisk::new("256k") else {
        return;
    };
    let hub = hub_with(&[]).await;
    let store = Store::new(disk.path().join("models"));
    let error = store
        .pull(&names(REPO), hub.options(), &())
        .await
        .unwrap_err();
    let ModelsError::DiskFull { needed, .. } = error else {
        panic!("{error}");
    };
    assert!(needed as usize >= BIG, "{needed}");
    assert!(
        hub.seen().iter().all(|s| !s.path.contains("resolve")),
        "nothing was fetched"
    );
    assert_eq!(store.state(REPO), State::Missing);
}

#[tokio::test]
async fn a_disk_that_runs_full_on_the_way_leaves_no_broken_file() {
    let Some(disk) = SmallDisk::new("9m") else {
        return;
    };
    let hub = hub_with(&[Fault::Silence(100_000)]).await;
    let store = Store::new(disk.path().join("models"));
    let mut options = hub.options();
    options.patience.stall = Duration::from_secs(2);
    let reached = Arc::new(Notify::new());
    let alarm = Alarm(1, reached.clone());
    // Somebody else fills the disk while the hub is silent.
    let filled = async {
        reached.notified().await;
        let ballast = disk.path().join("ballast");
        let result = std::fs::write(ballast, vec![1; 16 << 20]);
        assert!(result.is_err(), "the disk is full now");
    };
    let wanted = names(REPO);
    let (result, ()) = tokio::join!(store.pull(&wanted, options, &alarm), filled);
    let error = result.unwrap_err();
    assert!(
        error.to_string().contains("has too little room: "),
        "{error}"
    );
    assert!(error.to_string().contains("make room"), "{error}");
    assert_eq!(error.fault(), Kind::Request);
    assert!(!store.path(REPO).join("model.bin").exists());
    assert!(!store.path(REPO).join("model.bin.part").exists());
    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    store.pull(&names(REPO), hub.options(), &()).await.unwrap();
    assert_eq!(store.verify(REPO), State::Present);
}
