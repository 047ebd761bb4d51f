//! What written words stand for: abbreviations, acronyms, months, contexts. Tables and small
//! questions about one word; the reader decides by the words around it.

/// Abbreviations that need their full stop, or are no words without it: written, spoken.
/// Those that depend on what follows ("St.", "Dr.", "No.") are the reader's.
#[rustfmt::skip]
pub(crate) fn dotted(lower: &str) -> Option<&'static str> {
    Some(match lower {
        "mr" => "Mister", "mrs" => "Missus", "ms" => "Miss", "prof" => "Professor",
        "ave" => "Avenue", "blvd" => "Boulevard", "rd" => "Road", "ln" => "Lane", "hwy" => "Highway",
        "apt" => "Apartment", "ste" => "Suite", "bldg" => "Building", "fwy" => "Freeway",
        "vs" => "versus", "etc" => "etc", "approx" => "approximately",
        "inc" => "Incorporated", "ltd" => "Limited", "corp" => "Corporation", "co" => "Company",
        "bros" => "Brothers", "dept" => "Department", "univ" => "University", "assn" => "Association",
        "jr" => "Junior", "sr" => "Senior", "gen" => "General", "sen" => "Senator", "rep" => "Representative",
        "gov" => "Governor", "lt" => "Lieutenant", "col" => "Colonel", "capt" => "Captain",
        "sgt" => "Sergeant", "cpl" => "Corporal", "rev" => "Reverend", "hon" => "Honorable", "pres" => "President",
        "mt" => "Mount", "fig" => "figure", "figs" => "figures", "vol" => "volume", "vols" => "volumes",
        "est" => "established", "max" => "maximum", "min" => "minimum", "avg" => "average", "temp" => "temperature",
        "esp" => "especially", "incl" => "including", "excl" => "excluding", "ext" => "extension",
        "tel" => "telephone", "ed" => "edition", "eds" => "editors", "cf" => "compare", "ca" => "circa",
        "misc" => "miscellaneous", "ref" => "reference", "resp" => "respectively", "acct" => "account",
        "tsp" => "teaspoon", "tbsp" => "tablespoon", "lb" => "pound", "lbs" => "pounds", "oz" => "ounces",
        "ft" => "feet", "hr" => "hour", "hrs" => "hours", "mins" => "minutes", "sec" => "second", "secs" => "seconds",
        "yr" => "year", "yrs" => "years", "wk" => "week", "qty" => "quantity", "pkg" => "package",
        _ => return None,
    })
}

/// Short forms without a full stop.
#[rustfmt::skip]
pub(crate) fn short(word: &str) -> Option<&'static str> {
    Some(match word {
        "vs" => "versus", "btw" => "by the way", "tbh" => "to be honest",
        "Mr" => "Mister", "Mrs" => "Missus", "Ms" => "Miss", "Dr" => "Doctor", "Prof" => "Professor",
        "Blvd" => "Boulevard", "Ave" => "Avenue", "Jr" => "Junior", "Sr" => "Senior", "Inc" => "Incorporated",
        "Ltd" => "Limited", "approx" => "approximately", "mins" => "minutes", "hrs" => "hours", "secs" => "seconds",
        "tsp" => "teaspoon", "tbsp" => "tablespoon", "lbs" => "pounds", "oz" => "ounces", "mph" => "miles per hour",
        "kph" => "kilometers per hour", "kWh" => "kilowatt hours", "kg" => "kilograms", "km" => "kilometers",
        "cm" => "centimeters", "mm" => "millimeters", "ml" => "milliliters", "GHz" => "gigahertz", "MHz" => "megahertz",
        "kHz" => "kilohertz", "Hz" => "hertz", "dB" => "decibels", "hPa" => "hectopascals", "mAh" => "milliamp hours",
        "PhD" => "P H D", "PhDs" => "P H D's", "OK" | "Ok" | "ok" => "okay", "WiFi" | "Wifi" | "wifi" | "WIFI" => "Wi-Fi",
        "TV" => "T V", "IoT" => "I O T", "iOS" => "I O S", "macOS" => "Mac O S", "LaTeX" => "Latek",
        "hmm" | "Hmm" | "hm" | "Hm" | "Hmmm" | "hmmm" => "hum",
        "shh" | "Shh" | "shhh" => "hush", "brr" | "Brr" => "burr", "pfft" | "Pfft" => "puff", "psst" | "Psst" => "pest",
        "tsk" | "Tsk" => "tisk", "nth" => "nth",
        "SaaS" => "sass", "DevOps" => "Dev Ops", "eBay" => "eBay", "QoS" => "Q O S", "VoIP" => "Voip",
        "localhost" => "local host", "readme" | "README" => "read me", "config" => "config",
        "Ctrl" | "ctrl" => "control", "Cmd" | "cmd" => "command", "Opt" => "option", "Esc" => "escape", "PgUp" => "page up",
        "PgDn" => "page down", "Del" => "delete",
        _ => return None,
    })
}

