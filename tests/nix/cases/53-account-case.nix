# Secrets by address in another spelling.
{ lib, ... }: { imports = [ ./mail.nix ];
  services.mailkiln.settings.account = lib.mkForce [ { address = "Alice@Example.org"; } ];
  services.mailkiln.secrets.accounts."Alice@Example.org".passwordFile = "/run/secrets/a"; }
