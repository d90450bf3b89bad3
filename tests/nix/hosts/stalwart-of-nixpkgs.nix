# Stalwart of nixpkgs, limits of the host's own, an account more by a second module.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [
    ../cases/00-docs.nix
    { services.mailkiln.settings.account = [ { address = "bob@example.org"; } ]; }
  ];
  services.nginx.enable = lib.mkForce false;
  services.mailkiln.mail-server.package = pkgs.stalwart_0_15;
  systemd.services.mail-server.serviceConfig = {
    MemoryMax = "1G";
    MemoryHigh = "800M";
    TasksMax = 200;
  };
  assertions = [
    {
      assertion =
        let
          unit = config.systemd.services.mail-server.serviceConfig;
        in
        unit.MemoryMax == "1G" && unit.Type == "exec";
      message = "the host's limits do not hold";
    }
  ];
}
