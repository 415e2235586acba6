/** The translation of a board with Grafana's Foundation SDK, for the stores that an operator has. */
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
import type { Board, Link, MetricQuery, Panel, RecordsQuery, Source, Variable } from './panels.ts';
import { labelName } from './queries.ts';
import { logql, logsql } from './records.ts';
import { PLACE_NAMES } from './variables.ts';

/** Grafana's data source type of each kind of data; also the name of the variable that chooses one. */
export type Stores = Readonly<Record<Source, string>>;

export const GRAFANA_STORES: Stores = { metrics: 'prometheus', records: 'loki', traces: 'tempo' };
/** Records: the plugin of VictoriaMetrics. */
export const OTHER_STORES: Stores = {
  metrics: 'prometheus',
  records: 'victoriametrics-logs-datasource',
  traces: 'jaeger',
};

const variableOf = (type: string) => type.split('-')[0] ?? type;
const reference = (type: string) => ({ type, uid: `\${${variableOf(type)}}` });

export function buildDashboard(board: Board, stores: Stores): dashboard.Dashboard {
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
  // A dashboard works in any Grafana that has one source of each kind.
  for (const source of new Set(board.panels.map((panel) => panel.source))) {
    const type = stores[source];
    builder.withVariable(new dashboard.DatasourceVariableBuilder(variableOf(type)).label(source).type(type));
  }
  for (const variable of board.variables) builder.withVariable(buildVariable(variable));
  for (const panel of board.panels) builder.withPanel(buildPanel(panel, stores));
  return builder.build();
}

/** As the store of the panel's data spells an attribute. */
function spelled({ source }: Panel, stores: Stores): (attribute: string) => string {
  const keepsDots = source === 'records' && stores.records !== GRAFANA_STORES.records;
  return keepsDots ? (attribute) => attribute : labelName;
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholder
const TIME = '${__url_time_range}';

/** Values are percent-encoded: names of programs and domains are whatever somebody chose. */
function buildLink(link: Link, panel: Panel, stores: Stores): Builder<dashboard.DashboardLink> {
  const spell = spelled(panel, stores);
  const chosen = (attribute: string) =>
    panel.kind === 'table'
      ? `\${__data.fields["${spell(attribute)}"]:percentencode}`
      : `\${__field.labels["${spell(attribute)}"]:percentencode}`;
  const set = Object.entries(link.set).map(([name, attribute]) => `var-${name}=${chosen(attribute)}`);
  const kept = PLACE_NAMES.filter((name) => !(name in link.set)).map((name) => `\${${name}:queryparam}`);
  const url = `/d/${link.board}?${[TIME, ...kept, ...set].join('&')}`;
  return new dashboard.DashboardLinkBuilder(link.title).type(dashboard.DashboardLinkType.Link).url(url);
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
    .datasource(reference(GRAFANA_STORES.metrics))
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(false)
    .includeAll(true)
    .allValue('.*');
}

function buildPanel(panel: Panel, stores: Stores): Builder<dashboard.Panel> {
  const builder = visualization(panel, stores)
    .title(panel.title)
    .description(panel.description)
    .datasource(reference(stores[panel.source]))
    .unit(panel.unit)
    // Without them Grafana takes 80 for bad.
    .thresholds(thresholdsOf(panel))
    .noValue(panel.empty ?? '0')
    .span(panel.width)
    .height(panel.height ?? 8);
  if (panel.unit === 'percentunit') builder.min(0).max(1);
  if (panel.links !== undefined) builder.dataLinks(panel.links.map((link) => buildLink(link, panel, stores)));
  queriesOf(panel, stores).forEach((query) => {
    builder.withTarget(query);
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

function visualization(panel: Panel, stores: Stores): PanelBuilder {
  switch (panel.kind) {
    case 'timeseries':
      return new timeseries.PanelBuilder()
        .fillOpacity(10)
        .showPoints(common.VisibilityMode.Never)
        .thresholdsStyle(
          new common.GraphThresholdsStyleConfigBuilder().mode(
            panel.thresholds === undefined
              ? common.GraphThresholdsStyleMode.Off
              : common.GraphThresholdsStyleMode.Dashed,
          ),
        )
        .legend(
          new common.VizLegendOptionsBuilder()
            .displayMode(common.LegendDisplayMode.Table)
            .placement(common.LegendPlacement.Bottom)
            .calcs(['lastNotNull', 'max'])
            .sortBy('Last *')
            .sortDesc(true)
            .showLegend(true),
        );
    case 'stat':
      return new stat.PanelBuilder().reduceOptions(
        new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false),
      );
    case 'table':
      return tableOf(panel, stores);
    case 'heatmap':
      return new heatmap.PanelBuilder();
    case 'logs':
      return new logs.PanelBuilder().showTime(true).wrapLogMessage(true).enableLogDetails(true);
    case 'traces':
      return new table.PanelBuilder();
  }
}

/** The store's number is `Value`, or `Value #A`. */
const NUMBER = 'Value';

function tableOf(panel: Panel, stores: Stores): table.PanelBuilder {
  const { columns = {}, number = NUMBER } = panel;
  const spell = spelled(panel, stores);
  const names = Object.keys(columns).map(spell);
  return new table.PanelBuilder()
    .withTransformation({ id: 'labelsToFields', options: { mode: 'columns' } })
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        includeByName: Object.fromEntries([...names, NUMBER].map((name) => [name, true])),
        indexByName: Object.fromEntries([...names, NUMBER].map((name, index) => [name, index])),
        renameByName: {
          ...Object.fromEntries(Object.entries(columns).map(([name, title]) => [spell(name), title])),
          [NUMBER]: number,
        },
      },
    })
    .sortBy([new common.TableSortByFieldStateBuilder().displayName(number).desc(true)]);
}

