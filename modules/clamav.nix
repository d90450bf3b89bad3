# Written by hand: `mailkiln emit modules` checks and copies it.
# ClamAV beside the filter: that of NixOS, told what an image's own is told.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.mailkiln;
  inherit (cfg.settings) filter;

  # More than a message that the mail server takes can have, whatever it is told.
  largest = 1024 * 1024 * 1026;
in
{
  config =
    lib.mkIf (cfg.enable && filter != null && filter.enable != false && filter.clamav == true)
      {
        assertions = [
          {
            assertion = config.services.clamav.daemon.enable;
            message = "services.mailkiln.settings.filter.clamav: it is services.clamav.daemon that is asked, which is disabled.";
          }
        ];

        services.clamav = {
          daemon.enable = lib.mkDefault true;
          daemon.settings = {
            # The filter is in the group; nobody else has a reason to ask.
            LocalSocketMode = lib.mkDefault "660";
            FixStaleSocket = lib.mkDefault true;
            StreamMaxLength = lib.mkDefault largest;
            MaxFileSize = lib.mkDefault largest;
            # Two sets of signatures in memory at once would need twice as much of it.
            ConcurrentDatabaseReload = lib.mkDefault false;
            SelfCheck = lib.mkDefault 600;
            # Links whose text names another site are in every newsletter, and are not malware.
            PhishingScanURLs = lib.mkDefault false;
            MaxThreads = lib.mkDefault 4;
            ExitOnOOM = lib.mkDefault true;
          };
          updater.enable = lib.mkDefault true;
        };

        # Too little memory must end this service and not the mail server.
        systemd.services.clamav-daemon.serviceConfig.MemoryMax = lib.mkDefault "75%";
      };
}
