# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  llm-ages [key NAME | certificate NAME]…

  Writes for node_exporter's textfile collector until when certificates hold, and since when keys are what they are. The files
  are credentials of its unit, key-NAME and certificate-NAME. A key's file says nothing of its age, for secrets are laid anew
  at every boot: the unit's state remembers when a key was seen first, by a hash from which nobody gets it back.

  Type: { writeShellApplication, coreutils, openssl } -> derivation
*/
{
  writeShellApplication,
  coreutils,
  openssl,
  ...
}:
writeShellApplication {
  name = "llm-ages";
  runtimeInputs = [
    coreutils
    openssl
  ];
  text = ''
    output=$RUNTIME_DIRECTORY/llm-ages.prom
    # A label's value, with what the format reserves escaped.
    label() {
      local text=''${1//\\/\\\\}
      text=''${text//\"/\\\"}
      printf '%s' "''${text//$'\n'/\\n}"
    }
    keys="" certificates=""
    while [ $# -gt 0 ]; do
      kind=$1 name=$2 file=$CREDENTIALS_DIRECTORY/$1-$2
      shift 2
      case $kind in
        key)
          hash=$(sha256sum < "$file")
          seen=$STATE_DIRECTORY/''${hash%% *}
          [ -e "$seen" ] || date +%s > "$seen"
          keys+="llm_key_first_seen_seconds{key=\"$(label "$name")\"} $(cat "$seen")"$'\n'
          ;;
        certificate)
          end=$(openssl x509 -noout -enddate -in "$file")
          certificates+="llm_certificate_not_after_seconds{certificate=\"$(label "$name")\"} $(date -d "''${end#notAfter=}" +%s)"$'\n'
          ;;
        *)
          echo "llm-ages: $kind is neither key nor certificate" >&2
          exit 1
          ;;
      esac
    done
    {
      if [ -n "$keys" ]; then
        echo "# HELP llm_key_first_seen_seconds When this key was seen first, as seconds since 1970."
        echo "# TYPE llm_key_first_seen_seconds gauge"
        printf '%s' "$keys"
      fi
      if [ -n "$certificates" ]; then
        echo "# HELP llm_certificate_not_after_seconds When this certificate expires, as seconds since 1970."
        echo "# TYPE llm_certificate_not_after_seconds gauge"
        printf '%s' "$certificates"
      fi
    } > "$output.new"
    chmod 0644 "$output.new"
    # The collector never sees half a file.
    mv "$output.new" "$output"
  '';
}
