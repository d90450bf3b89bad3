# The host's name in capitals (allowed in mail.toml), served by a wildcard of NixOS.
{ lib, ... }: { imports = [ ./mail.nix ];
  services.mailkiln.settings.host.name = lib.mkForce "Mail.Example.org";
  security.acme.certs."example.org" = { domain = "*.example.org"; dnsProvider = "cloudflare"; environmentFile = "/run/secrets/cf"; };
  services.mailkiln.useACMEHost = "example.org"; }
