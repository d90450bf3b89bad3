# Our packages, for any nixpkgs: by the flake, by default.nix, or by hand in nixpkgs.overlays.
final: _:
let
  inherit (final) lib;
  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];

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
        version = "0.1.0";
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
      }
      // lib.optionalAttrs (!(more ? cargoDeps)) { cargoLock.lockFile = source + "/${more.cargoRoot or "."}/Cargo.lock"; }
      // removeAttrs more [
        "meta"
        "name"
        "program"
        "source"
      ]
    );

  # The crates of the mail server, with our patches on them: units/mail-server/README.md says why.
  patched =
    let
      published = final.rustPlatform.importCargoLock { lockFile = ./units/mail-server/Cargo.lock; };
      patches = lib.filter (lib.hasSuffix ".patch") (
        lib.attrNames (builtins.readDir ./units/mail-server/patches)
      );
    in
    final.runCommand "mailkiln-mail-server-crates" { } ''
      cp -rL ${published} $out
      chmod -R u+w $out
      ${lib.concatMapStrings (name: ''
        patch --fuzz=0 --strip=1 --directory=$out < ${./units/mail-server/patches + "/${name}"}
      '') patches}
    '';
in
{
  mailkiln = rust {
    name = "mailkiln";
    source = ./.;
    meta.description = "Builds mail appliances and NixOS hosts from one file";
  };
  # One of the workspace in units/, the agent, renders mail.toml with the builder's own crates.
  mailkiln-acme = rust {
    name = "mailkiln-acme";
    source = ./.;
    cargoRoot = "units";
    buildAndTestSubdir = "units";
    meta.description = "ACME client of a Mailkiln mail server";
  };
  mailkiln-agent = rust {
    name = "mailkiln-agent";
    source = ./.;
    cargoRoot = "units";
    buildAndTestSubdir = "units";
    meta.description = "Looks after a Mailkiln mail server: secrets, accounts, health";
  };
  mailkiln-filter = rust {
    name = "mailkiln-filter";
    source = ./units/filter;
    meta.description = "Looks into the attachments of mail";
  };
  mailkiln-init = rust {
    name = "mailkiln-init";
    source = ./.;
    cargoRoot = "units";
    buildAndTestSubdir = "units";
    program = "init";
    meta.description = "First program of a Mailkiln image";
  };
  mailkiln-mail-server = rust {
    name = "mailkiln-mail-server";
    source = ./units/mail-server;
    cargoDeps = patched;
    # It says when it is ready and when it has reloaded, which the module asks for.
    passthru.notifiesReload = true;
    meta = {
      description = "Stalwart's mail server with the patches and the defaults of Mailkiln";
      license = lib.licenses.agpl3Only;
    };
  };
}
