// What Grafana adds to a panel before it is drawn: the defaults of its kind and of every field. They are not in its packages,
// for the panels themselves are not; these are facts of Grafana 13, as the options of its timeseries and stat panels have them.
import {
  FieldConfigProperty,
  PanelPlugin,
  applyFieldOverrides,
  booleanOverrideProcessor,
  displayNameOverrideProcessor,
  getPanelOptionsWithDefaults,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';

const nothing = () => null;
const option = (id, process, defaultValue) => ({
  id,
  path: id,
  name: id,
  process,
  defaultValue,
  editor: nothing,
  override: nothing,
  settings: {},
  shouldApply: () => true,
});

standardFieldConfigEditorRegistry.setInit(() => [
  option('displayName', displayNameOverrideProcessor),
  option('unit', unitOverrideProcessor),
  option('min', numberOverrideProcessor),
  option('max', numberOverrideProcessor),
  option('fieldMinMax', booleanOverrideProcessor, false),
  option('decimals', numberOverrideProcessor),
  option('noValue', stringOverrideProcessor),
  option('color', identityOverrideProcessor, { mode: 'thresholds' }),
  option('mappings', valueMappingsOverrideProcessor, []),
  option('thresholds', thresholdsOverrideProcessor, {
    mode: 'absolute',
    steps: [
      { value: -Infinity, color: 'green' },
      { value: 80, color: 'red' },
    ],
  }),
]);

const offered = (values) => (builder) => {
  for (const [path, value] of Object.entries(values)) {
    builder.addCustomEditor(option(path, identityOverrideProcessor, value));
  }
};

const line = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  lineStyle: undefined,
  fillOpacity: 0,
  gradientMode: 'none',
  showPoints: 'auto',
  pointSize: 5,
  spanNulls: false,
  stacking: { mode: 'none', group: 'A' },
  axisPlacement: 'auto',
  axisColorMode: 'text',
  axisLabel: '',
  axisGridShow: true,
  axisCenteredZero: false,
  axisBorderShow: false,
  axisSoftMin: undefined,
  axisSoftMax: undefined,
  scaleDistribution: { type: 'linear' },
  hideFrom: { tooltip: false, viz: false, legend: false },
  thresholdsStyle: { mode: 'off' },
};

const kinds = {
  timeseries: new PanelPlugin(nothing)
    .useFieldConfig({
      standardOptions: { [FieldConfigProperty.Color]: { defaultValue: { mode: 'palette-classic' } } },
      useCustomConfig: offered(line),
    })
    .setPanelOptions(
      offered({
        legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] },
        tooltip: { mode: 'single', sort: 'none' },
      })
    ),
  stat: new PanelPlugin(nothing).useFieldConfig().setPanelOptions(
    offered({
      reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '' },
      orientation: 'auto',
      textMode: 'auto',
      wideLayout: true,
      colorMode: 'value',
      graphMode: 'area',
      justifyMode: 'auto',
    })
  ),
};

/** Returns a panel's options and configuration of fields, with the defaults of its kind. Throws for a kind unknown. */
export function complete(panel) {
  const plugin = kinds[panel.type];
  if (plugin === undefined) {
    throw new Error(`panel "${panel.title}": kind ${panel.type} is none that these components draw`);
  }
  return {
    plugin,
    ...getPanelOptionsWithDefaults({
      plugin,
      currentOptions: panel.options ?? {},
      currentFieldConfig: panel.fieldConfig,
      isAfterPluginChange: false,
    }),
  };
}

/** Returns frames with a panel's units, colours, names and thresholds applied. */
export function configured(frames, { plugin, fieldConfig }, theme, timeZone) {
  return applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: plugin.fieldConfigRegistry,
    replaceVariables: (text) => text,
    theme,
    timeZone,
  });
}
