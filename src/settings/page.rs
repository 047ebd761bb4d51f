//! `docs/settings.md`, out of the table: a test holds the file against this text.

use std::fmt::Write as _;

use super::table::{Kind, ROWS, Row};

const HEAD: &str = "\
# Settings

From strongest to weakest: the command line, the settings file (`settings.json` in the data folder, or
the file named by `CAAL_SETTINGS_PATH`), the environment, a `.env` file in the working folder, the default.

`caal settings list` shows them, `caal settings explain KEY` says where a value comes from,
`caal settings set KEY VALUE` writes the settings file and `caal settings unset KEY` takes a value out of it. A
running `caal serve` sees both within a second. Only what is set is written, so that the environment
goes on to count for the rest. All wrong values are told at once, and then nothing is changed.

*Takes effect*: **at once** with the next request that asks for it, **next turn** also in a conversation that is going
on, after what is being said, **next start** when the program is started again. Of `key`s with an asterisk, what they
say decides which code is loaded, which ports are open and who may come in: the HTTP API does not change them,
`caal settings` does.

Secrets are written and never shown. Each may stand in a file instead: the variable with `_FILE` behind
it (`HASS_TOKEN_FILE=/run/secrets/hass`, also `HF_TOKEN_FILE`) names it. `caal settings set hass_token -` reads one from
standard input, so that it stands in no shell's history.

The settings file is replaced as a whole or not at all, also where the process is killed or the disk is full, and
two who write at once lose nothing. In a container mount its folder, not the file: a mounted file cannot be replaced.

| key | environment | values | default | takes effect | what it does |
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
            Kind::Text | Kind::Zone => "text".to_owned(),
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
        }
    }
}
