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
    filter = {
      package = lib.mkPackageOption pkgs "mailkiln-filter" { };
    };
  };
  config = lib.mkIf cfg.enable {
    systemd.services = {
      mailkiln-filter = lib.mkIf (cfg.settings.filter == null || cfg.settings.filter.enable != false) {
        description = "Look into attachments";
        after = [ "mailkiln-prepare.service" ];
        before = [ "mail-server.service" ];
        startLimitIntervalSec = 0;
        wantedBy = [ "multi-user.target" ];
        restartTriggers = [ cfg.trigger ];
        serviceConfig = {
          Type = "notify";
          ExecStart = "${lib.getExe cfg.filter.package} serve";
          User = "mailkiln-filter";
          Group = "mailkiln-filter";
          UMask = "0077";
          StateDirectory = "mailkiln/filter";
          StateDirectoryMode = "0750";
          RuntimeDirectory = "mailkiln-filter";
          Restart = "on-failure";
          RestartSec = lib.mkDefault "1s";
          RestartSteps = 8;
          RestartMaxDelaySec = lib.mkDefault "30s";
          MemoryHigh = lib.mkDefault "40%";
          MemoryMax = lib.mkDefault "50%";
          TasksMax = lib.mkDefault 256;
          LimitNOFILE = lib.mkDefault 4096;
          TimeoutStartSec = lib.mkDefault "180s";
          OOMPolicy = "continue";
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
            "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"
          ];
          ProcSubset = "pid";
          PrivateUsers = true;
          CapabilityBoundingSet = "";
          AmbientCapabilities = "";
          PrivateDevices = true;
          DevicePolicy = "closed";
          RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
          IPAddressDeny = "any";
          IPAddressAllow =
            if cfg.settings.filter != null && cfg.settings.filter.clamd != null then
              "localhost ${
                lib.head (
                  lib.defaultTo [ cfg.settings.filter.clamd ] (
                    builtins.match "\\[?([^]]+)]?:[0-9]+" cfg.settings.filter.clamd
                  )
                )
              }"
            else
              "localhost";
          SupplementaryGroups = lib.optionals (
            cfg.settings.filter != null && cfg.settings.filter.clamav == true
          ) [ "clamav" ];
        };
      };
      mailkiln-filter-rules =
        lib.mkIf
          (
            cfg.settings.filter != null
            && cfg.settings.filter.enable != false
            && cfg.settings.filter.rules_url != null
          )
          {
            description = "Fetch malware rules";
            wants = [ "network-online.target" ];
            after = [
              "mailkiln-filter.service"
              "network-online.target"
            ];
            restartTriggers = [ cfg.trigger ];
            serviceConfig = {
              Type = "oneshot";
              ExecStart = "${lib.getExe cfg.filter.package} rules update";
              User = "mailkiln-filter";
              Group = "mailkiln-filter";
              UMask = "0077";
              StateDirectory = "mailkiln/filter";
              StateDirectoryMode = "0750";
              TasksMax = lib.mkDefault 256;
              LimitNOFILE = lib.mkDefault 4096;
              TimeoutStartSec = lib.mkDefault "600s";
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
              PrivateUsers = true;
              CapabilityBoundingSet = "";
              AmbientCapabilities = "";
              PrivateDevices = true;
              DevicePolicy = "closed";
              RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
            };
          };
    };
    systemd.timers = {
      mailkiln-filter-rules =
        lib.mkIf
          (
            cfg.settings.filter != null
            && cfg.settings.filter.enable != false
            && cfg.settings.filter.rules_url != null
          )
          {
            description = "Fetch malware rules";
            wantedBy = [ "timers.target" ];
            timerConfig = {
              OnBootSec = "300s";
              OnUnitActiveSec = "86400s";
              RandomizedDelaySec = "3600s";
              AccuracySec = "1s";
            };
          };
    };
  };
}
