//! The words that the grammar of the fast path knows. Pure.

/// Names by which the assistant is called.
pub(super) const NAMES: &[&str] = &[
    "jarvis",
    "computer",
    "cal",
    "caal",
    "mycroft",
    "rhasspy",
    "alexa",
    "assistant",
];

/// What is said before a name.
pub(super) const HAIL: &[&str] = &["hey", "hi", "hello", "ok", "okay", "hay"];

/// Politeness before a command.
pub(super) const BEFORE: &[&[&str]] = &[
    &["please"],
    &["hey"],
    &["ok"],
    &["okay"],
    &["alright"],
    &["um"],
    &["uh"],
    &["just"],
    &["yes"],
    &["yeah"],
    &["could", "you"],
    &["can", "you"],
    &["would", "you"],
    &["will", "you"],
    &["i", "want", "you", "to"],
    &["i'd", "like", "you", "to"],
    &["i", "would", "like", "you", "to"],
    &["go", "ahead", "and"],
];

/// Politeness behind a command.
pub(super) const BEHIND: &[&[&str]] = &[
    &["please"],
    &["thanks"],
    &["thank", "you"],
    &["for", "me"],
    &["right", "now"],
    &["now"],
    &["will", "you"],
    &["would", "you"],
    &["could", "you"],
    &["can", "you"],
    &["jarvis"],
    &["computer"],
];

/// Whole utterances that want nothing.
pub(super) const STOP: &[&[&str]] = &[
    &["stop"],
    &["stop", "it"],
    &["stop", "talking"],
    &["be", "quiet"],
    &["quiet"],
    &["hush"],
    &["shush"],
    &["shut", "up"],
    &["never", "mind"],
    &["nevermind"],
];

/// The same, where there is nothing that they could take back.
pub(super) const TAKE_BACK: &[&[&str]] = &[
    &["cancel"],
    &["cancel", "that"],
    &["cancel", "it"],
    &["forget", "it"],
];

/// Words that no name of a device has, in a command that is one: they show a second thought, a condition,
/// a time, somebody else.
pub(super) const NEVER_IN_A_NAME: &[&str] = &[
    ",",
    "a",
    "about",
    "after",
    "again",
    "always",
    "am",
    "an",
    "and",
    "any",
    "anything",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "don't",
    "down",
    "during",
    "each",
    "every",
    "everyone",
    "everything",
    "for",
    "from",
    "had",
    "has",
    "have",
    "he",
    "her",
    "here",
    "him",
    "his",
    "how",
    "i",
    "i'm",
    "if",
    "into",
    "is",
    "it",
    "it's",
    "its",
    "later",
    "like",
    "may",
    "me",
    "might",
    "mine",
    "never",
    "no",
    "not",
    "nothing",
    "off",
    "on",
    "once",
    "onto",
    "or",
    "our",
    "out",
    "she",
    "should",
    "since",
    "so",
    "some",
    "someone",
    "something",
    "soon",
    "than",
    "that",
    "that's",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "today",
    "tomorrow",
    "tonight",
    "toward",
    "towards",
    "unless",
    "until",
    "up",
    "us",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whose",
    "why",
    "will",
    "with",
    "without",
    "would",
    "you",
    "your",
    "yourself",
    "myself",
];

/// Lights, as they are called.
pub(super) const LIGHTS: &[&str] = &[
    "light",
    "lights",
    "lamp",
    "lamps",
    "bulb",
    "bulbs",
    "led",
    "leds",
    "lighting",
    "chandelier",
    "spotlight",
    "spotlights",
    "nightlight",
    "downlights",
];

/// What opens and closes.
pub(super) const COVERS: &[&str] = &[
    "blind", "blinds", "curtain", "curtains", "shade", "shades", "shutter", "shutters", "drape",
    "drapes", "awning", "garage", "gate", "window", "windows", "skylight", "door", "cover",
    "roller", "valve",
];

/// What plays.
pub(super) const PLAYERS: &[&str] = &[
    "tv",
    "television",
    "speaker",
    "speakers",
    "radio",
    "stereo",
    "soundbar",
    "player",
    "music",
    "receiver",
];

/// What is played, and stands for the player that plays it.
pub(super) const PLAYED: &[&str] = &[
    "music", "song", "track", "video", "movie", "playback", "podcast", "album", "playlist",
    "media", "sound",
];

/// What heats and cools.
pub(super) const CLIMATE: &[&str] = &[
    "thermostat",
    "heating",
    "heater",
    "heat",
    "ac",
    "aircon",
    "conditioner",
    "conditioning",
    "radiator",
    "climate",
    "temperature",
    "hvac",
];

/// Other things of a home that are on or off.
pub(super) const OTHERS: &[&str] = &[
    "fan",
    "fans",
    "switch",
    "plug",
    "outlet",
    "socket",
    "lock",
    "kettle",
    "oven",
    "washer",
    "dryer",
    "dishwasher",
    "vacuum",
    "humidifier",
    "dehumidifier",
    "purifier",
    "pump",
    "sprinkler",
    "sprinklers",
    "camera",
];

/// Rooms, as most people call them.
pub(super) const ROOMS: &[&[&str]] = &[
    &["kitchen"],
    &["living", "room"],
    &["bedroom"],
    &["master", "bedroom"],
    &["guest", "room"],
    &["bathroom"],
    &["office"],
    &["hall"],
    &["hallway"],
    &["garage"],
    &["basement"],
    &["cellar"],
    &["attic"],
    &["nursery"],
    &["dining", "room"],
    &["study"],
    &["kids", "room"],
    &["laundry", "room"],
];

/// Colours that lamps are set to, as Home Assistant knows them (CSS), with a space where people say one.
pub(super) const COLOURS: &[&[&str]] = &[
    &["red"],
    &["green"],
    &["blue"],
    &["yellow"],
    &["orange"],
    &["purple"],
    &["pink"],
    &["white"],
    &["cyan"],
    &["magenta"],
    &["turquoise"],
    &["violet"],
    &["lime"],
    &["gold"],
    &["teal"],
    &["indigo"],
    &["lavender"],
    &["salmon"],
    &["coral"],
    &["crimson"],
    &["warm", "white"],
    &["cool", "white"],
    &["cold", "white"],
    &["daylight"],
    &["light", "blue"],
    &["dark", "blue"],
    &["light", "green"],
    &["dark", "green"],
    &["sky", "blue"],
    &["hot", "pink"],
    &["deep", "pink"],
];

/// Whether one of `words` is in one of `lists`.
pub(super) fn any(words: &[&str], lists: &[&[&str]]) -> bool {
    words
        .iter()
        .any(|word| lists.iter().any(|list| list.contains(word)))
}

/// Whether `words` have a thing of a home among them.
pub(super) fn device(words: &[&str]) -> bool {
    any(words, &[LIGHTS, COVERS, PLAYERS, CLIMATE, OTHERS])
}
