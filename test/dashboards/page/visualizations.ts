/** One component for each kind of panel. Charts, tables, stats, axes and legends are Grafana's. */
import {
  type DataFrame,
  dateTime,
  type GrafanaTheme2,
  getDisplayProcessor,
  getFieldDisplayValues,
  type TimeRange,
} from '@grafana/data';
import { BigValue, TimeSeries, UPlotChart, UPlotConfigBuilder } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { createElement as h, type ReactElement } from 'react';
import type { PanelInput } from './input.ts';

export interface Drawing {
  readonly panel: PanelInput;
  readonly frames: DataFrame[];
  readonly theme: GrafanaTheme2;
  readonly width: number;
  readonly height: number;
  readonly from: number;
  readonly to: number;
  readonly replaceVariables: (text: string) => string;
}

const rangeOf = ({ from, to }: Drawing): TimeRange => ({
  from: dateTime(from),
  to: dateTime(to),
  raw: { from: dateTime(from), to: dateTime(to) },
});

/** What Grafana's panel sets for a new time series. */
const LINE = {
  ...{ drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, pointSize: 5, gradientMode: 'none' },
  ...{ axisPlacement: 'auto', scaleDistribution: { type: 'linear' }, spanNulls: false },
};

export function timeSeries(drawing: Drawing): ReactElement {
  const { panel, frames, width, height } = drawing;
  for (const field of frames.flatMap(({ fields }) => fields)) {
    field.config.custom = { ...LINE, ...panel.fieldConfig.defaults.custom };
  }
  const legend = panel.options?.legend;
  return h(TimeSeries, { frames, legend, timeRange: rangeOf(drawing), timeZone: 'utc', width, height });
}

export function stat({ panel, frames, theme, width, height, replaceVariables }: Drawing): ReactElement {
  const [value] = getFieldDisplayValues({
    data: frames,
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options?.reduceOptions,
    replaceVariables,
    theme,
    timeZone: 'utc',
  });
  return h(BigValue, {
    value: value?.display,
    colorMode: 'value',
    textMode: 'value',
    graphMode: 'none',
    width,
    height,
    theme,
  });
}

export function table({ panel, frames, width, height }: Drawing): ReactElement {
  return h(TableNG, { data: frames[0], sortBy: panel.options?.sortBy, width, height, transparent: true });
}

/** Grafana publishes no heat map: cells on the chart, scales and axes that all its panels stand on. */
export function heatmap(drawing: Drawing): ReactElement {
  const { panel, frames, theme, width, height } = drawing;
  const times = [...new Set(frames.flatMap(({ fields }) => fields[0]?.values ?? []))].sort((a, b) => a - b);
  const cells = frames.map(
    ({ fields }) => new Map(fields[0]?.values.map((time, i) => [time, fields[1]?.values[i]])),
  );
  const most = Math.max(...cells.flatMap((row) => [...row.values()]));
  const show = getDisplayProcessor({
    field: { type: 'number', config: { unit: panel.fieldConfig.defaults.unit } },
    theme,
  });
  const bounds = frames.map(({ fields }) => String(fields[1]?.name));
  const labels = bounds.map((bound) => {
    const { text, suffix = '' } = show(Number(bound));
    return bound === '+Inf' ? 'more' : text + suffix;
  });
  const builder = new UPlotConfigBuilder('utc');
  builder.addScale({
    scaleKey: 'x',
    isTime: true,
    orientation: 0,
    direction: 1,
    range: () => [drawing.from, drawing.to],
  });
  builder.addScale({ scaleKey: 'y', orientation: 1, direction: 1, range: () => [0, frames.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: 'bottom', timeZone: 'utc', theme });
  builder.addAxis({
    scaleKey: 'y',
    placement: 'left',
    theme,
    splits: () => labels.map((_, index) => index + 0.5),
    values: () => labels,
    grid: { show: false },
  });
  builder.addSeries({
    scaleKey: 'y',
    show: true,
    theme,
    drawStyle: 'line',
    lineWidth: 0,
    showPoints: 'never',
  });
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  builder.addHook('draw', (plot) => {
    const { ctx } = plot;
    cells.forEach((row, index) => {
      for (const [time, value] of row) {
        if (!(value > 0)) continue;
        const [left, right] = [plot.valToPos(time, 'x', true), plot.valToPos(time + step, 'x', true)];
        const [top, bottom] = [plot.valToPos(index + 1, 'y', true), plot.valToPos(index, 'y', true)];
        ctx.fillStyle = `hsl(${40 - 40 * (value / most)} 90% ${30 + 35 * (value / most)}%)`;
        ctx.fillRect(left, top + 1, Math.max(1, right - left - 1), bottom - top - 2);
      }
    });
  });
  return h(UPlotChart, { data: [times, times.map(() => 0)], config: builder, width, height });
}

/** Nor logs: time, line and the labels of the first, in its colours. */
export function logs({ frames, theme, height }: Drawing): ReactElement {
  const [lines, labels] = frames[0]?.fields ?? [];
  const rows = (lines?.values ?? []).map((line: string, index: number) => {
    const own = labels?.values[index] as Readonly<Record<string, string>>;
    const color = own.error_type === undefined ? theme.colors.success.main : theme.colors.warning.main;
    return h(
      'div',
      { key: index, className: 'log', style: { borderLeft: `3px solid ${color}`, padding: '1px 8px' } },
      [
        h('span', { key: 'w', style: { color: theme.colors.text.secondary } }, `${who(own)} `),
        h('span', { key: 'l' }, line),
      ],
    );
  });
  const style = {
    height,
    overflow: 'hidden',
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: 12,
  };
  return h('div', { style }, rows);
}

const who = ({ host_name = '', k8s_pod_name, process_executable_name }: Readonly<Record<string, string>>) =>
  `${host_name} ${k8s_pod_name ?? process_executable_name ?? ''}`;
