//! What tests say in `mail.toml`: as little as possible, and everything that can be said.

/// As little as possible.
pub(crate) const PLAIN: &str = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n\
                     [[account]]\naddress = 'alice@example.org'\n";

/// Everything said.
pub(crate) const FULL: &str = include_str!("../../../../tests/nix/everything.toml");

/// These, and each choice that changes which units there are or what they may do.
pub(crate) fn all() -> Vec<String> {
    let more = [
        "",
        "[filter]\nenable = false\n",
        "[filter]\nenable = false\nrules_url = 'https://rules.example.net/r'\n\
         rules_key = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='\n",
        "[filter]\nclamd = '10.0.0.5:3310'\n",
        "[filter]\nclamav = true\n",
        "[acme]\nenable = false\nroots = ['MIIAAA==']\n",
        "[acme]\nchallenge = 'tls-alpn-01'\n[web]\nenable = false\n",
        "[web]\nenable = false\n",
        "[web]\nenable = false\n[acme]\nchallenge = 'dns-01'\ndns_provider = 'exec'\n",
        "[web]\nbehind_proxy = true\nhsts = false\n",
        "[acme]\nchallenge = 'dns-01'\ndns_provider = 'exec'\n",
    ];
    let plain = more.map(|more| format!("{PLAIN}{more}"));
    plain.into_iter().chain([FULL.to_owned()]).collect()
}
