# Written by hand: `mailkiln emit modules` checks and copies it.
# Who gets the certificate: the client of an appliance, or one of NixOS.
{ lib, pkgs, ... }:
{
  options.services.mailkiln.acme = lib.mkOption {
    type = lib.types.coercedTo (lib.types.enum [ "mailkiln" ]) (client: { inherit client; }) (
      lib.types.submodule {
        options = {
          client = lib.mkOption {
            type = lib.types.nullOr (lib.types.enum [ "mailkiln" ]);
            default = null;
            example = "mailkiln";
            description = ''
              Who gets the certificate of the host and of its domains. `mailkiln` is the client of an appliance, set up
              by {option}`services.mailkiln.settings.acme`; choosing it means to agree to the terms of service of the
              authority. With null it is that of {option}`services.mailkiln.useACMEHost` or
              {option}`services.mailkiln.certificate`, or else one that is signed by nobody.
            '';
          };
          package = lib.mkPackageOption pkgs "mailkiln-acme" { };
        };
      }
    );
    default = { };
    example = "mailkiln";
    description = "The client that gets certificates. A name alone stands for its `client`.";
  };
}
