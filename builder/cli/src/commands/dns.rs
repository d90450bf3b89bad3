//! `mailkiln dns`: the records to publish.

use std::fmt;
use std::path::Path;

use mailkiln_dns::{DkimKey, Record, TlsaRecord};
use mailkiln_spec::Flaw;
use serde::Serialize;

use super::seed;
use crate::arguments::DnsArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::{SpecFile, read_text};

/// Prints the records as a table, or as a zone file.
pub(super) fn run(arguments: &DnsArguments, printer: &Printer) -> Result<(), Failure> {
    let spec = SpecFile::read_named(arguments.config.path())?.spec;
    let mut keys = Vec::new();
    for path in &arguments.dkim {
        keys.extend(
            DkimKey::parse_file(&read_text(
                path,
                "`--dkim` names a copy of the appliance's /var/lib/mailkiln/dkim/DOMAIN.txt",
            )?)
            .map_err(|flaw| named(path, flaw))?,
        );
    }
    if let Some(directory) = &arguments.seed {
        keys.extend(seed::read(directory, printer)?.dkim_records());
    }
    for key in &keys {
        if !spec.domains.iter().any(|domain| domain.name == key.domain) {
            printer.warning(format_args!(
                "the DKIM key of {} is left out: there is no such [[domain]]",
                key.domain
            ));
        }
    }
    let mut records = mailkiln_dns::records(&spec, &keys);
    if let Some(path) = &arguments.tlsa {
        let tlsa = TlsaRecord::parse_file(&read_text(
            path,
            "`--tlsa` names a copy of the appliance's /var/lib/mailkiln-acme/tlsa.txt",
        )?)
        .map_err(|flaw| named(path, flaw))?;
        if tlsa.host == spec.host.name {
            records.push(tlsa.record());
        } else {
            printer.warning(format_args!(
                "the TLSA record of {} is left out: the host is {}",
                tlsa.host, spec.host.name
            ));
        }
    }
    let publication =
        Publication { records, notes: mailkiln_dns::notes(&spec, &keys), as_zone: arguments.zone };
    printer.result(&publication)
}

/// What is wrong with a file, with its name.
fn named(path: &Path, flaw: Flaw) -> Failure {
    Failure::flaw(Flaw { message: format!("{}: {}", path.display(), flaw.message), ..flaw })
}

/// What is to be done in the DNS.
struct Publication {
    records: Vec<Record>,
    notes: Vec<String>,
    as_zone: bool,
}

impl fmt::Display for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (records, bullet) = if self.as_zone {
            (mailkiln_dns::zone_file(&self.records), "; ")
        } else {
            (mailkiln_dns::table(&self.records), "- ")
        };
        writeln!(f, "{records}")?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{bullet}{note}"))
    }
}

impl Serialize for Publication {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            records: Vec<Entry<'a>>,
            notes: &'a [String],
        }
        #[derive(Serialize)]
        struct Entry<'a> {
            name: &'a str,
            r#type: &'a str,
            value: String,
            purpose: &'a str,
        }
        let records = self.records.iter().map(|record| Entry {
            name: &record.name,
            r#type: record.data.kind(),
            value: record.data.to_string(),
            purpose: record.purpose,
        });
        Document { records: records.collect(), notes: &self.notes }.serialize(serializer)
    }
}
