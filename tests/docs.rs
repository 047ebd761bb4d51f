//! Documents that are derived from the code and must not drift from it.

use std::{fs, path::Path};

#[test]
fn the_settings_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let table = caal::settings::markdown();
    if page != table {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings.md");
        fs::write(&fresh, &table).expect("the target folder is writable");
        panic!(
            "docs/settings.md is not the table; copy {} over it",
            fresh.display()
        );
    }
}
