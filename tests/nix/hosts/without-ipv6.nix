# No IPv6, nftables, systemd-networkd, resolved.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  networking = {
    enableIPv6 = false;
    nftables.enable = true;
    useNetworkd = true;
    useDHCP = false;
  };
  services.nginx.enable = lib.mkForce false;
  services.resolved.enable = true;
  assertions = [
    {
      assertion = config.services.mailkiln.resolver == "resolved";
      message = "resolved is not asked";
    }
    {
      assertion = lib.elem "nftables.service" config.systemd.services.mailkiln-loopback.partOf;
      message = "a restart of the firewall opens loopback";
    }
  ];
}
