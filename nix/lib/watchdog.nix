# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins) elem match toJSON;
  inherit (lib.address) asked;
  isAddress = host: match "[0-9.]+" host != null || match ".*:.*" host != null;
in
{
  /**
    serviceConfig of a watchdog: it asks its server over HTTP and systemd over D-Bus, and can do nothing else. Unlike an
    engine it does notify systemd, so WatchdogSec watches it.

    Type: { keyFile, host, … } -> attrs
  */
  service =
    { keyFile, host, ... }:
    lib.unit.helper
    // {
      Type = "notify";
      NotifyAccess = "main";
      WatchdogSec = 120;
      Restart = "always";
      RestartSec = 10;
      User = "llm-watchdog";
      Group = "llm-watchdog";
      StateDirectory = "llm-watchdog";
      # node_exporter reads the metrics.
      StateDirectoryMode = "0755";
      UMask = "0022";

      DevicePolicy = "closed";
      MemoryMax = "512M";
    }
    // (if keyFile == null then { } else { LoadCredential = [ "llm-key:${keyFile}" ]; })
    # A name has to be looked up, who knows where.
    // (
      if isAddress host then
        {
          IPAddressDeny = [ "any" ];
          IPAddressAllow = [ "localhost" ] ++ (if elem (asked host) [ "127.0.0.1" "::1" ] then [ ] else [ host ]);
        }
      else
        { }
    );

  /**
    The rule of polkit that lets watchdogs start, stop and restart these units, and reboot the machine where that is
    allowed; in JavaScript, of which JSON is a part.

    Type: { units, reboot } -> string
  */
  polkitRule =
    { units, reboot }:
    ''
      polkit.addRule(function (action, subject) {
        if (subject.user !== "llm-watchdog") {
          return polkit.Result.NOT_HANDLED;
        }
        var units = ${toJSON (map (unit: "${unit}.service") units)};
        var verbs = ["start", "stop", "restart", "reset-failed"];
        if (action.id === "org.freedesktop.systemd1.manage-units" &&
            units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0) {
          return polkit.Result.YES;
        }
        var reboots = ${
          toJSON (
            if reboot then
              [
                "org.freedesktop.login1.reboot"
                "org.freedesktop.login1.reboot-multiple-sessions"
              ]
            else
              [ ]
          )
        };
        return reboots.indexOf(action.id) >= 0 ? polkit.Result.YES : polkit.Result.NOT_HANDLED;
      });
    '';
}
