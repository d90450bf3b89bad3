# Traefik has the ports and is set up by hand; its dashboard has 8080, so the API moved.
{ config, lib, ... }:
{
  imports = [ ../cases/mail.nix ];
  services.nginx.enable = lib.mkForce false;
  services.traefik = {
    enable = true;
    staticConfigOptions.entryPoints = {
      web.address = ":80";
      traefik.address = "127.0.0.1:8080";
    };
  };
  services.mailkiln = {
    webServer = "other";
    ports.api = 18080;
    certificate = {
      chainFile = "/var/lib/traefik/mail/fullchain.pem";
      keyFile = "/var/lib/traefik/mail/key.pem";
      group = "traefik";
    };
  };
  assertions = [
    {
      assertion = lib.elem "traefik" config.systemd.services.mail-server.serviceConfig.SupplementaryGroups;
      message = "the mail server can't read the certificate";
    }
  ];
}
