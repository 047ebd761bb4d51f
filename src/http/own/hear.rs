//! `POST /api/voices/{voice}/preview`: a voice says a sentence, for whoever chooses one. One at a time, and
//! never while somebody is being answered: choosing a voice takes nothing from a conversation.

use axum::{
    RequestExt as _,
    extract::{Path, Request},
    http::{HeaderValue, Method, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    super::{
        Say, SayError, State,
        api::{Answer, Api, Input, about},
    },
    body,
    problem::Problem,
};

/// Longest text, characters: half a minute of sound.
const LONGEST: usize = 300;

/// What is to be said.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PreviewRequest")]
struct Wanted {
    /// Up to 300 characters; a sentence of the server's own where nothing is said.
    #[serde(default)]
    #[schemars(length(max = 300))]
    text: Option<String>,
    /// Speed of speech; as set where it is not said.
    #[serde(default)]
    #[schemars(range(min = 0.5, max = 2.0))]
    speed: Option<f32>,
}

pub(super) fn write_down(api: &mut Api) {
    let schema = api.schema::<Wanted>();
    let input = Input::Body {
        schema,
        optional: true,
    };
    let about = about(
        "/api/voices/{voice}/preview",
        "Panel",
        "A voice says a sentence: WAV, 24 kHz, mono, 16 bit.",
    )
    .refuses(&[
        (404, "There is no such voice"),
        (503, "Models are loaded, or somebody is being answered"),
        (500, "The voice failed"),
    ]);
    let answer = Answer::Media("audio/wav");
    api.own(Method::POST, about, (Some(input), answer), preview);
}

async fn preview(state: State, mut request: Request) -> Result<Response, Problem> {
    let voice = request.extract_parts::<Path<String>>().await;
    let Path(voice) = voice.map_err(|_| Problem::bad_request("the voice's name is not text"))?;
    let wanted: Wanted = body(request.into_body()).await?;
    let text = wanted.text.map(|text| text.trim().to_owned());
    let text = text.filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|t| t.chars().count() > LONGEST) {
        let why = format!("it is longer than {LONGEST} characters; shorten it");
        return Err(Problem::invalid("text", why));
    }
    let settings = state.settings.current();
    let speed = wanted.speed.unwrap_or(settings.speed);
    if !(0.5..=2.0).contains(&speed) {
        return Err(Problem::invalid("speed", "it is a number from 0.5 to 2"));
    }
    let say = Say {
        voice,
        text: text.unwrap_or_else(|| {
            let name = &settings.agent_name;
            format!("Hi, I'm {name}. This is how I sound.")
        }),
        speed,
    };
    // Dropped with the request when the client goes away, and the place with it.
    let place = state.panel.previews.clone().try_acquire_owned();
    let _place = place.map_err(|_| {
        Problem::busy("a voice is being tried already; try again when it has spoken")
    })?;
    let wav = state.house.say(say).await.map_err(|error| match error {
        SayError::Loading => Problem::loading("the voices are being loaded; try again in a moment"),
        SayError::Busy => Problem::busy("somebody is being answered; try again in a moment"),
        SayError::Voice(why) => Problem::not_found(why),
        SayError::Failed(why) => Problem::internal(why),
    })?;
    let kind = HeaderValue::from_static("audio/wav");
    let no_store = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, no_store),
    ];
    Ok((headers, wav).into_response())
}
