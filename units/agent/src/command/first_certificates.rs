//! Certificates for the time until an authority has given one: what `prepare` makes.
//!
//! In: the names, and what lies in `/var/lib/mailkiln-acme/live`. Out: the host's self-signed certificate, and
//! links to it in the place of those of further domains.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};

use mailkiln_store::certificate_folder::Pair;
use time::OffsetDateTime;

use super::CommandError;
use super::prepare::read_text;
use crate::appliance::Appliance;
use crate::certificate::{self, SelfSigned, Verdict};
use crate::journal;
use crate::layout::Layout;

/// Makes what is missing.
pub(super) fn ensure(layout: &Layout, appliance: &Appliance) -> Result<(), CommandError> {
    self_signed_certificate(layout, appliance)?;
    stand_ins(layout, appliance)
}

fn self_signed_certificate(layout: &Layout, appliance: &Appliance) -> Result<(), CommandError> {
    if appliance.certificate.is_some() {
        let path = layout.chain(appliance);
        // Not a line of ours is written beside it; but the mail server would say less about it.
        return fs::File::open(&path)
            .map(drop)
            .map_err(|error| CommandError::BroughtCertificate(path, error));
    }
    let files = layout.certificate(&appliance.host);
    let names = appliance.certificate_names();
    let now = OffsetDateTime::now_utc();
    let (chain, key) = (read_text(&files.chain)?, read_text(&files.key)?);
    // Everything below /var/lib/mailkiln-acme/live belongs to its group, who may read certificates.
    let group = fs::metadata(files.shared_directory()).ok().map(|directory| directory.gid());
    let verdict = certificate::judge(chain.as_deref(), key.as_deref(), &names, now);
    let (pair, reason) = match (verdict, chain, key) {
        (Verdict::Foreign, ..) => return Ok(()),
        (Verdict::Keep, ..) if files.is_whole() => return Ok(()),
        // An earlier appliance wrote two files. Who has accepted this certificate need not again.
        (Verdict::Keep, Some(chain), Some(key)) => (Pair { chain, key }, "files were missing"),
        (Verdict::Keep, ..) => return Ok(()),
        (Verdict::Replace(reason), ..) => (SelfSigned::generate(&names, now)?, reason),
    };
    files.install(&pair, group)?;
    journal::note(&format!("wrote the self-signed certificate of {}: {reason}", appliance.host));
    Ok(())
}

/// Until a domain has a certificate of its own, the host's is in its place: the programs that serve it find
/// one from the beginning, and one of an earlier version still has the domain's names.
fn stand_ins(layout: &Layout, appliance: &Appliance) -> Result<(), CommandError> {
    for name in &appliance.certificates {
        let link = layout.certificate(name).directory;
        // A link that leads nowhere is there too, and is somebody's.
        if fs::symlink_metadata(&link).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            symlink(appliance.host.as_str(), &link)
                .map_err(|error| CommandError::StandIn(link, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_hosts_certificate_stands_in_for_one_that_has_never_been_there() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let own = crate::appliance::tests::EXAMPLE.replacen(
            '{',
            r#"{"certificates": ["example.net", "example.com"],"#,
            1,
        );
        let appliance: Appliance = serde_json::from_str(&own).unwrap();
        let live = root.path().join("var/lib/mailkiln-acme/live");
        fs::create_dir_all(&live).unwrap();
        let obtained = live.join("example.com");
        fs::create_dir(&obtained).unwrap();
        fs::write(obtained.join("fullchain.pem"), "of an authority").unwrap();
        for _ in 0..2 {
            ensure(&layout, &appliance).unwrap();
            let read = |name: &str| fs::read_to_string(live.join(name).join("fullchain.pem"));
            assert_eq!(read("example.net").unwrap(), read("mail.example.org").unwrap());
            assert_eq!(
                fs::read_link(live.join("example.net")).unwrap(),
                Path::new("mail.example.org")
            );
            assert_eq!(read("example.com").unwrap(), "of an authority");
        }
    }
}
