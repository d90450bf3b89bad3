# The natural mistake: settings.acme alone, as mail.toml has it.
{ imports = [ ./mail.nix ]; services.mailkiln.settings.acme.contact = "a@example.org"; }
