//! The settings of a running process: read, changed, kept, and followed where others change them. One
//! per process; every clone is the same.
//!
//! What is written is only what somebody asked for: a value that the environment or the default says
//! already is not, so that they go on to count.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    resolve::{Problem, Settings, SettingsError},
    source::{self, Origin, Sources},
    store::{self, Lock},
    table::{CAAL_ROWS, ROWS, Reach, Row},
    value::{self, MASK, quoted, shown},
};
use crate::{llm::prompt::DEFAULT_TEMPLATE, pii::Pii};

/// How often [`Live::follow`] looks: a person who changes a setting by hand does not wait for it.
const LOOKS: Duration = Duration::from_secs(1);

/// Judges settings by what is on this machine (is there such a voice?), beside the table's rules.
pub type Judge = Arc<dyn Fn(&Settings) -> Vec<Problem> + Send + Sync>;

/// See the module's text. All calls but [`Live::follow`] block for a moment where they read or write
/// files (`change`, `unset`, `set_prompt`, `reload`): async code calls those on a blocking thread.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    /// Behind a mutex so that what is published is in the order of what was written; held while a file
    /// is written, never in async code.
    sources: Mutex<Sources>,
    settings: watch::Sender<Arc<Settings>>,
    judge: OnceLock<Judge>,
    trouble: watch::Sender<Option<String>>,
}

/// What the assistant is told about itself, before anything is filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The template in use.
    pub content: Pii<String>,
    /// Whether it is the user's own.
    pub is_custom: bool,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its row.
    pub row: &'static Row,
    /// As it may be shown.
    pub value: Value,
    /// Where it was set.
    pub origin: Origin,
    /// The same for people: `OLLAMA_HOST in .env`.
    pub place: String,
    /// Why it cannot be used, if so; then `value` is the default.
    pub problem: Option<String>,
}

/// What to do with the value of a key.
enum Step {
    Set(Value),
    Unset,
}

impl Live {
    /// Checks the values of `sources`, and keeps them for what is changed later.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Values`] with all wrong values.
    pub fn open(sources: Sources) -> Result<Self, SettingsError> {
        let settings = Settings::resolve(&sources)?;
        Ok(Self::with(sources, settings))
    }

    /// The same where values are wrong, for whoever mends them: meanwhile their defaults count.
    pub fn open_to_mend(sources: Sources) -> Self {
        let (settings, _) = Settings::read(&sources);
        Self::with(sources, settings)
    }

