//! The web unit: what `mail.toml` says to it. The file's keys are a contract: `docs/internals/contracts.md`.

use std::fmt::Write as _;

use mailkiln_dns as dns;
use mailkiln_spec::{Spec, Web};
use serde_json::Value;

use crate::{ConfigFile, HostFacts, Service, Socket, acme, filter, mail_server};

const CONFIG: &str = "/etc/mailkiln/web.toml";
const STATE: &str = "/var/lib/mailkiln-web";
const CHALLENGES: &str = "/var/lib/mailkiln-acme/challenges";
/// Where a web server of a NixOS host finds it.
const PROXIED: &str = "/run/mailkiln-web/http";
/// The principal in whose name people are signed in.
pub(crate) const OAUTH_CLIENT: &str = "mailkiln-web";
/// Seconds that browsers insist on HTTPS: a year.
const HSTS: u32 = 31_536_000;

/// The service behind its sockets.
pub(crate) fn service(mut service: Service, spec: &Spec, web: Web, host: &HostFacts) -> Service {
    if web.behind_proxy {
        service.ports.clear();
        service.sockets = vec![Socket { name: "proxied", address: PROXIED.to_owned() }];
    } else if !spec.network.ipv6 {
        for socket in &mut service.sockets {
            socket.address = format!("0.0.0.0:{}", socket.address);
        }
    }
    service.config_files = vec![ConfigFile::public(CONFIG, configuration(spec, web, host))];
    service
}

/// The address that tokens are asked for with. Nobody is sent there: it only has to be the same on both sides.
pub(crate) fn redirect(spec: &Spec) -> String {
    format!("https://{}/sign-in", spec.host.name)
}

fn configuration(spec: &Spec, web: Web, host: &HostFacts) -> String {
    let (certificate, key) = mail_server::certificate(spec, host);
    let name = quoted(spec.host.name.as_str());
    let hsts = if web.hsts { HSTS } else { 0 };
    let (certificate, key) = (quoted(&certificate), quoted(&key));
    let mut text = format!(
        "# Made by mailkiln from mail.toml; every change is lost with the next image.\n\
         host = {name}\nstate = \"{STATE}\"\nchallenges = \"{CHALLENGES}\"\nhsts_seconds = {hsts}\n"
    );
    if !web.behind_proxy {
        line(&mut text, format_args!("\n[tls]\ncertificate = {certificate}\nkey = {key}"));
        for further in acme::further(spec, host) {
            let names: Vec<_> = further.names.iter().map(|name| quoted(name.as_str())).collect();
            let (certificate, key) = acme::files(&further.name);
            let (names, certificate, key) = (names.join(", "), quoted(&certificate), quoted(&key));
            line(
                &mut text,
                format_args!(
                    "\n[[tls.further]]\nnames = [{names}]\ncertificate = {certificate}\nkey = {key}"
                ),
            );
        }
    }
    let api = host.api_port;
    line(
        &mut text,
        format_args!("\n[server]\napi = \"127.0.0.1:{api}\"\noauth_client = \"{OAUTH_CLIENT}\""),
    );
    // The certificate is the server's own: whichever it shows must be the one in the file.
    for (service, port, more) in [
        ("imap", "web-imaps", "proxy_header = true"),
        ("submission", "web-submissions", "proxy_header = true"),
        ("sieve", "sieve", "security = \"starttls\""),
    ] {
        let port = mailkiln_unit::port(port).map_or(0, |port| port.number);
        line(
            &mut text,
            format_args!(
                "{service} = {{ host = \"127.0.0.1\", port = {port}, pin = {certificate}, {more} }}"
            ),
        );
    }
    let largest = filter::largest_message(spec);
    line(&mut text, format_args!("\n[limits]\nupload_bytes = {largest}"));
    let policy = quoted(&dns::mta_sts_policy(spec));
    for domain in &spec.domains {
        let domain = quoted(domain.name.as_str());
        line(&mut text, format_args!("\n[domains.{domain}]\nmta_sts = {policy}"));
    }
    text
}

/// JSON's strings are among TOML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}
