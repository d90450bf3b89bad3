//! `bans`: the clients that the mail server lets nobody in from.
//!
//! In: the running mail server. Out: a line for each on standard output, or one fewer.

use std::net::IpAddr;

use super::{CommandError, print};
use crate::api::{Api, Ban};
use crate::appliance::Appliance;
use crate::layout::Layout;
use crate::secrets::{SecretName, Secrets};

/// Prints the bans.
///
/// # Errors
/// [`CommandError`] when the server does not answer.
pub(super) fn list(layout: &Layout) -> Result<(), CommandError> {
    print(&table(&api(layout)?.bans()?))
}

/// Lets a client in again; of a network, any address will do.
///
/// # Errors
/// [`CommandError::NoIpAddress`], [`CommandError::NotBanned`], or when the server does not answer.
pub(super) fn lift(layout: &Layout, address: &str) -> Result<(), CommandError> {
    // As `list` prints it.
    let text = address.strip_suffix("/64").unwrap_or(address);
    let client: IpAddr = text.parse().map_err(|_| CommandError::NoIpAddress(address.to_owned()))?;
    if api(layout)?.lift_ban(client)? { Ok(()) } else { Err(CommandError::NotBanned(client)) }
}

fn api(layout: &Layout) -> Result<Api, CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let password = Secrets::new(layout.secrets()).require(&SecretName::admin_password())?;
    Ok(Api::new(&appliance.api, &password))
}

fn table(bans: &[Ban]) -> String {
    if bans.is_empty() {
        return "no client is banned\n".to_owned();
    }
    let width = bans.iter().map(|ban| ban.client.len()).max().unwrap_or_default();
    bans.iter()
        .map(|ban| {
            let minutes = ban.remaining.div_ceil(60);
            let Ban { client, reason, .. } = ban;
            format!("{client:width$}  {minutes} min left  {reason}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each() {
        let ban = |client: &str, remaining| Ban {
            client: client.to_owned(),
            reason: "too many unknown recipients".to_owned(),
            remaining,
        };
        assert_eq!(table(&[]), "no client is banned\n");
        assert_eq!(
            table(&[ban("192.0.2.1", 3600), ban("2001:db8::/64", 61)]),
            "192.0.2.1      60 min left  too many unknown recipients\n\
             2001:db8::/64  2 min left  too many unknown recipients\n"
        );
    }
}
