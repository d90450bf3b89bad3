# nobody said a word about nginx: it keeps its ports all the same.
{ config, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  assertions = [
    {
      assertion =
        config.systemd.sockets ? mailkiln-web-proxied
        && !(config.systemd.sockets ? mailkiln-web-http)
        && !(config.systemd.sockets ? mailkiln-web-https);
      message = "nginx lost its ports";
    }
  ];
}
