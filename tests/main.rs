//! The one integration binary: its module list is the table of contents.
#![allow(missing_docs, reason = "tests are named as sentences")]

mod support;
