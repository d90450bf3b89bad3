# Made by `mailkiln emit modules` from the service model; a change here is lost.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.mailkiln;
in
{
  options.services.mailkiln = {
    mail-server = {
      package = lib.mkPackageOption pkgs "stalwart" { };
    };
  };
  config = lib.mkIf cfg.enable {
    systemd.services = {
      mail-server = {
        description = "Mail server";
        requires = [ "mailkiln-prepare.service" ];
        after = [
          "mailkiln-prepare.service"
          "mailkiln-filter.service"
          "network.target"
        ];
        startLimitIntervalSec = 0;
        wantedBy = [ "multi-user.target" ];
        environment = {
          MALLOC_ARENA_MAX = "2";
        };
        restartTriggers = [ cfg.files ];
        serviceConfig = {
          Type =
            if lib.getName cfg.mail-server.package == "mailkiln-mail-server" then "notify-reload" else "exec";
          ExecStart = "${lib.getExe cfg.mail-server.package} --config /etc/mailkiln/mail-server.toml";
          User = "mail-server";
          Group = "mail-server";
          SupplementaryGroups = "acme";
          UMask = "0077";
          StateDirectory = "mail-server";
          StateDirectoryMode = "0700";
          LoadCredential = [
            "admin-hash:/var/lib/mailkiln/secrets/admin-hash"
            "oauth-key:/var/lib/mailkiln/secrets/oauth-key"
          ]
          ++ lib.concatMap (domain: [
            "dkim-rsa-${domain}:/var/lib/mailkiln/secrets/dkim-rsa-${domain}.pem"
            "dkim-ed25519-${domain}:/var/lib/mailkiln/secrets/dkim-ed25519-${domain}.pem"
          ]) cfg.domainNames
          ++ lib.optionals (cfg.settings.relay != null && cfg.settings.relay.user != null) [
            "relay-password:/var/lib/mailkiln/secrets/relay-password"
          ];
          Restart = "on-failure";
          RestartSec = "1s";
          RestartSteps = 8;
          RestartMaxDelaySec = "60s";
          MemoryHigh = "65%";
          MemoryMax = "80%";
          TasksMax = 512;
          LimitNOFILE = 32768;
          TimeoutStartSec = "180s";
          TimeoutStopSec = "30s";
          NoNewPrivileges = true;
          RestrictSUIDSGID = true;
          ProtectSystem = "strict";
          ProtectHome = true;
          PrivateTmp = "disconnected";
          PrivateMounts = true;
          NoExecPaths = "/";
          ExecPaths = builtins.storeDir;
          MemoryDenyWriteExecute = true;
          ProtectClock = true;
          ProtectControlGroups = true;
          ProtectHostname = true;
          ProtectKernelLogs = true;
          ProtectKernelModules = true;
          ProtectKernelTunables = true;
          LockPersonality = true;
          RestrictNamespaces = true;
          RestrictRealtime = true;
          ProtectProc = "invisible";
          PrivateIPC = true;
          RemoveIPC = true;
          KeyringMode = "private";
          SystemCallArchitectures = "native";
          SystemCallErrorNumber = "EPERM";
          SystemCallFilter = [
            "@system-service"
            "~@privileged @resources"
          ];
          ProcSubset = "pid";
          CapabilityBoundingSet = "CAP_NET_BIND_SERVICE";
          AmbientCapabilities = "CAP_NET_BIND_SERVICE";
          PrivateDevices = true;
          DevicePolicy = "closed";
          RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
          SetCredential = lib.optionals (cfg.settings.relay != null && cfg.settings.relay.user != null) [
            "relay-password:relay-password-is-not-set"
          ];
        };
      };
    };
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [
      25
      465
      587
      143
      993
      995
      4190
    ];
  };
}
