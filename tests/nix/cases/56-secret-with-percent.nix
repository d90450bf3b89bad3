# Paths with blank, percent sign and colon: what systemd reads of the unit.
{ imports = [ ./mail.nix ]; services.mailkiln.secrets = { adminPasswordFile = "/run/secrets/mail admin%h:x"; dkim."example.org".rsaKeyFile = "/run/secrets/dkim/a b.pem"; }; }
