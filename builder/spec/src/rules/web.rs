//! `[web]`.

use std::ops::Range;

use super::table_or_empty;
use crate::document::Located;
use crate::file::{AcmeChallengeValue, AcmeTable, WebTable};
use crate::model::Web;
use crate::problem::{Flaw, Problems, Reported};

/// What the table says, if the web unit is wanted; `proof` is where a proof is asked for that needs its port.
pub(super) fn judge(
    table: Option<Located<WebTable>>,
    proof: Option<Range<usize>>,
    problems: &mut Problems,
) -> Result<Option<Web>, Reported> {
    let (table, _) = table_or_empty(table);
    let web = Web {
        hsts: table.hsts.is_none_or(|it| it.value),
        behind_proxy: table.behind_proxy.is_some_and(|it| it.value),
    };
    if let Some(enable) = problems.of_taken_out("web.enable") {
        return Err(enable);
    }
    if !is_wanted(table.enable.as_ref()) {
        return Ok(None);
    }
    match proof {
        Some(span) => Err(problems.add(both_want_the_port().at(&span))),
        None => Ok(Some(web)),
    }
}

/// Whether there is a web unit.
pub(super) fn is_wanted(enable: Option<&Located<bool>>) -> bool {
    enable.is_none_or(|it| it.value)
}

/// Where `[acme]` asks for proofs on port 443, if it does.
pub(super) fn proof_on_its_port(acme: Option<&Located<AcmeTable>>) -> Option<Range<usize>> {
    let acme = acme.map(|acme| &acme.value).filter(|acme| is_wanted(acme.enable.as_ref()))?;
    let challenge = acme.challenge.as_ref()?;
    (challenge.value == AcmeChallengeValue::TlsAlpn01).then(|| challenge.span.clone())
}

fn both_want_the_port() -> Flaw {
    Flaw::new(
        "`tls-alpn-01` beside the web unit",
        "both need port 443",
        "take `http-01`, which the web unit answers, or write `enable = false` below [web]",
    )
}
