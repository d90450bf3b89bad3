//! What the cloud or hypervisor of a target has and expects.

use super::super::file::{ProviderTable, SwitchValue};
use super::super::{Provider, SecureBoot};
use crate::document::Located;
use crate::domain_name::DomainName;
use crate::file::Text;
use crate::problem::{Flaw, Problems, Reported, shown};
use crate::rules::each;

pub(super) fn judge(
    table: Option<Located<ProviderTable>>,
    problems: &mut Problems,
) -> Result<Provider, Reported> {
    let Some(Located { value: table, .. }) = table else { return Ok(Provider::default()) };
    let secure_boot = secure_boot(table.secure_boot, table.secure_boot_switch, problems);
    let server = |text: Text| problems.check(&text.span, server(&text.value));
    let time_servers = each(table.time_servers, server);
    Ok(Provider { secure_boot: secure_boot?, time_servers: time_servers? })
}

fn secure_boot(
    value: Option<Located<SwitchValue>>,
    switch: Option<Text>,
    problems: &mut Problems,
) -> Result<Option<SecureBoot>, Reported> {
    let wrong = |label, cure| Flaw::new("Secure Boot and its switch disagree", label, cure);
    match (value, switch) {
        (None, None) => Ok(None),
        (Some(Located { value: SwitchValue::Off, .. }), None) => Ok(Some(SecureBoot::Off)),
        (Some(Located { value: SwitchValue::On, .. }), Some(switch)) => {
            Ok(Some(SecureBoot::On { switch: switch.value }))
        }
        (Some(Located { value: SwitchValue::On, span }), None) => {
            let cure = "write what turns it off as `secure_boot_switch`";
            Err(problems.add(wrong("an image does not start there", cure).at(&span)))
        }
        (_, Some(switch)) => {
            let cure = "take it out, or write `secure_boot = \"on\"`";
            Err(problems.add(wrong("nothing has to be turned off", cure).at(&switch.span)))
        }
    }
}

/// A name or an address.
fn server(text: &str) -> Result<String, Flaw> {
    if text.parse::<std::net::IpAddr>().is_ok() || text.parse::<DomainName>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(
        format!("`{}` is not a server", shown(text)),
        "neither an address nor a name",
        "write it like `169.254.169.123` or `time.example.net`",
    ))
}
