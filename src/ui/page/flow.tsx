/** Who talks to what: process, registered domain, address. The same as a table for those who do not see the picture. */

import { useSignal } from '@preact/signals';
import { type SankeyLink, type SankeyNode, sankey, sankeyJustify, sankeyLinkHorizontal } from 'd3-sankey';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Edge, EdgesAnswer } from '../../history/types.ts';
import { useAsk } from './ask.ts';
import { count, percent, shown } from './format.ts';
import { condition, narrowed } from './narrow.ts';
import { asked, filter, go, href, span } from './place.ts';

const EVERY_MS = 4000;
const LIMIT = 60;
/** Nodes of one column that the picture shows; the rest is one node. */
const MAX_NODES = 18;
const NODE_WIDTH = 9;
const ROW_HEIGHT = 27;
const LEAST_WIDTH = 720;
const MARGIN = { left: 190, right: 190, top: 26, bottom: 6 };

const COLUMNS = ['process', 'domain', 'answer'] as const;
type Column = (typeof COLUMNS)[number];
const REST = '\u0000rest';

interface Node {
  readonly id: string;
  readonly column: Column;
  readonly label: string;
}

interface Link {
  readonly failed: number;
}

type LaidNode = SankeyNode<Node, Link>;
type LaidLink = SankeyLink<Node, Link>;

export function Flow() {
  const { data, error, isStale } = useAsk<EdgesAnswer>(
    JSON.stringify([filter.value, span.value]),
    () => ({ route: 'api/edges', params: { filter: filter.value, limit: LIMIT, ...asked() } }),
    span.value.kind === 'fixed' ? undefined : EVERY_MS,
  );
  const isTable = useSignal(false);
  const isEmpty = data === undefined || data.domains.length === 0;
  return (
    <section class="flow" aria-label="Process to domain to address" aria-busy={isStale}>
      <div class="view-bar">
        <button
          type="button"
          class="quiet"
          aria-pressed={isTable.value}
          onClick={() => {
            isTable.value = !isTable.value;
          }}
        >
          As a table
        </button>
        <span class="muted">A band is as wide as there were lookups. A click narrows the filter.</span>
      </div>
      {error !== undefined && <p class="warn">{error.message}</p>}
      {isEmpty && error === undefined && <p class="empty">{isStale ? 'Asking…' : 'Nothing in this span.'}</p>}
      {!isEmpty && (isTable.value ? <EdgeTables edges={data} /> : <Picture edges={data} />)}
    </section>
  );
}

function Picture({ edges }: { readonly edges: EdgesAnswer }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(LEAST_WIDTH);
  const lit = useSignal<string | undefined>(undefined);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(element.clientWidth, LEAST_WIDTH)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const { nodes, links, height } = layOut(edges, width);
  const isLit = (link: LaidLink): boolean => {
    const id = lit.value;
    return id === undefined || (link.source as LaidNode).id === id || (link.target as LaidNode).id === id;
  };
  const path = sankeyLinkHorizontal<Node, Link>();
  return (
    <div class="picture" ref={box}>
      <svg width={width} height={height}>
        <title>Bands from processes over domains to addresses</title>
        <g class="titles">
          <text x={MARGIN.left + NODE_WIDTH} y={14} text-anchor="end">
            Process
          </text>
          <text x={(MARGIN.left + width - MARGIN.right) / 2} y={14} text-anchor="middle">
            Domain
          </text>
          <text x={width - MARGIN.right - NODE_WIDTH} y={14}>
            Address
          </text>
        </g>
        <g fill="none">
          {links.map((link) => (
            <path
              key={`${(link.source as LaidNode).id} ${(link.target as LaidNode).id}`}
              d={path(link) ?? ''}
              class={`band ${2 * link.failed > link.value ? 'failed' : ''} ${isLit(link) ? '' : 'dim'}`}
              stroke-width={Math.max(link.width ?? 1, 1)}
            >
              <title>{`${shown((link.source as LaidNode).label, 128)} → ${shown((link.target as LaidNode).label, 128)}: ${count(link.value)} lookups, ${percent(link.failed, link.value)} failed`}</title>
            </path>
          ))}
        </g>
        {nodes.map((node) => (
          <NodeMark
            key={node.id}
            node={node}
            onLit={(id) => {
              lit.value = id;
            }}
          />
        ))}
      </svg>
    </div>
  );
}

interface MarkProps {
  readonly node: LaidNode;
  readonly onLit: (id: string | undefined) => void;
}

function NodeMark({ node, onLit }: MarkProps) {
  const { x0 = 0, x1 = 0, y0 = 0, y1 = 0, value = 0, column, id, label } = node;
  const isLeft = column === 'process';
  const most = column === 'process' ? 20 : 34;
  const text = `${label.length > most ? `${shown(label, most)}` : shown(label)}`;
  const mark = (
    <>
      <rect x={x0} y={y0} width={x1 - x0} height={Math.max(y1 - y0, 2)} />
      <text x={isLeft ? x0 - 6 : x1 + 6} y={(y0 + y1) / 2} dy="0.35em" text-anchor={isLeft ? 'end' : 'start'}>
        {text}
        <tspan class="amount" dx="5">
          {count(value)}
        </tspan>
      </text>
    </>
  );
  const enter = () => onLit(id);
  const leave = () => onLit(undefined);
  if (label === restLabel(column) || id.endsWith(REST)) return <g class={`node ${column}`}>{mark}</g>;
  return (
    <a
      class={`node ${column}`}
      href={href({ view: 'flow', filter: narrowed(filter.value, conditionOf(column, label)) })}
      aria-label={`${column === 'answer' ? 'address' : column} ${shown(label, 128)}, ${count(value)} lookups`}
      onMouseEnter={enter}
      onMouseLeave={leave}
      onFocus={enter}
      onBlur={leave}
    >
      {mark}
    </a>
  );
}

