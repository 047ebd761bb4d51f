//! The one cryptographic library of the process: aws-lc-rs, for TLS and for WebRTC. Two of them would
//! double the code that must be kept safe.

use std::sync::Once;

/// Makes rustls use it. Call it before anything that may speak TLS is built; again does nothing.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that another one is there already: nobody else installs one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}
