# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    concatMap
    isBool
    isFloat
    isInt
    isString
    match
    toJSON
    toString
    ;
in
{
  /**
    One value as the text of one argument. Floats go through JSON, because `toString 0.85` is "0.850000".

    Type: bool | int | float | string -> string
    Example: render 0.85 => "0.85"
  */
  render =
    value:
    if isString value then
      value
    else if isInt value then
      toString value
    else if isFloat value then
      toJSON value
    else if isBool value then
      (if value then "true" else "false")
    else
      throw "llmflake: an argument must be a string, a number or a boolean, not a ${builtins.typeOf value}";

  /**
    Settings as an argument list, in the order of the table. `null` leaves a flag out; a switch appears when true,
    and a `negatable` one as `--no-…` when false.

    Type: [{ name, flag, kind }] -> attrs -> [string]
    Example: fromTable [ { name = "dtype"; flag = "--dtype"; kind = "value"; } ] { dtype = "auto"; }
      => [ "--dtype" "auto" ]
  */
  fromTable =
    table: settings:
    concatMap (
      {
        name,
        flag,
        kind,
      }:
      let
        value = settings.${name} or null;
      in
      if value == null then
        [ ]
      else if kind == "value" then
        [
          flag
          (lib.args.render value)
        ]
      else if value then
        [ flag ]
      else if kind == "negatable" then
        [ "--no-${builtins.substring 2 (-1) flag}" ]
      else
        [ ]
    ) table;

  /**
    The flag that an argument names, or null for a value: `--port=80` and `--port` both name `--port`. vLLM reads
    `--max_model_len` as `--max-model-len`, so underscores count as dashes.

    Type: string -> string | null
    Example: flagOf "--max_model_len=4096" => "--max-model-len"
  */
  flagOf =
    argument:
    let
      parts = match "(--?[A-Za-z][^=]*)(=.*)?" argument;
    in
    if parts == null then
      null
    else
      builtins.replaceStrings [ "_" ] [ "-" ] (builtins.head parts);

  /**
    Whether an argument list names one of the flags.

    Type: [string] -> [string] -> bool
    Example: mentions [ "--port" ] [ "--port=80" ] => true
  */
  mentions =
    flags: arguments: builtins.any (argument: builtins.elem (lib.args.flagOf argument) flags) arguments;
}
