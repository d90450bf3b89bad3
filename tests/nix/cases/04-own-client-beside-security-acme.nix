# acme = "mailkiln" (dns-01, so that nginx keeps port 80) beside certificates of security.acme.
{ imports = [ ./mail.nix ];
  services.mailkiln.acme = "mailkiln";
  services.mailkiln.settings.acme = { challenge = "dns-01"; dns_provider = "cloudflare"; };
  services.mailkiln.secrets.acmeDnsKeyFile = "/run/secrets/cf";
}
