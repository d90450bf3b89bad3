# nixos-hardware's raspberry-pi-4 sets these two by default; with nixosModules.image for an image of a Raspberry Pi.
{ lib, ... }: { imports = [ ./00-docs.nix ../../../modules/image.nix ];
  boot.loader.grub.enable = lib.mkDefault false; boot.loader.generic-extlinux-compatible.enable = lib.mkDefault true;
  nixpkgs.hostPlatform = lib.mkForce "aarch64-linux"; boot.loader.systemd-boot.enable = lib.mkOverride 1500 false; }
