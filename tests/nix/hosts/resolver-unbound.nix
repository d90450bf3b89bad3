# Unbound on loopback, named as the resolver; resolved is off.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.resolved.enable = false;
  services.unbound.enable = true;
  services.mailkiln.resolver = [
    "127.0.0.1"
    "::1"
  ];
  assertions = [
    {
      assertion = lib.hasInfix "--resolver=127.0.0.1,::1" config.services.mailkiln.files.buildCommand;
      message = "unbound is not asked";
    }
  ];
}
