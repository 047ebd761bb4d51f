//! `GET /api/events`: what changes, as server-sent events: readiness, the download, turns as they are over,
//! rooms. Each listener has a place among few, and is told no more than four times a second of one thing.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue, Method, header},
    response::{
        IntoResponse as _,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch},
    time::{Interval, MissedTickBehavior},
};

use super::{
    super::{
        Readiness, State,
        api::{Answer, Api, about},
    },
    downloads::Download,
    problem::Problem,
    ready::Standing,
    turns::Turn,
};
use crate::session::Past;

/// Listeners at once: a few pages.
const LISTENERS: usize = 16;

/// How often what has changed is told.
const PACE: Duration = Duration::from_millis(250);

/// How often something is sent, so that proxies do not take the line for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Places for listeners.
#[derive(Clone, Debug)]
pub(super) struct Listeners(Arc<Semaphore>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTENERS)))
    }
}

/// One listener: what it was told, and what it is still to be told.
struct Listener {
    state: State,
    _place: OwnedSemaphorePermit,
    readiness: watch::Receiver<Readiness>,
    downloads: watch::Receiver<Download>,
    turns: broadcast::Receiver<Past>,
    pace: Interval,
    ready: Option<Standing>,
    rooms: Option<serde_json::Value>,
    waiting: VecDeque<Event>,
}

impl Listener {
    /// The next event; `None` when the server stops: a stream that goes on would keep it from that.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if *self.readiness.borrow() == Readiness::Draining {
                return None;
            }
            tokio::select! {
                biased;
                turn = self.turns.recv() => match turn {
                    Ok(past) => return Some(event("turn", &Turn::from(past))),
                    // It was slow, and misses some: they are in the list.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                _ = self.pace.tick() => self.look(),
            }
        }
    }

    /// What has changed since the last look.
    fn look(&mut self) {
        let ready = Standing::of(&self.state);
        if self.ready.as_ref() != Some(&ready) {
            self.waiting.push_back(event("ready", &ready));
            self.ready = Some(ready);
        }
        if self.downloads.has_changed().unwrap_or_default() {
            let download = self.downloads.borrow_and_update().clone();
            self.waiting.push_back(event("download", &download));
        }
        let rooms = self.state.desk.rooms().into_iter();
        let rooms: Vec<_> = rooms
            .map(|(name, status)| {
                serde_json::json!({
                    "name": name,
                    "state": status.state.as_str(),
                    "people": status.people,
                    "muted": status.muted,
                })
            })
            .collect();
        let rooms = serde_json::json!({ "rooms": rooms });
        if self.rooms.as_ref() != Some(&rooms) {
            self.waiting.push_back(event("rooms", &rooms));
            self.rooms = Some(rooms);
        }
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("plain data");
    Event::default().event(name).data(data)
}

pub(super) fn write_down(api: &mut Api) {
    let about = about(
        "/api/events",
        "Panel",
        "Server-sent events: ready, download, turn and rooms, each as JSON, when it changes.",
    )
    .refuses(&[(503, "Too many listen already")]);
    let answer = Answer::Media("text/event-stream");
    api.own(Method::GET, about, (None, answer), |state, _| async move {
        let place = state.panel.listeners.0.clone().try_acquire_owned();
        let place = place.map_err(|_| {
            Problem::busy("too many pages listen already; close one, or try again in a moment")
        })?;
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut downloads = state.panel.downloads.watch();
        downloads.mark_changed();
        let listener = Listener {
            _place: place,
            readiness: state.readiness.clone(),
            downloads,
            turns: state.panel.turns.news(),
            pace,
            ready: None,
            rooms: None,
            waiting: VecDeque::new(),
            state,
        };
        let events = stream::unfold(listener, |mut listener| async move {
            let event = listener.next().await?;
            Some((Ok::<_, Infallible>(event), listener))
        });
        let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
        let mut response = events.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // nginx would keep events back until it has a page full.
        let buffering = HeaderName::from_static("x-accel-buffering");
        headers.insert(buffering, HeaderValue::from_static("no"));
        Ok(response)
    });
}