/// Acronyms that are said as words, and how.
#[rustfmt::skip]
pub(crate) fn pronounced(caps: &str) -> Option<&'static str> {
    Some(match caps {
        "NASA" => "NASA", "NATO" => "NATO", "OPEC" => "OPEC", "FIFA" => "FIFA", "AIDS" => "AIDS", "COVID" => "Covid",
        "UNESCO" => "Unesco", "UNICEF" => "Unicef", "ASCII" => "Ascii", "DARPA" => "Darpa", "NVIDIA" => "Nvidia",
        "PIN" => "pin", "RAM" => "ram", "ROM" => "rom", "SIM" => "sim", "ZIP" => "zip", "GIF" => "gif", "JPEG" | "JPG" => "jpeg",
        "RAID" => "raid", "BIOS" => "bios", "SWAT" => "swat", "LASER" => "laser", "RADAR" => "radar", "SCUBA" => "scuba",
        "LIDAR" => "lidar", "SONAR" => "sonar", "MIDI" => "midi", "GNU" => "gnu", "CERN" => "Cern", "YOLO" => "yolo",
        "FOMO" => "fomo", "LEGO" => "Lego", "CAPTCHA" => "captcha", "JSON" => "jason", "REST" => "rest", "CRUD" => "crud",
        "SOAP" => "soap", "AJAX" => "ajax", "LAN" => "lan", "LED" => "L E D", "LEDS" => "L E D's", "WAN" => "wan", "ASAP" => "A S A P",
        "IKEA" => "Ikea", "YAML" => "yammel", "TOML" => "tom L", "CUDA" => "cooda", "UEFA" => "you eefa", "FEMA" => "Feema",
        "BASIC" => "basic", "COBOL" => "cobol", "OLED" => "O led", "MIDAS" => "midas", "SQL" => "S Q L", "OK" => "okay", "NET" => "net",
        _ => return None,
    })
}

