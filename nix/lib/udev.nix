# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_: {
  /**
    udev rules that let every local user compute on an AMD GPU: the kernel fusion driver and the DRM nodes belong to the
    group render.

    Type: string
  */
  rules = ''
    SUBSYSTEM=="kfd", GROUP="render", MODE="0666"
    SUBSYSTEM=="drm", KERNEL=="card[0-9]*", GROUP="render", MODE="0666"
    SUBSYSTEM=="drm", KERNEL=="renderD[0-9]*", GROUP="render", MODE="0666"
  '';
}
