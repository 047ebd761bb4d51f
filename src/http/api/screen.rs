//! VK-Agent's `/screen`: a picture of somebody's screen, looked at once to see that it is one, kept for a
//! while, and forgotten.

use std::{
    io::Cursor,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use image::{ImageFormat, ImageReader, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{Api, Refusal, State, about, check::problem, settings::blocking, vk::BUSY};
use crate::{
    pii::Pii,
    session::{Picture, Shown},
};

/// Largest picture, bytes, and the base64 of it with a little JSON around.
const PICTURE: usize = 8 << 20;
const PICTURE_BODY: usize = PICTURE / 3 * 4 + 4096;

/// Largest picture, pixels to a side.
const SIDE: u32 = 8192;

/// How long a picture is kept.
const KEPT: Duration = Duration::from_secs(120);

pub(super) fn write_down(api: &mut Api) {
    let mut screen = about(
        "/screen",
        "VK-Agent",
        "Takes a picture of a screen: the questions of the next two minutes can be about it, where the language model sees pictures.",
    );
    screen.longest = PICTURE_BODY;
    api.post(screen.refuses(&[BUSY]), take_screen);
}

/// A picture.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ScreenRequest")]
struct Sent {
    /// It, in base64; at most 8 MiB.
    image: String,
    /// `image/jpeg`, `image/png` or `image/webp`.
    #[serde(default = "jpeg")]
    mime_type: String,
}

fn jpeg() -> String {
    "image/jpeg".to_owned()
}

/// A picture that is kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScreenKept")]
pub(super) struct Screen {
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    /// Seconds until it is forgotten.
    forgotten_in_s: u64,
}

/// What became of a picture.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScreenResponse")]
struct Taken {
    /// Always `kept`.
    status: &'static str,
    screen: Screen,
    /// Whether the language model sees it, so that the next questions can be about it.
    seen: bool,
    /// The same for people.
    message: &'static str,
}

async fn take_screen(state: State, sent: Sent) -> Result<Taken, Refusal> {
    // A picture that is decoded is much larger than one that is sent: one at a time.
    let Ok(_one) = state.screens.decoding.clone().try_acquire_owned() else {
        return Err(Refusal::busy(
            "another picture is being looked at; try again in a second",
        ));
    };
    let looked = blocking(move || look(&sent)).await?;
    let seen = looked.map_err(|(field, msg)| {
        let at = vec!["body".into(), field.into()];
        Refusal::Invalid(vec![problem("value_error", at, &msg, Value::Null)])
    })?;
    let screen = state.screens.keep(seen);
    let seen = state.house.sees().await;
    Ok(Taken {
        status: "kept",
        screen,
        seen,
        message: match seen {
            true => "the questions of the next two minutes can be about it",
            false => {
                "the picture is kept, but the language model that is set does not see pictures; set one that does, such as qwen2.5vl:3b, and ask again"
            }
        },
    })
}

/// The picture that was sent, decoded once to see that it is one; else which field is wrong, and why.
fn look(sent: &Sent) -> Result<Seen, (&'static str, String)> {
    let format = match sent.mime_type.trim().to_ascii_lowercase().as_str() {
        "image/jpeg" | "image/jpg" => ImageFormat::Jpeg,
        "image/png" => ImageFormat::Png,
        "image/webp" => ImageFormat::WebP,
        _ => {
            return Err((
                "mime_type",
                "it must be image/jpeg, image/png or image/webp".to_owned(),
            ));
        }
    };
    let wrong = |why: String| ("image", why);
    // A data URL's head says what `mime_type` says.
    let text = sent.image.trim();
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(',').map_or("", |(_, base64)| base64),
        None => text,
    };
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|_| wrong("it is not base64".to_owned()))?;
    if bytes.is_empty() || bytes.len() > PICTURE {
        return Err(wrong(format!(
            "it must be a picture of at most {PICTURE} bytes"
        )));
    }
    if image::guess_format(&bytes).ok() != Some(format) {
        return Err(wrong(
            "it is not of the type that mime_type names".to_owned(),
        ));
    }
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE);
    limits.max_image_height = Some(SIDE);
    limits.max_alloc = Some(512 << 20);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|_| {
        wrong(format!(
            "it cannot be decoded, or is larger than {SIDE} pixels to a side"
        ))
    })?;
    let (width, height) = (decoded.width(), decoded.height());
    let (kind, bytes) = match format {
        ImageFormat::Jpeg => ("image/jpeg", bytes),
        ImageFormat::Png => ("image/png", bytes),
        // Not every language model server reads it.
        _ => {
            let mut png = Cursor::new(Vec::new());
            let written = decoded.write_to(&mut png, ImageFormat::Png);
            written.map_err(|_| wrong("it cannot be converted to PNG".to_owned()))?;
            let png = png.into_inner();
            if png.len() > PICTURE {
                return Err(wrong("it is too large as PNG; send it as JPEG".to_owned()));
            }
            ("image/png", png)
        }
    };
    let bytes = Pii(bytes.into());
    Ok(Seen {
        width,
        height,
        picture: Picture { kind, bytes },
    })
}