/// Words written in capitals for emphasis, short enough to be taken for an acronym.
#[rustfmt::skip]
const EMPHASISED: &[&str] = &[
    "ABLE", "ABOUT", "ADD", "AFTER", "AGAIN", "ALL", "ALSO", "ALWAYS", "AND", "ANY", "ARE", "ASK", "BACK", "BAD",
    "BE", "BEEN", "BEFORE", "BEST", "BIG", "BOTH", "BUT", "BUY", "BY", "CALL", "CAN", "CARE", "COLD", "COME", "COOL", "DATE",
    "DAY", "DID", "DO", "DOES", "DON", "DONE", "DOWN", "EACH", "EAT", "END", "EVEN", "EVER", "EVERY", "FAIL", "FALSE", "FAR",
    "FAST", "FEW", "FINE", "FIRE", "FIRST", "FIX", "FOR", "FREE", "FROM", "FULL", "FUN", "GET", "GIVE", "GO", "GOOD", "GOT",
    "GREAT", "HAD", "HAS", "HATE", "HAVE", "HE", "HELLO", "HELP", "HER", "HERE", "HEY", "HI", "HIGH", "HIM", "HIS", "HOT",
    "HOW", "HUGE", "IF", "INTO", "IS", "ITS", "JUST", "KEEP", "KEY", "KNOW", "LAST", "LATE", "LESS", "LET", "LIKE", "LIST",
    "LIVE", "LONG", "LOOK", "LOT", "LOVE", "LOW", "MADE", "MAIN", "MAKE", "MANY", "MAY", "ME", "MORE", "MOST", "MUCH", "MUST",
    "MY", "NEED", "NEVER", "NEW", "NEXT", "NICE", "NO", "NONE", "NOT", "NOTE", "NOW", "NULL", "OF", "OFF", "OH", "OLD", "ON",
    "ONCE", "ONE", "ONLY", "OPEN", "OR", "OTHER", "OUR", "OUT", "OVER", "OWN", "PART", "PASS", "PAST", "PLAY", "PLUS", "PUT",
    "READ", "REAL", "RED", "RUN", "SAFE", "SAID", "SALE", "SAME", "SAVE", "SAY", "SEE", "SEND", "SET", "SHE", "SHOW", "SIDE",
    "SO", "SOME", "SOON", "SORRY", "START", "STAY", "STEP", "STILL", "STOP", "SUCH", "SURE", "TAKE", "TELL", "TEST", "TEXT",
    "THAN", "THAT", "THE", "THEM", "THEN", "THERE", "THESE", "THEY", "THIS", "TIME", "TIP", "TIPS", "TO", "TODAY", "TOO", "TOP",
    "TRUE", "TRY", "TURN", "TWO", "TYPE", "UP", "USE", "USED", "VERY", "WAIT", "WANT", "WAS", "WAY", "WE", "WELL", "WENT",
    "WERE", "WHAT", "WHEN", "WHERE", "WHY", "WILL", "WITH", "WON", "WORD", "WORK", "WOW", "YEAR", "YES", "YET", "YOU", "YOUR",
    "ZERO",
];

/// How a word of capitals reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Caps {
    /// As a word, in this spelling.
    Word(String),
    /// Letter by letter.
    Letters,
}

/// Reads a word of two or more capitals. `shouting`: the words around it are in capitals too.
pub(crate) fn capitals(word: &str, shouting: bool) -> Caps {
    if let Some(said) = pronounced(word) {
        return Caps::Word(said.to_owned());
    }
    let emphasised = EMPHASISED.binary_search(&word).is_ok();
    let long = word.len() >= if shouting { 4 } else { 6 };
    if emphasised || (long && is_pronounceable(&word.to_ascii_lowercase())) {
        return Caps::Word(word.to_ascii_lowercase());
    }
    Caps::Letters
}

/// Small words that are also acronyms: words among other words in capitals ("I LOVE IT").
pub(crate) fn is_function_word(caps: &str) -> bool {
    matches!(
        caps,
        "AM" | "AN" | "AS" | "AT" | "IN" | "IT" | "US" | "WHO" | "CAT" | "ARE"
    )
}

/// Whether a word stands in capitals for emphasis only.
pub(crate) fn is_emphasised(caps: &str) -> bool {
    EMPHASISED.binary_search(&caps).is_ok()
}

/// `API` → "A P I".
pub(crate) fn spell(letters: &str) -> String {
    let letters: Vec<String> = letters
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_uppercase().to_string())
        .collect();
    letters.join(" ")
}

/// Whether an English reader would try to say these lower-case letters as one word.
pub(crate) fn is_pronounceable(lower: &str) -> bool {
    let vowel = |b: u8| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let bytes = lower.as_bytes();
    if bytes.len() < 3 || !bytes.iter().any(|&b| vowel(b)) {
        return false;
    }
    let (mut consonants, mut vowels) = (0, 0);
    for &b in bytes {
        if vowel(b) {
            vowels += 1;
            consonants = 0;
        } else {
            consonants += 1;
            vowels = 0;
        }
        if consonants > 4 || vowels > 4 {
            return false;
        }
    }
    // Beginnings that no English word has.
    let start = bytes.iter().take_while(|&&b| !vowel(b)).count();
    if start < 2 {
        return true;
    }
    if start > 3 {
        return false;
    }
    const STARTS: &[&str] = &[
        "bl", "br", "ch", "cl", "cr", "dr", "dw", "fl", "fr", "gh", "gl", "gn", "gr", "kn", "kr",
        "ph", "pl", "pr", "ps", "qu", "rh", "sc", "sch", "scr", "sh", "shr", "sk", "sl", "sm",
        "sn", "sp", "sph", "spl", "spr", "sq", "st", "str", "sw", "th", "thr", "tr", "ts", "tw",
        "wh", "wr", "kl", "zh", "mc", "vl", "sv", "chr",
    ];
    STARTS.contains(&&lower[..start])
}

