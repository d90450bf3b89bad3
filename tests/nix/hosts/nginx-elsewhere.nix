# nginx serves a port of its own, and the web unit has 80 and 443 because the host says so.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.virtualHosts = lib.mkForce {
    app.listen = [
      {
        addr = "127.0.0.1";
        port = 3080;
      }
    ];
  };
  services.mailkiln.settings.web.behind_proxy = false;
  assertions = [
    {
      assertion = config.systemd.sockets ? mailkiln-web-http;
      message = "nobody listens on port 80";
    }
  ];
}
