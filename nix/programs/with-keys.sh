# Managed by llmflake: the static tier, copied unchanged into every generated flake.
# Runs a program with keys that lie in files: with-keys [NAME=FILE | FILE]... -- PROGRAM [ARGUMENT]...
# NAME=FILE puts a key into the environment of this program and no other. FILE alone only looks whether there is a key:
# llama-server takes an empty file for "no key needed". Plain sh, because containers run it as well.
set -eu
while [ "$1" != -- ]; do
  file=${1#*=}
  key=$(cat "$file")
  case $key in
  *[!A-Za-z0-9._~+/=-]*) key= ;; # such as a placeholder of sops that nobody replaced
  esac
  if [ "${#key}" -lt 16 ]; then
    echo "llmflake: $file holds no key; run clan vars generate, and deploy again" >&2
    exit 78
  fi
  case $1 in
  *=*) export "${1%%=*}=$key" ;;
  esac
  shift
done
shift
exec "$@"
