{
  description = "Mail appliances from one file";

  # flake.lock: revision and narHash as several public lock files of September 2026 have them; they
  # were not downloaded and hashed where this was written.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach =
        of:
        lib.genAttrs systems (
          system:
          of (
            import nixpkgs {
              inherit system;
              overlays = [ self.overlays.default ];
            }
          )
        );

      # What `nix run` and a module start: a package of a cargo workspace in this repository.
      rust =
        final:
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
              license = with lib.licenses; [
                mit
                asl20
              ];
              platforms = systems;
            }
            // more.meta or { };
          }
          // lib.optionalAttrs (!(more ? cargoDeps)) { cargoLock.lockFile = source + "/Cargo.lock"; }
          // removeAttrs more [
            "meta"
            "name"
            "program"
            "source"
          ]
        );

      # The crates of the mail server, with our patches on them: units/mail-server/README.md says why.
      patched =
        final:
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

      module = defaults: {
        imports = [
          ./modules
          {
            key = "mailkiln-overlay";
            nixpkgs.overlays = [ self.overlays.default ];
          }
          defaults
        ];
      };

      # The formats of images that a host of these modules can be had in.
      variants = [
        "sd-card"
        "raw-efi"
        "qemu-efi"
        "amazon"
        "google-compute"
        "azure"
        "openstack"
        "hyperv"
        "vmware"
        "proxmox"
      ];
      host = system: {
        nixpkgs.hostPlatform = system;
        system.stateVersion = "26.05";
        services.mailkiln = {
          enable = true;
          openFirewall = true;
          settings = {
            host.name = "mail.example.org";
            domain = [ { name = "example.org"; } ];
            account = [ { address = "alice@example.org"; } ];
          };
        };
      };
      example =
        system: more:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            (host system)
            { services.mailkiln.acme = "mailkiln"; }
          ]
          ++ more;
        };
      # What an image variant brings itself.
      disk = {
        boot.loader.systemd-boot.enable = true;
        fileSystems."/" = {
          device = "/dev/disk/by-label/nixos";
          fsType = "ext4";
        };
      };
    in
    {
      overlays.default = final: _: {
        mailkiln = rust final {
          name = "mailkiln";
          source = ./.;
        };
        mailkiln-acme = rust final {
          name = "mailkiln-acme";
          source = ./units;
        };
        mailkiln-agent = rust final {
          name = "mailkiln-agent";
          source = ./units;
        };
        mailkiln-filter = rust final {
          name = "mailkiln-filter";
          source = ./units/filter;
        };
        mailkiln-init = rust final {
          name = "mailkiln-init";
          source = ./units;
          program = "init";
        };
        mailkiln-mail-server = rust final {
          name = "mailkiln-mail-server";
          source = ./units/mail-server;
          cargoDeps = patched final;
          meta.license = lib.licenses.agpl3Only;
        };
      };

      # `default` is the mail server with all that belongs to it. Whoever wants less imports parts: they are the same
      # module with other defaults, so that they can be joined, and a setting of the host always wins.
      nixosModules = {
        default = module { };
        # The mail server alone, without the filter.
        mail-server = module {
          services.mailkiln.settings.filter.enable = lib.mkOverride 1400 false;
        };
        # With the filter.
        filter = module {
          services.mailkiln.settings.filter.enable = lib.mkDefault true;
        };
        # With a certificate got by the client of an appliance; its terms are those of the authority.
        acme = module {
          services.mailkiln.acme = lib.mkDefault "mailkiln";
        };
        # For a host that `mailkiln build --closure` puts on a disk: it brings disk and boot loader, and no mail.
        image = ./modules/image.nix;
      };

      nixosConfigurations.example = example "x86_64-linux" [ disk ];

      packages = forEach (
        pkgs:
        {
          inherit (pkgs)
            mailkiln
            mailkiln-acme
            mailkiln-agent
            mailkiln-filter
            mailkiln-init
            mailkiln-mail-server
            ;
          default = pkgs.mailkiln;
        }
        // lib.listToAttrs (
          map (variant: {
            name = "image-${variant}";
            value = (example pkgs.stdenv.hostPlatform.system [ ]).config.system.build.images.${variant};
          }) variants
        )
      );

      apps = forEach (pkgs: {
        default = {
          type = "app";
          program = lib.getExe pkgs.mailkiln;
          meta.description = "Mail appliances from one file";
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            cargo
            clippy
            pkg-config
            rustc
            rustfmt
          ];
        };
      });

      # What formats the modules; where nixpkgs has it not, the original does the same.
      formatter = forEach (pkgs: pkgs.nixfmt-rs or pkgs.nixfmt);

      # A host of the modules has to come to a whole system, and two have to get mail to each other.
      checks = forEach (pkgs: {
        example = (example pkgs.stdenv.hostPlatform.system [ disk ]).config.system.build.toplevel;
        exchange = pkgs.testers.runNixOSTest (import ./tests/nix/exchange.nix { module = ./modules; });
        # What importing a part means.
        parts =
          let
            runs =
              name: modules:
              (lib.nixosSystem { modules = [ (host pkgs.stdenv.hostPlatform.system) ] ++ modules; })
              .config.systemd.services
                ? ${name};
            inherit (self.nixosModules)
              default
              mail-server
              filter
              acme
              ;
          in
          assert runs "mailkiln-filter" [ default ];
          assert !runs "mailkiln-acme" [ default ];
          assert !runs "mailkiln-filter" [ mail-server ];
          assert runs "mailkiln-filter" [
            mail-server
            filter
          ];
          assert runs "mailkiln-acme" [
            mail-server
            acme
          ];
          pkgs.emptyFile;
      });
    };
}
