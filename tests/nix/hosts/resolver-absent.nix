# resolved is named as the resolver, and AdGuard Home has its stub's place.
{ lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  services.adguardhome.enable = true;
  services.resolved = {
    enable = true;
    settings.Resolve.DNSStubListener = "no";
  };
  services.mailkiln.resolver = "resolved";
}
