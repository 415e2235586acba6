/** A dashboard as data, and its translation with Grafana's Foundation SDK. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import * as logs from '@grafana/grafana-foundation-sdk/logs';
import * as loki from '@grafana/grafana-foundation-sdk/loki';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as tempo from '@grafana/grafana-foundation-sdk/tempo';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

export type Source = 'prometheus' | 'loki' | 'tempo';

export interface Query {
  readonly expression: string;
  /** Legend, `{{label}}` allowed. */
  readonly legend?: string;
}

export interface Threshold {
  readonly at: number;
  readonly color: 'orange' | 'red';
}

export interface Panel {
  readonly kind: 'timeseries' | 'stat' | 'table' | 'heatmap' | 'logs' | 'traces';
  readonly title: string;
  readonly description: string;
  /** Grafana's unit id; 'none' where the values are text. */
  readonly unit: string;
  readonly source: Source;
  readonly queries: readonly Query[];
  /** From which values on it is bad, ascending. A stat has them, empty where no value is. */
  readonly thresholds?: readonly Threshold[] | undefined;
  /** Of 24 columns. */
  readonly width: number;
  readonly height?: number;
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** `label_values(...)` of Prometheus; free text with this default otherwise. */
  readonly query?: string;
  readonly text?: string;
}

export interface Board {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly panels: readonly Panel[];
}

/** Data source variables: a dashboard works in any Grafana that has one source of each kind. */
const SOURCE_VARIABLE: Readonly<Record<Source, string>> = {
  prometheus: 'prometheus',
  loki: 'loki',
  tempo: 'tempo',
};

const reference = (source: Source) => ({ type: source, uid: `\${${SOURCE_VARIABLE[source]}}` });

export function buildDashboard(board: Board): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(board.title)
    .uid(board.uid)
    .description(board.description)
    .tags(['whodns', 'dns'])
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .link(
      new dashboard.DashboardLinkBuilder('whodns')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['whodns'])
        .keepTime(true)
        .includeVars(true),
    );
  for (const source of new Set(board.panels.map((panel) => panel.source))) {
    builder.withVariable(
      new dashboard.DatasourceVariableBuilder(SOURCE_VARIABLE[source]).label(source).type(source),
    );
  }
  for (const variable of board.variables) builder.withVariable(buildVariable(variable));
  for (const panel of board.panels) builder.withPanel(buildPanel(panel));
  return builder.build();
}

function buildVariable(variable: Variable): Builder<dashboard.VariableModel> {
  if (variable.query === undefined) {
    return new dashboard.TextBoxVariableBuilder(variable.name)
      .label(variable.label)
      .defaultValue(variable.text ?? '');
  }
  return new dashboard.QueryVariableBuilder(variable.name)
    .label(variable.label)
    .query(variable.query)
    .datasource(reference('prometheus'))
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(false)
    .includeAll(true)
    .allValue('.*');
}

function buildPanel(panel: Panel): Builder<dashboard.Panel> {
  const builder = visualization(panel)
    .title(panel.title)
    .description(panel.description)
    .datasource(reference(panel.source))
    .unit(panel.unit)
    // Without them Grafana takes 80 for bad.
    .thresholds(thresholdsOf(panel))
    .span(panel.width)
    .height(panel.height ?? 8);
  if (panel.unit === 'percentunit') builder.min(0).max(1);
  // Nothing counted yet is 0.
  if (panel.kind === 'stat') builder.noValue('0');
  panel.queries.forEach((query, index) => {
    builder.withTarget(buildQuery(panel, query, String.fromCharCode(65 + index)));
  });
  return builder;
}

function thresholdsOf({ thresholds = [] }: Panel): Builder<dashboard.ThresholdsConfig> {
  const steps = [
    { value: null, color: 'green' },
    ...thresholds.map(({ at, color }) => ({ value: at, color })),
  ];
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps);
}

type PanelBuilder =
  | timeseries.PanelBuilder
  | stat.PanelBuilder
  | table.PanelBuilder
  | heatmap.PanelBuilder
  | logs.PanelBuilder;

function visualization(panel: Panel): PanelBuilder {
  switch (panel.kind) {
    case 'timeseries':
      return new timeseries.PanelBuilder()
        .fillOpacity(10)
        .showPoints(common.VisibilityMode.Never)
        .legend(
          new common.VizLegendOptionsBuilder()
            .displayMode(common.LegendDisplayMode.List)
            .placement(common.LegendPlacement.Bottom)
            .showLegend(true),
        );
    case 'stat':
      return new stat.PanelBuilder().reduceOptions(
        new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false),
      );
    case 'table':
      return new table.PanelBuilder()
        .withTransformation({ id: 'labelsToFields', options: { mode: 'columns' } })
        .withTransformation({ id: 'merge', options: {} })
        .withTransformation({ id: 'organize', options: { excludeByName: { Time: true } } });
    case 'heatmap':
      return new heatmap.PanelBuilder();
    case 'logs':
      return new logs.PanelBuilder().showTime(true).wrapLogMessage(true).enableLogDetails(true);
    case 'traces':
      return new table.PanelBuilder();
  }
}

function buildQuery(panel: Panel, query: Query, refId: string): Builder<Dataquery> {
  const instant = panel.kind === 'table' || panel.kind === 'stat';
  switch (panel.source) {
    case 'prometheus': {
      const builder = new prometheus.DataqueryBuilder().refId(refId).expr(query.expression);
      if (query.legend !== undefined) builder.legendFormat(query.legend);
      builder.format(prometheusFormat(panel));
      return instant ? builder.instant() : builder.range();
    }
    case 'loki': {
      const builder = new loki.DataqueryBuilder().refId(refId).expr(query.expression);
      if (query.legend !== undefined) builder.legendFormat(query.legend);
      return builder.queryType(instant ? 'instant' : 'range');
    }
    case 'tempo':
      return new tempo.DataqueryBuilder()
        .refId(refId)
        .queryType('traceql')
        .query(query.expression)
        .limit(20)
        .tableType(tempo.SearchTableType.Traces);
  }
}

function prometheusFormat(panel: Panel): prometheus.PromQueryFormat {
  if (panel.kind === 'table') return prometheus.PromQueryFormat.Table;
  if (panel.kind === 'heatmap') return prometheus.PromQueryFormat.Heatmap;
  return prometheus.PromQueryFormat.TimeSeries;
}
