# A small ARM machine with ClamAV of NixOS, immutable /etc, userborn.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  nixpkgs.hostPlatform = "aarch64-linux";
  services.nginx.enable = lib.mkForce false;
  services.userborn.enable = true;
  system.etc.overlay = {
    enable = true;
    mutable = false;
  };
  boot.initrd.systemd.enable = true;
  users.mutableUsers = false;
  users.users.me.hashedPassword = "!";
  services.mailkiln.settings.filter.clamav = true;
  assertions = [
    {
      assertion =
        config.services.clamav.daemon.enable
        && lib.elem "clamav" config.systemd.services.mailkiln-filter.serviceConfig.SupplementaryGroups;
      message = "the filter can't ask ClamAV";
    }
  ];
}
