//! A SearXNG server, one's own or a friend's: `GET /search?q=…&format=json`. Its owner must have allowed the
//! format `json` (`search: formats:` in its settings); without that it answers with 403.

use futures_util::{FutureExt as _, future::BoxFuture};
use serde::Deserialize;

use super::{Found, SearchEngine, SearchError, client, fetch};

/// See the module's text.
#[derive(Debug)]
pub struct SearXng {
    client: reqwest::Client,
    url: reqwest::Url,
}

/// The part of its answer that is read.
#[derive(Deserialize)]
struct Answer {
    results: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    content: Option<String>,
}

impl SearXng {
    /// The server at `url`: `http://localhost:8080`, also with a path. Does not connect yet.
    ///
    /// # Errors
    ///
    /// When `url` is no address.
    pub fn new(url: &str) -> Result<Self, SearchError> {
        let base = url.trim().trim_end_matches('/');
        let url = reqwest::Url::parse(&format!("{base}/search"));
        let url = url
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            SearchError(
                "the setting web_search_url is no address such as http://localhost:8080".to_owned(),
            )
        })?;
        Ok(Self {
            client: client(2)?,
            url,
        })
    }
}

impl SearchEngine for SearXng {
    fn name(&self) -> String {
        "SearXNG".to_owned()
    }

    fn search(&self, query: &str) -> BoxFuture<'static, Result<Vec<Found>, SearchError>> {
        // safesearch: 1 is "moderate".
        let asked = [("q", query), ("format", "json"), ("safesearch", "1")];
        let request = self.client.get(self.url.clone()).query(&asked);
        async move {
            let (status, body) = fetch(request).await?;
            match status {
                200 => {}
                403 => {
                    let why = "it answers with HTTP 403; allow the format json in its settings (search: formats:)";
                    return Err(SearchError(why.to_owned()));
                }
                status => return Err(SearchError(format!("it answers with HTTP {status}"))),
            }
            // Without the parser's words, which may quote the query.
            let answer: Answer = serde_json::from_slice(&body)
                .map_err(|_| SearchError("its answer is not SearXNG's JSON".to_owned()))?;
            let found = answer.results.into_iter().map(|page| Found {
                title: page.title.unwrap_or_default(),
                url: page.url.unwrap_or_default(),
                snippet: page.content.unwrap_or_default(),
            });
            Ok(found.collect())
        }
        .boxed()
    }
}
