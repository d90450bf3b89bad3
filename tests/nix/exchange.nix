# Two hosts of the modules get mail to each other, over real names and a real queue: one is the name server of both.
{ module }:
let
  password = "correct horse battery staple";
  host =
    name:
    { nodes, ... }:
    {
      imports = [ module ];
      services.mailkiln = {
        enable = true;
        openFirewall = true;
        settings = {
          host.name = "mail.${name}.test";
          domain = [ { name = "${name}.test"; } ];
          account = [ { address = "user@${name}.test"; } ];
        };
        secrets.accounts."user@${name}.test".passwordFile = "/etc/mail-password";
      };
      # A host has this from sops-nix or agenix.
      environment.etc.mail-password.text = password;
      networking.nameservers = [ nodes.alpha.networking.primaryIPAddress ];
      services.resolved.settings.Resolve = {
        DNSSEC = false;
        FallbackDNS = "";
      };
      virtualisation.memorySize = 2048;
    };
in
{
  name = "mailkiln-exchange";

  nodes = {
    alpha =
      { nodes, ... }:
      let
        address = name: nodes.${name}.networking.primaryIPAddress;
      in
      {
        imports = [ (host "alpha") ];
        services.dnsmasq = {
          enable = true;
          resolveLocalQueries = false;
          settings = {
            # resolved has the address of loopback.
            interface = "eth1";
            bind-interfaces = true;
            except-interface = "lo";
            no-resolv = true;
            no-hosts = true;
            host-record = [
              "mail.alpha.test,${address "alpha"}"
              "mail.beta.test,${address "beta"}"
            ];
            mx-host = [
              "alpha.test,mail.alpha.test,10"
              "beta.test,mail.beta.test,10"
            ];
            txt-record = [
              "alpha.test,v=spf1 mx -all"
              "beta.test,v=spf1 mx -all"
            ];
          };
        };
        networking.firewall = {
          allowedTCPPorts = [ 53 ];
          allowedUDPPorts = [ 53 ];
        };
      };
    beta = host "beta";
  };

  testScript = builtins.readFile ./exchange.py;
}
