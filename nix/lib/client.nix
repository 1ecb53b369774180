# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_:
let
  nameOf = clientType: if clientType == "vllm" then "openai" else clientType;
in
{
  /**
    What a client installs and where it looks for its server. `python` names Python packages, `programs` names programs;
    vLLM speaks OpenAI's protocol, so its client is OpenAI's, not a copy of the whole engine.

    Type: { clientType, defaultServer, … } -> { programs = [string]; python = [string]; variables = attrs of string; }
    Example: resolve { clientType = "curl"; defaultServer = null; } => { programs = [ "curl" "jq" ]; python = [ ]; variables = { }; }
  */
  resolve =
    { clientType, defaultServer, ... }:
    {
      programs =
        {
          ollama = [ "ollama" ];
          openai = [ ];
          curl = [
            "curl"
            "jq"
          ];
        }
        .${nameOf clientType};
      python = if nameOf clientType == "openai" then [ "openai" ] else [ ];
      variables =
        if defaultServer == null then
          { }
        else if clientType == "ollama" then
          { OLLAMA_HOST = defaultServer; }
        else
          { OPENAI_BASE_URL = defaultServer; };
    };
}
