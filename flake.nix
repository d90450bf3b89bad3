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

      module = defaults: {
        imports = [
          ./module.nix
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
      overlays.default = import ./overlay.nix;

      # `default` is the mail server with all that belongs to it. Whoever wants less imports parts: they are the same
      # module with other defaults, so that they can be joined, and a setting of the host always wins.
      nixosModules = {
        default = module { };
        # The mail server alone, without the filter and the web unit.
        mail-server = module {
          services.mailkiln.settings.filter.enable = lib.mkOverride 1400 false;
          services.mailkiln.settings.web.enable = lib.mkOverride 1400 false;
        };
        # With the web unit.
        web = module {
          services.mailkiln.settings.web.enable = lib.mkDefault true;
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
          inherit (pkgs) mailkiln;
          default = pkgs.mailkiln;
        }
        // lib.mapAttrs' (_: unit: lib.nameValuePair unit.build.package pkgs.${unit.build.package}) (
          import ./units
        )
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
              web
              acme
              ;
          in
          assert runs "mailkiln-filter" [ default ];
          assert !runs "mailkiln-acme" [ default ];
          assert !runs "mailkiln-filter" [ mail-server ];
          assert runs "mailkiln-web" [ default ];
          assert !runs "mailkiln-web" [ mail-server ];
          assert runs "mailkiln-web" [
            mail-server
            web
          ];
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
