/** Rate and failures over time; dragging across it chooses the span. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { TimelineAnswer } from '../../history/types.ts';
import { useAsk } from './ask.ts';
import { clock, count, moment, percent, short } from './format.ts';
import { asked, filter, go, isLive, span } from './place.ts';
import { colorOf, theme } from './theme.ts';

const HEIGHT = 92;
const LIVE_BUCKETS = 150;
const PAST_BUCKETS = 200;
const EVERY_MS = { live: 1000, last: 5000 };
/** A drag of fewer pixels was a click. */
const LEAST_DRAG = 4;

type Data = [number[], number[], number[]];

/** Seconds, lookups a second, failures a second. */
function dataOf({ from, width, count: counts, failed }: TimelineAnswer): Data {
  const seconds = width / 1_000_000;
  return [
    counts.map((_, index) => (from + index * width) / 1_000_000),
    counts.map((value) => value / seconds),
    failed.map((value) => value / seconds),
  ];
}

export function Timeline() {
  const chosen = span.value;
  const key = JSON.stringify([filter.value, chosen]);
  const everyMs = chosen.kind === 'fixed' ? undefined : EVERY_MS[chosen.kind];
  const buckets = isLive.value ? LIVE_BUCKETS : PAST_BUCKETS;
  const { data, error } = useAsk<TimelineAnswer>(
    key,
    () => ({ route: 'api/timeline', params: { filter: filter.value, buckets, ...asked() } }),
    everyMs,
  );
  const total = data?.count.reduce((sum, value) => sum + value, 0) ?? 0;
  const failed = data?.failed.reduce((sum, value) => sum + value, 0) ?? 0;
  const summary =
    data === undefined ? '' : `${count(total)} lookups, ${count(failed)} failed (${percent(failed, total)})`;
  return (
    <figure class="timeline" aria-label={`Lookups over time: ${summary}`}>
      <figcaption>
        <strong>{short(total)}</strong> lookups <span class="dot failed" aria-hidden="true" />
        <strong>{short(failed)}</strong> failed <span class="muted">{percent(failed, total)}</span>
        {data?.searchedTo !== undefined && <span class="warn"> since {moment(data.searchedTo)} only</span>}
        {error !== undefined && <span class="warn"> {error.message}</span>}
      </figcaption>
      <Chart data={data === undefined ? undefined : dataOf(data)} />
    </figure>
  );
}

function Chart({ data }: { readonly data: Data | undefined }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const hover = useSignal<string>('');
  const mode = theme.value;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(
      options(element.clientWidth, (text) => {
        hover.value = text;
      }),
      data ?? [[], [], []],
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [mode]);
  useEffect(() => {
    if (data !== undefined) plot.current?.setData(data);
  }, [data]);
  return (
    <div class="chart">
      <div ref={box} aria-hidden="true" />
      <output class="hover">{hover.value}</output>
    </div>
  );
}

function options(width: number, onHover: (text: string) => void): uPlot.Options {
  const muted = colorOf('--muted');
  const bars = uPlot.paths.bars?.({ size: [0.8, 24], align: 1 });
  const series = (label: string, color: string): uPlot.Series => ({
    label,
    fill: color,
    stroke: color,
    width: 0,
    points: { show: false },
    ...(bars === undefined ? {} : { paths: bars }),
  });
  return {
    width,
    height: HEIGHT,
    padding: [6, 6, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(most * 1.05, 1)] } },
    axes: [
      {
        stroke: muted,
        grid: { show: false },
        ticks: { show: false },
        size: 20,
        gap: 2,
        // Wider than 00:00:00.
        space: 90,
        font: '11px system-ui',
        values: hours,
      },
      {
        stroke: muted,
        grid: { stroke: colorOf('--line'), width: 1 },
        ticks: { show: false },
        size: 44,
        gap: 4,
        space: 28,
        font: '11px system-ui',
        values: (_, values) => values.map((value) => `${short(value)}/s`),
      },
    ],
    series: [{}, series('lookups', colorOf('--bar')), series('failed', colorOf('--bad'))],
    hooks: {
      setSelect: [
        (plot) => {
          if (plot.select.width < LEAST_DRAG) return;
          const since = plot.posToVal(plot.select.left, 'x') * 1000;
          const until = plot.posToVal(plot.select.left + plot.select.width, 'x') * 1000;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (until - since >= 1) go({ span: { kind: 'fixed', since, until } });
        },
      ],
      setCursor: [
        (plot) => {
          const index = plot.cursor.idx;
          if (index === null || index === undefined) return onHover('');
          const [at, all, failed] = [plot.data[0][index], plot.data[1]?.[index], plot.data[2]?.[index]];
          if (at === undefined) return onHover('');
          onHover(`${clock(at * 1_000_000)}  ${short(all ?? 0)}/s, failed ${short(failed ?? 0)}/s`);
        },
      ],
    },
  };
}

const two = (value: number): string => String(value).padStart(2, '0');

/** Times of the axis: hours and minutes, seconds where they are that close, the day where they are that far. */
function hours(_: uPlot, values: number[]): string[] {
  const step = (values[1] ?? 0) - (values[0] ?? 0);
  return values.map((value) => {
    const date = new Date(value * 1000);
    if (step >= 86_400) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const text = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return step >= 60 ? text : `${text}:${two(date.getSeconds())}`;
  });
}
