//! Pulls from a hub when all goes well: what is fetched, what is asked of whom, what is not asked.

use caal::{
    fault::Fault as Kind,
    models::{State, Store},
};

use super::{
    Diary, empty_store, manifest, names,
    server::{COMMIT, Hub, TOKEN, fill_cache, large},
};

#[tokio::test]
async fn a_repository_is_fetched_whole_and_not_twice() {
    let hub = Hub::start().await;
    hub.put_whisper("acme/tiny");
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    store
        .pull(&names("acme/tiny"), hub.options(), &diary)
        .await
        .unwrap();

    let folder = store.resolve_whisper("acme/tiny").unwrap();
    assert_eq!(folder, store.root().join("acme--tiny"));
    assert_eq!(
        std::fs::read(folder.join("model.bin")).unwrap(),
        large(600_000)
    );
    assert_eq!(
        std::fs::read(folder.join("vocabulary.txt")).unwrap(),
        b"a\nb\n"
    );
    assert!(!folder.join("README.md").exists());
    assert_eq!(store.verify("acme/tiny"), State::Present);

    let before = hub.seen().len();
    let again = Diary::default();
    store
        .pull(&names("acme/tiny"), hub.options(), &again)
        .await
        .unwrap();
    assert_eq!(hub.seen().len(), before, "no request for what is there");
    assert!(again.has("Already"));
}

#[tokio::test]
async fn files_come_from_the_commit_that_was_listed() {
    let hub = Hub::start().await;
    hub.put_whisper("acme/tiny");
    let (_dir, store) = empty_store();
    store
        .pull(&names("acme/tiny"), hub.options(), &())
        .await
        .unwrap();
    let files: Vec<String> = hub
        .seen()
        .into_iter()
        .filter(|s| s.path.contains("/resolve/"))
        .map(|s| s.path)
        .collect();
    assert!(files.iter().all(|p| p.contains(COMMIT)), "{files:?}");
    assert_eq!(files.len(), 4);
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let hub = Hub::start().await;
    hub.put_whisper("new/name");
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    // Renamed: the first redirect stays on the hub, the second leads away from it.
    store
        .pull(&names("old/name"), hub.options(), &diary)
        .await
        .unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let (cdn, own): (Vec<_>, Vec<_>) = hub.seen().into_iter().partition(|s| s.cdn);
    assert!(
        !cdn.is_empty() && cdn.iter().all(|s| s.authorization.is_none()),
        "{cdn:?}"
    );
    assert!(
        own.iter()
            .all(|s| s.authorization.as_ref() == Some(&bearer)),
        "{own:?}"
    );
    let told = format!("{:?} {:?}", hub.options(), diary.lines());
    assert!(
        !told.contains(TOKEN) && !told.contains("alsos3cret"),
        "{told}"
    );
}

#[tokio::test]
async fn another_version_on_the_hub_costs_no_download() {
    let hub = Hub::start().await;
    hub.put("acme/other", "model.bin", large(5000));
    hub.put("acme/right", "model.bin", large(5001));
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(&large(5001), &["acme/other", "acme/right"]);
    let store = Store::with_manifest(dir.path(), manifest);
    let diary = Diary::default();
    store
        .pull(&names("m"), hub.options(), &diary)
        .await
        .unwrap();
    let cdn: Vec<String> = hub
        .seen()
        .into_iter()
        .filter(|s| s.cdn)
        .map(|s| s.path)
        .collect();
    assert_eq!(cdn, ["/acme/right/model.bin"]);
    assert!(
        diary.has("is another version there (sha256 "),
        "{:?}",
        diary.lines()
    );
    assert!(diary.has("only a test"), "the licence's note is shown");
}

#[tokio::test]
async fn a_damaged_file_is_fetched_anew_and_the_others_are_not() {
    let hub = Hub::start().await;
    hub.put_whisper("acme/tiny");
    let (_dir, store) = empty_store();
    store
        .pull(&names("acme/tiny"), hub.options(), &())
        .await
        .unwrap();
    let path = store.path("acme/tiny").join("config.json");
    std::fs::write(&path, "{").unwrap();
    assert_eq!(
        store.state("acme/tiny"),
        State::Damaged(vec!["config.json".to_owned()])
    );
    assert!(store.resolve_whisper("acme/tiny").is_err());
    store
        .pull(&names("acme/tiny"), hub.options(), &())
        .await
        .unwrap();
    assert_eq!(store.verify("acme/tiny"), State::Present);
    assert_eq!(hub.ranges("model.bin"), [None], "fetched once");
}

#[tokio::test]
async fn offline_means_not_one_request_and_a_clear_sentence() {
    let hub = Hub::start().await;
    hub.put_whisper("acme/tiny");
    let (_dir, store) = empty_store();
    let mut options = hub.options();
    options.offline = true;
    let error = store
        .pull(&names("acme/tiny"), options, &())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "acme/tiny could not be fetched: acme/tiny on the Hugging Face hub: HF_HUB_OFFLINE is set, \
         so the hub is not asked; unset it to download"
    );
    assert_eq!(error.fault(), Kind::Request);
    assert!(hub.seen().is_empty());
}

#[tokio::test]
async fn what_another_program_has_cached_is_taken_from_there() {
    let hub = Hub::start().await;
    let cache = tempfile::tempdir().unwrap();
    let files = [
        ("model.bin", large(9000)),
        ("config.json", b"{}".to_vec()),
        ("vocabulary.json", b"[]".to_vec()),
        ("README.md", b"no".to_vec()),
    ];
    fill_cache(cache.path(), "acme/tiny", &files);
    let (_dir, store) = empty_store();
    for offline in [true, false] {
        let mut options = hub.options();
        options.cache = Some(cache.path().to_owned());
        options.offline = offline;
        store.pull(&names("acme/tiny"), options, &()).await.unwrap();
        let folder = store.resolve_whisper("acme/tiny").unwrap();
        assert_eq!(
            std::fs::read(folder.join("model.bin")).unwrap(),
            large(9000)
        );
        assert_eq!(store.remove("acme/tiny").unwrap(), 9004);
    }
    assert!(hub.seen().is_empty());
    // Deleting ours left theirs alone.
    assert!(
        cache
            .path()
            .join("models--acme--tiny/snapshots")
            .join(COMMIT)
            .join("model.bin")
            .is_file()
    );
}

#[tokio::test]
async fn a_damaged_cache_is_not_believed() {
    let hub = Hub::start().await;
    hub.put("acme/tiny", "model.bin", large(9000));
    let cache = tempfile::tempdir().unwrap();
    fill_cache(cache.path(), "acme/tiny", &[("model.bin", large(9000))]);
    let snapshot = cache
        .path()
        .join("models--acme--tiny/snapshots")
        .join(COMMIT);
    let mut wrong = large(9000);
    wrong[17] ^= 1;
    std::fs::write(snapshot.join("model.bin"), wrong).unwrap(); // through the link, into the blob
    let dir = tempfile::tempdir().unwrap();
    let store = Store::with_manifest(dir.path(), manifest(&large(9000), &["acme/tiny"]));
    let mut options = hub.options();
    options.cache = Some(cache.path().to_owned());
    store.pull(&names("m"), options, &()).await.unwrap();
    assert_eq!(store.verify("m"), State::Present);
    assert_eq!(hub.ranges("model.bin").len(), 1);
}
