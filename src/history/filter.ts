/**
 * A filter (src/filter/) as SQL over lookups `l`, their questions `q` and processes `p`. Every part is 0 or 1, never NULL: what is
 * unknown is false.
 */
import type { Comparison, Filter, FilterValue } from '../filter/ast.ts';
import { addressTest, type Matchers, textTest } from '../filter/predicate.ts';
import { isProcessField, processAttributes, processComparison } from '../filter/process-fields.ts';
import type { Row, Value } from './database.ts';
import { columnOf, parsed } from './process-rows.ts';
import { labelsOf, NOT_FAILED, OUTCOMES, outcomeCode, UNREADABLE } from './schema.ts';

/** What it takes of a segment: temporary tables, each with a column `id`. */
export interface FilterTables {
  /** Of the ids of the rows that a test holds for. @param select gives `id` and what is tested */
  readonly matching: (select: string, test: (row: Row) => boolean) => Promise<string>;
  /** Of the ids of names. @param key the same for the same test of another segment */
  readonly matchingNames: (key: object, test: (name: string) => boolean) => Promise<string>;
  readonly values: (values: readonly Value[]) => string;
  /** Of processes. @param condition over `p` */
  readonly processes: (condition: string) => string;
}

/** What a condition is about: of these alone the few that are meant are found first. */
export type Subject = 'process' | 'question' | 'lookup';

const NS = 1000;

/** Its parts that must all hold. */
export function conjunctsOf(filter: Filter): readonly Filter[] {
  return filter.kind === 'and' ? filter.operands.flatMap(conjunctsOf) : [filter];
}

/** The one that all of it is about; 'lookup': several, or what only a lookup has. */
export function subjectOf(filter: Filter): Subject {
  if (filter.kind === 'not') return subjectOf(filter.operand);
  if (filter.kind === 'compare') {
    if (isProcessField(filter.field)) return 'process';
    return filter.field === 'latency' || filter.field === 'retries' ? 'lookup' : 'question';
  }
  const [first, ...others] = filter.operands.map(subjectOf);
  return first !== undefined && others.every((each) => each === first) ? first : 'lookup';
}

/** µs that a lookup takes at least where the filter holds; undefined: it says nothing of it. */
export function minDurationOf(filter: Filter): number | undefined {
  if (filter.kind !== 'compare' || filter.field !== 'latency' || !filter.operator.startsWith('>'))
    return undefined;
  const [value] = filter.values;
  return value?.kind === 'number' ? Math.floor(value.number / NS) : undefined;
}

/** @param subject of which it is to be a condition: `p`, `q`, or `l` joined with `q` */
export async function filterSql(
  filter: Filter,
  matchers: Matchers,
  tables: FilterTables,
  subject: Subject,
): Promise<string> {
  if (filter.kind === 'not') return `NOT (${await filterSql(filter.operand, matchers, tables, subject)})`;
  if (filter.kind === 'compare') {
    if (!isProcessField(filter.field)) return comparisonSql(filter, matchers, tables);
    const sql = await processSql(filter, matchers, tables);
    return subject === 'process' ? sql : `l.process IN temp.${tables.processes(sql)}`;
  }
  const parts: string[] = [];
  for (const operand of filter.operands)
    parts.push(`(${await filterSql(operand, matchers, tables, subject)})`);
  return parts.join(filter.kind === 'and' ? ' AND ' : ' OR ');
}

/** Tested is each value that there is, not each process. What is no column is the same of many processes. */
async function processSql(comparison: Comparison, matchers: Matchers, tables: FilterTables): Promise<string> {
  const test = processComparison(comparison, matchers);
  const unknown = { pid: 0, startTime: 0n, executableName: '', containerId: undefined, workload: '' };
  const known = "p.attribution <> 'none'";
  if (comparison.field === 'pid') return numberSql('p.pid', comparison, known);
  const parts: string[] = [];
  const others: string[] = [];
  for (const attribute of processAttributes(comparison.field)) {
    const column = columnOf(attribute);
    if (column === undefined) {
      others.push(attribute);
      continue;
    }
    const values = exactTexts(comparison) ?? (await passing(column, attribute));
    parts.push(`(${known} AND p.${column} IN temp.${tables.values(values)})`);
  }
  if (others.length > 0) {
    const rests = await tables.matching('SELECT id, json FROM rests', ({ json }) => {
      return test({ ...unknown, attribution: 'kernel', resource: parsed(String(json)) });
    });
    parts.push(`ifnull(p.rest IN temp.${rests}, 0)`);
  }
  return `(${parts.join(' OR ')})`;

  async function passing(column: string, attribute: string): Promise<readonly Value[]> {
    const passed: Value[] = [];
    const distinct = `SELECT min(id) AS id, ${column} AS value FROM processes GROUP BY ${column}`;
    await tables.matching(distinct, ({ value }) => {
      if (value === null || value === undefined || value === '') return false;
      if (test({ ...unknown, attribution: 'kernel', resource: { [attribute]: value } })) passed.push(value);
      return false;
    });
    return passed;
  }
}

/** undefined: it is more than whether the text is one of these. */
function exactTexts({ field, operator, values }: Comparison): readonly string[] | undefined {
  // The start of a container's id stands for it.
  if (operator !== '=' || field === 'container') return undefined;
  const texts = values.flatMap((value) =>
    value.kind === 'text' && !value.isPattern && value.text !== '' ? [value.text] : [],
  );
  return texts.length === values.length ? texts : undefined;
}

async function comparisonSql(
  comparison: Comparison,
  matchers: Matchers,
  { matching, matchingNames }: FilterTables,
): Promise<string> {
  const { field, values, operator } = comparison;
  switch (field) {
    case 'name':
    case 'domain': {
      const test = field === 'domain' ? domainTest(values) : textTest(comparison, matchers);
      return `q.name IN temp.${await matchingNames(comparison, test)}`;
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
