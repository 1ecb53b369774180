# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    attrNames
    concatLists
    elem
    elemAt
    filter
    foldl'
    genList
    length
    map
    replaceStrings
    substring
    ;
  data = builtins.fromTOML (builtins.readFile ../data/panels.toml);
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  columns = 24;
  width = 8;
  height = 8;
  datasource = {
    type = "prometheus";
    # A variable of the dashboard: it works with whatever the Prometheus of a Grafana is called.
    uid = "\${datasource}";
  };
  indexed = list: genList (at: { inherit at; value = elemAt list at; }) (length list);
  rowNames = panels: foldl' (seen: panel: if elem panel.row seen then seen else seen ++ [ panel.row ]) [ ] panels;
  ceil = count: (count * width + columns - 1) / columns;
in
{
  /**
    The panels of a deployment, with the mount points of its models filled in: those whose feature it has.

    Type: deployment -> [{ row, title, kind, unit, queries = [{ expr, legend, conditional? }]; … }]
    - conditional: what must happen before the query has data; without it the query always has
  */
  panels =
    deployment:
    let
      features = lib.monitoring.features deployment;
      directories = map (name: deployment.models.${name}.directory) (attrNames deployment.models);
      fill = replaceStrings [ "@model_mounts@" ] [ (lib.alerts.mounts directories) ];
    in
    map (
      panel:
      panel
      // {
        queries = map (query: query // { expr = fill query.expr; }) panel.queries;
      }
    ) (filter (panel: panel.needs == "" || elem panel.needs features) data.panel);

  /**
    Panels as Grafana reads them: a row for each group, three panels beside each other.

    Type: [panel] -> [attrs]
  */
  layout =
    panels:
    let
      place =
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
              w = columns;
              h = 1;
            };
          };
          draw =
            { at, value }:
            {
              inherit (value) title;
              type = value.kind;
              id = state.id + 1 + at;
              inherit datasource;
              description = builtins.concatStringsSep " " (
                concatLists (
                  map (query: if query ? conditional then [ "Empty until ${query.conditional}." ] else [ ]) value.queries
                )
              );
              fieldConfig = {
                defaults = {
                  inherit (value) unit;
                };
                overrides = [ ];
              };
              gridPos = {
                x = at * width - (at * width / columns) * columns;
                y = state.y + 1 + (at * width / columns) * height;
                w = width;
                h = height;
              };
              targets = map (query: {
                inherit datasource;
                inherit (query.value) expr;
                legendFormat = query.value.legend;
                refId = substring query.at 1 letters;
              }) (indexed value.queries);
            };
        in
        {
          id = state.id + 1 + length members;
          y = state.y + 1 + (ceil (length members)) * height;
          drawn = state.drawn ++ [ heading ] ++ map draw (indexed members);
        };
    in
    (foldl' place {
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
