# Made by `mailkiln emit modules` from the service model; a change here is lost.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.mailkiln;
in
{
  options.services.mailkiln = {
    enable = lib.mkEnableOption "the mail server of Mailkiln with all that belongs to it";
    package = lib.mkPackageOption pkgs "mailkiln" { };
    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = "Whether to open the ports of the mail server in the firewall.";
    };
    settings = {
      account = lib.mkOption {
        type = lib.types.listOf (
          lib.types.submodule {
            options = {
              address = lib.mkOption {
                type = lib.types.str;
                example = "alice@example.org";
                description = "Login and address, of one of the domains above.";
              };
              aliases = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
                example = [ "info@example.org" ];
                description = "Further addresses that are delivered here, and that this account may send from.";
              };
              name = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "Alice Example";
                description = "The name that recipients see.";
              };
              quota = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.oneOf [
                    lib.types.str
                    lib.types.int
                  ]
                );
                default = null;
                example = "5 GiB";
                description = "Most that the mailbox holds, in bytes or with a unit. Default: no limit.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          The mailboxes, one table each. `postmaster@` and `abuse@` of every domain go to the first,
          unless an account claims them.
        '';
      };
      domain = lib.mkOption {
        type = lib.types.listOf (
          lib.types.submodule {
            options = {
              catch_all = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "alice@example.org";
                description = "The account or alias that gets mail for addresses of this domain that do not exist.";
              };
              name = lib.mkOption {
                type = lib.types.str;
                example = "example.org";
                description = "The domain: the part behind the `@`. Letters beyond ASCII are welcome.";
              };
            };
          }
        );
        description = "The domains that mail is taken for, one table each.";
      };
      host = lib.mkOption {
        type = lib.types.submodule {
          options = {
            name = lib.mkOption {
              type = lib.types.str;
              example = "mail.example.org";
              description = "Full name of the machine, as its MX and PTR records say it. 64 characters at most.";
            };
            timezone = lib.mkOption {
              type = lib.types.nullOr lib.types.str;
              default = null;
              example = "Europe/Berlin";
              description = "Time zone by its IANA name. Default: `UTC`.";
            };
          };
        };
        description = "The machine itself.";
      };
      mail = lib.mkOption {
        type = lib.types.nullOr (
          lib.types.submodule {
            options = {
              max_message_size = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.oneOf [
                    lib.types.str
                    lib.types.int
                  ]
                );
                default = null;
                example = "50 MiB";
                description = "Largest message that is taken, in bytes or with a unit. Default: 50 MiB.";
              };
              postmaster = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "postmaster@example.org";
                description = ''
                  Who gets the reports of other servers (DMARC, TLS-RPT). Default: `postmaster@` the first
                  domain.
                '';
              };
            };
          }
        );
        default = null;
        description = "Limits of the mail server.";
      };
      relay = lib.mkOption {
        type = lib.types.nullOr (
          lib.types.submodule {
            options = {
              host = lib.mkOption {
                type = lib.types.str;
                example = "smtp.example.net";
                description = "Name or address of the relay.";
              };
              port = lib.mkOption {
                type = lib.types.nullOr lib.types.int;
                default = null;
                example = 587;
                description = "TCP port. Default: 465 with `tls = \"implicit\"`, otherwise 587.";
              };
              tls = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.enum [
                    "starttls"
                    "implicit"
                    "off"
                  ]
                );
                default = null;
                example = "starttls";
                description = ''
                  `starttls` (the default), `implicit` (TLS from the first byte), or `off`, which is for a
                  private address only.
                '';
              };
              user = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "alice@example.net";
                description = "Login at the relay. Its password is stored on the appliance, never here.";
              };
            };
          }
        );
        default = null;
        description = "A host that takes all outgoing mail. Without this table mail goes out directly.";
      };
      spam = lib.mkOption {
        type = lib.types.nullOr (
          lib.types.submodule {
            options = {
              dnsbl = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
                example = [ "dnsbl.example.net" ];
                description = ''
                  DNS block lists to ask. Default: none, since they refuse those who ask through a public
                  resolver.
                '';
              };
              junk_score = lib.mkOption {
                type = lib.types.nullOr lib.types.number;
                default = null;
                example = 5.0;
                description = "Score from which a message goes to the Junk folder, one decimal at most. Default: 5.0.";
              };
              reject_score = lib.mkOption {
                type = lib.types.nullOr lib.types.number;
                default = null;
                example = 15.0;
                description = "Score from which a message is refused, one decimal at most. Default: none is refused.";
              };
            };
          }
        );
        default = null;
        description = "The spam filter.";
      };
    };
    secrets = {
      relay-password = lib.mkOption {
        type = lib.types.externalPath;
        default = "/var/lib/mailkiln/secrets/relay-password";
        example = "/run/secrets/relay-password";
        description = "File that holds the secret `relay-password`, read by systemd as root and handed to its service alone. Made for sops-nix and agenix: never a path of the store.";
      };
      seed = lib.mkOption {
        type = lib.types.externalPath;
        default = "/run/mailkiln-seed/seed";
        example = "/run/secrets/seed";
        description = "File that holds the secret `seed`, read by systemd as root and handed to its service alone. Made for sops-nix and agenix: never a path of the store.";
      };
    };
  };
  config = lib.mkIf cfg.enable {
    environment.etc = {
      "mailkiln/appliance.json" = {
        source = "${cfg.files}/etc/mailkiln/appliance.json";
      };
      "mailkiln/mail-server.toml" = {
        source = "${cfg.files}/etc/mailkiln/mail-server.toml";
      };
    };
    users = {
      users = {
        mail-server = {
          isSystemUser = true;
          group = "mail-server";
          description = "Mail server";
        };
        mailkiln = {
          isSystemUser = true;
          group = "mailkiln";
          description = "Mailkiln agent";
        };
        acme = {
          isSystemUser = true;
          group = "acme";
          description = "Certificates";
        };
        mailkiln-acme = {
          isSystemUser = true;
          group = "mailkiln-acme";
          description = "Certificates from an authority";
        };
      };
      groups = {
        mail-server = { };
        mailkiln = { };
        acme = { };
        mailkiln-acme = { };
      };
    };
    systemd.tmpfiles.settings.mailkiln = {
      "/var/lib/acme" = {
        d = {
          mode = "2770";
          user = "acme";
          group = "acme";
        };
      };
      "/var/lib/acme/challenges" = {
        d = {
          mode = "2770";
          user = "acme";
          group = "acme";
        };
      };
    };
  };
}
