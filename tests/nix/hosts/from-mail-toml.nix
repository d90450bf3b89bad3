# The settings are the mail.toml of an appliance, read as it is.
{ config, lib, ... }:
{
  services.nginx.enable = lib.mkForce false;
  services.mailkiln = {
    enable = true;
    openFirewall = true;
    acme = "mailkiln";
    settings = lib.importTOML ./mail.toml;
  };
  assertions = [
    {
      assertion = (lib.head config.services.mailkiln.settings.account).quota == "5 GiB";
      message = "the account is not that of mail.toml";
    }
  ];
}
