//! `caal`: see `caal --help`.

fn main() {}
