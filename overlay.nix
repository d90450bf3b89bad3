# Our packages, for any nixpkgs: by the flake, by default.nix, or by hand in nixpkgs.overlays.
final: prev:
let
  # Of prev, since the names of our packages depend on it.
  inherit (prev) lib;
  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];

  workspace = (lib.importTOML ./Cargo.toml).workspace.package;

  # Two hosts of the modules get mail to each other.
  exchange = final.testers.runNixOSTest (import ./tests/nix/exchange.nix { module = ./modules; });

  # What `nix run` and a module start: a package of a cargo workspace in this repository.
  rust =
    {
      name,
      source,
      program ? name,
      ...
    }@more:
    final.rustPlatform.buildRustPackage (
      {
        pname = name;
        inherit (workspace) version;
        src = source;
        cargoBuildFlags = [
          "--package"
          name
        ];
        # The tests judge by programs of Debian; ./check runs them.
        doCheck = false;
        # Kernels of ARM boards have pages of 4, 16 or 64 KiB; an allocator has to be told of the largest.
        env = lib.optionalAttrs final.stdenv.hostPlatform.isAarch64 { JEMALLOC_SYS_WITH_LG_PAGE = "16"; };
        meta = {
          mainProgram = program;
          homepage = "https://github.com/mailkiln/mailkiln";
          changelog = "https://github.com/mailkiln/mailkiln/blob/main/CHANGELOG.md";
          maintainers = [ ];
          license = with lib.licenses; [
            mit
            asl20
          ];
          platforms = systems;
        }
        // more.meta or { };
        passthru = {
          tests = { inherit exchange; };
        }
        // more.passthru or { };
      }
      // lib.optionalAttrs (!(more ? cargoDeps)) {
        cargoLock.lockFile = source + "/${more.cargoRoot or "."}/Cargo.lock";
      }
      // removeAttrs more [
        "meta"
        "name"
        "passthru"
        "program"
        "source"
      ]
    );

  # The crates of a unit, with our patches on them: units/mail-server/README.md says why.
  patched =
    name:
    let
      folder = ./units + "/${name}";
      published = final.rustPlatform.importCargoLock { lockFile = folder + "/Cargo.lock"; };
      patches = lib.filter (lib.hasSuffix ".patch") (
        lib.attrNames (builtins.readDir (folder + "/patches"))
      );
    in
    final.runCommand "mailkiln-${name}-crates" { } ''
      cp -rL ${published} $out
      chmod -R u+w $out
      ${lib.concatMapStrings (patch: ''
        patch --fuzz=0 --strip=1 --directory=$out < ${folder + "/patches/${patch}"}
      '') patches}
    '';

  # A unit's package, from its unit.toml. One with a published crate behind it is built with our patches on that.
  unit =
    name: told:
    lib.nameValuePair told.build.package (
      rust (
        {
          name = told.build.package;
          # One that depends on the builder's crates needs the whole repository.
          source = if told.build.with_builder or false then ./. else ./. + "/${told.build.workspace}";
          program = told.build.binary;
          meta = {
            inherit (told) description;
          }
          // lib.optionalAttrs (told ? nix.licenses) {
            license = map (license: lib.licenses.${license}) told.nix.licenses;
          };
        }
        // lib.optionalAttrs (told.build ? upstream) { cargoDeps = patched name; }
        // lib.optionalAttrs (told.build.with_builder or false) {
          cargoRoot = told.build.workspace;
          buildAndTestSubdir = told.build.workspace;
        }
        // lib.optionalAttrs (told.nix.notifies_reload or false) { passthru.notifiesReload = true; }
      )
    );
in
{
  mailkiln = rust {
    name = "mailkiln";
    source = ./.;
    passthru.tests = {
      inherit exchange;
      version = final.testers.testVersion { package = final.mailkiln; };
    };
    meta.description = "Builds mail appliances and NixOS hosts from one file";
  };
}
// lib.mapAttrs' unit (import ./units)
