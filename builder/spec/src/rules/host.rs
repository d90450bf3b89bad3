//! `[host]`.

use super::{needed, parsed};
use crate::document::Located;
use crate::domain_name::DomainName;
use crate::file::HostTable;
use crate::model::Host;
use crate::problem::{Flaw, Problems, Reported};
use crate::timezone;

/// Longest host name the kernel keeps, in bytes (`HOST_NAME_MAX`, hostname(7)).
const LONGEST_HOST_NAME: usize = 64;

pub(super) fn judge(
    table: Option<Located<HostTable>>,
    problems: &mut Problems,
) -> Result<Host, Reported> {
    let Some(Located { value: table, span }) = table else {
        return Err(problems.absent(&(0..0), "host"));
    };
    let timezone = match &table.timezone {
        Some(zone) => problems.check(&zone.span, timezone::parse(&zone.value)),
        None => Ok("UTC".to_owned()),
    };
    let text = needed(table.name.as_ref(), &span, "host.name", problems)?;
    let name: DomainName = parsed(text, problems)?;
    if name.as_str().len() > LONGEST_HOST_NAME {
        return Err(problems.add(
            Flaw::new(
                format!("`{name}` is too long for a host name"),
                format!("{} characters, Linux keeps {LONGEST_HOST_NAME}", name.as_str().len()),
                "choose a shorter name, such as `mail.` before the domain",
            )
            .at(&text.span),
        ));
    }
    Ok(Host { name, timezone: timezone? })
}
