# Two hosts share a file of secrets; one has no relay.
{ imports = [ ./mail.nix ]; services.mailkiln.secrets.relayPasswordFile = "/run/secrets/relay"; services.mailkiln.secrets.accounts."old@example.org".passwordFile = "/run/secrets/old"; }
