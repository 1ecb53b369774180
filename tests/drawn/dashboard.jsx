// Draws a dashboard as Grafana does, with Grafana's own components, and puts what became of each panel into the document.
import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import {
  ThemeContext,
  createTheme,
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  toUtc,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { complete, configured } from './panels.mjs';
import { frames, variables } from './queries.mjs';

const COLUMNS = 24;
const CELL = 30; // pixels of a row of the grid, and of the gap between panels
const GAP = 8;
const TIME_ZONE = 'utc';
const theme = createTheme({ colors: { mode: 'dark' } });

const Empty = ({ text }) => (
  <div style={{ height: '100%', display: 'flex', alignItems: 'center', justifyContent: 'center' }}>{text}</div>
);

function Lines({ data, kind, range, width, height }) {
  if (data.length === 0) {
    return <Empty text={kind.fieldConfig.defaults.noValue ?? 'No data'} />;
  }
  return (
    <TimeSeries
      frames={data}
      structureRev={1}
      width={width}
      height={height}
      timeRange={range}
      timeZone={TIME_ZONE}
      legend={kind.options.legend}
      options={kind.options}
    />
  );
}

function Values({ data, kind, range, width, height }) {
  const { options, fieldConfig } = kind;
  const replaceVariables = (text) => text;
  const sparkline = options.graphMode !== 'none';
  const getValues = () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables,
      theme,
      data,
      sparkline,
      timeZone: TIME_ZONE,
    });
  return (
    <VizRepeater
      source={data}
      getValues={getValues}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      itemSpacing={3}
      renderCounter={1}
      autoGrid
      orientation={options.orientation}
      renderValue={({ value, alignmentFactors, count, width: wide, height: high }) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline && { ...value.sparkline, timeRange: range }}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          alignmentFactors={alignmentFactors}
          wideLayout={options.wideLayout}
          width={wide}
          height={high}
          theme={theme}
          disableSparkline={!sparkline}
        />
      )}
    />
  );
}

const kinds = { timeseries: Lines, stat: Values };

const place = ({ x, y, w, h }, column) => ({
  left: x * (column + GAP),
  top: y * (CELL + GAP),
  width: w * (column + GAP) - GAP,
  height: h * (CELL + GAP) - GAP,
});

function Panel({ panel, box, data, range }) {
  const kind = complete(panel);
  const Kind = kinds[panel.type];
  return (
    <div style={{ position: 'absolute', ...box }} data-panel={panel.id}>
      <PanelChrome title={panel.title} description={panel.description} width={box.width} height={box.height}>
        {(width, height) => (
          <Kind data={configured(data, kind, theme, TIME_ZONE)} kind={kind} range={range} width={width} height={height} />
        )}
      </PanelChrome>
    </div>
  );
}

function Dashboard({ dashboard, data, values, range, column }) {
  const bar = { display: 'flex', gap: 16, alignItems: 'baseline', padding: '12px 0', color: theme.colors.text.primary };
  const high = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h)) * (CELL + GAP);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ padding: '0 16px 16px', background: theme.colors.background.canvas }}>
        <div style={bar}>
          <h3 style={{ margin: 0 }}>{dashboard.title}</h3>
          {Object.entries(values).map(([name, { label, text }]) => (
            <span key={name}>
              {label}: {text}
            </span>
          ))}
          <span style={{ marginLeft: 'auto' }}>
            {range.from.format('YYYY-MM-DD HH:mm')} to {range.to.format('HH:mm')} UTC
          </span>
        </div>
        <div style={{ position: 'relative', height: high }}>
          {dashboard.panels.map((panel) => {
            const box = place(panel.gridPos, column);
            return panel.type === 'row' ? (
              <h4 key={panel.id} style={{ position: 'absolute', ...box, margin: 0, color: theme.colors.text.primary }}>
                {panel.title}
              </h4>
            ) : (
              <Panel key={panel.id} panel={panel} box={box} data={data[panel.id]} range={range} />
            );
          })}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

// Curves are drawn in colours, and axes and grids in none.
function coloured(canvas) {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const pixel = data.slice(at, at + 3);
    found += data[at + 3] > 0 && Math.max(...pixel) - Math.min(...pixel) > 60;
  }
  return found;
}

/** What is to be seen of a panel, once it is drawn. */
function seen(panel, data) {
  const element = document.querySelector(`[data-panel="${panel.id}"]`);
  const inside = [...element.querySelectorAll('*')];
  const cut = inside.filter((part) => {
    const style = getComputedStyle(part);
    const narrow = style.textOverflow === 'ellipsis' && part.scrollWidth > part.clientWidth;
    const low = ['auto', 'scroll'].includes(style.overflowY) && part.scrollHeight > part.clientHeight + 1;
    return part.innerText && (narrow || low);
  });
  const words = inside.filter((part) => part.children.length === 0 && part.innerText);
  return {
    id: panel.id,
    series: data.map(({ name }) => name),
    text: element.innerText.split('\n').filter(Boolean),
    curves: [...element.querySelectorAll('canvas')].map(coloured),
    colours: Object.fromEntries(words.map((part) => [part.innerText, getComputedStyle(part).color])),
    cut: cut.map((part) => part.innerText),
  };
}

async function main() {
  const given = await (await fetch('given.json')).json();
  const { dashboard, width } = given;
  const range = { from: toUtc(given.from * 1000), to: toUtc(given.to * 1000) };
  range.raw = { from: dateTime(range.from), to: dateTime(range.to) };
  const column = (width - 32 - (COLUMNS - 1) * GAP) / COLUMNS;
  const values = await variables(dashboard, given);
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  const data = {};
  await Promise.all(
    panels.map(async (panel) => {
      data[panel.id] = await frames(panel, place(panel.gridPos, column).width, values, given, range);
    })
  );
  const Whole = () => {
    const [drawn, setDrawn] = useState(false);
    useEffect(() => {
      const timer = setTimeout(() => setDrawn(true), 1000);
      return () => clearTimeout(timer);
    }, []);
    useEffect(() => {
      if (drawn) {
        const result = document.createElement('pre');
        result.id = 'result';
        result.textContent = JSON.stringify({
          height: document.getElementById('dashboard').scrollHeight,
          panels: panels.map((panel) => seen(panel, data[panel.id])),
        });
        document.body.append(result);
      }
    }, [drawn]);
    return <Dashboard {...{ dashboard, data, values, range, column }} />;
  };
  createRoot(document.getElementById('dashboard')).render(<Whole />);
}

main().catch((error) => console.error(error.stack));
