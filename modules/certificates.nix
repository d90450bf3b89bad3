# Written by hand: `mailkiln emit modules` checks and copies it.
# Who looks after the certificate: the client of an appliance, security.acme of NixOS, or the administrator.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.mailkiln;
  inherit (config.security.acme) certs;
  own = cfg.acme.client == "mailkiln";
  byNixos = cfg.useACMEHost != null;
  certificate = if byNixos then certs.${cfg.useACMEHost} else { };
  # What is said of it below makes it exist: it is declared when it says how it is proved.
  declared = lib.any (way: (certificate.${way} or null) != null) [
    "dnsProvider"
    "listenHTTP"
    "s3Bucket"
    "webroot"
  ];
  unit = "acme-${cfg.useACMEHost}.service";
  host = lib.toLower cfg.settings.host.name;

  ascii = name: builtins.match "[ -~]*" name != null;
  # `*.example.org` stands for one label.
  covers =
    name:
    let
      lower = lib.toLower name;
    in
    lower == host
    ||
      lib.hasPrefix "*." lower
      && lib.hasSuffix (lib.removePrefix "*" lower) host
      && !(lib.hasInfix "." (lib.removeSuffix (lib.removePrefix "*" lower) host));
  # Null is the default of certs.*.domain in older nixpkgs.
  names = lib.optionals byNixos (
    lib.filter lib.isString (
      [ (certificate.domain or cfg.useACMEHost) ] ++ certificate.extraDomainNames or [ ]
    )
  );

  # Both begin with a certificate that is signed by nobody; whose it is must be known.
  waits = {
    after = [ unit ];
    wants = [ unit ];
  };
  reads.serviceConfig.SupplementaryGroups = [ cfg.certificate.group ];
  web = cfg.settings.web == null || cfg.settings.web.enable != false;
in
{
  options.services.mailkiln = {
    useACMEHost = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "mail.example.org";
      description = ''
        Name of a certificate of {option}`security.acme.certs` to serve. It must be valid for
        {option}`services.mailkiln.settings.host.name`. Its files are read where `security.acme` puts them.
      '';
    };
    certificate = lib.mkOption {
      type = lib.types.nullOr (
        lib.types.submodule {
          options = {
            chainFile = lib.mkOption {
              type = lib.types.externalPath;
              example = "/etc/letsencrypt/live/mail.example.org/fullchain.pem";
              description = "File with the certificate and its intermediates, PEM.";
            };
            keyFile = lib.mkOption {
              type = lib.types.externalPath;
              example = "/etc/letsencrypt/live/mail.example.org/privkey.pem";
              description = "File with the private key, PEM.";
            };
            group = lib.mkOption {
              type = lib.types.nullOr lib.types.str;
              default = null;
              example = "certificates";
              description = "Group that may read both files.";
            };
          };
        }
      );
      default = null;
      description = ''
        A certificate that you look after yourself, for example by certbot or from the authority of a company. After it has changed:
        `systemctl reload-or-restart mail-server`. {option}`services.mailkiln.useACMEHost` sets it by itself.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion =
              lib.count lib.id [
                own
                byNixos
                (cfg.certificate != null && !byNixos)
              ] <= 1;
            message = ''
              services.mailkiln.acme, services.mailkiln.useACMEHost and services.mailkiln.certificate: choose one that looks after the certificate.
            '';
          }
          {
            assertion = !byNixos || declared;
            message = ''
              services.mailkiln.useACMEHost: nobody declares security.acme.certs."${toString cfg.useACMEHost}"; there is ${
                toString (lib.subtractLists [ cfg.useACMEHost ] (lib.attrNames certs))
              }.
            '';
          }
          {
            # Names in other scripts are compared while the configuration files are built.
            assertion = !declared || !ascii host || lib.any covers names || !lib.all ascii names;
            message = ''
              services.mailkiln.useACMEHost: the certificate "${toString cfg.useACMEHost}" is for ${toString names}, not for ${host}:
              add it to security.acme.certs."${toString cfg.useACMEHost}".extraDomainNames.
            '';
          }
        ];
        warnings =
          lib.optional (!own && cfg.certificate == null) ''
            services.mailkiln: nobody gets a certificate, so mail programs will warn. Set services.mailkiln.acme = "mailkiln",
            services.mailkiln.useACMEHost to a certificate of security.acme, or services.mailkiln.certificate.
          ''
          ++ lib.optional (!own && cfg.settings.acme != null) ''
            services.mailkiln.settings.acme has no effect: it is about the client of services.mailkiln.acme = "mailkiln", which is not chosen.
            Choose it, or remove services.mailkiln.settings.acme.
          '';
      }
      (lib.mkIf own {
        # Where earlier versions kept it; nothing is written there.
        systemd.tmpfiles.settings.mailkiln."/var/lib/mailkiln-acme/live/${host}".C.argument =
          "/var/lib/acme/${host}";
      })
      (lib.mkIf byNixos {
        security.acme.certs.${cfg.useACMEHost}.reloadServices = [ "mail-server.service" ];
        services.mailkiln.certificate = {
          chainFile = "${certificate.directory}/fullchain.pem";
          keyFile = "${certificate.directory}/key.pem";
          inherit (certificate) group;
        };
        services.mailkiln.certificateNames = names;
        systemd.services.mail-server = waits;
        systemd.services.mailkiln-prepare = waits;
        systemd.services.mailkiln-web = lib.mkIf web waits;
      })
      (lib.mkIf (cfg.certificate != null && cfg.certificate.group != null) {
        systemd.services.mail-server = reads;
        systemd.services.mailkiln-prepare = reads;
        systemd.services.mailkiln-web = lib.mkIf web reads;
      })
    ]
  );
}
