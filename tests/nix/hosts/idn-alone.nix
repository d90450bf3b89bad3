# Names in two scripts, the web unit on its own ports.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.mailkiln.settings = {
    host.name = lib.mkForce "mail.пример.example";
    domain = lib.mkForce [
      { name = "пример.example"; }
      { name = "Bücher.example"; }
    ];
    account = lib.mkForce [
      {
        address = "иван@пример.example";
        aliases = [ "info@bücher.example" ];
      }
    ];
  };
  assertions = [
    {
      assertion = config.systemd.sockets ? mailkiln-web-https;
      message = "nobody listens on port 443";
    }
  ];
}
