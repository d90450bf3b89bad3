# useACMEHost names a certificate that nobody declared.
{ imports = [ ./mail.nix ]; services.mailkiln.useACMEHost = "mail.example.org"; }