/// A month by name or short form, 1 to 12; and whether the form is short.
#[rustfmt::skip]
pub(crate) fn month(word: &str) -> Option<(usize, bool)> {
    Some(match word {
        "January" => (1, false), "February" => (2, false), "March" => (3, false), "April" => (4, false),
        "May" => (5, false), "June" => (6, false), "July" => (7, false), "August" => (8, false),
        "September" => (9, false), "October" => (10, false), "November" => (11, false), "December" => (12, false),
        "Jan" => (1, true), "Feb" => (2, true), "Mar" => (3, true), "Apr" => (4, true), "Jun" => (6, true),
        "Jul" => (7, true), "Aug" => (8, true), "Sep" | "Sept" => (9, true), "Oct" => (10, true),
        "Nov" => (11, true), "Dec" => (12, true),
        _ => return None,
    })
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A weekday's short form.
#[rustfmt::skip]
pub(crate) fn weekday(word: &str) -> Option<&'static str> {
    Some(match word {
        "Mon" => "Monday", "Tue" | "Tues" => "Tuesday", "Wed" | "Weds" => "Wednesday",
        "Thu" | "Thur" | "Thurs" => "Thursday", "Fri" => "Friday", "Sat" => "Saturday", "Sun" => "Sunday",
        _ => return None,
    })
}

/// Words after which four digits are a year.
pub(crate) fn before_a_year(lower: &str) -> bool {
    matches!(
        lower,
        "in" | "since"
            | "by"
            | "from"
            | "until"
            | "till"
            | "year"
            | "of"
            | "before"
            | "after"
            | "during"
            | "around"
            | "circa"
            | "early"
            | "late"
            | "mid"
            | "spring"
            | "summer"
            | "autumn"
            | "fall"
            | "winter"
            | "copyright"
            | "to"
            | "through"
            | "and"
            | "the"
            | "between"
            | "class"
            | "ad"
            | "ce"
    )
}

/// Words after which digits are a name, read one by one.
pub(crate) fn before_a_code(lower: &str) -> bool {
    matches!(
        lower,
        "isbn"
            | "serial"
            | "code"
            | "pin"
            | "id"
            | "account"
            | "card"
            | "phone"
            | "call"
            | "dial"
            | "tracking"
            | "zip"
            | "postcode"
            | "extension"
            | "passcode"
            | "password"
            | "order"
            | "ticket"
            | "reference"
            | "confirmation"
            | "case"
            | "telephone"
            | "fax"
            | "sku"
            | "imei"
    )
}

/// Words after which three or four digits are read in pairs: "Boeing seven forty-seven".
pub(crate) fn before_a_model(word: &str) -> bool {
    matches!(
        word,
        "Boeing"
            | "Airbus"
            | "Room"
            | "room"
            | "Flight"
            | "flight"
            | "Route"
            | "route"
            | "Highway"
            | "highway"
            | "Interstate"
            | "Apartment"
            | "apartment"
            | "Suite"
            | "suite"
            | "Gate"
            | "gate"
            | "Bus"
            | "bus"
            | "Ryzen"
            | "Core"
            | "GeForce"
            | "Radeon"
            | "Peugeot"
            | "Porsche"
            | "Area"
            | "Unit"
            | "Pixel"
            | "Galaxy"
            | "Terminal"
            | "Tram"
            | "Train"
            | "Line"
            | "extension"
            | "Extension"
            | "error"
            | "Error"
    )
}

