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
    agent = {
      package = lib.mkPackageOption pkgs "mailkiln-agent" { };
    };
  };
  config = lib.mkIf cfg.enable {
    systemd.services = {
      mailkiln-prepare = {
        description = "Make secrets, keys and the first certificate";
        after = [
          "time-set.target"
          "mailkiln-seed.service"
        ];
        before = [ "mail-server.service" ];
        startLimitIntervalSec = 0;
        wantedBy = [ "multi-user.target" ];
        restartTriggers = [ cfg.trigger ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${lib.getExe cfg.agent.package} prepare";
          User = "mailkiln";
          Group = "mailkiln";
          SupplementaryGroups = "mailkiln-acme";
          UMask = "0007";
          StateDirectory = "mailkiln";
          StateDirectoryMode = "0755";
          SetCredential = "seed:none";
          LoadCredential = "seed:${cfg.secrets.seedFile}";
          Restart = "on-failure";
          RestartMode = "direct";
          RestartSec = lib.mkDefault "2s";
          RestartSteps = 8;
          RestartMaxDelaySec = lib.mkDefault "60s";
          TasksMax = lib.mkDefault 64;
          LimitNOFILE = lib.mkDefault 1024;
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
            "@chown"
          ];
          ProcSubset = "pid";
          ReadWritePaths = "/var/lib/mailkiln-acme/live";
          CapabilityBoundingSet = "";
          AmbientCapabilities = "";
          PrivateDevices = true;
          DevicePolicy = "closed";
          RestrictAddressFamilies = "AF_UNIX";
          PrivateNetwork = true;
          IPAddressDeny = "any";
        };
      };
      mailkiln-provision = {
        description = "Make the domains and accounts of mail.toml";
        requires = [ "mail-server.service" ];
        after = [ "mail-server.service" ];
        startLimitIntervalSec = 0;
        wantedBy = [ "multi-user.target" ];
        restartTriggers = [ cfg.files ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${lib.getExe cfg.agent.package} provision";
          User = "mailkiln";
          Group = "mailkiln";
          UMask = "0077";
          StateDirectory = "mailkiln";
          StateDirectoryMode = "0755";
          Restart = "on-failure";
          RestartMode = "direct";
          RestartSec = lib.mkDefault "2s";
          RestartSteps = 8;
          RestartMaxDelaySec = lib.mkDefault "60s";
          TasksMax = lib.mkDefault 64;
          LimitNOFILE = lib.mkDefault 1024;
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
          IPAddressDeny = "any";
          IPAddressAllow = "localhost";
        };
      };
    };
  };
}
