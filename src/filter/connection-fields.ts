/** Fields of a filter that a connection has; the others are unknown of it, so what compares them is false. */
import type { ConnectionEvent } from '../model.ts';
import type { Comparison } from './ast.ts';
import { addressTest, anyOf, type Matchers, numberTest, type Predicate, textTest } from './predicate.ts';

const NEVER: Predicate<ConnectionEvent> = () => false;

/** The field is none of the process. */
export function connectionComparison(comparison: Comparison, matchers: Matchers): Predicate<ConnectionEvent> {
  const { field, values } = comparison;
  switch (field) {
    case 'name': {
      const test = textTest(comparison, matchers);
      return anyName(test);
    }
    case 'domain': {
      const domains = values.flatMap((value) => (value.kind === 'domain' ? [value.domain] : []));
      return anyName((name) =>
        domains.some((domain) => domain === '.' || name === domain || name.endsWith(`.${domain}`)),
      );
    }
    case 'answer': {
      const isAddress = addressTest(comparison);
      const isText = textTest(comparison, matchers);
      return anyOf([
        ({ connection }) => isAddress(connection.remote.address),
        ({ connection }) => isText(connection.remote.address),
      ]);
    }
    case 'port': {
      const test = numberTest(comparison);
      return ({ connection }) => test(connection.remote.port);
    }
    case 'transport': {
      const isTcp = values.some((value) => value.kind === 'text' && value.text === 'tcp');
      return () => isTcp;
    }
    default:
      return NEVER;
  }
}

function anyName(test: Predicate<string>): Predicate<ConnectionEvent> {
  return ({ resolution }) => resolution?.names.some(test) ?? false;
}
