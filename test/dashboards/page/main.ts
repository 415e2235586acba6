/** Draws a dashboard from its JSON and the frames of its queries, with what Grafana publishes of its own drawing. */
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  type DataFrame,
  identityOverrideProcessor,
  locationUtil,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { PanelChrome } from '@grafana/ui';
import { createElement as h, type ReactElement } from 'react';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';
import type { BoardInput, LinkSeen, PanelInput, PanelSeen } from './input.ts';
import { replacing } from './links.ts';
import { type Drawing, heatmap, logs, stat, table, timeSeries } from './visualizations.ts';

const WIDTH = 1600;
const [ROW, GAP, COLUMNS] = [30, 8, 24];
const theme = createTheme({ colors: { mode: 'dark' } });

/** Some stand there under two names. */
const TRANSFORMERS = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
standardTransformersRegistry.setInit(() =>
  [...TRANSFORMERS.values()].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation: () => Promise.resolve(transformation),
  })),
);
/** What a panel's fieldConfig may say for every kind of panel, as it is. */
const OPTIONS = [
  ...['unit', 'min', 'max', 'decimals', 'noValue', 'thresholds', 'links', 'color', 'displayName', 'mappings'],
].map((id) => ({
  ...{ id, path: id, name: id, settings: {} },
  process: identityOverrideProcessor,
  shouldApply: () => true,
}));
/** Of a table. */
const CUSTOM = ['hidden', 'hideFrom', 'width'].map((path) => ({
  ...{ id: `custom.${path}`, path, name: path, isCustom: true, settings: {} },
  process: identityOverrideProcessor,
  shouldApply: () => true,
}));
standardFieldConfigEditorRegistry.setInit(() => [...OPTIONS, ...CUSTOM]);
locationUtil.initialize({
  config: { appSubUrl: '' },
  getVariablesUrlParams: () => ({}),
  getTimeRangeForUrl: () => ({}),
});

const VISUALIZATIONS: Readonly<Record<string, (drawing: Drawing) => ReactElement>> = {
  ...{ timeseries: timeSeries, stat, table, heatmap, logs },
};

async function framesOf(
  panel: PanelInput,
  replaceVariables: Drawing['replaceVariables'],
): Promise<DataFrame[]> {
  const input = panel.frames.map((frame) => toDataFrame(structuredClone(frame)));
  const transformed = await firstValueFrom(transformDataFrame([...(panel.transformations ?? [])], input));
  const frames = applyFieldOverrides({
    data: transformed,
    fieldConfig: structuredClone(panel.fieldConfig),
    replaceVariables,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(frames);
  return frames;
}

/** Links of the first row, or of the first series. */
function linksOf(frames: readonly DataFrame[]): LinkSeen[] {
  const field = frames[0]?.fields.find(({ type, config }) => type === 'number' && config.links !== undefined);
  return (field?.getLinks?.({ valueRowIndex: 0 }) ?? []).map(({ title, href }) => ({ title, href }));
}

const isEmpty = (frames: readonly DataFrame[]) => frames.every(({ length }) => length === 0);

window.draw = async (board: BoardInput): Promise<readonly PanelSeen[]> => {
  const { variables, from, to } = board;
  const replaceVariables = replacing(variables, from, to);
  const drawn: ReactElement[] = [];
  const seen: PanelSeen[] = [];
  for (const panel of board.panels) {
    const { title, description, type, gridPos } = panel;
    const frames = await framesOf(panel, replaceVariables);
    const width = (WIDTH / COLUMNS) * gridPos.w - GAP;
    const height = gridPos.h * (ROW + GAP) - GAP;
    // As PanelDataErrorView says it.
    const empty = isEmpty(frames) ? (panel.fieldConfig.defaults.noValue ?? 'No data') : '';
    // A stat draws its noValue itself.
    const isText = empty !== '' && type !== 'stat';
    const body = (innerWidth: number, innerHeight: number) =>
      isText
        ? h('div', { className: 'empty' }, empty)
        : (VISUALIZATIONS[type] as (drawing: Drawing) => ReactElement)({
            ...{ panel, frames, theme, width: innerWidth, height: innerHeight, from, to, replaceVariables },
          });
    const style = { position: 'absolute', left: (WIDTH / COLUMNS) * gridPos.x, top: gridPos.y * (ROW + GAP) };
    drawn.push(
      h(
        'section',
        { key: title, 'data-panel': title, style },
        h(PanelChrome, { title, description, width, height, padding: 'md' }, body),
      ),
    );
    seen.push({ title, empty, links: linksOf(frames) });
  }
  const bottom = Math.max(...board.panels.map(({ gridPos: { y, h: rows } }) => y + rows)) * (ROW + GAP);
  const root = document.createElement('main');
  Object.assign(root.style, { position: 'relative', width: `${WIDTH}px`, height: `${bottom}px` });
  document.body.replaceChildren(root);
  createRoot(root).render(drawn);
  return seen;
};
