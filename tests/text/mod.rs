//! The text side of speech: what is said for what is written, how a stream is cut, that no input
//! breaks either.

mod heard;
mod hostile;
mod said;
mod stream;

/// What is wrong with a spoken text, if anything: a character outside the alphabet, two pauses in
/// a row, a space out of place.
fn fault_in(spoken: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = spoken;
    // Dictionary markers hold phonemes: only their word is checked.
    while let Some(open) = rest.find('[') {
        let close = rest[open..].find("](/")? + open;
        let end = rest[close..].find("/)")? + close;
        plain.push_str(&rest[..open]);
        plain.push_str(&rest[open + 1..close]);
        rest = &rest[end + 2..];
    }
    plain.push_str(rest);
    let known = |c: char| c.is_ascii_alphabetic() || " '-.,;:?!—".contains(c);
    if let Some(c) = plain.chars().find(|&c| !known(c)) {
        return Some(format!("{c:?} is outside the alphabet"));
    }
    if plain.contains("  ") || plain.trim() != plain || plain.contains(" ,") || plain.contains(" .")
    {
        return Some("a space is out of place".into());
    }
    let pause = |c: char| ".,;:?!—".contains(c);
    let mut last = None;
    for c in plain.chars().filter(|&c| c != ' ') {
        if pause(c) && last.is_none_or(pause) {
            return Some(format!("the pause {c:?} follows no word"));
        }
        last = Some(c);
    }
    None
}
