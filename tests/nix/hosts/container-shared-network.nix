# Mail in a container that shares the host's network, whose nginx stays outside.
{ lib, mailkiln, ... }:
{
  containers.mail = {
    autoStart = true;
    config =
      { config, ... }:
      {
        imports = [
          mailkiln.nixosModules.default
          ../cases/mail.nix
        ];
        system.stateVersion = "26.05";
        services.mailkiln = {
          settings.web.enable = false;
          useACMEHost = "mail.example.org";
        };
        security.acme = {
          acceptTerms = true;
          defaults.email = "a@example.org";
          certs."mail.example.org" = {
            dnsProvider = "desec";
            environmentFile = "/run/secrets/desec";
          };
        };
        networking.useHostResolvConf = lib.mkForce true;
        assertions = [
          {
            assertion = config.services.mailkiln.resolver == "host" && !config.services.resolved.enable;
            message = "a resolver came with mail";
          }
        ];
      };
  };
}
