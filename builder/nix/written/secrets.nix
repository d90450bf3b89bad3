# What people bring and nobody else may read: files for systemd's credentials. The agent takes over what the other
# services need, before they start; passwords of accounts it sets at each start.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.mailkiln;
  inherit (cfg) secrets;

  credential = name: path: lib.optional (path != null) "${name}:${toString path}";
  addresses = map (account: account.address) cfg.settings.account;
  passwords = lib.imap0 (
    index: address:
    credential "account-password-${toString index}" (secrets.accounts.${address}.passwordFile or null)
  ) addresses;
  keys = lib.mapAttrsToList (
    domain: given:
    credential "dkim-rsa-${domain}.pem" given.rsaKeyFile
    ++ credential "dkim-ed25519-${domain}.pem" given.ed25519KeyFile
  ) secrets.dkim;
  unknown = known: given: lib.subtractLists known (lib.attrNames given);
  strangers = unknown addresses secrets.accounts ++ unknown cfg.domainNames secrets.dkim;
in
{
  # systemd reads them as root, wherever they are; a path of the store is refused, for everybody may read that.
  options.services.mailkiln.secrets = {
    seedFile = lib.mkOption {
      type = lib.types.externalPath;
      default = "/run/mailkiln-seed/seed";
      example = "/run/secrets/mail-seed";
      description = ''
        A seed of `mailkiln seed new`, which has several secrets in one file. There need not be one.
      '';
    };
    adminPasswordFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/mail-admin";
      description = "File with the password of the administrator `admin`.";
    };
    accounts = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule {
          options.passwordFile = lib.mkOption {
            type = lib.types.nullOr lib.types.externalPath;
            default = null;
            example = "/run/secrets/alice";
            description = "File with the password of this account, which it gets at each start.";
          };
        }
      );
      default = { };
      example = {
        "alice@example.org".passwordFile = "/run/secrets/alice";
      };
      description = "Passwords of accounts, by their addresses. Others are made on the host at its first start.";
    };
    dkim = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule {
          options = {
            rsaKeyFile = lib.mkOption {
              type = lib.types.nullOr lib.types.externalPath;
              default = null;
              example = "/run/secrets/dkim-rsa";
              description = "File with the RSA key of this domain, as PKCS#8 in PEM.";
            };
            ed25519KeyFile = lib.mkOption {
              type = lib.types.nullOr lib.types.externalPath;
              default = null;
              example = "/run/secrets/dkim-ed25519";
              description = "File with the Ed25519 key of this domain, as PKCS#8 in PEM.";
            };
          };
        }
      );
      default = { };
      example = {
        "example.org".rsaKeyFile = "/run/secrets/dkim-rsa";
      };
      description = "Keys for DKIM, by domain. Others are made on the host at its first start.";
    };
    relayPasswordFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/relay-password";
      description = "File with the password of {option}`services.mailkiln.settings.relay.user`.";
    };
    acmeAccountKeyFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/acme-account-key";
      description = "File with the key of the account with the authority, as PKCS#8 in PEM.";
    };
    acmeEabKeyFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/acme-eab-key";
      description = "File with the key of {option}`services.mailkiln.settings.acme.eab_key_id`.";
    };
    acmeDnsKeyFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/acme-dns-key";
      description = "File with the TSIG key of {option}`services.mailkiln.settings.acme.dns_key_name`, what the DNS company asks for, or what the program for dns-01 needs.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = strangers == [ ];
        message = "services.mailkiln.secrets: no account or domain of the settings is called ${toString strangers}.";
      }
      {
        assertion =
          secrets.relayPasswordFile == null || cfg.settings.relay != null && cfg.settings.relay.user != null;
        message = "services.mailkiln.secrets.relayPasswordFile: settings.relay names no user that it would be for.";
      }
    ];

    systemd.services.mailkiln-prepare.serviceConfig.LoadCredential =
      lib.concatLists keys
      ++ credential "relay-password" secrets.relayPasswordFile
      ++ credential "acme-account-key.pem" secrets.acmeAccountKeyFile
      ++ credential "acme-eab-key" secrets.acmeEabKeyFile
      ++ credential "acme-dns-key" secrets.acmeDnsKeyFile;

    systemd.services.mailkiln-provision.serviceConfig.LoadCredential =
      lib.concatLists passwords ++ credential "admin-password" secrets.adminPasswordFile;
  };
}
