# A wildcard by dns-01 for the host in capitals and its other names, beside nginx with its own certificates.
{ config, lib, ... }:
{
  imports = [ ../cases/mail.nix ];
  security.acme.certs.wild = {
    domain = "*.example.org";
    dnsProvider = "desec";
    environmentFile = "/run/secrets/desec";
  };
  services.mailkiln = {
    webServer = "nginx";
    useACMEHost = "wild";
    settings.host.name = lib.mkForce "MAIL.example.org";
  };
  services.nginx.virtualHosts."MAIL.example.org" = {
    useACMEHost = "wild";
    forceSSL = true;
  };
  users.users.nginx.extraGroups = [ "acme" ];
  assertions = [
    {
      assertion = lib.elem "mail-server.service" config.security.acme.certs.wild.reloadServices;
      message = "a renewed certificate is not read";
    }
    {
      assertion =
        !lib.any (lib.hasPrefix "/var/lib/acme") (lib.attrNames config.systemd.tmpfiles.settings.mailkiln);
      message = "something is written into the state of security.acme";
    }
  ];
}
