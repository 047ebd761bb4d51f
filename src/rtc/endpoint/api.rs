//! The two calls of LiveKit's RoomService that CAAL's back end makes: which rooms are there, and data into
//! one. Twirp: JSON or protobuf by the request's content type, errors as `{code, msg}`.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use livekit_protocol as lk;
use livekit_token::Claims;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use super::{Shared, door::bearer, keys::Refused, room::Input};

/// Longest data of one call.
const LONGEST: usize = 60_000;

pub(super) async fn list_rooms(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let claims = match admit(&shared, &headers) {
        Ok(claims) => claims,
        Err(refused) => return error(Code::Unauthenticated, &refused.to_string()),
    };
    if !claims.video.room_list {
        return error(Code::Denied, "permissions denied");
    }
    let Some(request) = read::<lk::ListRoomsRequest>(&headers, &body) else {
        return error(Code::Malformed, "the request cannot be read");
    };
    let wanted = |name: &String| request.names.is_empty() || request.names.contains(name);
    let rooms = {
        let rooms = shared.rooms();
        let found = rooms
            .iter()
            .filter(|(name, room)| wanted(name) && !room.inputs.is_closed());
        found
            .map(|(_, room)| {
                let mut about = room.about.clone();
                about.people = room.people.load(Ordering::Relaxed);
                about.info()
            })
            .collect()
    };
    let answer = lk::ListRoomsResponse { rooms };
    match is_json(&headers) {
        // Said also when there are none.
        true => Json(serde_json::json!({ "rooms": answer.rooms })).into_response(),
        false => write(&headers, &answer),
    }
}

pub(super) async fn send_data(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let claims = match admit(&shared, &headers) {
        Ok(claims) => claims,
        Err(refused) => return error(Code::Unauthenticated, &refused.to_string()),
    };
    let Some(request) = read::<lk::SendDataRequest>(&headers, &body) else {
        return error(Code::Malformed, "the request cannot be read");
    };
    if !claims.video.room_admin || claims.video.room != request.room {
        return error(Code::Denied, "permissions denied");
    }
    let topic = request.topic.as_ref().map_or(0, String::len);
    if request.data.len() > LONGEST || topic > 256 {
        return error(Code::Invalid, "the data is too long");
    }
    let room = shared.rooms().get(&request.room).cloned();
    let Some(room) = room else {
        return error(Code::NotFound, "requested room does not exist");
    };
    match room.inputs.send(Input::Data(request)).await {
        Ok(()) => write(&headers, &lk::SendDataResponse {}),
        Err(_) => error(Code::NotFound, "requested room does not exist"),
    }
}

fn admit(shared: &Shared, headers: &HeaderMap) -> Result<Claims, Refused> {
    shared.keys.verify(bearer(headers).unwrap_or_default())
}

enum Code {
    Unauthenticated,
    Denied,
    Malformed,
    Invalid,
    NotFound,
}

fn error(code: Code, msg: &str) -> Response {
    let (status, code) = match code {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        Code::Denied => (StatusCode::FORBIDDEN, "permission_denied"),
        Code::Malformed => (StatusCode::BAD_REQUEST, "malformed"),
        Code::Invalid => (StatusCode::BAD_REQUEST, "invalid_argument"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
    };
    (
        status,
        Json(serde_json::json!({ "code": code, "msg": msg })),
    )
        .into_response()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|v| v.as_bytes().starts_with(b"application/json"))
}

fn read<T: Message + Default + DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Option<T> {
    match is_json(headers) {
        true => serde_json::from_slice(body).ok(),
        false => T::decode(body).ok(),
    }
}

fn write<T: Message + Serialize>(headers: &HeaderMap, answer: &T) -> Response {
    match is_json(headers) {
        true => Json(answer).into_response(),
        false => (
            [(header::CONTENT_TYPE, "application/protobuf")],
            answer.encode_to_vec(),
        )
            .into_response(),
    }
}
