// SPDX-License-Identifier: AGPL-3.0-only

//! Certificates, read again while serving. In: the running server. Out: the same server
//! with the certificates that the files hold now; sessions keep theirs.

use stalwart_lib::common::Server;

/// Reads every `certificate.*` of the configuration again and logs how it went. One that
/// cannot be read or does not parse leaves the old one in use: mail must not stop
/// because a renewal failed.
pub(crate) async fn reload(server: &Server) {
    match server.reload_certificates().await {
        Ok(result) => {
            let mut errors: Vec<_> = result
                .config
                .errors
                .iter()
                .filter(|(key, _)| key.starts_with("certificate."))
                .map(|(key, error)| format!("{key}: {error:?}"))
                .collect();
            errors.sort();
            for error in &errors {
                eprintln!("mailkiln-mail-server: the old certificate stays: {error}");
            }
            if errors.is_empty() {
                eprintln!("mailkiln-mail-server: certificates read again");
            }
        }
        Err(error) => eprintln!("mailkiln-mail-server: the old certificates stay: {error}"),
    }
}
