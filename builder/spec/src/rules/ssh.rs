//! `[ssh]`.

use super::{each, needed, port};
use crate::document::Located;
use crate::file::SshTable;
use crate::model::Ssh;
use crate::problem::{Flaw, Problems, Reported};
use crate::ssh_key;

/// Ports that the appliance's other programs listen on.
const TAKEN: [u16; 15] =
    [25, 80, 110, 143, 443, 465, 587, 993, 995, 1465, 1993, 4190, 8080, 10025, 10026];

pub(super) fn judge(
    table: Option<Located<SshTable>>,
    others_bring_keys: bool,
    problems: &mut Problems,
) -> Result<Option<Ssh>, Reported> {
    let Some(Located { value: table, span }) = table else { return Ok(None) };
    let port = match &table.port {
        None => Ok(22),
        Some(number) => port(number, problems).and_then(|port| {
            if !TAKEN.contains(&port) {
                return Ok(port);
            }
            let flaw = Flaw::new(
                format!("SSH can't listen on port {port}"),
                "mail, web or their API is there",
                "leave it at 22, or choose one such as 2222",
            );
            Err(problems.add(flaw.at(&number.span)))
        }),
    };
    let list = needed(table.keys.as_ref(), &span, "ssh.keys", problems)?;
    // Of an image that is nobody's, the cloud knows who may log in.
    if list.value.is_empty() && !others_bring_keys {
        let flaw = Flaw::new(
            "`ssh.keys` is empty",
            "no one could log in",
            "add a public key, or take the table [ssh] out: then no SSH server runs",
        );
        return Err(problems.add(flaw.at(&list.span)));
    }
    let mut seen: Vec<String> = Vec::new();
    let keys = each(Some(list.value.clone()), |line| {
        let key = problems.check(&line.span, ssh_key::parse(&line.value))?;
        // The comment does not make it another key.
        let identity: String = key.splitn(3, ' ').take(2).collect();
        if seen.contains(&identity) {
            let flaw =
                Flaw::new("this SSH key is there twice", "for the second time", "take it out");
            return Err(problems.add(flaw.at(&line.span)));
        }
        seen.push(identity);
        Ok(key)
    });
    Ok(Some(Ssh { port: port?, keys: keys? }))
}
