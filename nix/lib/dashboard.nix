# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    all
    attrNames
    elem
    elemAt
    filter
    foldl'
    genList
    head
    length
    map
    replaceStrings
    substring
    tail
    toString
    ;
  data = builtins.fromTOML (builtins.readFile ../data/panels.toml);
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  datasource = {
    type = "prometheus";
    # A variable of the dashboard: it works with whatever the Prometheus of a Grafana is called.
    uid = "\${datasource}";
  };
  indexed = list: genList (at: { inherit at; value = elemAt list at; }) (length list);
  rowNames = panels: foldl' (seen: panel: if elem panel.row seen then seen else seen ++ [ panel.row ]) [ ] panels;
in
{
  /**
    The panels of a deployment: those whose feature it has, with the mount points of its models, its thresholds and the
    seconds between two scrapes filled in.

    Type: deployment -> [{ row, title, about, kind, unit, interval, limit?, queries = [{ expr, legend, conditional? }]; … }]
    - conditional: what must happen before the query has data; without it the query always has
    - limit: the number above or below which an alert fires
  */
  panels =
    deployment:
    let
      features = lib.monitoring.features deployment;
      needed = part: part.needs or "" == "" || elem part.needs features;
      directories = map (name: deployment.models.${name}.directory) (attrNames deployment.models);
      fill = replaceStrings [ "@model_mounts@" ] [ (lib.alerts.mounts directories) ];
      inherit (deployment.monitoring) alerts scrapeInterval;
    in
    map (
      panel:
      panel
      // (if panel ? limit then { limit = alerts.${panel.limit}; } else { })
      // {
        interval = "${toString scrapeInterval}s";
        queries = map (query: query // { expr = fill query.expr; }) (filter needed panel.queries);
      }
    ) (filter needed data.panel);

  /**
    Panels as Grafana reads them: a row for each group, up to three panels beside each other.

    Type: [panel] -> [attrs]
  */
  layout =
    panels:
    let
      step =
        state: row:
        let
          members = filter (panel: panel.row == row) panels;
          heading = {
            type = "row";
            title = row;
            id = state.id;
            collapsed = false;
            panels = [ ];
            gridPos = {
              x = 0;
              y = state.y;
              w = 24;
              h = 1;
            };
          };
          draw =
            { at, value }:
            let
              place = lib.panel.place (length members) at;
            in
            {
              inherit (value) title;
              type = value.kind;
              id = state.id + 1 + at;
              inherit datasource;
              description =
                if all (query: query ? conditional) value.queries && tail value.queries == [ ] then
                  "${value.about} Empty until ${(head value.queries).conditional}."
                else
                  value.about;
              gridPos = place // {
                y = state.y + 1 + place.y;
              };
              targets = map (query: {
                inherit datasource;
                inherit (query.value) expr;
                legendFormat = query.value.legend;
                refId = substring query.at 1 letters;
                # Grafana takes any Prometheus to scrape every 15 seconds that does not say otherwise, and rates need four scrapes.
                inherit (value) interval;
                instant = value.kind == "stat";
                range = value.kind != "stat";
              }) (indexed value.queries);
            }
            // lib.panel.look value;
        in
        {
          id = state.id + 1 + length members;
          y = state.y + 1 + lib.panel.height (length members);
          drawn = state.drawn ++ [ heading ] ++ map draw (indexed members);
        };
    in
    (foldl' step {
      id = 1;
      y = 0;
      drawn = [ ];
    } (rowNames panels)).drawn;

  /**
    The dashboards of a deployment, by the name of their file.

    Type: deployment -> attrs
  */
  all = deployment: {
    "llm.json" = {
      uid = "llmflake";
      title = "LLM services of ${deployment.clan.name}";
      tags = [ "llmflake" ];
      schemaVersion = 39;
      editable = false;
      refresh = "30s";
      timezone = "browser";
      time = {
        from = "now-6h";
        to = "now";
      };
      annotations.list = [ ];
      links = [ ];
      templating.list = [
        {
          name = "datasource";
          label = "Prometheus";
          type = "datasource";
          query = "prometheus";
          refresh = 1;
          includeAll = false;
          multi = false;
        }
        {
          name = "machine";
          label = "Machine";
          type = "query";
          inherit datasource;
          query = {
            query = "label_values(llm:service_info, machine)";
            refId = "machine";
          };
          refresh = 2;
          includeAll = true;
          allValue = ".*";
          multi = true;
          sort = 1;
          current = {
            text = "All";
            value = "$__all";
          };
        }
      ];
      panels = lib.dashboard.layout (lib.dashboard.panels deployment);
    };
  };
}
