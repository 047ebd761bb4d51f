//! `caal bench tools`: how long after a question its first word is spoken, with no tools, ten and a hundred,
//! where the language model reads all of the request and where it has read its beginning before. From the
//! question's words on: what is before them does not depend on tools.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::stats::Summary;
use crate::{
    cli::{Failure, out::say},
    llm::{Message, ToolSpec, acts::Acts},
    mind::{self, Offers, Question, Thought},
    session::Setting,
    tools::{Caller, Outcome, Tool, ToolError, Toolbox},
    tts::SpeakRequest,
};

/// How many tools there are.
const COUNTS: [usize; 3] = [0, 10, 100];

/// Asked, in turn; none of them is for the fast path.
const QUESTIONS: [&str; 4] = [
    "Why is the sky blue?",
    "How do I boil an egg?",
    "Who was Ada Lovelace?",
    "Tell me something about the moon.",
];

/// Arguments of `caal bench tools`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A list of at least a hundred tools: columns name, description and parameters (name:meaning;…), parted
    /// by tabs.
    #[arg(long, value_name = "FILE", default_value = "tests/fixtures/tools.tsv")]
    list: PathBuf,
    /// How often each is measured.
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// A tool of the list; it is done at once.
struct Listed(Arc<ToolSpec>);

impl Tool for Listed {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.0
    }

    fn changes(&self) -> bool {
        false
    }

    fn call(
        &self,
        _: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        std::future::ready(Ok(Outcome::of("It is done."))).boxed()
    }
}

/// What was measured with so many tools, in milliseconds.
#[derive(Debug, Serialize)]
struct Row {
    tools: usize,
    /// The whole request is new to the language model: its first characters, the first spoken word.
    anew_text_ms: Option<Summary>,
    anew_word_ms: Option<Summary>,
    /// It has read the beginning when somebody came.
    warm_text_ms: Option<Summary>,
    warm_word_ms: Option<Summary>,
    /// The next question of the same conversation.
    next_text_ms: Option<Summary>,
    next_word_ms: Option<Summary>,
}

/// One answer's times, and its words.
struct Answered {
    text: Duration,
    word: Duration,
    words: String,
}

/// Prints the figures. `setting` has the engines and the rules of a conversation here.
///
/// # Errors
///
/// Where the list cannot be read, or the language model or the voice fails.
pub async fn run(args: &Args, setting: &Setting) -> Result<(), Failure> {
    let all = listed(args)?;
    let mut times: [[Vec<f64>; 6]; 3] = Default::default();
    for round in 0..args.rounds {
        for (n, count) in COUNTS.into_iter().enumerate() {
            let mut note = |which: usize, answered: &Answered| {
                times[n][which].push(answered.text.as_secs_f64() * 1e3);
                times[n][which + 1].push(answered.word.as_secs_f64() * 1e3);
            };
            let toolbox = Toolbox::default();
            toolbox.put("bench", all[..count].to_vec());
            let question = |n: usize| QUESTIONS[(round + n) % QUESTIONS.len()];
            // Another beginning each time, so that nothing of it was read before.
            let system = |kind: &str| {
                let head = format!("Conversation {round} {count} {kind} of this bench.\n");
                Message::System(head + &(setting.config.system)())
            };
            let mut talk = Talk::new(setting, &toolbox, system("anew"));
            note(0, &talk.ask(question(0)).await?);
            let mut talk = Talk::new(setting, &toolbox, system("warm"));
            talk.warm().await;
            note(2, &talk.ask(question(0)).await?);
            note(4, &talk.ask(question(1)).await?);
        }
    }
    let rows: Vec<Row> = COUNTS
        .into_iter()
        .zip(&times)
        .map(|(tools, times)| {
            let of = |which: usize| Summary::of(&times[which]);
            Row {
                tools,
                anew_text_ms: of(0),
                anew_word_ms: of(1),
                warm_text_ms: of(2),
                warm_word_ms: of(3),
                next_text_ms: of(4),
                next_word_ms: of(5),
            }
        })
        .collect();
    report(args, &rows, &setting.engines.llm.name())
}

fn report(args: &Args, rows: &[Row], model: &str) -> Result<(), Failure> {
    if args.json {
        let rows = serde_json::to_value(rows).map_err(|e| Failure::internal(e.to_string()))?;
        return say(json!({ "model": model, "rounds": args.rounds, "rows": rows }));
    }
    say(format_args!(
        "{model}, {} rounds, medians in ms: the model's first characters / the first spoken word",
        args.rounds
    ))?;
    say(format_args!(
        "{:>5}  {:>17}  {:>17}  {:>17}",
        "TOOLS", "READ ANEW", "READ BEFORE", "NEXT QUESTION"
    ))?;
    for row in rows {
        let pair = |text: &Option<Summary>, word: &Option<Summary>| {
            let p50 = |of: &Option<Summary>| of.map_or(f64::NAN, |of| of.p50);
            format!("{:>7.0} / {:>7.0}", p50(text), p50(word))
        };
        say(format_args!(
            "{:>5}  {}  {}  {}",
            row.tools,
            pair(&row.anew_text_ms, &row.anew_word_ms),
            pair(&row.warm_text_ms, &row.warm_word_ms),
            pair(&row.next_text_ms, &row.next_word_ms),
        ))?;
    }
    Ok(())
}

