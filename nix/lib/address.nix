# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins) elemAt match;
  anywhere = {
    "0.0.0.0" = "127.0.0.1";
    "::" = "::1";
  };
  onLoopback = host: match "localhost|::1|127\\..*" host != null;
in
{
  /**
    An address as it stands before a port.

    Type: string -> string
    Example: bracketed "::1" => "[::1]"
  */
  bracketed = host: if match ".*:.*" host == null then host else "[${host}]";

  /**
    Where a machine asks a server of its own that listens on an address: one that listens everywhere, on loopback.

    Type: string -> string
    Example: asked "0.0.0.0" => "127.0.0.1"
  */
  asked = host: anywhere.${host} or host;

  /**
    Where another machine is, by how one deploys to it; by its name where nothing says how.

    Type: deployment -> string -> string
    Example: ofMachine { machines.aspen1.targetHost = "root@aspen1.lan:22"; } "aspen1" => "aspen1.lan"
  */
  ofMachine =
    deployment: machine:
    let
      target = deployment.machines.${machine}.targetHost or null;
    in
    elemAt (match "([^@]*@)?([^:]+)(:[0-9]+)?" (if target == null then machine else target)) 1;

  /**
    Where a machine reaches a server that listens on an address of another, or of its own; null where it does not.

    Type: deployment -> { from, machine, host } -> string | null
  */
  reached =
    deployment:
    {
      from,
      machine,
      host,
    }:
    if from == machine then
      lib.address.asked host
    else if onLoopback host then
      null
    else if anywhere ? ${host} then
      lib.address.ofMachine deployment machine
    else
      host;
}
