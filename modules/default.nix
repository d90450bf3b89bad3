# Made by `mailkiln emit modules` from the service model; a change here is lost.
{
  imports = [
    ./settings.nix
    ./files.nix
    ./certificates.nix
    ./agent.nix
    ./filter.nix
    ./mail-server.nix
  ];
}
