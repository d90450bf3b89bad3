# settings.acme is set, but NixOS gets the certificate: the settings are dropped in silence.
{ imports = [ ./mail.nix ]; services.mailkiln.settings.acme = { challenge = "dns-01"; dns_provider = "cloudflare"; names = [ "imap.example.org" ]; }; services.mailkiln.useACMEHost = "www.example.net"; }
