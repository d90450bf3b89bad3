# Certificates come from certbot or a CA of the company: only a warning is possible.
{ imports = [ ./mail.nix ]; services.mailkiln.acme = { }; }
