# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) gateway;
  inherit (import ./fronted.nix)
    backend
    cloud
    named
    settings
    several
    ;
in
{
  behind = {
    test_one_engine_with_a_key_stands_alone = {
      expr = gateway.behind settings;
      expected = "engine";
    };
    test_everything_else_needs_litellm = {
      expr = map (changes: gateway.behind (settings // changes)) [
        { clients = [ "ann" ]; }
        { clouds = [ cloud ]; }
        { inherit (several) backends; }
        { backends = [ (backend // { keyed = false; }) ]; }
      ];
      expected = [
        "litellm"
        "litellm"
        "litellm"
        "litellm"
      ];
    };
  };
  order = {
    test_its_own_come_before_theirs = {
      expr = gateway.order {
        backends = [
          (named "a" {
            fallback = [
              "b"
              "c"
            ];
          })
          (named "b" { fallback = [ "d" ]; })
          (named "c" { fallback = [ "b" ]; })
        ];
      } "a";
      expected = [
        "b"
        "c"
        "d"
      ];
    };
    test_a_circle_ends = {
      expr = gateway.order {
        backends = [
          (named "a" { fallback = [ "b" ]; })
          (named "b" { fallback = [ "a" ]; })
        ];
      } "a";
      expected = [ "b" ];
    };
  };
  clients.test_there_is_always_a_key = {
    expr = gateway.clients settings;
    expected = [ "everybody" ];
  };
}
