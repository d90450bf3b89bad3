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
      package = lib.mkPackageOption pkgs "mailkiln-mail-server" { };
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
        restartTriggers = [ cfg.trigger ];
        serviceConfig = {
          Type = if cfg.mail-server.package.notifiesReload or false then "notify-reload" else "exec";
          ExecStart = "${lib.getExe cfg.mail-server.package} --config /etc/mailkiln/mail-server.toml";
          User = "mailkiln-mail-server";
          Group = "mailkiln-mail-server";
          SupplementaryGroups = "mailkiln-acme";
          UMask = "0077";
          StateDirectory = "mail-server";
          StateDirectoryMode = "0700";
          LoadCredential = [
            "admin-hash:/var/lib/mailkiln/secrets/admin-hash"
            "oauth-key:/var/lib/mailkiln/secrets/oauth-key"
          ]
          ++ lib.optionals (cfg.settings.relay != null && cfg.settings.relay.user != null) [
            "relay-password:/var/lib/mailkiln/secrets/relay-password"
          ];
          Restart = "on-failure";
          RestartSec = lib.mkDefault "1s";
          RestartSteps = 8;
          RestartMaxDelaySec = lib.mkDefault "60s";
          MemoryHigh = lib.mkDefault "65%";
          MemoryMax = lib.mkDefault "80%";
          TasksMax = lib.mkDefault 512;
          LimitNOFILE = lib.mkDefault 32768;
          TimeoutStartSec = lib.mkDefault "180s";
          TimeoutStopSec = lib.mkDefault "30s";
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
