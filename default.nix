# Without flakes: `import mailkiln { inherit pkgs; }` has the modules, the overlay and the packages.
{
  pkgs ? import <nixpkgs> { },
}:
let
  overlay = import ./overlay.nix;
in
{
  overlays.default = overlay;

  nixosModules.default = ./module.nix;
  nixosModules.image = ./modules/image.nix;

  packages =
    let
      all = pkgs.extend overlay;
    in
    {
      inherit (all) mailkiln;
    }
    // pkgs.lib.mapAttrs' (_: unit: {
      name = unit.build.package;
      value = all.${unit.build.package};
    }) (import ./units);
}
