# A certificate that NixOS gets, in place of one that Mailkiln gets itself.
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

  config = lib.mkIf (cfg.enable && cfg.useACMEHost != null) {
    security.acme.certs.${cfg.useACMEHost}.reloadServices = [ "mail-server.service" ];

    systemd.services.mail-server = {
      after = [ unit ];
      wants = [ unit ];
      serviceConfig.SupplementaryGroups = [ certificate.group ];
    };

    # The services look for it under the name of the host.
    systemd.tmpfiles.settings.mailkiln-certificate =
      lib.mkIf (cfg.useACMEHost != cfg.settings.host.name)
        {
          "/var/lib/acme/${cfg.settings.host.name}".L.argument = certificate.directory;
        };
  };
}
