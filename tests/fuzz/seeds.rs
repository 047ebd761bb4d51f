//! Writes the seeds of a target as files, for libFuzzer to begin with: `seeds TARGET FOLDER`.

mod corpus;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = &arguments[..] else {
        panic!("seeds TARGET FOLDER");
    };
    for (i, seed) in corpus::seeds(target).iter().enumerate() {
        let file = std::path::Path::new(folder).join(format!("seed-{i}"));
        std::fs::write(&file, seed).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
}