    fn with(sources: Sources, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            sources: Mutex::new(sources),
            settings: watch::Sender::new(Arc::new(settings)),
            judge: OnceLock::new(),
            trouble: watch::Sender::new(None),
        }))
    }

    /// Has every later change judged by `judge`, too. Once: a second judge is not heard.
    pub fn judged_by(&self, judge: Judge) {
        let _ = self.0.judge.set(judge);
    }

    /// The settings now.
    pub fn current(&self) -> Arc<Settings> {
        self.0.settings.borrow().clone()
    }

    /// The settings, now and whenever they change. The receiver has seen those of now.
    pub fn watch(&self) -> watch::Receiver<Arc<Settings>> {
        self.0.settings.subscribe()
    }

    /// CAAL's settings in its order, each of the type that its clients expect; secrets as [`MASK`], or
    /// empty where there is none.
    pub fn values(&self) -> Map<String, Value> {
        self.shown(ROWS[..CAAL_ROWS].iter())
    }

    /// The same of every setting that the HTTP API may change: CAAL's first.
    pub fn all_values(&self) -> Map<String, Value> {
        self.shown(ROWS.iter().filter(|row| row.reach == Reach::Api))
    }

    fn shown<'r>(&self, rows: impl Iterator<Item = &'r Row>) -> Map<String, Value> {
        let sources = self.sources();
        rows.map(|row| (row.key.to_owned(), shown(row, &effective(&sources, row))))
            .collect()
    }

    /// The secret of `key`, for whoever it is meant for; `None` where it is not set, or no secret.
    pub fn secret(&self, key: &str) -> Option<Pii<String>> {
        let row = Row::find(key).filter(|row| row.is_secret())?;
        let value = effective(&self.sources(), row);
        let secret = value.as_str().filter(|secret| !secret.is_empty())?;
        Some(Pii(secret.to_owned()))
    }

    /// Every setting with where it comes from; for the person at this machine.
    pub fn explain(&self) -> Vec<Explained> {
        explain(&self.sources())
    }

    /// All that is wrong with the values that are set, also with several of them together; judged, too.
    pub fn problems(&self) -> Vec<Problem> {
        let (settings, mut problems) = Settings::read(&self.sources());
        problems.extend(self.judged(&settings));
        problems
    }

    /// The settings file.
    pub fn file(&self) -> PathBuf {
        self.sources().file_path.clone()
    }

    /// What stands in the settings file and is no setting: misspelt, or somebody else's.
    pub fn unknown(&self) -> Vec<String> {
        let sources = self.sources();
        let keys = sources.file.keys().filter(|key| Row::find(key).is_none());
        keys.cloned().collect()
    }

    /// The same as if the settings file said nothing: what would count once it is taken out of there.
    pub fn beneath(&self) -> Vec<Explained> {
        let mut sources = self.sources().clone();
        sources.file.clear();
        explain(&sources)
    }

    /// Changes what whoever uses the HTTP API may change: all of `values` or, where anything is wrong
    /// with it, nothing. Keys that are none of ours, and `null`, are left out, as CAAL does. A secret
    /// that is empty or [`MASK`] stays; so does a value that is already so, wherever it comes from.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Values`] with all problems at once; [`SettingsError::Write`]. Nothing was
    /// changed.
    pub fn change(&self, values: Map<String, Value>) -> Result<(), SettingsError> {
        self.change_within(values, Reach::Api)
    }

    /// The same without bounds, for the person at this machine.
    ///
    /// # Errors
    ///
    /// Those of [`Live::change`].
    pub fn change_as_owner(&self, values: Map<String, Value>) -> Result<(), SettingsError> {
        self.change_within(values, Reach::Machine)
    }

    fn change_within(&self, values: Map<String, Value>, reach: Reach) -> Result<(), SettingsError> {
        let wanted: Vec<(&'static Row, Value)> = values
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .filter_map(|(key, value)| Some((Row::find(&key)?, value)))
            .collect();
        self.edit(|sources| {
            let (mut steps, mut problems) = (Vec::new(), Vec::new());
            for (row, given) in wanted {
                // What the command line says today is no reason not to write it down; nor is a
                // default that stands for a value that is wrong.
                let now = value::check(row, &sources.lasting(row).0).ok();
                let kept = row.is_secret() && (given == MASK || given == "");
                if kept || now.as_ref().is_some_and(|now| given == shown(row, now)) {
                    continue;
                }
                let mut problem = |text| {
                    let key = row.key;
                    problems.push(Problem { key, text });
                };
                if row.reach == Reach::Machine && reach == Reach::Api {
                    problem(format!(
                        "{} can be changed on this machine only, in its settings file or environment",
                        row.key
                    ));
                    continue;
                }
                match value::check(row, &given) {
                    Ok(value)
                        if Some(&value) == now.as_ref() && !sources.file.contains_key(row.key) => {}
                    Ok(value) => steps.push((row, Step::Set(value))),
                    Err(must) => {
                        problem(format!("{} is {}: {must}", row.key, quoted(row, &given)));
                    }
                }
            }
            match problems.is_empty() {
                true => Ok(steps),
                false => Err(SettingsError::Values(problems)),
            }
        })
    }

    /// Takes `keys` out of the settings file, so that the environment or the default counts again.
    /// Those that are not in it, or are none of ours, are left out.
    ///
    /// # Errors
    ///
    /// Those of [`Live::change`].
    pub fn unset(&self, keys: &[&str]) -> Result<(), SettingsError> {
        self.edit(|_| {
            let rows = keys.iter().filter_map(|key| Row::find(key));
            Ok(rows.map(|row| (row, Step::Unset)).collect())
        })
    }

    /// What the assistant is told about itself.
    pub fn prompt(&self) -> Prompt {
        let sources = self.sources();
        let own = chosen_prompt(&sources);
        Prompt {
            is_custom: own.is_some(),
            content: own
                .cloned()
                .unwrap_or_else(|| Pii(DEFAULT_TEMPLATE.to_owned())),
        }
    }

    /// The prompt inside the binary, and the user's own where there is one, in use or not.
    pub fn prompts(&self) -> (Pii<String>, Option<Pii<String>>) {
        let own = self.sources().custom_prompt.clone();
        (Pii(DEFAULT_TEMPLATE.to_owned()), own)
    }

    /// Whether the user has a prompt of their own, in use or not.
    pub fn has_custom_prompt(&self) -> bool {
        self.sources().custom_prompt.is_some()
    }

    /// Keeps `text` as the user's own prompt, and uses it.
    ///
    /// # Errors
    ///
    /// Where it is empty or longer than 64 KiB, or cannot be written.
    pub fn set_prompt(&self, text: &str) -> Result<(), SettingsError> {
        let key = "prompt";
        let must = match () {
            () if text.trim().is_empty() => {
                "is empty: write one, or set prompt to default".to_owned()
            }
            () if text.len() as u64 > source::LONGEST_FILE => {
                "is longer than 64 KiB: shorten it".to_owned()
            }
            () if text.contains('\0') => "holds a character that is none".to_owned(),
            () => String::new(),
        };
        if !must.is_empty() {
            let text = format!("the prompt {must}");
            return Err(SettingsError::Values(vec![Problem { key, text }]));
        }
        let row = Row::find(key).expect("a row of the table");
        self.edit(|sources| {
            // First: a setting without the file means the default, the file without the setting
            // nothing.
            let _lock = Lock::of(&sources.prompt_path)?;
            store::replace(&sources.prompt_path, text.as_bytes())?;
            Ok(vec![(row, Step::Set("custom".into()))])
        })
    }

    /// Reads the files again, and publishes what is new in them. True where there was something.
    ///
    /// # Errors
    ///
    /// When a file cannot be used; then the settings stay as they are.
    pub fn reload(&self) -> Result<bool, SettingsError> {
        let mut held = self.sources();
        let mut fresh = held.clone();
        fresh.file = source::read_file(&held.file_path)?;
        fresh.custom_prompt = source::read_prompt(&held.prompt_path)?;
        if fresh.file == held.file && fresh.custom_prompt == held.custom_prompt {
            return Ok(false);
        }
        Settings::resolve(&fresh)?;
        // What this machine did not have before need not be there now.
        let settings = self.checked(&held, &fresh)?;
        *held = fresh;
        if let Some(settings) = settings {
            self.0.settings.send_replace(Arc::new(settings));
        }
        Ok(true)
    }

    /// Why the files, as they are now, are not followed; none where they are. As [`Live::follow`] saw
    /// them last.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.0.trouble.subscribe()
    }

    /// Looks at the files every second, because `caal settings`, an editor or another process may
    /// change them. Never ends; dropping it stops it.
    pub async fn follow(&self) {
        let mut looks = tokio::time::interval(LOOKS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let live = self.clone();
            let reloaded = tokio::task::spawn_blocking(move || live.reload()).await;
            let trouble = match reloaded {
                Ok(Ok(changed)) => {
                    if changed {
                        info!("the settings were changed");
                    }
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("reading them has failed".to_owned()),
            };
            self.0.trouble.send_if_modified(|before| {
                let news = *before != trouble;
                if let Some(why) = trouble.as_ref().filter(|_| news) {
                    warn!("the changed settings cannot be used, the old ones count: {why}");
                }
                *before = trouble;
                news
            });
        }
    }

    /// One change: under the lock the file is read anew, `plan` says what to do, the result is checked
    /// as a whole, written and published.
    fn edit(
        &self,
        plan: impl FnOnce(&Sources) -> Result<Vec<(&'static Row, Step)>, SettingsError>,
    ) -> Result<(), SettingsError> {
        let mut held = self.sources();
        let _lock = Lock::of(&held.file_path)?;
        let mut before = held.clone();
        before.file = source::read_file(&held.file_path)?;
        let steps = plan(&before)?;
        let mut after = before.clone();
        after.custom_prompt = source::read_prompt(&held.prompt_path)?;
        for (row, step) in steps {
            match step {
                Step::Set(value) => drop(after.file.insert(row.key.to_owned(), value)),
                Step::Unset => drop(after.file.shift_remove(row.key)),
            }
        }
        let settings = self.checked(&before, &after)?;
        if after.file != before.file {
            let mut text = serde_json::to_string_pretty(&after.file).expect("a map of JSON");
            text.push('\n');
            store::replace(&after.file_path, text.as_bytes())?;
        }
        *held = after;
        if let Some(settings) = settings {
            self.0.settings.send_replace(Arc::new(settings));
        }
        Ok(())
    }

    /// The settings after a change. What was wrong before may stay so, or nobody could mend one of two
    /// wrong values; then there are none to publish.
    fn checked(
        &self,
        before: &Sources,
        after: &Sources,
    ) -> Result<Option<Settings>, SettingsError> {
        let problems = |sources| match Settings::resolve(sources) {
            Ok(settings) => (self.judged(&settings), Some(settings)),
            Err(SettingsError::Values(problems)) => (problems, None),
            Err(_) => (Vec::new(), None),
        };
        let (mut new, settings) = problems(after);
        if new.is_empty() {
            return Ok(settings);
        }
        let (old, _) = problems(before);
        new.retain(|problem| !old.contains(problem));
        match new.is_empty() {
            true => Ok(settings),
            false => Err(SettingsError::Values(new)),
        }
    }

    fn judged(&self, settings: &Settings) -> Vec<Problem> {
        let judge = self.0.judge.get();
        judge.map_or_else(Vec::new, |judge| judge(settings))
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        // A panic between two statements of `edit` leaves either the old sources or the new.
        self.0
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every setting of `sources`, be they right or wrong.
pub fn explain(sources: &Sources) -> Vec<Explained> {
    ROWS.iter()
        .map(|row| {
            let (given, origin) = sources.given(row);
            let checked = value::check(row, &given);
            let place = sources.place(row, &origin);
            let problem = checked
                .as_ref()
                .err()
                .map(|must| format!("{place} is {}: {must}", quoted(row, &given)));
            Explained {
                row,
                value: shown(row, &checked.unwrap_or_else(|_| value::default(row))),
                origin,
                place,
                problem,
            }
        })
        .collect()
}

fn effective(sources: &Sources, row: &Row) -> Value {
    let (given, _) = sources.given(row);
    value::check(row, &given).unwrap_or_else(|_| value::default(row))
}

fn chosen_prompt(sources: &Sources) -> Option<&Pii<String>> {
    let row = Row::find("prompt").expect("a row of the table");
    let own = sources.custom_prompt.as_ref();
    own.filter(|_| effective(sources, row) == "custom")
}
