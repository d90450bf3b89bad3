# A wildcard serves mail, and nginx has a certificate of the mail host's own name (webmail).
{ imports = [ ./mail.nix ];
  security.acme.certs."example.org" = { domain = "*.example.org"; dnsProvider = "cloudflare"; environmentFile = "/run/secrets/cf"; group = "nginx"; };
  services.nginx.virtualHosts."mail.example.org" = { enableACME = true; forceSSL = true; };
  services.mailkiln.useACMEHost = "example.org";
}
