//! What a pull tells whoever watches it: which file, from where, how far.

use std::time::Duration;

use super::Attempt;

/// Sees a pull happen. Called from the pull itself: it must not block.
pub trait Watch: Send + Sync {
    /// Something happened.
    fn on(&self, event: Event<'_>);
}

/// Watches nothing.
impl Watch for () {
    fn on(&self, _: Event<'_>) {}
}

/// A step of a pull.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Another pull uses the store; this one goes on when that one is done.
    Waiting,
    /// Everything of this model is there already.
    Already {
        /// The model.
        model: &'a str,
    },
    /// Files of this model are fetched now.
    Model {
        /// The model.
        model: &'a str,
        /// Its licence's name, where known.
        licence: Option<&'a str>,
        /// What the licence asks, where that is worth a line.
        note: Option<&'a str>,
    },
    /// A file or package begins, or goes on.
    Item {
        /// File or package.
        name: &'a str,
        /// Its size where known.
        bytes: Option<u64>,
        /// What is there from before.
        have: u64,
        /// Where it comes from.
        source: &'a str,
    },
    /// So many bytes of the item are there now.
    Bytes(u64),
    /// The item is there and right.
    ItemDone,
    /// The item is not to be had from here; the next source is tried.
    ItemFailed,
    /// A try failed and is repeated after a while.
    Retry {
        /// Why it failed.
        reason: &'a str,
        /// Until the next try.
        wait: Duration,
    },
    /// A source did not work; the next is tried.
    SourceFailed(&'a Attempt),
    /// The model is complete.
    Done {
        /// The model.
        model: &'a str,
    },
}
