/** Charts over time, on uPlot, which is loaded when the first one is shown. */
import {html, hooks} from '../core/base.js';
import {fmt, t} from '../core/i18n.js';
import {colour, theme} from '../core/theme.js';
import {Busy, Trouble} from './empty.js';

const {useEffect, useMemo, useRef, useState} = hooks;

function lastOf(values) {
  return values?.findLast((value) => value !== null && value !== undefined);
}

/**
 * `<Chart label series=[{label, kind, format, fill, stack}] data=[[seconds…], [values…], …] height unit />`.
 * `kind` names a colour of the theme: accent, ok, warn, bad, info, muted. With `stack` the series
 * stand on each other. `format` writes a value.
 */
export function Chart({label, series, data, height = 180, unit = '', stack = false, format = fmt.rate}) {
  const place = useRef(null);
  const plot = useRef(null);
  const [UPlot, setUPlot] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    import('uplot').then(({default: found}) => setUPlot(() => found), setError);
  }, []);
  const drawn = useMemo(() => (stack ? stacked(data) : data), [data, stack]);
  const shape = series.map(({label: name, kind}) => `${name} ${kind}`).join();
  useEffect(() => {
    if (!UPlot || !place.current) return undefined;
    const made = new UPlot(options(series, {height, stack, format, width: place.current.clientWidth}), drawn, place.current);
    plot.current = made;
    const watch = new ResizeObserver(([{contentRect}]) => {
      if (contentRect.width) made.setSize({width: contentRect.width, height});
    });
    watch.observe(place.current);
    return () => { watch.disconnect(); made.destroy(); plot.current = null; };
  }, [UPlot, theme.value, shape, height, stack]);
  useEffect(() => { plot.current?.setData(drawn); }, [drawn]);
  const now = series.map(({label: name, format: own}, index) => (
    `${name} ${(own ?? format)(lastOf(data[index + 1]))}${unit && ` ${unit}`}`));
  if (error) return html`<${Trouble} error=${error} />`;
  return html`<figure class="chart">
    <div class="chart-legend">${series.map(({label: name, kind = 'accent', format: own}, index) => html`<span key=${name}>
      <span class=${`chart-key chart-${kind}`} aria-hidden="true"></span>${name}
      <strong>${(own ?? format)(lastOf(data[index + 1]))}</strong></span>`)}
      ${unit && html`<span class="muted">${unit}</span>`}</div>
    <div class="chart-plot" ref=${place} role="img" aria-label=${`${label ?? t('Chart')}: ${now.join(', ')}`}></div>
    ${!UPlot && html`<${Busy} />`}
  </figure>`;
}

/** The values on top of each other, the last series on top. */
function stacked([times, ...rows]) {
  const sums = times.map(() => 0);
  return [times, ...rows.map((row) => row.map((value, index) => (sums[index] += value ?? 0)))];
}

/** Seconds between two marks of the time. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

function clock(time, times) {
  const whole = fmt.clock(time);
  return times.every((one) => one % 60 === 0) ? whole.slice(0, 5) : whole;
}

function options(series, {height, width, stack, format}) {
  const line = colour('line');
  const muted = colour('muted');
  const font = '11px system-ui, sans-serif';
  const axis = {stroke: muted, font, grid: {stroke: line, width: 1}, ticks: {stroke: line, width: 1, size: 4}};
  const bands = stack ? series.slice(1).map((_, index) => ({series: [index + 2, index + 1]})) : [];
  return {
    width, height, bands,
    padding: [8, 8, 0, 0],
    legend: {show: false},
    cursor: {y: false, points: {size: 6}, drag: {setScale: false}},
    scales: {y: {range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.1]}},
    axes: [
      {...axis, space: 64, size: 26, incrs: STEPS, values: (_, times) => times.map((time) => clock(time, times))},
      {...axis, size: 52, space: 28, values: (_, values) => values.map((value) => format(value))},
    ],
    series: [{}, ...series.map(({label: name, kind = 'accent', fill = stack}) => {
      const own = colour(kind);
      return {label: name, stroke: own, width: stack ? 1 : 1.5, points: {show: false}, spanGaps: false,
        fill: fill ? own.replace('rgb(', 'rgba(').replace(')', ', 0.25)') : undefined};
    })],
  };
}
