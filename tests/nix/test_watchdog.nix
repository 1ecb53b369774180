# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
{
  service = {
    test_it_may_talk_to_this_machine_alone = {
      expr =
        (lib.watchdog.service {
          keyFile = null;
          host = "0.0.0.0";
        }).IPAddressAllow;
      expected = [ "localhost" ];
    };
    test_it_may_talk_to_the_address_of_its_server = {
      expr =
        (lib.watchdog.service {
          keyFile = null;
          host = "100.64.0.7";
        }).IPAddressAllow;
      expected = [
        "localhost"
        "100.64.0.7"
      ];
    };
    test_a_name_cannot_be_filtered = {
      expr =
        lib.watchdog.service {
          keyFile = null;
          host = "aspen1.local";
        } ? IPAddressDeny;
      expected = false;
    };
    test_the_key_is_a_credential = {
      expr =
        (lib.watchdog.service {
          keyFile = "/run/secrets/k";
          host = "::1";
        }).LoadCredential;
      expected = [ "llm-key:/run/secrets/k" ];
    };
    test_it_notifies_systemd_which_watches_it = {
      expr =
        let
          found = lib.watchdog.service {
            keyFile = null;
            host = "::1";
          };
        in
        [
          found.Type
          (found.WatchdogSec > 0)
          found.User
        ];
      expected = [
        "notify"
        true
        "llm-watchdog"
      ];
    };
  };
  polkitRule = {
    test_units_are_data = {
      expr =
        let
          rule = lib.watchdog.polkitRule {
            units = [
              "a"
              "b\""
            ];
            reboot = false;
          };
          line = "var units = [\"a.service\",\"b\\\".service\"];";
        in
        # What is replaced was there.
        builtins.replaceStrings [ line ] [ "" ] rule != rule;
      expected = true;
    };
    test_no_reboot_unless_it_is_allowed = {
      expr =
        map
          (
            reboot:
            builtins.match ".*login1[.]reboot.*" (
              lib.watchdog.polkitRule {
                units = [ ];
                inherit reboot;
              }
            ) != null
          )
          [
            false
            true
          ];
      expected = [
        false
        true
      ];
    };
  };
}
