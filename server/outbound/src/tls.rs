//! Trusted CAs: this machine's, or those in a given file or directory.

use std::{path::Path, sync::Arc};

use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Loads the CAs, once for all requests: the machine's if neither file nor directory is given. What cannot be
/// read is not trusted.
pub(crate) fn config(file: Option<&Path>, folder: Option<&Path>) -> Result<ClientConfig, tokio_rustls::rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = match (file, folder) {
        (None, None) => rustls_native_certs::load_native_certs(),
        _ => rustls_native_certs::load_certs_from_paths(file, folder),
    };
    roots.add_parsable_certificates(found.certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}
