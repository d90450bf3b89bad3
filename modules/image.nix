# Written by hand: `mailkiln emit modules` checks and copies it.
# What a host needs that is put on a disk by `mailkiln build --closure`: its disk's layout, its boot loader, and the work of
# the first boot. No other module here sets any of that, so that hosts and image variants of NixOS keep their own.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) getExe' mkDefault mkOverride;
  registration = "/nix-path-registration";
  esp = config.boot.loader.efi.efiSysMountPoint;
  # GRUB on the same disk, for machines with a BIOS, is told to start what systemd-boot starts by default.
  followDefaultEntry = pkgs.writeShellScript "mailkiln-grub-follows-default-entry" ''
    set -eu
    PATH=${
      lib.makeBinPath [
        pkgs.coreutils
        pkgs.gawk
      ]
    }
    esp=$1
    [ -e "$esp/kiln/grub.cfg" ] || exit 0
    # Newer nixpkgs prefer an entry and name a pattern as its replacement.
    entry=$(awk '$1 == "preferred" || $1 == "default" { print $2; exit }' "$esp/loader/loader.conf")
    [ -e "$esp/loader/entries/$entry" ] || { echo "GRUB still starts the system that it started before: $entry is no entry" >&2; exit 0; }
    awk -v quote="'" '
      function quoted(word) { return word ~ /^[A-Za-z0-9_.\/:=,@%+-]*$/ ? word : quote word quote }
      $1 == "linux" { kernel = $2 }
      $1 == "initrd" { initrd = initrd " " $2 }
      $1 == "options" { for (i = 2; i <= NF; i++) words = words " " quoted($i) }
      END {
        print "set timeout=0"
        print "linux " kernel words
        if (initrd != "") print "initrd" initrd
        print "boot"
      }
    ' "$esp/loader/entries/$entry" >"$esp/kiln/grub.cfg.new"
    mv "$esp/kiln/grub.cfg.new" "$esp/kiln/grub.cfg"
  '';
in
{
  boot.loader = {
    grub.enable = mkDefault false;
    # Modules for boards (nixos-hardware) set these by default; a disk of this layout starts by systemd-boot.
    generic-extlinux-compatible.enable = mkOverride 900 false;
    systemd-boot = {
      enable = mkOverride 900 true;
      # Each generation has its kernel and initrd on a boot partition of 512 MiB.
      configurationLimit = mkDefault 5;
      extraInstallCommands = "${followDefaultEntry} ${esp}";
    };
    # The disk starts on any machine, also where it was not installed.
    efi.canTouchEfiVariables = mkDefault false;
  };

  fileSystems = {
    "/" = {
      device = mkDefault "/dev/disk/by-label/nixos";
      fsType = mkDefault "ext4";
      autoResize = mkDefault true;
    };
    "/boot" = {
      device = mkDefault "/dev/disk/by-label/ESP";
      fsType = mkDefault "vfat";
      options = [ "umask=0077" ];
    };
  };
  boot.growPartition = mkDefault true;

  # Nix learns what the image put into its store.
  systemd.services.mailkiln-register-store = {
    description = "Registers the store paths that the image came with";
    unitConfig = {
      DefaultDependencies = false;
      ConditionPathExists = registration;
    };
    wantedBy = [ "sysinit.target" ];
    before = [
      "nix-daemon.service"
      "nix-daemon.socket"
      "shutdown.target"
      "sysinit.target"
    ];
    after = [ "local-fs.target" ];
    conflicts = [ "shutdown.target" ];
    restartIfChanged = false;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    # Removed only when it was read to its end: else the next boot tries again.
    script = ''
      ${getExe' config.nix.package.out "nix-store"} --load-db <${registration}
      ${getExe' pkgs.coreutils "rm"} ${registration}
    '';
  };
}
