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
          ...
        }@more:
        final.rustPlatform.buildRustPackage (
          {
            pname = name;
            version = "0.1.0";
            src = source;
            cargoLock.lockFile = source + "/Cargo.lock";
            cargoBuildFlags = [
              "--package"
              name
            ];
            # The tests judge by programs of Debian; ./check runs them.
            doCheck = false;
            meta = {
              mainProgram = name;
              license = with lib.licenses; [
                mit
                asl20
              ];
              platforms = systems;
            };
          }
          // removeAttrs more [
            "name"
            "source"
          ]
        );

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
      example =
        system: more:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            {
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
            }
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
        mailkiln-agent = rust final {
          name = "mailkiln-agent";
          source = ./units;
        };
        mailkiln-filter = rust final {
          name = "mailkiln-filter";
          source = ./units/filter;
        };
      };

      # One module: no unit of it runs without the others' users, secrets and files.
      nixosModules.default = {
        imports = [ ./modules ];
        nixpkgs.overlays = [ self.overlays.default ];
      };

      nixosConfigurations.example = example "x86_64-linux" [ disk ];

      packages = forEach (
        pkgs:
        {
          inherit (pkgs) mailkiln mailkiln-agent mailkiln-filter;
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

      formatter = forEach (pkgs: pkgs.nixfmt);

      # A host of the modules has to come to a whole system.
      checks = forEach (pkgs: {
        example = (example pkgs.stdenv.hostPlatform.system [ disk ]).config.system.build.toplevel;
      });
    };
}
