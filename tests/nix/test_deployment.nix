# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = {
    machines = {
      aspen1 = {
        tags = [ "llm" ];
        targetHost = "root@aspen1";
      };
      aspen2.tags = [ ];
    };
    services = {
      tagged = {
        machines = [ ];
        tags = [ "llm" ];
        settings.port = 1;
      };
      named = {
        machines = [ "aspen2" ];
        tags = [ ];
        settings.port = 2;
      };
      everywhere = {
        machines = [ ];
        tags = [ "all" ];
        settings.port = 3;
      };
    };
    gateways.front = {
      machine = "aspen2";
      settings.port = 443;
    };
  };
in
{
  inventory = {
    test_a_service_is_an_instance_of_llm = {
      expr = (lib.deployment.inventory deployment).instances.tagged;
      expected = {
        module = {
          name = "llm";
          input = "self";
        };
        roles.server = {
          machines = { };
          tags.llm = { };
          settings.port = 1;
        };
      };
    };
    test_a_gateway_is_an_instance_in_its_own_role = {
      expr = (lib.deployment.inventory deployment).instances.front.roles;
      expected.gateway = {
        machines.aspen2 = { };
        settings.port = 443;
      };
    };
    test_a_machine_without_a_target_has_none = {
      expr = (lib.deployment.inventory deployment).machines;
      expected = {
        aspen1 = {
          tags = [ "llm" ];
          deploy.targetHost = "root@aspen1";
        };
        aspen2.tags = [ ];
      };
    };
  };
  gatewayOn.test_its_machine_has_it_and_no_other = {
    expr = map (lib.deployment.gatewayOn deployment) [
      "aspen1"
      "aspen2"
    ];
    expected = [
      null
      { port = 443; }
    ];
  };
  serversOn = {
    test_by_tag_and_everywhere = {
      expr = builtins.attrNames (lib.deployment.serversOn deployment "aspen1");
      expected = [
        "everywhere"
        "tagged"
      ];
    };
    test_what_stands_in_for_one_takes_the_place_of_its_settings = {
      expr =
        (lib.deployment.serversOn (
          deployment
          // {
            standIns.aspen2.named.unit = "ollama";
          }
        ) "aspen2").named;
      expected = {
        port = 2;
        unit = "ollama";
      };
    };
    test_by_name_and_everywhere = {
      expr = lib.deployment.serversOn deployment "aspen2";
      expected = {
        named.port = 2;
        everywhere.port = 3;
      };
    };
  };
}
