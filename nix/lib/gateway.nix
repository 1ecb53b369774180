# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    concatMap
    elem
    head
    length
    tail
    ;
in
{
  /**
    What stands behind Traefik: the engine itself, where there is one and it checks keys, else LiteLLM.

    Type: settings -> "engine" | "litellm"
    Example: behind { backends = [ { keyed = true; … } ]; clouds = [ ]; clients = [ ]; … } => "engine"
  */
  behind =
    settings:
    if
      length settings.backends == 1
      && (head settings.backends).keyed
      && settings.clouds == [ ]
      && settings.clients == [ ]
    then
      "engine"
    else
      "litellm";

  /**
    Which services answer for one that fails, in order: its own, then theirs.

    Type: settings -> string -> [string]
    Example: order { backends = [ { service = "a"; fallback = [ "b" ]; } { service = "b"; fallback = [ "c" ]; } ]; … } "a" => [ "b" "c" ]
  */
  order =
    settings: service:
    let
      next = name: concatMap (backend: if backend.service == name then backend.fallback else [ ]) settings.backends;
      walk =
        found: waiting:
        if waiting == [ ] then
          found
        else if elem (head waiting) found then
          walk found (tail waiting)
        else
          walk (found ++ [ (head waiting) ]) (tail waiting ++ next (head waiting));
    in
    tail (walk [ ] [ service ]);

  /**
    Who has a key of LiteLLM: the clients by name, or one for all of them.

    Type: settings -> [string]
    Example: clients { clients = [ ]; … } => [ "everybody" ]
  */
  clients = settings: if settings.clients == [ ] then [ "everybody" ] else settings.clients;
}
