//! What is found in files, one line per finding: `FILE CLASS REASON`. For comparing with other tools.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::time::{Duration, Instant};

use mailkiln_inspect::{Limits, Rules, inspect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules::builtin()?;
    for path in std::env::args().skip(1) {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut message = format!("Content-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: binary\r\n\r\n").into_bytes();
        message.extend(std::fs::read(&path)?);
        let report =
            inspect(&message, &Limits::default(), &rules, Instant::now() + Duration::from_secs(60));
        if report.findings.is_empty() {
            println!("{path}\tnone\t");
        }
        for finding in report.findings {
            println!("{path}\t{}\t{}", finding.class, finding.reason);
        }
    }
    Ok(())
}
