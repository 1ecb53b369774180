# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
{
  /**
    Devices that a container needs for its accelerator.

    Type: string -> [string]
    Example: devices "rocm" => [ "/dev/kfd" "/dev/dri" ]
  */
  devices =
    accelerator:
    {
      rocm = [
        "/dev/kfd"
        "/dev/dri"
      ];
      vulkan = [ "/dev/dri" ];
      cuda = [ "nvidia.com/gpu=all" ];
      cpu = [ ];
    }
    .${accelerator};

  /**
    Arguments of `podman run` or `docker run` beyond what nixpkgs' container module has options for. Groups are numbers:
    a name would be looked up inside the image.

    Type: { accelerator, groupIds } -> [string]
  */
  options =
    { accelerator, groupIds }:
    [
      "--ipc=host"
      "--security-opt=no-new-privileges"
    ]
    ++ (
      if accelerator == "rocm" then
        # ROCm's runtime uses system calls that the default filter of container engines refuses.
        [ "--security-opt=seccomp=unconfined" ] ++ map (id: "--group-add=${toString id}") groupIds
      else
        [ ]
    );

  /**
    Bind mounts: every directory has the same path inside and outside, so that arguments and environment do not depend on
    the runtime.

    Type: { writable, readOnly } -> [string]
    Example: volumes { writable = [ "/a" ]; readOnly = [ "/b" ]; } => [ "/a:/a" "/b:/b:ro" ]
  */
  volumes =
    { writable, readOnly }: map (path: "${path}:${path}") writable ++ map (path: "${path}:${path}:ro") readOnly;

  /**
    How a container is reached: `containerPort = null` shares the host's network, and the engine binds to `host` by
    itself, behind the host's firewall; otherwise that port is published on `host`.

    Type: { host, port, containerPort } -> { networks, ports }
    Example: network { host = "127.0.0.1"; port = 80; containerPort = 8000; } => { networks = [ ]; ports = [ "127.0.0.1:80:8000" ]; }
  */
  network =
    {
      host,
      port,
      containerPort,
    }:
    if containerPort == null then
      {
        networks = [ "host" ];
        ports = [ ];
      }
    else
      {
        networks = [ ];
        ports = [ "${lib.address.bracketed host}:${toString port}:${toString containerPort}" ];
      };

  /**
    What is wrong with publishing a port on an address, or null. Container engines forward published ports before the
    host's firewall sees them, so publishing on every address opens the port to everybody.

    Type: { host, containerPort } -> string | null
  */
  publishProblem =
    { host, containerPort }:
    if
      containerPort != null
      && builtins.elem host [
        "0.0.0.0"
        "::"
        "*"
        ""
      ]
    then
      "a published container port bypasses the firewall, so host \"${host}\" would open it to every network; set host to 127.0.0.1 or to the address of one interface"
    else
      null;
}
