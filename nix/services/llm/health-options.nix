# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) mkOption types;
  inherit (types.ints) between;
  option =
    type: default: example: description:
    mkOption {
      inherit
        type
        default
        example
        description
        ;
    };
  optional = type: option (types.nullOr type) null;
in
{
  readiness =
    optional types.bool true
      "Whether the unit counts as started only when a known question got its known answer; null is yes with vLLM and llama.cpp, else no.";
  watchdog =
    optional types.bool true
      "Whether a watchdog asks the idle server a question now and then, and restarts a hung one; null is yes with vLLM and llama.cpp, else no.";
  question =
    option types.str "What is 2+2? Answer with the number alone."
      "What is 2+2? Answer with the number alone."
      "A question whose answer is known.";
  answer = option types.str "4" "4" "A word that the answer must hold, as a word of its own.";
  maxTokens = option (between 1 65536) 512 512 "How many tokens an answer may take; a reasoning model thinks first.";
  minimumRate =
    option (types.numbers.between 0 100000) 1.0 1
      "Decoded tokens a second below which the server is not well; 0 is any.";
  startLimit = option (between 10 86400) 3600 3600 "Seconds that loading the model may take, from the start of the program.";
  probeInterval =
    option (between 5 86400) 300 300
      "Seconds after which a server that nobody used is asked; while requests make progress, it is not.";
  hangLimit =
    option (between 5 86400) 120 120
      "Seconds without any progress, with work in hand, after which the server hangs; also what a question may take.";
  restarts =
    option (between 0 4) 2 2
      "How often the watchdog restarts a hung server before it goes on to the fallback or the reboot.";
  fallback =
    optional (types.strMatching "[A-Za-z0-9][A-Za-z0-9_.-]*") "llama-cpp"
      "The unit, without `.service`, that is started instead when restarts did not help.";
  reboot = option types.bool false true "Whether the machine may be rebooted when nothing else helped.";
  rebootIntervalHours = option (between 1 8760) 24 24 "Hours within which it is rebooted once at most.";
  restartAfterRequests =
    optional types.ints.positive 1000
      "Requests after which the server is restarted, as soon as none is in flight.";
  restartAfterHours =
    optional (between 1 8760) 24
      "Hours after which the server is restarted, as soon as no request is in flight.";
  keyFile =
    optional (types.strMatching "/[^[:space:]:]+") "/run/secrets/llm-key"
      "The file on the machine that holds the server's API key, for the questions; null is the key of `apiKey`.";
}
