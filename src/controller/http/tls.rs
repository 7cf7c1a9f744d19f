//! The certificate authorities that the TLS of one attempt trusts.
//!
//! # Guarantees
//! If an action names certificate authorities, only these are trusted. If they cannot be read, the
//! attempt fails; it never falls back to the authorities of the system. The settings belong to this
//! attempt alone, so that no session is resumed that began under other authorities.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    headers::unreadable,
    outcome::{CallOutcome, failed_permanently},
    resolve::Destination,
};
use crate::{
    api::{CaSource, ConfigMapKey, HttpTls, SecretKey},
    controller::cluster::{
        impersonate::Account,
        secrets::{Kind, SecretReader},
    },
    objects::http::request::HttpRequest,
};

/// Returns the TLS settings of one attempt at `target`: `common`, or settings that trust the
/// authorities that the action names.
pub(super) async fn settings(
    target: &Destination,
    request: &HttpRequest,
    account: Account<'_>,
    reader: &SecretReader,
    common: &ClientConfig,
) -> Result<ClientConfig, CallOutcome> {
    let Some(HttpTls { ca }) = &request.tls else { return Ok(common.clone()) };
    if target.url.scheme() != "https" {
        return Err(failed_permanently(
            "tls is for https:// alone: write https:// in url, or leave tls out".into(),
        ));
    }
    let CaSource { secret_key_ref, config_map_key_ref } = ca;
    let (kind, name, key, read) = match (secret_key_ref, config_map_key_ref) {
        (Some(wanted @ SecretKey { name, key }), None) => {
            (Kind::Secret, name, key, reader.read(account, wanted).await)
        }
        (None, Some(wanted @ ConfigMapKey { name, key })) => {
            (Kind::ConfigMap, name, key, reader.read_config_map(account, wanted).await)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(failed_permanently(
                "tls.ca does not name exactly one source: set exactly one of secretKeyRef and \
                 configMapKeyRef"
                    .into(),
            ));
        }
    };
    let pem = read.map_err(|error| unreadable(&error))?;
    let roots = roots(pem.expose()).map_err(|what| {
        let hint = "store certificates in PEM, each from -----BEGIN CERTIFICATE----- to -----END \
            CERTIFICATE-----";
        failed_permanently(format!(
            "key {key:?} of the {kind} {name:?}, whose certificates this request \
            is to trust, {what}: {hint}"
        ))
    })?;
    configured(roots).map_err(|error| failed_permanently(format!("TLS cannot be set up: {error}")))
}

/// Returns the certificates of a PEM text. Other content is skipped. The errors show nothing of the
/// text.
fn roots(pem: &[u8]) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is malformed")?;
        roots.add(certificate).map_err(|_| "holds a certificate that cannot be read")?;
    }
    if roots.is_empty() { Err("holds no certificate") } else { Ok(roots) }
}

/// Returns the TLS settings of all calls: the cryptography of ring, and the root certificates of
/// the system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Reads files: call the
/// function once, at the start.
///
/// If no root certificate is found, the operator keeps running. Only calls to `https://` fail, with
/// a message that says why.
///
/// # Errors
/// Never with the cipher suites of ring, unless rustls changes its requirements.
pub fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            "no root certificates found: calls to https:// will fail; set SSL_CERT_FILE"
        );
    }
    configured(roots)
}

/// Returns the TLS settings that trust `roots`.
pub(in crate::controller) fn configured(
    roots: RootCertStore,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
