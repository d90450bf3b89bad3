# Dovecot would serve the same ports.
{ lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.dovecot2.enable = true;
}