fn listed(args: &Args) -> Result<Vec<Arc<dyn Tool>>, Failure> {
    let path = args.list.display();
    let text = std::fs::read_to_string(&args.list)
        .map_err(|e| Failure::request(format!("{path} cannot be read ({e}); see --list")))?;
    let tools = text.lines().skip(1).filter_map(|line| {
        let mut columns = line.split('\t');
        let (name, description) = (columns.next()?, columns.next()?);
        let parameters = columns.next()?.split(';');
        let properties: Map<String, Value> = parameters
            .filter_map(|one| one.split_once(':'))
            .map(|(name, text)| {
                let property = json!({"type": "string", "description": text});
                (name.to_owned(), property)
            })
            .collect();
        let spec = ToolSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({"type": "object", "properties": properties}),
        };
        Some(Arc::new(Listed(Arc::new(spec))) as Arc<dyn Tool>)
    });
    let tools: Vec<_> = tools.collect();
    match tools.len() {
        100.. => Ok(tools),
        n => Err(Failure::request(format!(
            "{path} lists {n} tools; give a list of a hundred with --list"
        ))),
    }
}

/// A conversation.
struct Talk<'a> {
    setting: &'a Setting,
    toolbox: &'a Toolbox,
    offers: Offers,
    messages: Vec<Message>,
}

impl<'a> Talk<'a> {
    fn new(setting: &'a Setting, toolbox: &'a Toolbox, system: Message) -> Self {
        Self {
            setting,
            toolbox,
            offers: Offers::default(),
            messages: vec![system],
        }
    }

    /// What is done when somebody comes.
    async fn warm(&self) {
        let (llm, tools) = (self.setting.engines.llm.clone(), self.toolbox.clone());
        let rules = self.setting.config.mind.clone();
        mind::warm(
            llm,
            tools,
            self.offers.clone(),
            self.messages.clone(),
            rules,
        )
        .await;
    }

    /// Asks, and waits for the whole answer, which is then part of the conversation.
    async fn ask(&mut self, words: &str) -> Result<Answered, Failure> {
        self.messages.push(Message::User(words.to_owned()));
        let engines = &self.setting.engines;
        let config = &self.setting.config;
        let (_sure, sure) = watch::channel(true);
        let question = Question {
            messages: self.messages.clone(),
            words: words.to_owned(),
            caller: Caller::default(),
            sure,
            acts: Acts::default(),
            offers: self.offers.clone(),
            rules: mind::Rules {
                fast: false,
                fillers: false,
                ..config.mind.clone()
            },
        };
        let started = Instant::now();
        let mut thoughts = mind::answer(engines.llm.clone(), self.toolbox.clone(), question);
        let mut cutter = (config.clauses)();
        let mut answered = Answered {
            text: Duration::ZERO,
            word: Duration::ZERO,
            words: String::new(),
        };
        while let Some(thought) = thoughts.next().await {
            let thought = thought.map_err(|e| Failure::remote(e.to_string()))?;
            let (text, whole) = match thought {
                Thought::Text(text) => (text, false),
                Thought::Say { text, .. } => (text, true),
                _ => continue,
            };
            if answered.text.is_zero() {
                answered.text = started.elapsed();
            }
            answered.words.push_str(&text);
            let mut clauses = cutter.push(&text);
            if whole {
                clauses.extend(cutter.finish());
            }
            self.first_word(&clauses, started, &mut answered).await?;
        }
        let rest = cutter.finish();
        self.first_word(&rest, started, &mut answered).await?;
        self.messages
            .push(Message::Assistant(answered.words.clone()));
        Ok(answered)
    }

    /// Speaks the first of `clauses` that has something to say, until its first sound is there; once.
    async fn first_word(
        &self,
        clauses: &[crate::tts::Clause],
        started: Instant,
        answered: &mut Answered,
    ) -> Result<(), Failure> {
        let clause = clauses.iter().find(|clause| !clause.spoken.is_empty());
        let Some(clause) = clause.filter(|_| answered.word.is_zero()) else {
            return Ok(());
        };
        let mut sound = self.setting.engines.tts.speak(SpeakRequest {
            text: clause.spoken.clone(),
            voice: self.setting.config.voice.clone(),
            speed: self.setting.config.speed,
            pause: clause.pause,
        });
        if let Some(piece) = sound.next().await {
            piece.map_err(|e| Failure::internal(e.to_string()))?;
            answered.word = started.elapsed();
        }
        Ok(())
    }
}
