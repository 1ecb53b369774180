# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    all
    attrNames
    concatStringsSep
    elem
    filter
    genList
    isString
    length
    map
    replaceStrings
    split
    toJSON
    ;
  data = builtins.fromTOML (builtins.readFile ../data/alerts.toml);
  lower = replaceStrings (lib.alerts.letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
    lib.alerts.letters "abcdefghijklmnopqrstuvwxyz"
  );
  parts = path: filter (part: isString part && part != "") (split "/" path);
  take = count: list: genList (builtins.elemAt list) count;
in
{
  /**
    The characters of an ASCII text.

    Type: string -> [string]
    Example: letters "ab" => [ "a" "b" ]
  */
  letters = text: genList (at: builtins.substring at 1 text) (builtins.stringLength text);

  /**
    A pattern of every mount point that may hold a directory: which of them is one, only the machine knows.

    Type: [string] -> string
    Example: mounts [ "/var/lib" ] => "/|/var|/var/lib"
  */
  mounts =
    directories:
    let
      above =
        directory:
        genList (count: "/" + concatStringsSep "/" (take count (parts directory))) (
          length (parts directory) + 1
        );
      # What a path may hold and a pattern would read otherwise, in a string of PromQL.
      escape =
        replaceStrings
          [
            "."
            "+"
          ]
          [
            "\\\\."
            "\\\\+"
          ];
      unique = builtins.listToAttrs (
        map (path: {
          name = path;
          value = null;
        }) (builtins.concatMap above directories)
      );
    in
    concatStringsSep "|" (map escape (attrNames unique));

  /**
    The section of RUNBOOK.md on an alert, as GitHub names it.

    Type: string -> string
    Example: anchor "LlmDown" => "RUNBOOK.md#llmdown"
  */
  anchor = name: "RUNBOOK.md#${lower name}";

  /**
    The alerting rules of a deployment, with its thresholds: those whose features it has.

    Type: deployment -> [string] -> [{ name, rules }]
  */
  groups =
    deployment: features:
    let
      inherit (deployment.monitoring) alerts;
      directories = map (name: deployment.models.${name}.directory) (attrNames deployment.models);
      names = attrNames alerts;
      fill = replaceStrings (map (name: "@${name}@") names ++ [ "@model_mounts@" ]) (
        map (name: toJSON alerts.${name}) names ++ [ (lib.alerts.mounts directories) ]
      );
      rule = entry: {
        alert = entry.name;
        expr = fill entry.expr;
        for = entry.for;
        labels = { inherit (entry) severity; };
        annotations = {
          inherit (entry) summary description;
          runbook = lib.alerts.anchor entry.name;
        };
      };
    in
    [
      {
        name = "llmflake-alerts";
        rules = map rule (filter (entry: all (need: elem need features) entry.needs) data.alert);
      }
    ];
}
