{ imports = [ ./mail.nix ]; services.mailkiln.settings.filter.clamd = "10.0.0.5"; }
