//! Names that language models may call. Pure.

/// Longest name of a tool that every model's server takes.
const LONGEST: usize = 64;

/// `name` with letters, digits, `_` and `-` only, at most 64 of them.
pub(in crate::tools) fn legal(name: &str) -> String {
    let legal = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '_' || c == '-' => c,
        _ => '_',
    };
    name.chars().map(legal).take(LONGEST).collect()
}

/// What the tool `tool` of the server `server` is called. A long one keeps its end apart from others that
/// begin alike.
pub(super) fn of(server: &str, tool: &str) -> String {
    let whole = legal_long(&format!("{server}__{tool}"));
    if whole.len() <= LONGEST {
        return whole;
    }
    // FNV-1a: the same in every run, so that a model's prompt stays the same.
    let hash = format!("{server}\n{tool}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("{}_{:08x}", &whole[..LONGEST - 9], hash as u32)
}

fn legal_long(name: &str) -> String {
    let chars: Vec<String> = name.chars().map(|c| legal(&c.to_string())).collect();
    chars.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal_and_long_ones_stay_apart() {
        assert_eq!(of("my server", "do.it/now"), "my_server__do_it_now");
        let (one, other) = (
            of("s", &"x".repeat(80)),
            of("s", &format!("{}y", "x".repeat(80))),
        );
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
        assert_eq!(legal("Ü b-c_d"), "__b-c_d");
    }
}
