{ imports = [ ./mail.nix ]; services.mailkiln.settings.filter.clamd = "clamd.internal:3310"; }
