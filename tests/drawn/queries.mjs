// What Grafana's Prometheus datasource does: variables into queries, queries to Prometheus, and its answers into frames.
import { FieldType, createDataFrame, rangeUtil } from '@grafana/data';

async function ask(url, path, values) {
  const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(values)}`);
  const { status, data, error } = await answer.json();
  if (status !== 'success') {
    throw new Error(`${path} ${JSON.stringify(values)}: ${error}`);
  }
  return data;
}

/** Returns the values of a dashboard's variables by name, each as it stands in a query: whatever "All" is. */
export async function variables(dashboard, { prometheus, from, to }) {
  const found = {};
  for (const variable of dashboard.templating.list) {
    if (variable.type === 'query') {
      const [, series, label] = /^label_values\((.*), *(\w+)\)$/.exec(variable.query.query);
      const known = await ask(prometheus, `label/${label}/values`, { 'match[]': series, start: from, end: to });
      if (known.length === 0) {
        throw new Error(`variable ${variable.name}: ${variable.query.query} has no values`);
      }
      found[variable.name] = { label: variable.label, text: variable.current.text, value: variable.allValue, known };
    } else {
      found[variable.name] = { label: variable.label, text: 'Prometheus', value: 'Prometheus', known: ['Prometheus'] };
    }
  }
  return found;
}

function filled(expression, values, interval, scraped) {
  const rate = Math.max(interval + scraped, 4 * scraped);
  const text = Object.entries(values).reduce(
    (left, [name, { value }]) => left.replaceAll(`$${name}`, value),
    expression.replaceAll('$__rate_interval', `${rate}s`)
  );
  if (/\$\w/.test(text)) {
    throw new Error(`a variable is left in ${text}`);
  }
  return text;
}

// As {{label}} is filled in in a legend.
const named = (legend, labels) => legend.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');

const frame = (target, labels, points, interval) =>
  createDataFrame({
    refId: target.refId,
    name: named(target.legendFormat, labels),
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([time]) => time * 1000), config: { interval: interval * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        labels,
        values: points.map(([, value]) => Number(value)),
        config: { displayNameFromDS: named(target.legendFormat, labels) },
      },
    ],
  });

/** Returns the frames of a panel: one for each series of each of its queries, over the dashboard's time. */
export async function frames(panel, width, values, given, range) {
  const { prometheus, from, to } = given;
  const answers = panel.targets.map(async (target) => {
    const interval = rangeUtil.calculateInterval(range, width, target.interval).intervalMs / 1000;
    const scraped = rangeUtil.intervalToMs(target.interval) / 1000;
    const query = filled(target.expr, values, interval, scraped);
    if (target.instant) {
      const { result } = await ask(prometheus, 'query', { query, time: to });
      return result.map(({ metric, value }) => frame(target, metric, [value], interval));
    }
    const start = Math.floor(from / interval) * interval;
    const { result } = await ask(prometheus, 'query_range', { query, start, end: to, step: interval });
    return result.map(({ metric, values: points }) => frame(target, metric, points, interval));
  });
  return (await Promise.all(answers)).flat();
}
