# The options of ./modules with the packages that they need.
{
  key = "mailkiln";
  imports = [
    ./modules
    (
      { lib, options, ... }:
      {
        # Where pkgs is made elsewhere (readOnlyPkgs of nixpkgs), the overlay is added there.
        config = lib.mkIf (options.nixpkgs.overlays.type.name != "unique") {
          nixpkgs.overlays = [ (import ./overlay.nix) ];
        };
      }
    )
  ];
}