/** A process of a container is shown as `WORKLOAD/EXECUTABLE`. */
function conditionOf(column: Column, label: string): string {
  return condition(column, column === 'process' ? (label.split('/').at(-1) ?? label) : label);
}

function restLabel(column: Column): string {
  return column === 'process' ? 'other processes' : column === 'domain' ? 'other domains' : 'other addresses';
}

interface Laid {
  readonly nodes: readonly LaidNode[];
  readonly links: readonly LaidLink[];
  readonly height: number;
}

function layOut({ domains, addresses }: EdgesAnswer, width: number): Laid {
  const keep = {
    process: busiest(domains, 'from'),
    domain: busiest(domains, 'to'),
    answer: busiest(addresses, 'to'),
  };
  const nodes = new Map<string, Node>();
  const node = (column: Column, label: string): string => {
    const isKept = keep[column].has(label);
    const id = `${column} ${isKept ? label : REST}`;
    if (!nodes.has(id)) nodes.set(id, { id, column, label: isKept ? label : restLabel(column) });
    return id;
  };
  const links = new Map<string, { source: string; target: string; value: number; failed: number }>();
  const add = (source: string, target: string, edge: Edge) => {
    const key = `${source}\n${target}`;
    const known = links.get(key) ?? { source, target, value: 0, failed: 0 };
    known.value += edge.count;
    known.failed += edge.failed;
    links.set(key, known);
  };
  for (const edge of domains) add(node('process', edge.from), node('domain', edge.to), edge);
  for (const edge of addresses)
    if (nodes.has(`domain ${edge.from}`)) add(`domain ${edge.from}`, node('answer', edge.to), edge);
  const tallest = Math.max(
    ...COLUMNS.map((column) => [...nodes.values()].filter((each) => each.column === column).length),
  );
  const height = Math.max(tallest * ROW_HEIGHT + MARGIN.top + MARGIN.bottom, 200);
  const layout = sankey<Node, Link>()
    .nodeId(({ id }) => id)
    .nodeAlign((each, depth) => (each.column === 'answer' ? 2 : sankeyJustifyOf(each, depth)))
    .nodeWidth(NODE_WIDTH)
    .nodePadding(12)
    .extent([
      [MARGIN.left, MARGIN.top],
      [width - MARGIN.right, height - MARGIN.bottom],
    ]);
  const graph = layout({
    nodes: [...nodes.values()].map((each) => ({ ...each })),
    links: [...links.values()],
  });
  return { nodes: graph.nodes, links: graph.links, height };
}

/** A domain without an address (all failed) stays in the middle column. */
function sankeyJustifyOf(node: LaidNode, depth: number): number {
  return node.column === 'process' ? 0 : node.column === 'domain' ? 1 : sankeyJustify(node, depth);
}

function busiest(edges: readonly Edge[], side: 'from' | 'to'): ReadonlySet<string> {
  const sums = new Map<string, number>();
  for (const edge of edges) sums.set(edge[side], (sums.get(edge[side]) ?? 0) + edge.count);
  const sorted = [...sums].sort(([, a], [, b]) => b - a).slice(0, MAX_NODES);
  return new Set(sorted.map(([label]) => label));
}

function EdgeTables({ edges }: { readonly edges: EdgesAnswer }) {
  return (
    <div class="cards two">
      <EdgeTable title="Process to domain" edges={edges.domains} from="process" to="domain" />
      <EdgeTable title="Domain to address" edges={edges.addresses} from="domain" to="answer" />
    </div>
  );
}

interface EdgeTableProps {
  readonly title: string;
  readonly edges: readonly Edge[];
  readonly from: Column;
  readonly to: Column;
}

function EdgeTable({ title, edges, from, to }: EdgeTableProps) {
  const cell = (column: Column, label: string) => (
    <button
      type="button"
      class="link"
      onClick={() => go({ filter: narrowed(filter.value, conditionOf(column, label)) })}
    >
      <bdi>{shown(label, 128)}</bdi>
    </button>
  );
  return (
    <section class="card">
      <h2>{title}</h2>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col" class="number">
              Lookups
            </th>
            <th scope="col" class="number">
              Failed
            </th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={`${edge.from}\n${edge.to}`}>
              <td>{cell(from, edge.from)}</td>
              <td>{cell(to, edge.to)}</td>
              <td class="number">{count(edge.count)}</td>
              <td class={edge.failed > 0 ? 'number bad' : 'number muted'}>
                {percent(edge.failed, edge.count)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
