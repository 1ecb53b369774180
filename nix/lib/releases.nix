# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins) compareVersions filter;
  data = builtins.fromTOML (builtins.readFile ../data/vllm-releases.toml);
  # A range holds from `from` up to, but without, `before`; "" leaves that end open.
  within =
    { from, before, ... }:
    release:
    (from == "" || compareVersions release from >= 0) && (before == "" || compareVersions release before < 0);
in
{
  /**
    What is known of a vLLM release with one quantisation on one GPU target.

    Type: { release, target, quantisation } -> { status = "works" | "broken" | "unknown"; reason; good; source; }
    Example: verdict { release = "0.19.1"; target = "gfx1151"; quantisation = "mxfp4"; } => { status = "broken"; good = "0.23.0"; … }
  */
  verdict =
    {
      release,
      target,
      quantisation,
    }:
    let
      known = filter (
        rule: rule.target == target && rule.quantisation == quantisation && release != null && within rule release
      ) data.range;
    in
    if known == [ ] then
      {
        status = "unknown";
        reason = "nothing is known of this release with ${toString quantisation} weights on ${toString target}";
        good = "";
        source = "";
      }
    else
      {
        inherit (builtins.head known)
          status
          reason
          good
          source
          ;
      };

  /**
    What is wrong with a release, naming a good one, or null.

    Type: { release, target, quantisation } -> string | null
  */
  problem =
    query:
    let
      found = lib.releases.verdict query;
    in
    if found.status == "broken" then
      "vLLM ${query.release} does not work with ${query.quantisation} weights on ${query.target}: ${found.reason}; use vLLM ${found.good} (${found.source})"
    else
      null;

  /**
    The value, if the release is not known to be broken; throws and names a good release otherwise.

    Type: { release, target, quantisation } -> a -> a
  */
  require =
    query: value:
    let
      found = lib.releases.problem query;
    in
    if found == null then value else throw "llmflake: ${found}";
}
