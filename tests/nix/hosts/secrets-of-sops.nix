# Secrets as sops-nix hands them over: its options stand here, and name what restarts.
{ config, lib, ... }:
let
  told = config.systemd.services.mailkiln-provision.serviceConfig.LoadCredential;
in
{
  imports = [ ../cases/00-docs.nix ];
  options.sops.secrets = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule (
        { name, ... }:
        {
          options = {
            path = lib.mkOption {
              type = lib.types.str;
              default = "/run/secrets/${name}";
            };
            restartUnits = lib.mkOption { type = lib.types.listOf lib.types.str; };
          };
        }
      )
    );
  };
  config = {
    sops.secrets = {
      mail-admin.restartUnits = [ "mailkiln-provision.service" ];
      "mail/alice".restartUnits = [ "mailkiln-provision.service" ];
      dkim.restartUnits = [ "mailkiln-prepare.service" ];
    };
    services.mailkiln.secrets = {
      adminHashedPasswordFile = config.sops.secrets.mail-admin.path;
      accounts."Alice@Example.org".hashedPasswordFile = config.sops.secrets."mail/alice".path;
      dkim."example.org".ed25519KeyFile = config.sops.secrets.dkim.path;
    };
    assertions = [
      {
        assertion =
          lib.elem "account-hash-0:/run/secrets/mail/alice" told
          && lib.elem "admin-hash:/run/secrets/mail-admin" told;
        message = "the hashes are not handed over: ${toString told}";
      }
      {
        assertion = lib.all (secret: lib.all (unit: config.systemd.units ? ${unit}) secret.restartUnits) (
          lib.attrValues config.sops.secrets
        );
        message = "a unit to restart does not exist";
      }
    ];
  };
}
