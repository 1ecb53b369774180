# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  What a machine of a generated flake has beyond its servers: the owner's own file, and a guard against switching to a
  configuration that could not boot or would lock its owner out.

  Type: path -> module
  - directory: the machine's folder, machines/<name>
*/
directory:
{
  config,
  inputs,
  lib,
  ...
}:
let
  inherit (lib)
    any
    attrValues
    filter
    mkDefault
    mkOverride
    optional
    optionalAttrs
    ;
  # Weaker than any default: hardware-configuration.nix, disko.nix or local.nix replaces it.
  placeholder = "/dev/disk/by-label/llmflake-placeholder";
  hasDisks = config.fileSystems."/".device != placeholder;
  hasKeys = user: user.openssh.authorizedKeys.keys ++ user.openssh.authorizedKeys.keyFiles != [ ];
  canLogIn = any hasKeys (
    filter (user: user.enable && (user.isNormalUser || user.uid == 0)) (attrValues config.users.users)
  );
  refuse = message: ''
    echo ${lib.escapeShellArg "llmflake: ${message}"} >&2
    exit 1
  '';
  noDisks = "this machine has no file systems yet; run 'clan machines update-hardware-config', or put hardware-configuration.nix or disko.nix beside its configuration.nix";
  noLogin = "nobody could log in by SSH after this switch; set ssh_keys of the machine in the deployment, or users.users.root.openssh.authorizedKeys.keys in its local.nix";
in
{
  imports = [ ./default.nix ] ++ filter builtins.pathExists [ (directory + "/local.nix") ];

  llmflake.strixHalo = inputs.nix-strix-halo or null;

  services.openssh.enable = mkDefault true;
  boot.loader.systemd-boot.enable = mkDefault true;
  boot.loader.efi.canTouchEfiVariables = mkDefault true;

  # Lets the machine be evaluated before its disks are described; the guard below keeps it from being switched to.
  fileSystems."/" = {
    device = mkOverride 1400 placeholder;
    fsType = mkOverride 1400 "ext4";
  };

  system.preSwitchChecks =
    optionalAttrs (!hasDisks) { llmflakeDisks = refuse noDisks; }
    // optionalAttrs (!canLogIn) { llmflakeLogin = refuse noLogin; };

  warnings = optional (!hasDisks) "llmflake: ${noDisks}" ++ optional (!canLogIn) "llmflake: ${noLogin}";
}
