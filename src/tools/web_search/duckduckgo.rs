//! DuckDuckGo's page without scripts, which needs no key. It has no promise behind it: where a page comes that
//! has neither results nor the words that there are none, it asks whether we are human, or was changed; that is
//! told as trouble, not as "nothing found".

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{BODY, Found, SearchEngine, SearchError, client, fetch, html};

/// Where the page is.
const PAGE: &str = "https://html.duckduckgo.com/html/";

/// See the module's text.
#[derive(Debug)]
pub struct DuckDuckGo {
    client: reqwest::Client,
    page: String,
}

impl DuckDuckGo {
    /// Does not connect yet.
    ///
    /// # Errors
    ///
    /// When there is no HTTP client to be had.
    pub fn new() -> Result<Self, SearchError> {
        Self::at(PAGE)
    }

    /// The same at another address, for tests.
    ///
    /// # Errors
    ///
    /// When there is no HTTP client to be had.
    pub fn at(page: &str) -> Result<Self, SearchError> {
        Ok(Self {
            client: client(0)?,
            page: page.to_owned(),
        })
    }
}

impl SearchEngine for DuckDuckGo {
    fn name(&self) -> String {
        "DuckDuckGo".to_owned()
    }

    fn search(&self, query: &str) -> BoxFuture<'static, Result<Vec<Found>, SearchError>> {
        // kp: safe search, -1 is "moderate"; kl: no region.
        let form = [("q", query), ("kp", "-1"), ("kl", "wt-wt")];
        let request = self.client.post(&self.page).form(&form);
        async move {
            let (status, body) = fetch(request).await?;
            debug_assert!(body.len() <= BODY);
            let page = html::read(&String::from_utf8_lossy(&body));
            match (status, page.found.is_empty()) {
                // 202 comes with the question whether we are human.
                (200, false) => Ok(page.found),
                (200, true) if page.says_none => Ok(Vec::new()),
                (200 | 202, _) => Err(SearchError(
                    "it sent no results but probably a question for humans; wait a while, or name a SearXNG of your own (web_search_url)"
                        .to_owned(),
                )),
                (status, _) => Err(SearchError(format!("it answers with HTTP {status}"))),
            }
        }
        .boxed()
    }
}
