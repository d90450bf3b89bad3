# nix-community/lanzaboote: systemd-boot off by force, a builder of its own; with the module for images.
{ lib, ... }: { imports = [ ./00-docs.nix ../../../modules/image.nix ];
  boot.loader.systemd-boot.enable = lib.mkForce false; boot.loader.external = { enable = true; installHook = "/run/current-system/sw/bin/true"; }; }
