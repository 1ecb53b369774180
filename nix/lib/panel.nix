# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_:
let
  inherit (builtins)
    elemAt
    intersectAttrs
    listToAttrs
    map
    toString
    ;
  columns = 24;
  widest = 3; # panels beside each other
  high = 8;
  lines = count: (count + widest - 1) / widest;
  only =
    names: attrs:
    intersectAttrs (listToAttrs (
      map (name: {
        inherit name;
        value = null;
      }) names
    )) attrs;
  given =
    attrs: name: found:
    if attrs ? ${name} then found attrs.${name} else { };
  isStat = panel: panel.kind == "stat";

  # Grafana's own make green of what is below 80, and red of all else.
  thresholds =
    panel:
    let
      fine = if isStat panel then "green" else "transparent";
      colours =
        if panel.below or false then
          [
            "red"
            fine
          ]
        else
          [
            fine
            "red"
          ];
    in
    {
      mode = "absolute";
      steps =
        if panel ? limit then
          [
            {
              color = elemAt colours 0;
              value = null;
            }
            {
              color = elemAt colours 1;
              value = panel.limit;
            }
          ]
        else
          [
            {
              color = "text";
              value = null;
            }
          ];
    };

  # Numbers as words. A stat's colour of nothing would be that of the least number.
  words =
    panel:
    map (word: {
      type = "value";
      options.${toString word.value} = {
        inherit (word) text;
        color = word.colour;
      };
    }) (panel.values or [ ])
    ++ (
      if panel ? empty then
        [
          {
            type = "special";
            options = {
              match = "null";
              result = {
                text = panel.empty;
                color = "text";
              };
            };
          }
        ]
      else
        [ ]
    );

  # An axis ends where its curves do, also below the line that is drawn at the limit.
  curves =
    panel:
    let
      end = panel.soft_max or panel.limit or null;
    in
    (if end == null || panel ? max then { } else { axisSoftMax = end; })
    // given panel "limit" (_: { thresholdsStyle.mode = "dashed"; });

  properties =
    series:
    if series.dashes or false then
      [
        {
          id = "custom.lineStyle";
          value = {
            fill = "dash";
            dash = [
              8
              8
            ];
          };
        }
      ]
    else
      [
        {
          id = "color";
          value = {
            mode = "fixed";
            fixedColor = series.colour;
          };
        }
      ];
in
{
  /**
    How much of the grid's height so many panels take: as little as can be.

    Type: int -> int
  */
  height = count: lines count * high;

  /**
    Where a panel of so many is. Lines are full, and none has more than one panel more than another.

    Type: int -> int -> { x, y, w, h }
    - count: how many panels there are; at: which of them, from 0
    Example: place 4 3 => { x = 12; y = 8; w = 12; h = 8; }
  */
  place =
    count: at:
    let
      few = count / lines count;
      longer = count - few * lines count;
      crowded = longer * (few + 1);
      line = if at < crowded then at / (few + 1) else longer + (at - crowded) / few;
      first = line * few + (if line < longer then line else longer);
      w = columns / (if line < longer then few + 1 else few);
    in
    {
      inherit w;
      x = (at - first) * w;
      y = line * high;
      h = high;
    };

  /**
    How a panel looks, as Grafana reads it: units, words, colours, the axis, and its kind's own options.

    Type: panel -> { fieldConfig, options? }
  */
  look =
    panel:
    {
      fieldConfig = {
        defaults = {
          inherit (panel) unit;
          thresholds = thresholds panel;
        }
        // only [ "min" "max" "decimals" ] panel
        // (
          if isStat panel then
            { mappings = words panel; }
          else
            { custom = curves panel; } // given panel "empty" (noValue: { inherit noValue; })
        );
        overrides = map (series: {
          matcher = {
            id = "byRegexp";
            options = series.name;
          };
          properties = properties series;
        }) (panel.series or [ ]);
      };
    }
    // (
      if !isStat panel then
        { }
      else
        {
          options = {
            graphMode = "none";
          }
          // (
            if panel.show == "name" then
              # Names are long: one below the other.
              {
                textMode = "name";
                colorMode = "background_solid";
                orientation = "horizontal";
              }
            else
              { textMode = "value_and_name"; }
          );
        }
    );
}
