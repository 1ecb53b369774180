# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment.machines = {
    near.targetHost = null;
    far.targetHost = "root@far.lan:2222";
  };
  reached =
    machine: host:
    lib.address.reached deployment {
      from = "near";
      inherit machine host;
    };
in
{
  bracketed.test_an_address_with_colons_is_in_brackets = {
    expr = map lib.address.bracketed [
      "::1"
      "127.0.0.1"
      "far.lan"
    ];
    expected = [
      "[::1]"
      "127.0.0.1"
      "far.lan"
    ];
  };
  asked.test_everywhere_is_loopback = {
    expr = map lib.address.asked [
      "0.0.0.0"
      "::"
      "10.0.0.1"
    ];
    expected = [
      "127.0.0.1"
      "::1"
      "10.0.0.1"
    ];
  };
  ofMachine = {
    test_a_machine_is_where_one_deploys_to = {
      expr = lib.address.ofMachine deployment "far";
      expected = "far.lan";
    };
    test_a_machine_of_which_nothing_is_said_has_its_name = {
      expr = lib.address.ofMachine deployment "near";
      expected = "near";
    };
  };
  reached = {
    test_a_machine_reaches_its_own_servers_on_loopback = {
      expr = map (reached "near") [
        "127.0.0.1"
        "::"
      ];
      expected = [
        "127.0.0.1"
        "::1"
      ];
    };
    test_loopback_of_another_machine_is_out_of_reach = {
      expr = map (reached "far") [
        "127.0.0.1"
        "::1"
        "localhost"
      ];
      expected = [
        null
        null
        null
      ];
    };
    test_another_machine_that_listens_everywhere_is_reached_by_its_name = {
      expr = reached "far" "0.0.0.0";
      expected = "far.lan";
    };
    test_an_address_of_another_machine_is_that = {
      expr = reached "far" "10.0.0.1";
      expected = "10.0.0.1";
    };
  };
}
