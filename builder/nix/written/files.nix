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

  mailToml = (pkgs.formats.toml { }).generate "mail.toml" (given (cfg.settings // { inherit acme; }));
in
{
  options.services.mailkiln = {
    domainNames = lib.mkOption {
      type = lib.types.listOf (lib.types.strMatching "[a-z0-9]([a-z0-9.-]*[a-z0-9])?");
      internal = true;
      readOnly = true;
      description = "The domains, in lower case and as A-labels.";
    };
    files = lib.mkOption {
      type = lib.types.package;
      internal = true;
      readOnly = true;
      description = "The configuration files, made by the program that makes them for images too.";
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
      {
        # The older name, where there is no newer one yet.
        assertion = !((config.services.stalwart or config.services.stalwart-mail or { }).enable or false);
        message = "services.mailkiln and services.stalwart would listen on the same ports: enable one of them.";
      }
    ];

    warnings = lib.optional (!cfg.openFirewall && config.networking.firewall.enable) ''
      services.mailkiln.openFirewall is false: other mail servers can't reach this one unless its ports are opened elsewhere.
    '';

    services.mailkiln = {
      domainNames = map (domain: domain.name) cfg.settings.domain;
      files = pkgs.runCommand "mailkiln-files" { nativeBuildInputs = [ cfg.package ]; } ''
        mailkiln emit files --config ${mailToml} --output "$out"
      '';
    };

    # The mail server asks its proxy, which hands DNSSEC records through.
    services.resolved.enable = lib.mkDefault true;
  };
}
