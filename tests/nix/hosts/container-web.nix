# A proxy in a container has 80 and 443; the host runs no web server of its own.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  virtualisation.oci-containers.containers.npm = {
    image = "jc21/nginx-proxy-manager";
    ports = [
      "80:80"
      "443:443"
      "[::1]:81:81"
    ];
  };
  assertions = [
    {
      assertion = !(config.systemd.sockets ? mailkiln-web-http);
      message = "the container lost port 80";
    }
  ];
}
