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
    web = {
      package = lib.mkPackageOption pkgs "mailkiln-web" { };
    };
  };
  config = lib.mkIf cfg.enable {
    systemd.services = {
      mailkiln-web = lib.mkIf (cfg.settings.web == null || cfg.settings.web.enable != false) {
        description = "Serve webmail, set-up of mail programs and MTA-STS";
        wants = [ "mailkiln-prepare.service" ];
        after = [
          "mailkiln-prepare.service"
          "network.target"
        ];
        startLimitIntervalSec = 0;
        wantedBy = [ "multi-user.target" ];
        restartTriggers = [ cfg.trigger ];
        serviceConfig = {
          Type = "notify";
          ExecStart = "${lib.getExe cfg.web.package} --config /etc/mailkiln/web.toml";
          User = "mailkiln-web";
          Group = "mailkiln-web";
          SupplementaryGroups = "mailkiln-acme";
          UMask = "0077";
          StateDirectory = "mailkiln-web";
          StateDirectoryMode = "0700";
          Restart = "on-failure";
          RestartSec = lib.mkDefault "1s";
          RestartSteps = 8;
          RestartMaxDelaySec = lib.mkDefault "30s";
          MemoryHigh = lib.mkDefault "25%";
          MemoryMax = lib.mkDefault "35%";
          TasksMax = lib.mkDefault 128;
          LimitNOFILE = lib.mkDefault 8192;
          TimeoutStartSec = lib.mkDefault "90s";
          TimeoutStopSec = lib.mkDefault "20s";
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
          IPAddressDeny = "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16 fc00::/7 link-local multicast";
        };
      };
    };
    systemd.sockets = {
      mailkiln-web-http =
        lib.mkIf
          (
            (cfg.settings.web == null || cfg.settings.web.enable != false)
            && !(cfg.settings.web != null && cfg.settings.web.behind_proxy == true)
          )
          {
            description = "Serve webmail, set-up of mail programs and MTA-STS";
            wantedBy = [ "sockets.target" ];
            socketConfig = {
              ListenStream = 80;
              FileDescriptorName = "http";
              Service = "mailkiln-web.service";
            };
          };
      mailkiln-web-https =
        lib.mkIf
          (
            (cfg.settings.web == null || cfg.settings.web.enable != false)
            && !(cfg.settings.web != null && cfg.settings.web.behind_proxy == true)
          )
          {
            description = "Serve webmail, set-up of mail programs and MTA-STS";
            wantedBy = [ "sockets.target" ];
            socketConfig = {
              ListenStream = 443;
              FileDescriptorName = "https";
              Service = "mailkiln-web.service";
            };
          };
      mailkiln-web-proxied =
        lib.mkIf
          (
            (cfg.settings.web == null || cfg.settings.web.enable != false)
            && cfg.settings.web != null
            && cfg.settings.web.behind_proxy == true
          )
          {
            description = "Serve webmail, set-up of mail programs and MTA-STS";
            wantedBy = [ "sockets.target" ];
            socketConfig = {
              ListenStream = "/run/mailkiln-web/http";
              FileDescriptorName = "proxied";
              Service = "mailkiln-web.service";
              SocketGroup = "mailkiln-web";
              SocketMode = "0660";
              RemoveOnStop = true;
            };
          };
    };
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall (
      lib.optionals (cfg.settings.web == null || cfg.settings.web.enable != false) (
        if cfg.settings.web != null && cfg.settings.web.behind_proxy == true then
          [ ]
        else
          [
            80
            443
          ]
      )
    );
  };
}
