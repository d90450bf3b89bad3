# Traefik's dashboard has 8080, where the API would be.
{ lib, ... }:
{
  imports = [ ../cases/mail.nix ];
  services.nginx.enable = lib.mkForce false;
  services.traefik = {
    enable = true;
    staticConfigOptions.entryPoints.traefik.address = ":8080";
  };
}
