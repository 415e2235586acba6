/** A filter (src/filter/) as SQL over lookups `l` and their questions `q`. Every part is 0 or 1, never NULL: what is unknown is false. */
import type { Comparison, Filter, FilterValue } from '../filter/ast.ts';
import { addressTest, type Matchers, textTest } from '../filter/predicate.ts';
import { isProcessField, processComparison } from '../filter/process-fields.ts';
import type { Row } from './database.ts';
import { processOf } from './process-rows.ts';
import { labelsOf, NOT_FAILED, OUTCOMES, outcomeCode, reversed, UNREADABLE } from './schema.ts';

/** What it takes of a segment. */
export interface FilterTables {
  /** Name of a temporary table with the ids of the rows that a test holds for. @param sql gives `id` and what is tested */
  readonly matching: (sql: string, test: (row: Row) => boolean) => Promise<string>;
  /** The part must hold of every lookup that is meant: its names, or its processes, say which chunks to look at. */
  readonly drive: (of: 'name' | 'process', table: string) => void;
}

const NS = 1000;

export async function filterSql(
  filter: Filter,
  matchers: Matchers,
  tables: FilterTables,
  must = true,
): Promise<string> {
  if (filter.kind === 'not') return `NOT (${await filterSql(filter.operand, matchers, tables, false)})`;
  if (filter.kind === 'compare') return comparisonSql(filter, matchers, tables, must);
  const isAll = filter.kind === 'and';
  const parts: string[] = [];
  for (const operand of filter.operands)
    parts.push(`(${await filterSql(operand, matchers, tables, must && isAll)})`);
  return parts.join(isAll ? ' AND ' : ' OR ');
}

async function comparisonSql(
  comparison: Comparison,
  matchers: Matchers,
  { matching, drive }: FilterTables,
  must: boolean,
): Promise<string> {
  const { field, values, operator } = comparison;
  if (isProcessField(field)) {
    const test = processComparison(comparison, matchers);
    const table = await matching(
      'SELECT p.*, r.json FROM processes p LEFT JOIN rests r ON r.id = p.rest',
      (row) => {
        const { pid, attribution, resource } = processOf(row);
        return test({
          pid,
          attribution,
          resource,
          startTime: 0n,
          executableName: '',
          containerId: undefined,
          workload: '',
        });
      },
    );
    if (must) drive('process', table);
    return `l.process IN temp.${table}`;
  }
  switch (field) {
    case 'name':
    case 'domain': {
      const test = field === 'domain' ? domainTest(values) : textTest(comparison, matchers);
      const table = await matching('SELECT id, reversed FROM names', (row) =>
        test(reversed(String(row['reversed']))),
      );
      if (must) drive('name', table);
      return `q.name IN temp.${table}`;
    }
    case 'type':
      return numberSql('(q.type & 65535)', comparison, 'q.type >= 0');
    case 'rcode':
      return numberSql('q.result', comparison, `q.result < ${UNREADABLE}`);
    case 'outcome': {
      const codes = values.flatMap((value) =>
        value.kind === 'text' ? OUTCOMES.filter((each) => each === value.text).map(outcomeCode) : [],
      );
      const isAnswered = codes.includes(outcomeCode('answered')) ? ` OR q.result <= ${UNREADABLE}` : '';
      return `(q.result IN (${codes.join(', ')})${isAnswered})`;
    }
    case 'failed': {
      const wanted = values.some((value) => value.kind === 'boolean' && value.boolean);
      return `q.result ${wanted ? 'NOT IN' : 'IN'} (${NOT_FAILED.join(', ')})`;
    }
    case 'latency':
      return numberSql(`(l.duration * ${NS})`, comparison, 'l.duration IS NOT NULL');
    case 'retries':
      return numberSql('(l.more & 255)', comparison, '1');
    case 'port':
      return `q.server IN (SELECT id FROM servers s WHERE ${numberSql('s.port', comparison, '1')})`;
    case 'transport': {
      const wanted = values.flatMap((value) => (value.kind === 'text' ? [value.text === 'tcp' ? 1 : 0] : []));
      return `q.server IN (SELECT id FROM servers s WHERE s.tcp IN (${wanted.join(', ')}))`;
    }
    case 'server': {
      const test = addressTest(comparison);
      const table = await matching('SELECT id, address FROM servers', (row) => test(String(row['address'])));
      return `q.server IN temp.${table}`;
    }
    case 'answer': {
      const isAddress = addressTest(comparison);
      const parts: string[] = [];
      if (values.some(({ kind }) => kind === 'address')) {
        const table = await matching('SELECT id, address FROM addresses', (row) =>
          isAddress(String(row['address'])),
        );
        parts.push(`q.id IN (SELECT question FROM resolved WHERE address IN temp.${table})`);
      }
      if (values.some(({ kind }) => kind !== 'address')) {
        const isText = textTest(comparison, matchers);
        const table = await matching('SELECT id, records FROM answers', (row) =>
          hasData(String(row['records']), isText),
        );
        parts.push(`ifnull(q.answers IN temp.${table}, 0)`);
      }
      return `(${parts.join(' OR ')})`;
    }
    default:
      throw new Error(`a history has no ${field} (${operator})`);
  }
}

function numberSql(sql: string, { operator, values }: Comparison, known: string): string {
  const numbers = values.flatMap((value) => (value.kind === 'number' ? [value.number] : []));
  const test =
    operator === '=' ? `${sql} IN (${numbers.join(', ')})` : `${sql} ${operator} ${numbers[0] ?? 0}`;
  return `ifnull(${known} AND ${test}, 0)`;
}

function domainTest(values: readonly FilterValue[]): (name: string) => boolean {
  const domains = values.flatMap((value) => (value.kind === 'domain' ? [labelsOf(value.domain)] : []));
  return (name) => {
    const labels = labelsOf(name);
    return domains.some(
      (domain) =>
        domain[0] === '.' || domain.every((label, i) => labels[labels.length - domain.length + i] === label),
    );
  };
}

function hasData(records: string, test: (text: string) => boolean): boolean {
  return records.split('\n').some((line) => {
    const data = line.slice(line.indexOf(' ') + 1);
    return test(data) || test(data.toLowerCase());
  });
}
