# Who gets the certificate: the client of an appliance, or NixOS.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.mailkiln;
  inherit (config.security.acme) certs;
  certificate = certs.${cfg.useACMEHost};
  unit = "acme-${cfg.useACMEHost}.service";
  own = cfg.acme.client == "mailkiln";
  challenge = if cfg.settings.acme == null then null else cfg.settings.acme.challenge;
  # Both begin with a certificate that is signed by nobody; whose it is must be known.
  waits = {
    after = [ unit ];
    wants = [ unit ];
    serviceConfig.SupplementaryGroups = [ certificate.group ];
  };
in
{
  options.services.mailkiln.useACMEHost = lib.mkOption {
    type = lib.types.nullOr lib.types.str;
    default = null;
    example = "mail.example.org";
    description = ''
      Name of a certificate of {option}`security.acme.certs` to serve. It must be valid for
      {option}`services.mailkiln.settings.host.name`.
    '';
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = !(own && cfg.useACMEHost != null);
            message = "services.mailkiln.acme and services.mailkiln.useACMEHost: choose one that gets the certificate.";
          }
          {
            assertion = !(own && certs ? ${cfg.settings.host.name});
            message = ''
              services.mailkiln.acme and security.acme.certs."${cfg.settings.host.name}" would write the same files:
              remove one, or serve that one by services.mailkiln.useACMEHost.
            '';
          }
        ];
        warnings =
          lib.optional (!own && cfg.useACMEHost == null) ''
            services.mailkiln: nobody gets a certificate, so mail programs will warn. Set services.mailkiln.acme = "mailkiln",
            or services.mailkiln.useACMEHost to a certificate of security.acme.
          ''
          ++ lib.optional (own && config.services.nginx.enable && challenge != "dns-01") ''
            services.mailkiln.acme listens on port 80 (443 for tls-alpn-01) while it proves the names, and nginx is enabled:
            where nginx has that port, use services.mailkiln.useACMEHost, or the challenge dns-01.
          '';
      }
      (lib.mkIf (certs != { }) {
        # Services of others read their certificates below it.
        systemd.tmpfiles.settings.mailkiln."/var/lib/acme".d.mode = lib.mkForce "2775";
      })
      (lib.mkIf (cfg.useACMEHost != null) {
        security.acme.certs.${cfg.useACMEHost}.reloadServices = [ "mail-server.service" ];
        systemd.services.mail-server = waits;
        systemd.services.mailkiln-prepare = waits;

        # The services look for it under the name of the host, where one of our own may be.
        systemd.tmpfiles.settings.mailkiln-certificate =
          lib.mkIf (cfg.useACMEHost != cfg.settings.host.name)
            {
              "/var/lib/acme/${cfg.settings.host.name}"."L+".argument = certificate.directory;
            };
      })
    ]
  );
}
