/** Grafana's variables in a link, filled in as its template service does; that service is no part of the published packages. */
import { type DataFrame, type Field, getFieldDisplayName, type ScopedVars } from '@grafana/data';

interface Context {
  readonly frame: DataFrame;
  readonly field: Field;
  readonly rowIndex?: number;
}

/** encodeURIComponent, and the five characters that it leaves (Grafana: VariableFormatID.PercentEncode). */
const percentEncode = (text: string) =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** @returns Grafana's `replaceVariables`; throws for what it does not know */
export function replacing(variables: Readonly<Record<string, string>>, from: number, to: number) {
  return (text: string, scoped: ScopedVars = {}): string =>
    text.replaceAll(/\$\{([^}:]+)(?::(\w+))?\}/g, (_, name: string, format = '') => {
      if (name === '__url_time_range') return `from=${from}&to=${to}`;
      const board = variables[name];
      if (board !== undefined && format === 'queryparam') return `var-${name}=${percentEncode(board)}`;
      const value = textOf(name, scoped.__dataContext?.value as Context | undefined);
      if (value === undefined || format !== 'percentencode') throw new Error(`\${${name}:${format}}`);
      return percentEncode(value);
    });
}

function textOf(name: string, context: Context | undefined): string | undefined {
  if (context === undefined) return undefined;
  const { frame, field, rowIndex = 0 } = context;
  const label = /^__field\.labels\["(.+)"\]$/.exec(name)?.[1];
  // A label that is not there is nothing.
  if (label !== undefined) return field.labels?.[label] ?? '';
  const column = /^__data\.fields\["(.+)"\]$/.exec(name)?.[1];
  const found = frame.fields.find((one) => one.name === column || getFieldDisplayName(one, frame) === column);
  return found === undefined ? undefined : String(found.values[rowIndex] ?? '');
}
