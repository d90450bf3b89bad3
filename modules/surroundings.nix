# Written by hand: `mailkiln emit modules` checks and copies it.
# What else is on the host: ports, the resolver, other mail servers, the web server.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.mailkiln;
  inherit (config) services;
  own = cfg.acme.client == "mailkiln";
  challenge =
    if cfg.settings.acme == null || cfg.settings.acme.challenge == null then
      "http-01"
    else
      cfg.settings.acme.challenge;
  challenges = "/var/lib/mailkiln-acme/challenges";
  path = "/.well-known/acme-challenge/";

  enabled = name: (services.${name} or { }).enable or false;
  stub = lib.toLower (toString (services.resolved.settings.Resolve.DNSStubListener or "yes"));
  proxy =
    enabled "resolved"
    && !(lib.elem stub [
      "no"
      "false"
      "0"
      ""
    ])
    # Where there are settings, asking for the older option is an error.
    && (
      services.resolved ? settings
      || !(lib.hasInfix "DNSStubListener=no" (services.resolved.extraConfig or ""))
    );

  mailServers = lib.filter enabled (
    [
      "stalwart"
      "opensmtpd"
      "maddy"
      "exim"
      "dovecot2"
      "dovecot"
      "cyrus-imap"
      "james"
    ]
    # The older name, where there is no newer one yet.
    ++ lib.optional (!(services ? stalwart)) "stalwart-mail"
  );
  # What containers publish: `8080:80`, `127.0.0.1:8080:80/tcp`. Ranges and UDP are left out.
  published = lib.concatLists (
    lib.mapAttrsToList (
      name: container:
      lib.concatMap (
        text:
        let
          parts = builtins.match "(.*:)?([0-9]+):[0-9]+(/tcp)?" text;
        in
        lib.optional (parts != null) {
          name = "the container ${name}";
          port = lib.toIntBase10 (lib.elemAt parts 1);
          option = "virtualisation.oci-containers.containers.${name}.ports";
        }
      ) (container.ports or [ ])
    ) (config.virtualisation.oci-containers.containers or { })
  );
  publishing = ports: lib.filter (it: lib.elem it.port ports) published;
  mailContainers = lib.unique (
    map (it: it.option) (publishing [
      25
      143
      465
      587
      993
      995
      4190
    ])
  );
  # Without its own listener it only hands on what programs of the host send.
  postfix = enabled "postfix" && services.postfix.enableSmtp or true;

  webServers =
    lib.filter enabled [
      "nginx"
      "caddy"
      "traefik"
      "httpd"
      "lighttpd"
      "haproxy"
      "h2o"
    ]
    ++ lib.unique (
      map (it: it.name) (publishing [
        80
        443
      ])
    );

  web = cfg.settings.web == null || cfg.settings.web.enable != false;
  behind = web && cfg.settings.web != null && cfg.settings.web.behind_proxy == true;
  # Whether proofs are asked for on a port that a web server may have.
  proves =
    own && challenge == "http-01" && cfg.webServer == null && webServers != [ ] && (behind || !web);
  # Where a web server of the host reaches the web unit.
  socket = "/run/mailkiln-web/http";

  # Services with one port that often is one of ours: who has it, and where it is set.
  one = name: at: {
    inherit name;
    port = if enabled name then lib.attrByPath at null services.${name} else null;
    option = lib.concatStringsSep "." (
      [
        "services"
        name
      ]
      ++ at
    );
  };
  listeners =
    map (entry: one entry.name entry.at) [
      {
        name = "cadvisor";
        at = [ "port" ];
      }
      {
        name = "calibre-web";
        at = [
          "listen"
          "port"
        ];
      }
      {
        name = "calibre-server";
        at = [ "port" ];
      }
      {
        name = "gerrit";
        at = [ "port" ];
      }
      {
        name = "jenkins";
        at = [ "port" ];
      }
      {
        name = "open-webui";
        at = [ "port" ];
      }
      {
        name = "qbittorrent";
        at = [ "webuiPort" ];
      }
      {
        name = "sabnzbd";
        at = [
          "settings"
          "misc"
          "port"
        ];
      }
      {
        name = "shiori";
        at = [ "port" ];
      }
      {
        name = "tomcat";
        at = [ "port" ];
      }
      {
        name = "keycloak";
        at = [
          "settings"
          "http-port"
        ];
      }
      {
        name = "miniflux";
        at = [
          "config"
          "PORT"
        ];
      }
      {
        name = "searx";
        at = [
          "settings"
          "server"
          "port"
        ];
      }
      {
        name = "zigbee2mqtt";
        at = [
          "settings"
          "frontend"
          "port"
        ];
      }
    ]
    ++ lib.optionals (enabled "nginx") (
      lib.concatLists (
        lib.mapAttrsToList (
          name: host:
          map (listen: {
            name = "nginx";
            inherit (listen) port;
            option = "services.nginx.virtualHosts.\"${name}\".listen";
          }) (host.listen or [ ])
        ) services.nginx.virtualHosts
      )
    )
    ++ lib.optionals (enabled "traefik") (
      lib.concatLists (
        lib.mapAttrsToList (
          name: entry:
          let
            parts = builtins.match ".*:([0-9]+)(/tcp)?" (entry.address or "");
          in
          lib.optional (parts != null) {
            name = "traefik";
            port = lib.toIntBase10 (lib.head parts);
            option = "services.traefik's entry point ${name}";
          }
        ) (services.traefik.staticConfigOptions.entryPoints or { })
      )
    )
    # It has no option for this one.
    ++ lib.optional (enabled "unifi") {
      name = "unifi";
      port = 8080;
      option = "services.unifi";
    }
    ++ published;
  portNames = lib.attrNames cfg.ports;
  taken = lib.concatMap (
    which:
    map (listener: { inherit which listener; }) (
      lib.filter (listener: listener.port == cfg.ports.${which}) listeners
    )
  ) portNames;

  # The names that the client proves, as far as Nix can spell them.
  proved = [
    cfg.settings.host.name
  ]
  ++ (if cfg.settings.acme == null then [ ] else cfg.settings.acme.names)
  ++ lib.optionals web (lib.concatMap labels cfg.settings.domain);
  # What the web unit answers to.
  served = [ cfg.settings.host.name ] ++ lib.optionals web (lib.concatMap labels cfg.settings.domain);
  # Web servers that are told the names; Nix has no Punycode.
  names = [
    "nginx"
    "caddy"
  ];
  foreign = lib.filter (name: builtins.match "[ -~]*" name == null) (
    lib.unique (lib.optionals (own && challenge == "http-01") proved ++ lib.optionals behind served)
  );
  labels = domain: [
    "autoconfig.${domain.name}"
    "autodiscover.${domain.name}"
    "mta-sts.${domain.name}"
  ];
