# Written by hand: `mailkiln emit modules` checks and copies it.
# The configuration files of the services, and what has to hold for the settings as a whole.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.mailkiln;

  # mail.toml has no null.
  given =
    value:
    if lib.isAttrs value then
      lib.filterAttrs (_: inner: inner != null && inner != [ ]) (lib.mapAttrs (_: given) value)
    else if lib.isList value then
      map given value
    else
      value;

  acme = lib.optionalAttrs (cfg.settings.acme != null) cfg.settings.acme // {
    enable = cfg.acme.client == "mailkiln";
  };

  # What mail.toml says of the network, a host says elsewhere.
  network = lib.optionalAttrs (!config.networking.enableIPv6) { network.ipv6 = false; };
  settings = given (cfg.settings // { inherit acme; } // network);
  mailToml = (pkgs.formats.toml { }).generate "mail.toml" settings;

  # What else the files depend on.
  facts = [
    "--api-port=${toString cfg.ports.api}"
    "--filter-port=${toString cfg.ports.filter}"
    "--release-port=${toString cfg.ports.release}"
    "--resolver=${
      if lib.isList cfg.resolver then lib.concatStringsSep "," cfg.resolver else cfg.resolver
    }"
  ]
  ++ lib.optionals (cfg.certificate != null) [
    "--certificate=${cfg.certificate.chainFile}"
    "--certificate-key=${cfg.certificate.keyFile}"
  ]
  ++ map (name: "--certificate-name=${name}") cfg.certificateNames;
in
{
  options.services.mailkiln = {
    certificateNames = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      internal = true;
      default = [ ];
      description = "Names of the certificate, where they are known; one must be the host's.";
    };
    files = lib.mkOption {
      type = lib.types.package;
      internal = true;
      readOnly = true;
      description = "The configuration files, made by the program that makes them for images too.";
    };
    trigger = lib.mkOption {
      type = lib.types.str;
      internal = true;
      readOnly = true;
      description = "What the services read, but for accounts: those are provisioned while the others run.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.settings.domain != [ ];
        message = "services.mailkiln.settings.domain: name at least one domain.";
      }
      {
        assertion = cfg.settings.account != [ ];
        message = "services.mailkiln.settings.account: mail to postmaster needs at least one account.";
      }
    ];

    warnings = lib.optional (!cfg.openFirewall && config.networking.firewall.enable) ''
      services.mailkiln.openFirewall is false: other mail servers can't reach this one unless its ports are opened elsewhere.
    '';

    services.mailkiln = {
      files = pkgs.runCommand "mailkiln-files" { nativeBuildInputs = [ cfg.package ]; } ''
        mailkiln emit files --config ${mailToml} ${lib.escapeShellArgs facts} --output "$out"
      '';
      trigger = toString [
        cfg.package
        (builtins.toJSON (removeAttrs settings [ "account" ]))
        facts
      ];
    };

    # LoadCredential= of each domain's keys: only the program knows how a domain is spelled in ASCII.
    systemd.packages = [ cfg.files ];

    time.timeZone = lib.mkIf (cfg.settings.host.timezone != null) (
      lib.mkDefault cfg.settings.host.timezone
    );

    environment.systemPackages = [
      cfg.agent.package
    ]
    ++ lib.optional (cfg.acme.client == "mailkiln") cfg.acme.package
    ++ lib.optional (
      cfg.settings.filter == null || cfg.settings.filter.enable != false
    ) cfg.filter.package;
  };
}
