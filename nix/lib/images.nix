# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins) filter head match;
  data = builtins.fromTOML (builtins.readFile ../data/images.toml);
  digestOf =
    image:
    let
      parts = match "[^@]+@(sha256:[0-9a-f]{64})" image;
    in
    if parts == null then null else head parts;
in
{
  /**
    The digest of an image reference, or null when it names none.

    Type: string -> string | null
    Example: digest "docker.io/a/b@sha256:…" => "sha256:…"
  */
  digest = digestOf;

  /**
    What is wrong with an image reference, or null. A tag alone means another image tomorrow; and the reference reaches a
    shell unquoted in nixpkgs' container module, so its characters are bounded here.

    Type: string -> string | null
  */
  problem =
    image:
    if match "[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}" image != null then
      null
    else
      "container image \"${image}\" is not pinned by digest; write it as registry/name@sha256:<64 hex digits>";

  /**
    The record of a known image, found by its digest, or null.

    Type: string -> { reference, release, … } | null
  */
  find =
    image:
    let
      known = filter (record: digestOf record.reference == digestOf image) data.image;
    in
    if digestOf image == null || known == [ ] then null else head known;

  /**
    The image that serves an engine on a GPU target when the deployment names none, or null.

    Type: { serviceType, target } -> { reference, release, … } | null
  */
  default =
    { serviceType, target }:
    let
      known = filter (
        record: record.default && record.engine == serviceType && builtins.elem target record.targets
      ) data.image;
    in
    if known == [ ] then null else head known;

  /**
    Arguments of `dockerTools.pullImage` for the images of a deployment whose hash is known for an architecture, by the
    last part of their names and the beginning of their digests.

    Type: { GOARCH, images } -> attrs of { imageName, imageDigest, hash, finalImageName, finalImageTag }
    - images: by reference, { amd64 = "sha256-…"; arm64 = "sha256-…"; }, either of them or none
    Example: pulls { GOARCH = "amd64"; images."docker.io/a/b@sha256:5b03…".amd64 = "sha256-…"; } => { b-5b0389109bb2 = { … }; }
  */
  pulls =
    { GOARCH, images }:
    builtins.listToAttrs (
      map (
        reference:
        let
          parts = match "((.*/)?([^/@]+))@sha256:(.{12}).*" reference;
          name = head parts;
        in
        {
          name = "${builtins.elemAt parts 2}-${builtins.elemAt parts 3}";
          value = {
            imageName = name;
            imageDigest = digestOf reference;
            hash = images.${reference}.${GOARCH};
            finalImageName = name;
            finalImageTag = "pinned";
          };
        }
      ) (filter (reference: images.${reference} ? ${GOARCH}) (builtins.attrNames images))
    );
}