/// Software whose decimals are versions: "Python three point eleven".
pub(crate) fn before_a_version(lower: &str) -> bool {
    matches!(
        lower,
        "python"
            | "version"
            | "release"
            | "node"
            | "ubuntu"
            | "java"
            | "ios"
            | "android"
            | "go"
            | "rust"
            | "chrome"
            | "firefox"
            | "windows"
            | "macos"
            | "debian"
            | "cuda"
            | "php"
            | "ruby"
            | "kernel"
            | "linux"
            | "kotlin"
            | "swift"
            | "django"
            | "react"
            | "vue"
            | "angular"
            | "tls"
            | "ssl"
            | "http"
            | "usb"
            | "bluetooth"
            | "gpt"
            | "llama"
            | "claude"
            | "qwen"
            | "gemma"
            | "postgres"
            | "postgresql"
            | "mysql"
            | "redis"
            | "fedora"
            | "perl"
            | "numpy"
            | "pytorch"
            | "docker"
            | "kubernetes"
            | "npm"
            | "hdmi"
            | "safari"
            | "typescript"
            | "v"
            | "ver"
            | "build"
    )
}

/// Words after which a Roman numeral is a plain number.
pub(crate) fn before_a_roman(lower: &str) -> bool {
    matches!(
        lower,
        "chapter"
            | "part"
            | "book"
            | "act"
            | "scene"
            | "volume"
            | "section"
            | "article"
            | "phase"
            | "type"
            | "class"
            | "grade"
            | "level"
            | "stage"
            | "appendix"
            | "figure"
            | "table"
            | "war"
            | "title"
            | "bowl"
            | "episode"
            | "fantasy"
            | "rocky"
            | "apollo"
            | "tier"
            | "mark"
            | "season"
            | "unit"
            | "step"
            | "round"
            | "division"
            | "amendment"
            | "canto"
            | "symphony"
            | "movement"
            | "quest"
            | "theft"
            | "quarter"
    )
}

/// Names of kings, queens and popes: a Roman numeral after them is "the eighth".
pub(crate) fn is_regnal(word: &str) -> bool {
    matches!(
        word,
        "Henry"
            | "Louis"
            | "Elizabeth"
            | "George"
            | "Edward"
            | "Richard"
            | "William"
            | "James"
            | "Charles"
            | "Philip"
            | "Napoleon"
            | "Paul"
            | "Benedict"
            | "Pius"
            | "Leo"
            | "Francis"
            | "Catherine"
            | "Peter"
            | "Nicholas"
            | "Alexander"
            | "Frederick"
            | "Wilhelm"
            | "Ramses"
            | "Rameses"
            | "Ferdinand"
            | "Christian"
            | "Gustav"
            | "Otto"
            | "Mary"
            | "Margaret"
            | "Harald"
            | "Olaf"
            | "Haakon"
            | "Carl"
            | "Felipe"
            | "Juan"
            | "Ivan"
            | "Xerxes"
            | "Darius"
            | "Ptolemy"
            | "Cleopatra"
            | "Gregory"
            | "Innocent"
            | "Clement"
            | "Urban"
            | "Julius"
            | "Sixtus"
            | "Thutmose"
            | "Amenhotep"
            | "Mehmed"
            | "Murad"
            | "Selim"
            | "Joseph"
            | "Leopold"
            | "Albert"
            | "Alfonso"
            | "John"
            | "Robert"
            | "Malcolm"
            | "Boniface"
            | "Adrian"
            | "Stephen"
            | "Constantine"
            | "Theodosius"
            | "Victor"
            | "Umberto"
            | "Edmund"
            | "Baldwin"
    )
}

/// A file's ending that people name: `main.rs`, `notes.txt`.
#[rustfmt::skip]
pub(crate) fn is_file_ending(lower: &str) -> bool {
    matches!(lower,
        "txt" | "md" | "py" | "rs" | "js" | "jsx" | "ts" | "tsx" | "json" | "yaml" | "yml" | "toml" | "pdf" | "png"
        | "jpg" | "jpeg" | "gif" | "svg" | "mp3" | "mp4" | "wav" | "ogg" | "flac" | "zip" | "gz" | "tar" | "html"
        | "htm" | "css" | "c" | "h" | "cpp" | "hpp" | "go" | "java" | "kt" | "rb" | "php" | "sh" | "bat" | "exe" | "csv"
        | "tsv" | "doc" | "docx" | "xls" | "xlsx" | "ppt" | "pptx" | "log" | "env" | "lock" | "db" | "ini" | "cfg" | "conf"
        | "xml" | "sql" | "ipynb" | "onnx" | "gguf" | "bin" | "iso" | "dll" | "so" | "bak" | "tmp" | "webp" | "mkv" | "mov")
}

