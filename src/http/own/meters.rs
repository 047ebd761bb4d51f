//! `GET /metrics`: what the process counts, for Prometheus; and the counting of requests.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::super::api::{Answer, Api, about};
use crate::telemetry::{CONTENT_TYPE, metrics};

pub(super) fn write_down(api: &mut Api) {
    let about = about(
        "/metrics",
        "Server",
        "What the server counts and measures, in OpenMetrics text for Prometheus.",
    );
    let answer = Answer::Media("application/openmetrics-text");
    api.own(Method::GET, about, (None, answer), |state, _| async move {
        let rooms = state.desk.rooms();
        let people = rooms.iter().map(|(_, status)| status.people).sum();
        metrics().rooms_are(rooms.len(), people);
        let headers = [
            (header::CONTENT_TYPE, CONTENT_TYPE),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Ok((headers, metrics().text()).into_response())
    });
}

/// Counts a request by its route's template, so that an address which somebody thought up is not a
/// label of its own.
pub(in crate::http) async fn measure(request: Request, next: Next) -> Response {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER", // OpenTelemetry's word for it
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let (_counted, started) = (metrics().request(), Instant::now());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    metrics().request_answered(method, route, status, started.elapsed());
    response
}
