# Made by `mailkiln emit modules` from the service model; a change here is lost.
{ config, lib, ... }:
let
  cfg = config.services.mailkiln;
in
{
  config = lib.mkIf cfg.enable {
    systemd.services = {
      mailkiln-acme = lib.mkIf (cfg.acme.client == "mailkiln") {
        description = "Get and renew the certificate";
        wants = [ "network-online.target" ];
        after = [
          "mailkiln-prepare.service"
          "network-online.target"
          "time-set.target"
        ];
        restartTriggers = [ cfg.trigger ];
        serviceConfig = {
          Type = "oneshot";
          ExecStart = "${lib.getExe cfg.acme.package} run";
          User = "mailkiln-acme";
          Group = "mailkiln-acme";
          UMask = "0007";
          StateDirectory = "mailkiln-acme";
          StateDirectoryMode = "0755";
          SetCredential = [
            "acme-account-key:none"
          ]
          ++ lib.optionals (cfg.settings.acme != null && cfg.settings.acme.eab_key_id != null) [
            "acme-eab-key:none"
          ]
          ++ lib.optionals (cfg.settings.acme != null && cfg.settings.acme.challenge == "dns-01") [
            "acme-dns-key:none"
          ];
          LoadCredential = [
            "acme-account-key:/var/lib/mailkiln/secrets/acme-account-key.pem"
          ]
          ++ lib.optionals (cfg.settings.acme != null && cfg.settings.acme.eab_key_id != null) [
            "acme-eab-key:/var/lib/mailkiln/secrets/acme-eab-key"
          ]
          ++ lib.optionals (cfg.settings.acme != null && cfg.settings.acme.challenge == "dns-01") [
            "acme-dns-key:/var/lib/mailkiln/secrets/acme-dns-key"
          ];
          TasksMax = lib.mkDefault 64;
          LimitNOFILE = lib.mkDefault 256;
          TimeoutStartSec = lib.mkDefault "1800s";
          NoNewPrivileges = true;
          RestrictSUIDSGID = true;
          ProtectSystem = "strict";
          ProtectHome = true;
          PrivateTmp = "disconnected";
          PrivateMounts = true;
          NoExecPaths = "/";
          ExecPaths = [
            builtins.storeDir
          ]
          ++ lib.optionals (
            cfg.settings.acme != null
            && cfg.settings.acme.challenge == "dns-01"
            && cfg.settings.acme.dns_provider == "exec"
          ) [ "-/var/lib/mailkiln/hooks/acme-dns" ];
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
          CapabilityBoundingSet =
            if cfg.settings.acme != null && cfg.settings.acme.challenge == "tls-alpn-01" then
              "CAP_NET_BIND_SERVICE"
            else if
              cfg.settings.web != null
              && cfg.settings.web.enable == false
              && (
                cfg.settings.acme == null
                || cfg.settings.acme.challenge == null
                || cfg.settings.acme.challenge == "http-01"
              )
            then
              "CAP_NET_BIND_SERVICE"
            else
              "";
          AmbientCapabilities =
            if cfg.settings.acme != null && cfg.settings.acme.challenge == "tls-alpn-01" then
              "CAP_NET_BIND_SERVICE"
            else if
              cfg.settings.web != null
              && cfg.settings.web.enable == false
              && (
                cfg.settings.acme == null
                || cfg.settings.acme.challenge == null
                || cfg.settings.acme.challenge == "http-01"
              )
            then
              "CAP_NET_BIND_SERVICE"
            else
              "";
          PrivateDevices = true;
          DevicePolicy = "closed";
          RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
        };
      };
      mailkiln-certificate = lib.mkIf (cfg.acme.client == "mailkiln") {
        description = "Have the mail server read its new certificate";
        after = [ "mail-server.service" ];
        restartTriggers = [ cfg.trigger ];
        serviceConfig = {
          Type = "oneshot";
          ExecStart = "${lib.getExe' config.systemd.package "systemctl"} --no-ask-password try-reload-or-restart mail-server.service";
          UMask = "0077";
          TasksMax = lib.mkDefault 16;
          LimitNOFILE = lib.mkDefault 256;
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
          PrivateDevices = true;
          DevicePolicy = "closed";
          RestrictAddressFamilies = "AF_UNIX";
          PrivateNetwork = true;
          IPAddressDeny = "any";
        };
      };
    };
    systemd.timers = {
      mailkiln-acme = lib.mkIf (cfg.acme.client == "mailkiln") {
        description = "Get and renew the certificate";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnBootSec = "30s";
          OnUnitActiveSec = "600s";
          RandomizedDelaySec = "60s";
          AccuracySec = "1s";
        };
      };
    };
    systemd.paths = {
      mailkiln-certificate = lib.mkIf (cfg.acme.client == "mailkiln") {
        description = "Have the mail server read its new certificate";
        wantedBy = [ "paths.target" ];
        pathConfig = {
          PathChanged = "/var/lib/mailkiln-acme/installed";
        };
      };
    };
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall (
      lib.optionals (cfg.acme.client == "mailkiln") (
        lib.optionals (cfg.settings.acme != null && cfg.settings.acme.challenge == "tls-alpn-01") [ 443 ]
        ++ lib.optionals (
          cfg.settings.web != null
          && cfg.settings.web.enable == false
          && (
            cfg.settings.acme == null
            || cfg.settings.acme.challenge == null
            || cfg.settings.acme.challenge == "http-01"
          )
        ) [ 80 ]
      )
    );
  };
}
