# Made by `mailkiln emit modules` from the service model; a change here is lost.
{
  imports = [
    ./settings.nix
    ./acme-client.nix
    ./files.nix
    ./clamav.nix
    ./certificates.nix
    ./loopback.nix
    ./secrets.nix
    ./surroundings.nix
    ./acme.nix
    ./agent.nix
    ./filter.nix
    ./mail-server.nix
    ./web.nix
  ];
}
