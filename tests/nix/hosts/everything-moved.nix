# Calibre, Tomcat and Miniflux have their usual ports, so ours moved.
{ lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.calibre-web = {
    enable = true;
    listen.port = 8080;
  };
  services.miniflux = {
    enable = true;
    adminCredentialsFile = "/run/secrets/miniflux";
    config.PORT = 10025;
  };
  services.mailkiln.ports = {
    api = 28080;
    filter = 20025;
    release = 20026;
  };
}
