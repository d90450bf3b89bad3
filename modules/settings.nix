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
      description = "Whether to open the ports of the mail server, and of the proofs for its certificate, in the firewall.";
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
              any_sender = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "false, an account writes from its own addresses only (null)";
                example = false;
                description = "Lets this account write as anybody, as a program that sends for others must.";
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
                    lib.types.ints.unsigned
                  ]
                );
                default = null;
                defaultText = lib.literalMD "no limit (null)";
                example = "5 GiB";
                description = "Most that the mailbox holds, in bytes or with a unit.";
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
      acme = lib.mkOption {
        type = lib.types.nullOr (
          lib.types.submodule {
            options = {
              challenge = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.enum [
                    "http-01"
                    "tls-alpn-01"
                    "dns-01"
                  ]
                );
                default = null;
                example = "http-01";
                description = ''
                  How control over the names is proved: `http-01` (the default; port 80), `tls-alpn-01` (port 443)
                  or `dns-01`.
                '';
              };
              contact = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                defaultText = lib.literalMD "the postmaster (null)";
                example = "postmaster@example.org";
                description = "Whom the authority may write to.";
              };
              directory = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                defaultText = lib.literalMD "Let's Encrypt (null)";
                example = "https://acme-v02.api.letsencrypt.org/directory";
                description = "URL of the authority's directory. By naming an authority you agree to its terms of service.";
              };
              dns_key_name = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "acme";
                description = "For `rfc2136`: name of the TSIG key (HMAC-SHA256). The key is stored on the appliance.";
              };
              dns_provider = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.enum [
                    "rfc2136"
                    "exec"
                    "bunny"
                    "cloudflare"
                    "desec"
                    "digitalocean"
                    "dnsimple"
                    "ovh"
                    "porkbun"
                    "route53"
                    "spaceship"
                  ]
                );
                default = null;
                example = "rfc2136";
                description = ''
                  For `dns-01`: `rfc2136`, a name server that takes signed updates, a DNS company by its name,
                  such as `cloudflare`, or `exec`, a program on the appliance.
                '';
              };
              dns_server = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "192.0.2.53";
                description = "For `rfc2136`: address and port of the primary name server. Default port: 53.";
              };
              dns_wait = lib.mkOption {
                type = lib.types.nullOr lib.types.ints.unsigned;
                default = null;
                defaultText = lib.literalMD "30 (null)";
                example = 30;
                description = "For `dns-01`: seconds until all name servers of the zone have a change.";
              };
              dns_zones = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
                defaultText = lib.literalMD "the mail domains (null)";
                example = [ "example.org" ];
                description = "For `rfc2136` and companies: zones that are there.";
              };
              eab_key_id = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "kid-1";
                description = ''
                  Identifier of your account with an authority that asks for external account binding. Its key is
                  stored on the appliance, never here.
                '';
              };
              keep_key = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "true (null)";
                example = true;
                description = "Whether a renewal keeps the key, so that TLSA records stay right.";
              };
              key = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.enum [
                    "ecdsa-p256"
                    "rsa-2048"
                    "rsa-4096"
                  ]
                );
                default = null;
                example = "ecdsa-p256";
                description = "Kind of the certificate's key: `ecdsa-p256` (the default), `rsa-2048` or `rsa-4096`.";
              };
              names = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
                example = [ "imap.example.org" ];
                description = "Further names that certificates shall have: each goes with the domain that it lies in.";
              };
              profile = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                defaultText = lib.literalMD "the authority's (null)";
                example = "shortlived";
                description = "One of the authority's profiles, such as Let's Encrypt's `shortlived`.";
              };
              roots = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
                defaultText = lib.literalMD "those of the system (null)";
                example = [ "MIIB…" ];
                description = "Roots that the authority's own server is trusted by, each as the base64 of its DER on one line.";
              };
            };
          }
        );
        default = null;
        description = ''
          Certificates from an authority that speaks ACME. Without this table: from Let's Encrypt, to whose
          terms of service (https://letsencrypt.org/repository/) you then agree.
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
              filter = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.submodule {
                    options = {
                      active_document = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "Documents that reach outside: DDE, remote templates, objects.";
                      };
                      ambiguous = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "What programs read in different ways, or may see where the filter could not.";
                      };
                      auto_macro = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "Macros that start by themselves or do what documents have no need of.";
                      };
                      damaged = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "What is broken, so that not all of it could be read.";
                      };
                      deceptive_name = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Names that pretend: `invoice.pdf.exe`, text that runs backwards.";
                      };
                      encrypted_archive = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "What needs a password, so that nobody could look into it.";
                      };
                      executable = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Programs, by their content or by a name that would start them.";
                      };
                      html_smuggling = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "Web pages that make a file in the browser.";
                      };
                      limit = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "What a limit ended before all of it was seen, such as a bomb.";
                      };
                      macro = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "Other macros.";
                      };
                      malware = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "What a malware rule knows.";
                      };
                      opaque = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "Containers of a kind that the filter cannot open.";
                      };
                      script = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Scripts that a double click would run.";
                      };
                      shortcut = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Links to programs: `.lnk`, `.url` and their kin.";
                      };
                    };
                  }
                );
                default = null;
                description = ''
                  What is done about attachments for this domain, where that is not what `[filter.actions]`
                  says.
                '';
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
      filter = lib.mkOption {
        type = lib.types.nullOr (
          lib.types.submodule {
            options = {
              actions = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.submodule {
                    options = {
                      active_document = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "Documents that reach outside: DDE, remote templates, objects.";
                      };
                      ambiguous = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "What programs read in different ways, or may see where the filter could not.";
                      };
                      auto_macro = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "Macros that start by themselves or do what documents have no need of.";
                      };
                      damaged = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "What is broken, so that not all of it could be read.";
                      };
                      deceptive_name = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Names that pretend: `invoice.pdf.exe`, text that runs backwards.";
                      };
                      encrypted_archive = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "What needs a password, so that nobody could look into it.";
                      };
                      executable = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Programs, by their content or by a name that would start them.";
                      };
                      html_smuggling = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "Web pages that make a file in the browser.";
                      };
                      limit = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`quarantine` (null)";
                        example = "quarantine";
                        description = "What a limit ended before all of it was seen, such as a bomb.";
                      };
                      macro = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "Other macros.";
                      };
                      malware = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "What a malware rule knows.";
                      };
                      opaque = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`mark` (null)";
                        example = "mark";
                        description = "Containers of a kind that the filter cannot open.";
                      };
                      script = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Scripts that a double click would run.";
                      };
                      shortcut = lib.mkOption {
                        type = lib.types.nullOr (
                          lib.types.enum [
                            "pass"
                            "mark"
                            "strip"
                            "quarantine"
                            "reject"
                          ]
                        );
                        default = null;
                        defaultText = lib.literalMD "`reject` (null)";
                        example = "reject";
                        description = "Links to programs: `.lnk`, `.url` and their kin.";
                      };
                    };
                  }
                );
                default = null;
                description = "What is done about which kind of attachment.";
              };
              clamav = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "false (null)";
                example = true;
                description = ''
                  Whether ClamAV runs beside the filter and is asked too. It needs 3 GiB of memory, and mail waits
                  until it has fetched its signatures.
                '';
              };
              clamd = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "10.0.0.5:3310";
                description = ''
                  Address and port of a ClamAV (`clamd`) on a private network, which is asked too. Default:
                  none.
                '';
              };
              digest = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                example = true;
                description = ''
                  Whether the postmaster gets a daily letter about what is new in the quarantine. Default:
                  true.
                '';
              };
              enable = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "true (null)";
                example = true;
                description = "Whether there is a filter.";
              };
              on_failure = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.enum [
                    "defer"
                    "pass"
                  ]
                );
                default = null;
                example = "defer";
                description = ''
                  What happens to a message that could not be looked into: `defer` (the default), it waits
                  with its sender, or `pass`, it is delivered with a mark.
                '';
              };
              quarantine_days = lib.mkOption {
                type = lib.types.nullOr lib.types.ints.unsigned;
                default = null;
                defaultText = lib.literalMD "30 (null)";
                example = 30;
                description = "Days that a message stays in the quarantine.";
              };
              quarantine_size = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.oneOf [
                    lib.types.str
                    lib.types.ints.unsigned
                  ]
                );
                default = null;
                defaultText = lib.literalMD "1 GiB (null)";
                example = "1 GiB";
                description = "Most that the quarantine holds, in bytes or with a unit.";
              };
              rules_key = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
                description = "The Ed25519 key that signs the rules of `rules_url`: 32 bytes in base64.";
              };
              rules_url = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                example = "https://rules.example.net/mail.yar";
                description = "Address of further malware rules (YARA), fetched once a day. It needs `rules_key`.";
              };
            };
          }
        );
        default = null;
        description = "The filter that looks into attachments.";
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
              defaultText = lib.literalMD "`UTC` (null)";
              example = "Europe/Berlin";
              description = "Time zone by its IANA name.";
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
                    lib.types.ints.unsigned
                  ]
                );
                default = null;
                defaultText = lib.literalMD "50 MiB (null)";
                example = "50 MiB";
                description = "Largest message that is taken, in bytes or with a unit.";
              };
              postmaster = lib.mkOption {
                type = lib.types.nullOr lib.types.str;
                default = null;
                defaultText = lib.literalMD "`postmaster@` the first domain (null)";
                example = "postmaster@example.org";
                description = "Who gets the reports of other servers (DMARC, TLS-RPT).";
              };
              recipients_per_day = lib.mkOption {
                type = lib.types.nullOr lib.types.ints.unsigned;
                default = null;
                defaultText = lib.literalMD "1000 (null)";
                example = 1000;
                description = "The same for a day.";
              };
              recipients_per_hour = lib.mkOption {
                type = lib.types.nullOr lib.types.ints.unsigned;
                default = null;
                defaultText = lib.literalMD "200 (null)";
                example = 200;
                description = ''
                  Recipients that one account may write to in an hour; more are deferred, and the postmaster is
                  told.
                '';
              };
              removed = lib.mkOption {
                type = lib.types.nullOr (
                  lib.types.enum [
                    "refuse"
                    "defer"
                  ]
                );
                default = null;
                example = "refuse";
                description = ''
                  What happens to new mail for an account that was taken out of this file: `refuse` (the default),
                  its addresses are unknown, or `defer`, it waits in the queue for the account to come back.
                '';
              };
              removed_days = lib.mkOption {
                type = lib.types.nullOr lib.types.ints.unsigned;
                default = null;
                defaultText = lib.literalMD "30 (null)";
                example = 30;
                description = "Days until an account that was taken out of this file is deleted with its mail; 0 is never.";
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
                type = lib.types.nullOr lib.types.port;
                default = null;
                defaultText = lib.literalMD "465 with `tls = \"implicit\"`, otherwise 587 (null)";
                example = 587;
                description = "TCP port.";
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
                defaultText = lib.literalMD "none, since they refuse those who ask through a public resolver (null)";
                example = [ "dnsbl.example.net" ];
                description = "DNS block lists to ask.";
              };
              junk_score = lib.mkOption {
                type = lib.types.nullOr lib.types.number;
                default = null;
                defaultText = lib.literalMD "5.0 (null)";
                example = 5.0;
                description = "Score from which a message goes to the Junk folder, one decimal at most.";
              };
              reject_score = lib.mkOption {
                type = lib.types.nullOr lib.types.number;
                default = null;
                defaultText = lib.literalMD "none is refused (null)";
                example = 15.0;
                description = "Score from which a message is refused, one decimal at most.";
              };
            };
          }
        );
        default = null;
        description = "The spam filter.";
      };
      web = lib.mkOption {
        type = lib.types.nullOr (
          lib.types.submodule {
            options = {
              behind_proxy = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "false; true where `services.mailkiln.webServer` names one (null)";
                example = false;
                description = ''
                  Only on a NixOS host: whether its own web server has ports 80 and 443, and passes requests on to
                  the Unix socket `/run/mailkiln-web/http`.
                '';
              };
              enable = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "true (null)";
                example = true;
                description = "Whether there is a web unit.";
              };
              hsts = lib.mkOption {
                type = lib.types.nullOr lib.types.bool;
                default = null;
                defaultText = lib.literalMD "true (null)";
                example = true;
                description = "Whether browsers are told to insist on HTTPS for a year (HSTS).";
              };
            };
          }
        );
        default = null;
        description = ''
          The web unit on ports 80 and 443: webmail, calendars and contacts, MTA-STS, what mail programs ask
          to set themselves up.
        '';
      };
    };
  };
  config = lib.mkIf cfg.enable {
    environment.etc = {
      "mailkiln/acme-roots.pem" = lib.mkIf (
        (cfg.acme.client == "mailkiln") && (cfg.settings.acme != null && cfg.settings.acme.roots != [ ])
      ) { source = "${cfg.files}/etc/mailkiln/acme-roots.pem"; };
      "mailkiln/acme.json" = lib.mkIf (cfg.acme.client == "mailkiln") {
        source = "${cfg.files}/etc/mailkiln/acme.json";
      };
      "mailkiln/appliance.json" = {
        source = "${cfg.files}/etc/mailkiln/appliance.json";
      };
      "mailkiln/filter.toml" = lib.mkIf (
        cfg.settings.filter == null || cfg.settings.filter.enable != false
      ) { source = "${cfg.files}/etc/mailkiln/filter.toml"; };
      "mailkiln/mail-server.toml" = {
        source = "${cfg.files}/etc/mailkiln/mail-server.toml";
      };
      "mailkiln/web.toml" = lib.mkIf (cfg.settings.web == null || cfg.settings.web.enable != false) {
        source = "${cfg.files}/etc/mailkiln/web.toml";
      };
    };
    users = {
      users = {
        mailkiln-mail-server = {
          isSystemUser = true;
          group = "mailkiln-mail-server";
          description = "Mail server";
        };
        mailkiln = {
          isSystemUser = true;
          group = "mailkiln";
          description = "Mailkiln agent";
        };
        mailkiln-acme = {
          isSystemUser = true;
          group = "mailkiln-acme";
          description = "Certificates from an authority";
        };
        mailkiln-filter = lib.mkIf (cfg.settings.filter == null || cfg.settings.filter.enable != false) {
          isSystemUser = true;
          group = "mailkiln-filter";
          description = "Mail filter";
        };
        mailkiln-web = lib.mkIf (cfg.settings.web == null || cfg.settings.web.enable != false) {
          isSystemUser = true;
          group = "mailkiln-web";
          description = "Web unit";
        };
      };
      groups = {
        mailkiln-mail-server = { };
        mailkiln = { };
        mailkiln-acme = { };
        mailkiln-filter = lib.mkIf (cfg.settings.filter == null || cfg.settings.filter.enable != false) { };
        mailkiln-web = lib.mkIf (cfg.settings.web == null || cfg.settings.web.enable != false) { };
      };
    };
    systemd.tmpfiles.settings.mailkiln = {
      "/var/lib/mailkiln-acme" = {
        d = {
          mode = "0755";
          user = "mailkiln-acme";
          group = "mailkiln-acme";
        };
      };
      "/var/lib/mailkiln-acme/live" = {
        d = {
          mode = "2770";
          user = "mailkiln-acme";
          group = "mailkiln-acme";
        };
        Z = {
          user = "mailkiln-acme";
          group = "mailkiln-acme";
        };
      };
      "/var/lib/mailkiln-acme/challenges" = {
        d = {
          mode = "0755";
          user = "mailkiln-acme";
          group = "mailkiln-acme";
        };
      };
    };
  };
}
