//! The HTTP API; thin.