in
{
  options.services.mailkiln = {
    ports = {
      api = lib.mkOption {
        type = lib.types.port;
        default = 8080;
        example = 18080;
        description = "TCP port of the mail server's API (also CalDAV and CardDAV), on 127.0.0.1.";
      };
      filter = lib.mkOption {
        type = lib.types.port;
        default = 10025;
        example = 20025;
        description = "TCP port on which the mail server asks the filter, on 127.0.0.1.";
      };
      release = lib.mkOption {
        type = lib.types.port;
        default = 10026;
        example = 20026;
        description = "TCP port on which the mail server takes what the filter releases from its quarantine, on 127.0.0.1.";
      };
    };
    resolver = lib.mkOption {
      type = lib.types.either (lib.types.enum [
        "host"
        "resolved"
      ]) (lib.types.listOf lib.types.str);
      default = if proxy then "resolved" else "host";
      defaultText = lib.literalMD "`resolved` where {option}`services.resolved.enable` is true and its stub listens, else `host`";
      example = [ "127.0.0.1" ];
      description = ''
        Whom the mail server asks about names: `host`, whom {file}`/etc/resolv.conf` names; `resolved`, the proxy of systemd-resolved on
        127.0.0.54; or addresses. DANE (delivery only to servers whose keys are in the DNS) needs a resolver that hands DNSSEC records through:
        `resolved` does, unbound and BIND do.
      '';
    };
    webServer = lib.mkOption {
      type = lib.types.nullOr (
        lib.types.enum [
          "nginx"
          "caddy"
          "other"
        ]
      );
      default = null;
      example = "nginx";
      description = ''
        The web server that has ports 80 and 443. It passes requests on to the web unit at {file}`/run/mailkiln-web/http` (HTTP/1.1 with
        `X-Forwarded-For` and `X-Forwarded-Proto`; the group `mailkiln-web` may connect), and serves the proofs for the certificate in
        {file}`/var/lib/mailkiln-acme/challenges`, where {option}`services.mailkiln.acme` is `mailkiln` with the challenge `http-01`. `nginx` and
        `caddy` of NixOS are set up for both, but for their certificates; `other` says that you have set up one yourself. With null the web unit has
        the ports, unless a web server of NixOS is enabled or a container publishes them: then it waits, and a warning says so.
      '';
    };
    sendmail = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = ''
        Whether programs of this host send mail by `sendmail` to accounts of this server (by {option}`programs.msmtp`). Mail to names
        without a domain, such as `root`, goes to the postmaster.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = mailServers == [ ] && !postfix && mailContainers == [ ];
            message = ''
              services.mailkiln and ${
                toString (
                  map (name: "services.${name}") (mailServers ++ lib.optional postfix "postfix") ++ mailContainers
                )
              } would listen on the same ports: enable one of them.
            '';
          }
          {
            assertion = taken == [ ];
            message = lib.concatMapStringsSep "\n" (
              it:
              "services.mailkiln.ports.${it.which} is ${toString it.listener.port}, which ${it.listener.option} has already: set another one."
            ) taken;
          }
          {
            assertion =
              lib.length (lib.unique (map (name: cfg.ports.${name}) portNames)) == lib.length portNames;
            message = "services.mailkiln.ports: each of them needs a port of its own.";
          }
          {
            assertion = cfg.resolver != "resolved" || proxy;
            message = ''
              services.mailkiln.resolver is "resolved", but nobody listens on 127.0.0.54: services.resolved is off, or its DNSStubListener is.
              Set services.mailkiln.resolver to "host" or to addresses such as [ "127.0.0.1" ].
            '';
          }
          {
            assertion = cfg.resolver != [ ];
            message = "services.mailkiln.resolver: name at least one address, or \"host\".";
          }
          {
            assertion = lib.versionOlder (lib.getVersion cfg.mail-server.package) "0.16";
            message = ''
              services.mailkiln.mail-server.package is ${lib.getName cfg.mail-server.package} ${lib.getVersion cfg.mail-server.package}, which reads no
              config.toml any more. Take pkgs.mailkiln-mail-server (the default) or pkgs.stalwart_0_15.
            '';
          }
          {
            assertion = cfg.webServer == null || cfg.webServer == "other" || enabled cfg.webServer;
            message = "services.mailkiln.webServer is ${toString cfg.webServer}, which is not enabled.";
          }
          {
            assertion = !lib.elem cfg.webServer names || foreign == [ ];
            message = ''
              services.mailkiln.webServer: ${toString cfg.webServer} would be told ${toString foreign}, but browsers ask for names in ASCII: write them
              as A-labels (xn--…) in services.mailkiln.settings, as `mailkiln dns` prints them.
            '';
          }
        ];
        # A web server of the host keeps its ports, also where nobody has said yet that it passes requests on.
        services.mailkiln.settings.web = lib.mkIf (cfg.webServer != null || webServers != [ ]) {
          behind_proxy = lib.mkOverride 1400 true;
        };
        warnings =
          lib.optional (behind && cfg.webServer == null && !proves) ''
            services.mailkiln: the web unit waits for requests at ${socket}, and nobody passes them on. Set services.mailkiln.webServer to "nginx" or
            "caddy", or to "other" once yours does; or services.mailkiln.settings.web.enable to false. Where ports 80 and 443 are free, set
            services.mailkiln.settings.web.behind_proxy to false.
          ''
          ++ lib.optional (web && !behind && webServers != [ ] && !proves) ''
            services.mailkiln: the web unit listens on ports 80 and 443, where ${toString webServers} may listen. Set services.mailkiln.webServer to "nginx" or
            "caddy", or to "other" once yours passes requests on to ${socket}; or services.mailkiln.settings.web.enable to false.
          ''
          ++ lib.optional proves ''
            services.mailkiln.acme proves the names on port 80, where ${toString webServers} may listen. Set services.mailkiln.webServer to "nginx" or
            "caddy", or to "other" once yours serves ${path} from ${challenges}${lib.optionalString web " and passes all else on to ${socket}"};
            or take the challenge dns-01, or services.mailkiln.useACMEHost.
          ''
          ++ lib.optional (own && challenge == "tls-alpn-01" && webServers != [ ]) ''
            services.mailkiln.acme proves the names on port 443 (tls-alpn-01), where ${toString webServers} may listen: take the challenge http-01
            with services.mailkiln.webServer, dns-01, or services.mailkiln.useACMEHost.
          '';
      }
      (lib.mkIf (own && challenge == "http-01" && cfg.webServer == "nginx") {
        services.nginx.virtualHosts = lib.genAttrs proved (_: {
          locations.${path}.alias = "${challenges}/";
        });
      })
      (lib.mkIf (own && challenge == "http-01" && cfg.webServer == "caddy") {
        services.caddy.virtualHosts = lib.genAttrs (map (name: "http://${name}") proved) (_: {
          extraConfig = ''
            handle_path ${path}* {
              root * ${challenges}
              file_server
            }
          '';
        });
      })
      (lib.mkIf (behind && cfg.webServer == "nginx") {
        users.users.nginx.extraGroups = [ "mailkiln-web" ];
        services.nginx.virtualHosts = lib.genAttrs served (_: {
          locations."/" = {
            proxyPass = "http://unix:${socket}";
            # They would be sent twice.
            recommendedProxySettings = false;
            extraConfig = ''
              proxy_http_version 1.1;
              proxy_buffering off;
              proxy_request_buffering off;
              client_max_body_size 0;
              proxy_set_header Host $host;
              proxy_set_header Connection "";
              proxy_set_header Forwarded "";
              proxy_set_header X-Forwarded-For $remote_addr;
              proxy_set_header X-Forwarded-Proto $scheme;
            '';
          };
        });
      })
      (lib.mkIf (behind && cfg.webServer == "caddy") {
        users.users.caddy.extraGroups = [ "mailkiln-web" ];
        services.caddy.virtualHosts = lib.genAttrs served (_: {
          extraConfig = "reverse_proxy unix/${socket}";
        });
      })
      (lib.mkIf cfg.sendmail {
        programs.msmtp = {
          enable = true;
          accounts.default = {
            host = "127.0.0.1";
            port = 25;
            from = "%U@${cfg.settings.host.name}";
            aliases = toString (
              pkgs.writeText "mailkiln-aliases" ''
                default: ${
                  if cfg.settings.mail != null && cfg.settings.mail.postmaster != null then
                    cfg.settings.mail.postmaster
                  else
                    "postmaster@${(lib.head cfg.settings.domain).name}"
                }
              ''
            );
          };
        };
      })
    ]
  );
}
