//! Whom the TLS of one attempt trusts.
//!
//! # Guarantees
//! Where an action names certificate authorities, no others are trusted: what cannot be read fails
//! the attempt, and never falls back to those of the system. The settings are of this attempt
//! alone, so that no session begun under other authorities is resumed.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{configured, failed, headers::unreadable, resolve::Target};
use crate::{
    api::{CaSource, ConfigMapKey, HttpTls, SecretKey},
    controller::secrets::{Account, Kind, SecretReader},
    model::observation::ChildState,
    objects::http::request::HttpRequest,
};

/// The TLS settings of one attempt at `target`: `common`, or those that trust what the action
/// names.
pub(super) async fn settings(
    target: &Target,
    request: &HttpRequest,
    account: Account<'_>,
    reader: &SecretReader,
    common: &ClientConfig,
) -> Result<ClientConfig, ChildState> {
    let Some(HttpTls { ca }) = &request.tls else { return Ok(common.clone()) };
    if target.url.scheme() != "https" {
        return Err(failed(
            true,
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
            return Err(failed(
                true,
                "tls.ca names no single place: set exactly one of secretKeyRef and configMapKeyRef"
                    .into(),
            ));
        }
    };
    let pem = read.map_err(|error| unreadable(&error))?;
    let roots = roots(pem.expose()).map_err(|what| {
        let hint = "store certificates in PEM, each from -----BEGIN CERTIFICATE----- to -----END \
            CERTIFICATE-----";
        failed(
            true,
            format!(
                "key {key:?} of the {kind} {name:?}, whose certificates this request \
            is to trust, {what}: {hint}"
            ),
        )
    })?;
    configured(roots).map_err(|error| failed(true, format!("TLS cannot be set up: {error}")))
}

/// The certificates of a PEM text; what else it holds is passed over. The errors show nothing of
/// it.
fn roots(pem: &[u8]) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is malformed")?;
        roots.add(certificate).map_err(|_| "holds a certificate that cannot be read")?;
    }
    if roots.is_empty() { Err("holds no certificate") } else { Ok(roots) }
}
