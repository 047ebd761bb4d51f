//! What the user may change, resolved once at start. The only place that reads the environment.
