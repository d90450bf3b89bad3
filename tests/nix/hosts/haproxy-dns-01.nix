# HAProxy in front, names proved by the DNS.
{ lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.haproxy = {
    enable = true;
    config = "frontend web\n  bind *:443\n";
  };
  services.mailkiln = {
    webServer = "other";
    settings.acme = {
      challenge = "dns-01";
      dns_provider = "desec";
    };
    secrets.acmeDnsKeyFile = "/run/secrets/desec";
  };
}
