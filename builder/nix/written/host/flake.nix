{
  description = "A mail host";

  inputs.mailkiln.url = "github:mailkiln/mailkiln";

  outputs =
    { mailkiln, ... }:
    let
      inherit (mailkiln.inputs) nixpkgs;
      host =
        system:
        nixpkgs.lib.nixosSystem {
          modules = [
            mailkiln.nixosModules.default
            ./configuration.nix
            # The disks and the boot loader of the machine: nixos-generate-config writes it.
            ./hardware-configuration.nix
            { nixpkgs.hostPlatform = system; }
          ];
        };
      nixosConfigurations = {
        mail = host "x86_64-linux";
        mail-aarch64 = host "aarch64-linux";
      };
      # Building the files checks the settings as `mailkiln check` does.
      check = configuration: { files = configuration.config.services.mailkiln.files; };
    in
    {
      inherit nixosConfigurations;
      checks = {
        x86_64-linux = check nixosConfigurations.mail;
        aarch64-linux = check nixosConfigurations.mail-aarch64;
      };
    };
}
