# Written by hand: `mailkiln emit modules` checks and copies it.
# Some ports on loopback trust whoever connects: the filter's and the one for what it releases take mail without a password,
# and the web unit's believe what they are told of the reader's address. On a host with other users, only those services may
# connect to them. A table of its own, beside whatever firewall the host has.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.mailkiln;
  filters = cfg.settings.filter == null || cfg.settings.filter.enable != false;
  web = cfg.settings.web == null || cfg.settings.web.enable != false;
  table = "inet mailkiln_loopback";
  # Created, so that it can be deleted, so that it holds these rules and no others.
  rules = pkgs.writeText "mailkiln-loopback.nft" ''
    table ${table} { }
    delete table ${table}
    table ${table} {
      chain output {
        type filter hook output priority filter; policy accept;
        ${lib.optionalString filters ''
          oifname "lo" tcp dport ${toString cfg.ports.filter} meta skuid != "mailkiln-mail-server" counter reject with tcp reset
          oifname "lo" tcp dport ${toString cfg.ports.release} meta skuid != "mailkiln-filter" counter reject with tcp reset
        ''}
        ${lib.optionalString web ''
          oifname "lo" tcp dport { 1465, 1993 } meta skuid != "mailkiln-web" counter reject with tcp reset
        ''}
      }
    }
  '';
  nft = lib.getExe' pkgs.nftables "nft";
in
{
  config = lib.mkIf (cfg.enable && (filters || web)) {
    systemd.services.mailkiln-loopback = {
      description = "Close ports of the mail server on loopback to other users";
      # It may flush all tables when it starts, and is restarted by a switch.
      partOf = [ "nftables.service" ];
      after = [ "nftables.service" ];
      before = [
        "mailkiln-filter.service"
        "mailkiln-web.service"
        "mail-server.service"
      ];
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ rules ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${nft} --file ${rules}";
        ExecStop = "${nft} delete table ${table}";
        CapabilityBoundingSet = "CAP_NET_ADMIN";
        DevicePolicy = "closed";
        ExecPaths = builtins.storeDir;
        IPAddressDeny = "any";
        KeyringMode = "private";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoExecPaths = "/";
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateIPC = true;
        PrivateMounts = true;
        PrivateTmp = "disconnected";
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        # Users are asked for by name.
        RestrictAddressFamilies = "AF_NETLINK AF_UNIX";
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallErrorNumber = "EPERM";
        SystemCallFilter = [
          "@system-service"
          "~@privileged @resources"
        ];
        UMask = "0077";
      };
    };
  };
}
