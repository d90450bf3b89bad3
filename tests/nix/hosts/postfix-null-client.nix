# Postfix hands on what the host sends and listens nowhere.
{ lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.postfix = {
    enable = true;
    enableSmtp = false;
  };
}
