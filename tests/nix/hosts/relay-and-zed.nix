# A home server: mail leaves by the provider's relay, and ZFS sends its reports by sendmail.
{ config, lib, ... }:
{
  imports = [ ../cases/00-docs.nix ];
  services.nginx.enable = lib.mkForce false;
  networking.hostId = "8425e349";
  boot.supportedFilesystems = [ "zfs" ];
  services.zfs.zed = {
    enableMail = true;
    settings.ZED_EMAIL_ADDR = [ "root" ];
  };
  services.mailkiln = {
    sendmail = true;
    settings.relay = {
      host = "smtp.example.net";
      user = "me";
    };
    secrets.relayPasswordFile = "/run/secrets/relay";
  };
  assertions = [
    {
      assertion = config.services.mail.sendmailSetuidWrapper != null;
      message = "there is no sendmail";
    }
  ];
}
