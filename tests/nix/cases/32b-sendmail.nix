{ imports = [ ./32-zed-mail.nix ]; services.mailkiln.sendmail = true; }
