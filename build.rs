//! Puts the page that Vite built (`web/dist`) into the binary: writes the table of its files that
//! `src/http/page.rs` includes. Without a built page the table is empty and the build goes on; the
//! binary then says so to who opens it.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let dist = root.join("web/dist");
    // A path that is not there counts as changed at every build; so the page's sources stand in.
    let watched = if dist.exists() { "web/dist" } else { "web" };
    println!("cargo::rerun-if-changed={watched}");
    println!("cargo::rerun-if-changed=build.rs");

    let mut files = Vec::new();
    if dist.exists() {
        collect(&dist, &mut files)?;
        files.sort();
    }
    let mut table = String::from("&[\n");
    for file in files.iter().filter(|f| !is_compressed(f)) {
        let address = address(&dist, file);
        let gzip = with_gz(file);
        let gzip = match files.contains(&gzip) {
            true => format!("Some(include_bytes!({gzip:?}))"),
            false => "None".to_owned(),
        };
        let kind = kind(file)?;
        writeln!(
            table,
            "    File {{ address: {address:?}, kind: {kind:?}, plain: include_bytes!({file:?}), gzip: {gzip} }},"
        )
        .expect("writing to a String cannot fail");
    }
    table.push(']');
    let out = env::var_os("OUT_DIR").expect("cargo sets it for build scripts");
    fs::write(Path::new(&out).join("page.rs"), table)
}

/// Every file below `folder`, dot files left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if path.is_dir() {
            collect(&path, files)?;
        } else if !hidden {
            files.push(path);
        }
    }
    Ok(())
}

/// The path that a browser asks for: `/assets/name`, or `/` for the page itself.
fn address(dist: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(dist).expect("it was found there");
    match inside.to_string_lossy().replace('\\', "/").as_str() {
        "index.html" => "/".to_owned(),
        other => format!("/{other}"),
    }
}

fn is_compressed(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "gz")
}

fn with_gz(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

fn kind(file: &Path) -> io::Result<&'static str> {
    match file.extension().and_then(|e| e.to_str()) {
        Some("html") => Ok("text/html; charset=utf-8"),
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("svg") => Ok("image/svg+xml"),
        Some("png") => Ok("image/png"),
        Some("woff2") => Ok("font/woff2"),
        Some("txt") => Ok("text/plain; charset=utf-8"),
        _ => Err(io::Error::other(format!(
            "{} has a kind that build.rs does not know; add it to `kind`",
            file.display()
        ))),
    }
}
