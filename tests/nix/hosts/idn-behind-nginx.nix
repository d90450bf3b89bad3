# nginx is told names by Nix, which can't spell them in ASCII.
{ lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.mailkiln.webServer = "nginx";
  services.mailkiln.settings.domain = lib.mkForce [ { name = "bücher.example"; } ];
  services.mailkiln.settings.account = lib.mkForce [ { address = "alice@bücher.example"; } ];
}
