# Caddy instead of nginx, and the appliance's client for certificates.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.caddy.enable = true;
  services.mailkiln.webServer = "caddy";
  assertions = [
    {
      assertion =
        lib.hasInfix "/var/lib/mailkiln-acme/challenges"
          config.services.caddy.virtualHosts."http://mail.example.org".extraConfig;
      message = "Caddy does not serve the proofs";
    }
  ];
}
