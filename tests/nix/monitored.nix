# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  A watched deployment, as deployment.json has it, for the tests of what watches it.
*/
let
  machine = targetHost: gttMiB: {
    inherit targetHost;
    tags = [ ];
    host = {
      inherit gttMiB;
      hardware = {
        accelerator = "rocm";
        target = "gfx1151";
      };
    };
  };
  service = machines: settings: {
    inherit machines;
    tags = [ ];
    settings = {
      host = "127.0.0.1";
      autoStart = true;
      conflicts = [ ];
    }
    // settings;
  };
in
{
  clan.name = "aspen";
  machines = {
    aspen1 = machine "root@aspen1" 117760;
    aspen2 = machine "root@aspen2.lan:2222" 98304;
  };
  models.gpt-oss.directory = "/var/lib/llm/models/gpt-oss";
  services = {
    batch = service [ "aspen1" ] {
      serviceType = "vllm";
      unit = "vllm";
      port = 8000;
      conflicts = [ "llama-spare" ];
    };
    spare = service [ "aspen1" ] {
      serviceType = "llamacpp";
      unit = "llama-spare";
      port = 8081;
    };
    chat = service [ "aspen2" ] {
      serviceType = "llamacpp";
      unit = "llama-cpp";
      host = "0.0.0.0";
      port = 8080;
    };
    small = service [ "aspen2" ] {
      serviceType = "ollama";
      unit = "ollama";
      port = 11434;
    };
  };
  monitoring = {
    machines = [ "aspen1" ];
    prometheus = true;
    grafana = false;
    nodeExporter = true;
    smuExporter = false;
    expose = [ "tailscale0" ];
    scrapeInterval = 15;
    floors.batch.aspen1 = 6.5;
    alerts = {
      certificate_days = 14;
      disk_free = 0.05;
      gpu_temperature = 95;
      gtt = 0.97;
      key_days = 180;
      kv_cache = 0.9;
      loading_minutes = 30;
      memory_pressure = 0.2;
      preemptions_per_minute = 1.0;
      queued_requests = 4;
      restarts_per_hour = 2;
      slow = 0.8;
    };
  };
}