function queriesOf(panel: Panel, stores: Stores): Builder<Dataquery>[] {
  const refId = (index: number) => String.fromCharCode(65 + index);
  switch (panel.source) {
    case 'metrics':
      return panel.queries.map((query, index) => metricQuery(panel, query, refId(index)));
    case 'records':
      return panel.queries.map((query, index) =>
        stores.records === 'loki'
          ? lokiQuery(panel, query, refId(index))
          : victoriaLogsQuery(panel, query, refId(index)),
      );
    case 'traces':
      return panel.queries.map(({ service }, index) =>
        stores.traces === 'tempo' ? tempoQuery(service, refId(index)) : jaegerQuery(service, refId(index)),
      );
  }
}

const isInstant = ({ kind }: Panel) => kind === 'table' || kind === 'stat';

function metricQuery(panel: Panel, query: MetricQuery, refId: string): Builder<Dataquery> {
  const builder = new prometheus.DataqueryBuilder().refId(refId).expr(query.expression);
  if (query.legend !== undefined) builder.legendFormat(query.legend);
  builder.format(prometheusFormat(panel));
  return isInstant(panel) ? builder.instant() : builder.range();
}

/** What Grafana fills in: the whole time range for one number, a step for a time series. */
export function overOf(panel: Panel): string {
  return isInstant(panel) ? '$__range' : '$__auto';
}

function lokiQuery(panel: Panel, query: RecordsQuery, refId: string): Builder<Dataquery> {
  const builder = new loki.DataqueryBuilder().refId(refId).expr(logql(query.records, overOf(panel)));
  if (query.legend !== undefined) builder.legendFormat(query.legend);
  return builder.queryType(isInstant(panel) ? 'instant' : 'range');
}

/** The SDK has no builder for the plugin: its query type `instant` is records, `stats` numbers, `statsRange` time series. */
function victoriaLogsQuery(panel: Panel, query: RecordsQuery, refId: string): Builder<Dataquery> {
  const aggregated = isInstant(panel) ? 'stats' : 'statsRange';
  return plain({
    refId,
    expr: logsql(query.records),
    queryType: query.records.aggregate === undefined ? 'instant' : aggregated,
    ...(query.legend === undefined ? {} : { legendFormat: query.legend }),
  });
}

/** TraceQL: the services that a regular expression matches. */
export function traceql(service: string): string {
  return `{resource.service.name=~"${service}"}`;
}

function tempoQuery(service: string, refId: string): Builder<Dataquery> {
  return new tempo.DataqueryBuilder()
    .refId(refId)
    .queryType('traceql')
    .query(traceql(service))
    .limit(20)
    .tableType(tempo.SearchTableType.Traces);
}

/** Jaeger finds one service by name; with `All` chosen there is nothing to search. */
function jaegerQuery(service: string, refId: string): Builder<Dataquery> {
  return plain({ refId, queryType: 'search', service, limit: 20 });
}

function plain(query: object): Builder<Dataquery> {
  return { build: () => ({ ...query, _implementsDataqueryVariant: () => undefined }) };
}

function prometheusFormat(panel: Panel): prometheus.PromQueryFormat {
  if (panel.kind === 'table') return prometheus.PromQueryFormat.Table;
  if (panel.kind === 'heatmap') return prometheus.PromQueryFormat.Heatmap;
  return prometheus.PromQueryFormat.TimeSeries;
}
