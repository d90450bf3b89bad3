# Mail alone beside nginx: no webmail, no filter.
{ config, ... }:
{
  imports = [ ../cases/mail.nix ];
  services.nginx.virtualHosts."mail.example.org".enableACME = true;
  services.mailkiln = {
    useACMEHost = "mail.example.org";
    settings.web.enable = false;
    settings.filter.enable = false;
  };
  assertions = [
    {
      assertion =
        !(config.systemd.services ? mailkiln-web) && !(config.systemd.services ? mailkiln-filter);
      message = "a part runs that is off";
    }
    {
      assertion = !(config.systemd.services ? mailkiln-loopback);
      message = "there is nothing on loopback to guard";
    }
  ];
}
