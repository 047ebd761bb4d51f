//! The commands of `caal`: arguments, what they print, exit codes. One file per command.

pub mod bench;
