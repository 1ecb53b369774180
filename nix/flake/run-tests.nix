# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Runs nix-unit test sets on plain Nix: a test is an attribute whose name starts with "test", { expr; expected | expectedError; }.
  Whether an error was thrown is seen, its text is not: real nix-unit compares that too.

  Type: attrs -> [{ name, got, expected }]
  - result: the tests that failed
*/
let
  inherit (builtins)
    attrNames
    concatMap
    isAttrs
    substring
    tryEval
    ;
  deep = value: tryEval (builtins.deepSeq value value);
  run =
    prefix: set:
    concatMap (
      name:
      let
        test = set.${name};
        path = if prefix == "" then name else "${prefix}.${name}";
        got = deep test.expr;
        fails = if test ? expectedError then got.success else !got.success || got.value != test.expected;
      in
      if substring 0 4 name == "test" then
        if fails then
          [
            {
              name = path;
              got = if got.success then got.value else "an error";
              expected = test.expected or "an error";
            }
          ]
        else
          [ ]
      else if isAttrs test then
        run path test
      else
        [ ]
    ) (attrNames set);
in
run ""
