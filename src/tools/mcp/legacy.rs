//! MCP over HTTP as it was in 2024, which `rmcp` has no more: an event stream whose first event names the
//! address to post to, and whose others are the server's messages.

use std::{borrow::Cow, sync::Arc};

use futures_util::{StreamExt as _, stream::BoxStream};
use reqwest::Url;
use rmcp::{
    RoleClient,
    model::ServerJsonRpcMessage,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, streamable_http_client::SseError},
};
use sse_stream::Sse;
use tracing::debug;

use super::http::{Http, HttpError};
use crate::pii::Pii;

/// An open event stream and where to post. Dropping it closes the stream.
pub(super) struct Legacy {
    http: Http,
    token: Option<Pii<String>>,
    post_to: Arc<str>,
    events: Option<BoxStream<'static, Result<Sse, SseError>>>,
}

impl Legacy {
    /// Opens the stream and waits for its first event, for which the caller sets the bound.
    pub(super) async fn open(
        http: Http,
        url: &Url,
        token: Option<Pii<String>>,
    ) -> Result<Self, HttpError> {
        let bare = token.as_ref().map(|token| token.0.as_str());
        let response = http.send(http.get(url.as_str()), bare).await?;
        let mut events = http.events(response);
        while let Some(event) = events.next().await {
            let Ok(event) = event else { break };
            if event.event.as_deref() != Some("endpoint") {
                continue;
            }
            let path = event.data.unwrap_or_default();
            let post_to = url.join(path.trim()).map_err(|_| HttpError::Nonsense)?;
            // A server that sends the token elsewhere is none to trust with it.
            if post_to.origin() != url.origin() {
                break;
            }
            return Ok(Self {
                http,
                token,
                post_to: post_to.as_str().into(),
                events: Some(events),
            });
        }
        Err(http.noted(HttpError::Nonsense))
    }
}

impl Transport<RoleClient> for Legacy {
    type Error = HttpError;

    fn name() -> Cow<'static, str> {
        "sse".into()
    }

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), HttpError>> + Send + 'static {
        let (http, token, url) = (self.http.clone(), self.token.clone(), self.post_to.clone());
        async move {
            let bare = token.as_ref().map(|token| token.0.as_str());
            http.send(http.post(&url, &message), bare).await?;
            Ok(())
        }
    }

    /// `None` once the stream is over, or broken.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let events = self.events.as_mut()?;
        while let Some(event) = events.next().await {
            let Ok(event) = event else { break };
            if !matches!(event.event.as_deref(), None | Some("message")) {
                continue;
            }
            match serde_json::from_str::<ServerJsonRpcMessage>(&event.data.unwrap_or_default()) {
                Ok(message) => return Some(message),
                Err(_) => debug!("an event that is no message of MCP is left out"),
            }
        }
        self.events = None;
        None
    }

    async fn close(&mut self) -> Result<(), HttpError> {
        self.events = None;
        Ok(())
    }
}
