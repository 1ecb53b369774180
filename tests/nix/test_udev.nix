# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
{
  rules = {
    test_the_seeds_three_rules = {
      expr = builtins.length (builtins.filter (part: part != "" && builtins.isString part) (builtins.split "\n" lib.udev.rules));
      expected = 3;
    };
    test_kfd_belongs_to_render = {
      expr = builtins.match ".*SUBSYSTEM==\"kfd\", GROUP=\"render\", MODE=\"0666\"\n.*" lib.udev.rules != null;
      expected = true;
    };
  };
}
