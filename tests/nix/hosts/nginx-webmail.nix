# nginx has the certificate and the ports, and passes the webmail on.
{ config, ... }:
{
  imports = [ ../cases/mail.nix ];
  services.nginx.virtualHosts."mail.example.org" = {
    enableACME = true;
    forceSSL = true;
  };
  services.mailkiln = {
    useACMEHost = "mail.example.org";
    webServer = "nginx";
  };
  assertions = [
    {
      assertion =
        config.services.nginx.virtualHosts."mail.example.org".locations."/".proxyPass
        == "http://unix:/run/mailkiln-web/http";
      message = "nginx does not pass the webmail on";
    }
    {
      assertion = !(config.systemd.sockets ? mailkiln-web-http);
      message = "nginx lost port 80";
    }
  ];
}