/// A picture that decodes.
#[derive(Debug)]
struct Seen {
    width: u32,
    height: u32,
    picture: Picture,
}

/// The last picture of a screen, for a while. Clones are the same.
#[derive(Clone, Debug)]
pub struct Screens {
    shown: Shown,
    last: Arc<Mutex<Last>>,
    decoding: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Last {
    /// Pixels, and until when it is kept.
    seen: Option<((u32, u32), Instant)>,
    /// Forgets it; ends with the server.
    forgetting: JoinSet<()>,
}

impl Default for Screens {
    /// Shows them to nobody.
    fn default() -> Self {
        Self::showing(Shown::default())
    }
}

impl Screens {
    /// Has the assistant see them through `shown`.
    pub fn showing(shown: Shown) -> Self {
        Self {
            shown,
            last: Arc::default(),
            decoding: Arc::new(Semaphore::new(1)),
        }
    }

    fn keep(&self, seen: Seen) -> Screen {
        let until = Instant::now() + KEPT;
        let screen = Screen {
            width: seen.width,
            height: seen.height,
            forgotten_in_s: KEPT.as_secs(),
        };
        let mut last = self.last();
        last.seen = Some(((seen.width, seen.height), until));
        self.shown.show(seen.picture, until);
        last.forgetting.abort_all();
        while last.forgetting.try_join_next().is_some() {}
        let (kept, shown) = (Arc::downgrade(&self.last), self.shown.clone());
        last.forgetting.spawn(async move {
            tokio::time::sleep_until(until).await;
            let Some(kept) = kept.upgrade() else { return };
            let mut last = kept.lock().unwrap_or_else(PoisonError::into_inner);
            // Unless a newer one has come at this very moment.
            if last.seen.is_some_and(|(_, newest)| newest == until) {
                last.seen = None;
                shown.forget();
            }
        });
        screen
    }

    /// What is kept, for people.
    pub(super) fn kept(&self) -> Option<Screen> {
        let last = self.last();
        let ((width, height), until) = last.seen?;
        let left = until.saturating_duration_since(Instant::now());
        Some(Screen {
            width,
            height,
            forgotten_in_s: left.as_secs(),
        })
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        // Nothing in there can be left half done.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, format: ImageFormat) -> String {
        let mut bytes = Cursor::new(Vec::new());
        let image = image::DynamicImage::new_rgb8(width, 2);
        image
            .write_to(&mut bytes, format)
            .expect("it can be written");
        BASE64_STANDARD.encode(bytes.into_inner())
    }

    fn sent(image: String, kind: &str) -> Result<(u32, u32), String> {
        let sent = Sent {
            image,
            mime_type: kind.to_owned(),
        };
        look(&sent)
            .map(|seen| (seen.width, seen.height))
            .map_err(|(field, why)| format!("{field}: {why}"))
    }

    #[test]
    fn a_picture_is_taken_when_it_is_what_it_says_and_decodes() {
        let png = picture(3, ImageFormat::Png);
        assert_eq!(sent(png.clone(), "image/png"), Ok((3, 2)));
        assert_eq!(
            sent(format!("data:image/png;base64,{png}"), "image/PNG"),
            Ok((3, 2))
        );
        assert_eq!(
            sent(picture(5, ImageFormat::Jpeg), "image/jpeg"),
            Ok((5, 2))
        );
        for (image, kind, why) in [
            (png.clone(), "image/gif", "mime_type: it must be"),
            (png.clone(), "image/jpeg", "image: it is not of the type"),
            ("!!".to_owned(), "image/png", "image: it is not base64"),
            (String::new(), "image/png", "image: it must be a picture"),
            (
                png[..png.len() / 4 * 2].to_owned(),
                "image/png",
                "image: it cannot be decoded",
            ),
            (
                picture(SIDE + 1, ImageFormat::Png),
                "image/png",
                "image: it cannot be decoded",
            ),
            (
                BASE64_STANDARD.encode(vec![0; PICTURE + 1]),
                "image/png",
                "image: it must be a picture",
            ),
        ] {
            let refused = sent(image, kind).expect_err("it is refused");
            assert!(refused.starts_with(why), "{refused}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_forgotten_two_minutes_after_the_last_one_came() {
        let shown = Shown::default();
        let screens = Screens::showing(shown.clone());
        let seen = || Seen {
            width: 1,
            height: 1,
            picture: Picture {
                kind: "image/png",
                bytes: Pii(Arc::from(*b"picture")),
            },
        };
        screens.keep(seen());
        tokio::time::sleep(Duration::from_secs(100)).await;
        screens.keep(seen());
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(screens.kept().map(|screen| screen.forgotten_in_s), Some(20));
        assert_eq!(shown.now().len(), 1);
        tokio::time::sleep(Duration::from_secs(21)).await;
        assert!(shown.now().is_empty() && screens.kept().is_none());
    }
}
