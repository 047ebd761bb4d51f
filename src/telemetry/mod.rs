//! Log and (later) metrics: set up once in `main`.
