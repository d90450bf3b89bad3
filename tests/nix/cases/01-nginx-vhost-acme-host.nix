# nginx has port 80: "the second way is the right one". How a person with enableACME writes it.
{ config, ... }: {
  imports = [ ./mail.nix ];
  services.nginx.virtualHosts."mail.example.org".enableACME = true;
  services.mailkiln.useACMEHost = "mail.example.org";
}
