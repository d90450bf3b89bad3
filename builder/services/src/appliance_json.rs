//! `/etc/mailkiln/appliance.json`: what `mail.toml` says, for the agent. It holds no secret.
//! The fields are a contract: `docs/internals/contracts.md`.

use mailkiln_spec::{OnFailure, Spec};
use serde_json::{Value, json};

use crate::{TargetFacts, acme, agent, clamav, web};

/// The file's text: keys sorted, one indented line each, a newline at the end.
pub(crate) fn text(spec: &Spec, target: &TargetFacts) -> String {
    let domains: Vec<Value> = spec
        .domains
        .iter()
        .map(|domain| {
            let catch_all = domain.catch_all.as_ref().map(ToString::to_string);
            json!({"name": domain.name.as_str(), "catch_all": catch_all})
        })
        .collect();
    let accounts: Vec<Value> = spec
        .accounts
        .iter()
        .map(|account| {
            let aliases: Vec<String> = account.aliases.iter().map(ToString::to_string).collect();
            json!({
                "address": account.address.to_string(),
                "name": account.name,
                "aliases": aliases,
                "quota": account.quota,
            })
        })
        .collect();
    let meanwhile =
        spec.filter.as_ref().filter(|_| clamav::is_here(spec)).map(|filter| {
            match filter.on_failure {
                OnFailure::Defer => "defer",
                OnFailure::Pass => "pass",
            }
        });
    let certificate = target.host.certificate.as_ref().map(|certificate| &certificate.chain);
    let mut appliance = json!({
        "host": spec.host.name.as_str(),
        "domains": domains,
        "accounts": accounts,
        "api": format!("http://127.0.0.1:{}", target.host.api_port),
        "consoles": target.consoles,
        "recorded_consoles": target.recorded_consoles,
        "page": agent::page_address(spec, target),
        "postmaster": spec.mail.postmaster.to_string(),
        "removed": {
            "mail": if spec.mail.removed.defers { "defer" } else { "refuse" },
            "grace_days": spec.mail.removed.days,
        },
        "relay_user": spec.relay.as_ref().and_then(|relay| relay.user.as_deref()),
        "clamav": meanwhile,
        "ssh": spec.ssh.is_some(),
        "web": spec.web.map(|_| json!({"oauth_client": web::OAUTH_CLIENT, "redirect": web::redirect(spec)})),
    });
    // On an image there is no such thing.
    if let (Some(path), Some(fields)) = (certificate, appliance.as_object_mut()) {
        fields.insert("certificate".to_owned(), json!(path));
    }
    let further = acme::further(spec, &target.host);
    let names: Vec<&str> = further.iter().map(|it| it.name.as_str()).collect();
    if let Some(fields) = appliance.as_object_mut().filter(|_| !names.is_empty()) {
        fields.insert("certificates".to_owned(), json!(names));
    }
    format!("{appliance:#}\n")
}
