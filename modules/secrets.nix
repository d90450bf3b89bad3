# Written by hand: `mailkiln emit modules` checks and copies it.
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
  # Capital letters mean nothing in either.
  lower = lib.mapAttrs' (name: lib.nameValuePair (lib.toLower name));
  addresses = map (account: lib.toLower account.address) cfg.settings.account;
  domains = map (domain: lib.toLower domain.name) cfg.settings.domain;
  accounts = lower secrets.accounts;
  dkim = lower secrets.dkim;

  passwords = lib.imap0 (
    index: address:
    credential "account-password-${toString index}" (accounts.${address}.passwordFile or null)
    ++ credential "account-hash-${toString index}" (accounts.${address}.hashedPasswordFile or null)
  ) addresses;
  keys = lib.imap0 (
    index: domain:
    credential "dkim-rsa-${toString index}.pem" (dkim.${domain}.rsaKeyFile or null)
    ++ credential "dkim-ed25519-${toString index}.pem" (dkim.${domain}.ed25519KeyFile or null)
  ) domains;
  unknown = known: given: lib.subtractLists known (lib.attrNames given);
  strangers = unknown addresses accounts ++ unknown domains dkim;
  both = lib.attrNames (
    lib.filterAttrs (
      _: account: account.passwordFile != null && account.hashedPasswordFile != null
    ) accounts
  );
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
    adminHashedPasswordFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/mail-admin-hash";
      description = "File with a hash of that password, as `mkpasswd -m sha-512` makes it.";
    };
    accounts = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule {
          options = {
            passwordFile = lib.mkOption {
              type = lib.types.nullOr lib.types.externalPath;
              default = null;
              example = "/run/secrets/alice";
              description = "File with the password of this account, which it gets at each start.";
            };
            hashedPasswordFile = lib.mkOption {
              type = lib.types.nullOr lib.types.externalPath;
              default = null;
              example = "/run/secrets/alice-hash";
              description = "File with a hash of it, as `mkpasswd -m sha-512` makes it: SHA-512 crypt, bcrypt or Argon2.";
            };
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
        assertion = both == [ ];
        message = "services.mailkiln.secrets.accounts: passwordFile and hashedPasswordFile are both set for ${toString both}.";
      }
      {
        assertion = secrets.adminPasswordFile == null || secrets.adminHashedPasswordFile == null;
        message = "services.mailkiln.secrets: adminPasswordFile and adminHashedPasswordFile are both set.";
      }
      {
        assertion =
          secrets.relayPasswordFile == null || cfg.settings.relay != null && cfg.settings.relay.user != null;
        message = "services.mailkiln.secrets.relayPasswordFile: settings.relay names no user that it would be for.";
      }
    ];

    warnings =
      lib.optional (secrets.acmeEabKeyFile != null && (cfg.settings.acme.eab_key_id or null) == null) ''
        services.mailkiln.secrets.acmeEabKeyFile has no effect: settings.acme.eab_key_id names no key.
      ''
      ++
        lib.optional (secrets.acmeDnsKeyFile != null && (cfg.settings.acme.challenge or null) != "dns-01")
          ''
            services.mailkiln.secrets.acmeDnsKeyFile has no effect: settings.acme.challenge is not dns-01.
          '';

    systemd.services.mailkiln-prepare.serviceConfig.LoadCredential =
      lib.concatLists keys
      ++ credential "relay-password" secrets.relayPasswordFile
      ++ credential "acme-account-key.pem" secrets.acmeAccountKeyFile
      ++ credential "acme-eab-key" secrets.acmeEabKeyFile
      ++ credential "acme-dns-key" secrets.acmeDnsKeyFile;

    systemd.services.mailkiln-provision.serviceConfig.LoadCredential =
      lib.concatLists passwords
      ++ credential "admin-password" secrets.adminPasswordFile
      ++ credential "admin-hash" secrets.adminHashedPasswordFile;
  };
}
