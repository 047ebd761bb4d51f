//! `docs/settings.md`, out of the table: a test holds the file against this text.

use std::fmt::Write as _;

use super::table::{Kind, ROWS, Row};

const HEAD: &str = "\
# Settings

From strongest to weakest: the command line, the settings file (`settings.json` in the data folder, or
the file named by `CAAL_SETTINGS_PATH`), the environment, a `.env` file in the working folder, the default.

All wrong values are told at once. `caal settings list` shows where each comes from, `caal settings explain KEY`
what it does; `caal settings set KEY=VALUE` and `caal settings unset KEY` write the file, as does `POST /settings`.
It may be edited by hand, too: a running `caal serve` looks at it once a second.

*Seen* says when a change takes effect: **at once** with the next request that asks for it, **next turn** also in a
conversation that is going on (the turn that is going on ends as it began), **next start** when the program is
started again. What is not there is refused: an unknown voice, say. What shows only when it is tried (a model that
cannot be loaded, an Ollama that does not answer) leaves the old in force; the log and `/ready` say why. A language
model is loaded before it is asked, and tried again every 30 seconds; until then the old one answers.

Of `key`s with an asterisk, what they say decides which code is loaded, which ports are open and who may come in:
they are changed on this machine only.

Secrets are never shown. Each may stand in a file instead: the variable with `_FILE` behind it
(`HASS_TOKEN_FILE=/run/secrets/hass`, also `HF_TOKEN_FILE`) names it.

| key | environment | values | default | seen | what it does |
|---|---|---|---|---|---|
";

/// The page.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    for row in ROWS {
        let env = match (row.env, row.also) {
            ("", _) => "–".to_owned(),
            (env, "") => format!("`{env}`"),
            (env, also) => format!("`{env}` or `{also}`"),
        };
        let default = match (row.default, row.kind) {
            ("", _) => "–".to_owned(),
            (several, Kind::Lines) => several
                .split('|')
                .map(|text| format!("`{text}`"))
                .collect::<Vec<_>>()
                .join(", "),
            (one, _) => format!("`{one}`"),
        };
        let star = match row.reach {
            super::Reach::Api => "",
            super::Reach::Machine => " *",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| `{}`{star} | {env} | {} | {default} | {} | {} |",
            row.key,
            row.values(),
            row.applies.name(),
            // A bar would be a column's.
            row.doc.replace('|', "\\|")
        );
    }
    out
}

impl Row {
    /// What values it takes, for people.
    pub fn values(&self) -> String {
        match self.kind {
            Kind::Text | Kind::Zone | Kind::Language => "text".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Words => "words with commas".to_owned(),
            Kind::Lines => "list of texts".to_owned(),
            Kind::Url | Kind::OptionalUrl => "URL".to_owned(),
            Kind::SocketUrl => "URL, `ws://…`".to_owned(),
            Kind::Secret => "secret".to_owned(),
            Kind::Bool => "`true`, `false`".to_owned(),
            Kind::Int(low, high) => format!("{low} to {high}"),
            Kind::Number(low, high) => format!("{low} to {high}"),
            Kind::Choice(words) => words
                .iter()
                .map(|w| format!("`{w}`"))
                .collect::<Vec<_>>()
                .join(", "),
            Kind::Map => "map of texts".to_owned(),
            Kind::Stay => "time".to_owned(),
            Kind::Addresses => "addresses with commas".to_owned(),
            Kind::Networks => "networks with commas".to_owned(),
            Kind::Hosts => "names with commas".to_owned(),
            Kind::Origins => "origins with commas".to_owned(),
        }
    }
}