/// The last label of a web address.
#[rustfmt::skip]
pub(crate) fn is_domain_ending(lower: &str) -> bool {
    matches!(lower,
        "com" | "org" | "net" | "edu" | "gov" | "mil" | "io" | "dev" | "ai" | "app" | "co" | "uk" | "de" | "fr" | "es"
        | "it" | "nl" | "eu" | "ch" | "at" | "be" | "ca" | "au" | "nz" | "jp" | "cn" | "in" | "br" | "mx" | "ru" | "se"
        | "no" | "fi" | "dk" | "pl" | "cz" | "us" | "tv" | "me" | "info" | "biz" | "xyz" | "tech" | "blog" | "site" | "local"
        | "cloud" | "online" | "store" | "gg" | "ly" | "fm" | "sh" | "rs" | "page" | "wiki" | "news" | "lan" | "int")
}

/// Names with a capital inside that the voice knows whole.
#[rustfmt::skip]
pub(crate) fn is_known_mixed(word: &str) -> bool {
    matches!(word,
        "YouTube" | "GitHub" | "JavaScript" | "TypeScript" | "iPhone" | "iPhones" | "iPad" | "iPads" | "iPod" | "iMac" | "iCloud" | "iTunes"
        | "LinkedIn" | "PayPal" | "MacBook" | "MacBooks" | "PowerPoint" | "FaceTime" | "AirPods" | "eBay" | "FedEx" | "GitLab"
        | "OpenAI" | "ChatGPT" | "HomeKit" | "HomePod" | "WhatsApp" | "TikTok" | "SpaceX" | "BitTorrent" | "WordPress" | "PlayStation")
        || word.starts_with("Mc")
        || word.starts_with("Mac")
        || ["De", "Di", "La", "Le", "Du", "Van", "Von", "Fitz", "O'", "D'"].iter().any(|p| {
            word.strip_prefix(p).is_some_and(|rest| {
                rest.len() > 2
                    && rest.starts_with(|c: char| c.is_ascii_uppercase())
                    && rest[1..].bytes().all(|b| b.is_ascii_lowercase() || b == b'\'')
            })
        })
}

/// Faces made of signs: shown, not said.
#[rustfmt::skip]
pub(crate) fn is_emoticon(token: &str) -> bool {
    matches!(token,
        ":)" | ":-)" | ":(" | ":-(" | ";)" | ";-)" | ":D" | ":-D" | ":P" | ":-P" | ":p" | ":-p" | ":O" | ":-O" | ":o" | ":-o"
        | ":/" | ":-/" | ":|" | ":-|" | ":'(" | ":')" | "=)" | "=(" | "=D" | "<3" | "</3" | "XD" | "xD" | ":3" | ":*" | ":-*"
        | "^_^" | "^^" | "-_-" | "o_o" | "O_O" | "o_O" | ">_<" | ">:(" | ";P" | ";D" | "8-)" | "B-)" | "T_T" | "._." | "\\o/"
        | ":]" | ":[" | "(:" | "):")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emphasised_words_are_sorted_for_the_search() {
        assert!(EMPHASISED.is_sorted());
    }

    #[test]
    fn capitals_are_words_or_letters() {
        let word = |w: &str| Caps::Word(w.into());
        assert_eq!(capitals("WARNING", false), word("warning"));
        assert_eq!(capitals("STOP", false), word("stop"));
        assert_eq!(capitals("NASA", false), word("NASA"));
        for letters in [
            "API", "USB", "HTTP", "MCP", "GPU", "CPU", "LLM", "RTX", "BBC", "DVD",
        ] {
            assert_eq!(capitals(letters, false), Caps::Letters, "{letters}");
        }
        assert_eq!(capitals("CATS", true), word("cats"));
    }
}
