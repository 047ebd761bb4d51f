//! `/api/downloads`: which models are on the disk, and fetching more, one download at a time. It goes on when
//! the page is closed, and ends with the server; what is there then is gone on from.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json,
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, info, warn};

use super::{
    super::{
        State,
        api::{Answer, Api, Input, about},
    },
    body, json,
    problem::Problem,
};
use crate::{
    models::{self, Event, ModelsError, Store, people},
    settings::Settings,
};

/// Names in one wish.
const MOST_NAMES: usize = 32;

/// How a download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// There was none.
    #[default]
    Idle,
    /// Another caal is fetching models into the same folder.
    Waiting,
    /// Under way.
    Running,
    /// All is there.
    Done,
    /// Some of it could not be had.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// The download that is under way, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Download {
    /// `idle`, `waiting`, `running`, `done`, `failed` or `stopped`.
    state: Stage,
    /// The model that is fetched.
    model: Option<String>,
    /// The file of it.
    item: Option<String>,
    /// From where.
    source: Option<String>,
    /// Bytes of the file that are there.
    bytes: Option<u64>,
    /// Its size.
    of: Option<u64>,
    /// What people should know: why it failed, that it tries again.
    message: Option<String>,
}

impl Download {
    fn under_way(&self) -> bool {
        matches!(self.state, Stage::Waiting | Stage::Running)
    }
}

/// How a download ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All of it is there.
    Done,
    /// Somebody stopped it.
    Stopped,
    /// Why it could not be had; one sentence.
    Failed(String),
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    now: watch::Sender<Download>,
    /// One at a time. Held to begin or to stop one.
    task: Mutex<JoinSet<()>>,
}

impl Downloads {
    /// How it is, and changes of it.
    pub(super) fn watch(&self) -> watch::Receiver<Download> {
        self.now.subscribe()
    }

    /// Begins to fetch `names`; none: what is missing of the default set.
    fn begin(
        self: &Arc<Self>,
        settings: &Settings,
        names: Vec<String>,
    ) -> Result<Download, Problem> {
        let store = Store::new(&settings.models_dir);
        for name in &names {
            let known = store.check_pull(name);
            known.map_err(|error| Problem::invalid("names", error.to_string()))?;
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        while task.try_join_next().is_some() {}
        if !task.is_empty() {
            let why = "a download is under way; wait for it, or stop it first";
            return Err(Problem::conflict(why));
        }
        let begun = Download {
            state: Stage::Running,
            ..Download::default()
        };
        self.now.send_replace(begun.clone());
        let (telling, hub) = (Telling(self.clone()), settings.hub.clone());
        task.spawn(async move {
            let pulled = store.pull(&names, hub, &telling).await;
            telling.over(pulled);
        });
        Ok(begun)
    }

    /// Begins to fetch `names` where nothing is under way, and waits for the end of what is. `tell` hears of each
    /// model. Whoever drops this waits no longer; the download goes on.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        settings: &Settings,
        names: Vec<String>,
        mut tell: impl FnMut(&str),
    ) -> Fetched {
        let mut watch = self.watch();
        if let Err(problem) = self.begin(settings, names) {
            // One that is under way does as well: who waits looks again what is missing.
            debug!(?problem, "no other download is begun");
        }
        let mut told = None;
        loop {
            let now = watch.borrow_and_update().clone();
            match now.state {
                Stage::Waiting | Stage::Running => {}
                Stage::Stopped => return Fetched::Stopped,
                Stage::Failed => return Fetched::Failed(now.message.unwrap_or_default()),
                Stage::Idle | Stage::Done => return Fetched::Done,
            }
            if let Some(model) = now.model
                && told.as_ref() != Some(&model)
            {
                tell(&model);
                told = Some(model);
            }
            if watch.changed().await.is_err() {
                return Fetched::Stopped; // the server ends
            }
        }
    }

    /// Resolves when somebody has begun a download.
    pub(super) async fn begun(&self) {
        let _ = self.watch().wait_for(Download::under_way).await;
    }

    /// Stops what is under way. What is there stays.
    fn stop(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.abort_all();
        task.detach_all();
        self.now.send_if_modified(|now| {
            let stopped = now.under_way();
            if stopped {
                now.state = Stage::Stopped;
            }
            stopped
        });
    }
}

/// Notes how a download goes.
struct Telling(Arc<Downloads>);

impl Telling {
    fn note(&self, change: impl FnOnce(&mut Download)) {
        self.0.now.send_modify(change);
    }

    fn over(&self, pulled: Result<(), ModelsError>) {
        match &pulled {
            Ok(()) => info!("models fetched"),
            Err(error) => warn!("models could not be fetched: {error}"),
        }
        self.note(|now| {
            *now = Download {
                state: match &pulled {
                    Ok(()) => Stage::Done,
                    Err(_) => Stage::Failed,
                },
                message: pulled.err().map(|error| error.to_string()),
                ..Download::default()
            };
        });
    }
}

impl models::Watch for Telling {
    fn on(&self, event: Event<'_>) {
        self.note(|now| match event {
            Event::Waiting => now.state = Stage::Waiting,
            Event::Already { model } => {
                now.state = Stage::Running;
                now.message = Some(format!("{model} is here already"));
            }
            Event::Model {
                model,
                licence,
                note,
            } => {
                *now = Download {
                    state: Stage::Running,
                    model: Some(model.to_owned()),
                    message: note
                        .map(str::to_owned)
                        .or_else(|| licence.map(|licence| format!("licence: {licence}"))),
                    ..Download::default()
                };
            }
            Event::Item {
                name,
                bytes,
                have,
                source,
            } => {
                now.state = Stage::Running;
                now.item = Some(name.to_owned());
                now.source = Some(source.to_owned());
                (now.bytes, now.of) = (Some(have), bytes);
            }
            Event::Bytes(bytes) => now.bytes = Some(bytes),
            Event::ItemDone => now.bytes = now.of.or(now.bytes),
            Event::ItemFailed => {}
            Event::Retry { reason, wait } => {
                let seconds = wait.as_secs_f32().ceil();
                now.message = Some(format!("{reason}; trying again in {seconds:.0} s"));
            }
            Event::SourceFailed(attempt) => now.message = Some(format!("not from {attempt}")),
            Event::Done { model } => {
                now.message = Some(format!("{model} is complete"));
                (now.item, now.source, now.bytes, now.of) = (None, None, None, None);
            }
        });
    }
}

/// What there is and what is under way.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Downloads")]
struct Overview {
    /// What is under way, or was last.
    download: Download,
    /// The models that caal knows, and those of a hub that are here.
    models: Vec<Model>,
}

/// A model.
#[derive(Serialize, JsonSchema)]
struct Model {
    /// As in settings and downloads.
    name: String,
    /// What it does: stt, tts, llm, wake, …
    role: &'static str,
    /// Its size.
    bytes: u64,
    /// The same for people.
    size: String,
    /// `present`, `missing`, `incomplete` or `damaged`.
    state: &'static str,
    /// Part of the default set.
    default: bool,
    /// Its licence, where known.
    licence: Option<String>,
    /// What the licence asks, where that is worth a line.
    note: Option<String>,
    /// What it is.
    description: String,
}

/// What to fetch.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)] // a name under another key would fetch the default set
#[schemars(rename = "DownloadRequest")]
struct Wanted {
    /// From the list of models, or `org/name` of the Hugging Face hub; none: what is missing of the default
    /// set.
    #[serde(default)]
    names: Vec<String>,
}

fn overview(settings: &Settings) -> Vec<Model> {
    let store = Store::new(&settings.models_dir);
    let known = store.manifest().models().iter().map(|model| Model {
        name: model.name.clone(),
        role: model.role.name(),
        bytes: model.bytes(),
        size: people(model.bytes()),
        state: store.state(&model.name).name(),
        default: model.default,
        licence: Some(model.licence.clone()),
        note: model.note.clone(),
        description: model.description.clone(),
    });
    let mut models: Vec<Model> = known.collect();
    models.extend(store.hub_models().into_iter().map(|model| Model {
        state: store.state(&model.repo).name(),
        name: model.repo,
        role: "stt",
        bytes: model.bytes,
        size: people(model.bytes),
        default: false,
        licence: None,
        note: None,
        description: "A model of the Hugging Face hub that recognises speech".to_owned(),
    }));
    models
}

pub(super) fn write_down(api: &mut Api) {
    let answer = Answer::Json(200, api.schema::<Overview>());
    let list = about(
        "/api/downloads",
        "Panel",
        "Which models are here, and how the download goes that is under way.",
    );
    api.own(Method::GET, list, (None, answer), |state, _| async move {
        let settings = state.settings.current();
        // Looks at every file, and may have to read some.
        let models = tokio::task::spawn_blocking(move || overview(&settings)).await;
        let models =
            models.map_err(|_| Problem::internal("the models were not found; see the log"))?;
        let download = state.panel.downloads.watch().borrow().clone();
        json(Overview { download, models })
    });
    let schema = api.schema::<Wanted>();
    let input = Input::Body {
        schema,
        optional: true,
    };
    let answer = Answer::Json(202, api.schema::<Download>());
    let fetch = about("/api/downloads", "Panel", "Begins to fetch models.")
        .refuses(&[(409, "One is under way")]);
    api.own(Method::POST, fetch, (Some(input), answer), begin);
    let stop = about(
        "/api/downloads",
        "Panel",
        "Stops the download; the next one goes on from there.",
    );
    api.own(
        Method::DELETE,
        stop,
        (None, Answer::Nothing),
        |state, _| async move {
            state.panel.downloads.stop();
            Ok(StatusCode::NO_CONTENT.into_response())
        },
    );
}

async fn begin(state: State, request: Request) -> Result<Response, Problem> {
    let wanted: Wanted = body(request.into_body()).await?;
    if wanted.names.len() > MOST_NAMES {
        let why = format!("at most {MOST_NAMES} at once");
        return Err(Problem::invalid("names", why));
    }
    let settings = state.settings.current();
    let begun = state.panel.downloads.begin(&settings, wanted.names)?;
    Ok((StatusCode::ACCEPTED, Json(begun)).into_response())
}
