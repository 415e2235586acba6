/**
 * Internal workloads have no business outside the cluster. The fan-out of a search list does: `db` may be tried as
 * `db.corp.example`, and a name without a known top-level domain may be tried as it is.
 */
import { parse } from 'tldts';
import { UserError } from '../../lib/errors.ts';
import type { Attributes, ProcessIdentity } from '../../model.ts';
import { Domains } from '../domain.ts';
import { rule } from '../rule.ts';

interface Selector {
  readonly attribute: string;
  readonly value: string;
}

interface State {
  readonly selectors: readonly Selector[];
  readonly domains: Domains;
  readonly internal: WeakMap<ProcessIdentity, boolean>;
}

export default rule('non-cluster-domain', {
  init: (_context, settings): State => ({
    selectors: settings.internal.map(selectorOf),
    domains: new Domains(settings.domains),
    internal: new WeakMap(),
  }),
  onEvent(event, { state }) {
    if (state.selectors.length === 0 || event.kind !== 'lookup' || event.name === '') return undefined;
    let isInternal = state.internal.get(event.process);
    if (isInternal === undefined) {
      isInternal = state.selectors.some((selector) => matches(selector, event.process.resource));
      state.internal.set(event.process, isInternal);
    }
    if (!isInternal || state.domains.has(event.name)) return undefined;
    if (event.search !== undefined && event.search.base !== event.name) return undefined;
    if (parse(event.name, { validateHostname: false }).isIcann !== true) return undefined;
    return {
      subject: event.domain === '' ? event.name : event.domain,
      message: `an internal workload asks for ${event.name}, which is not of the cluster`,
      evidence: { 'dns.question.name': event.name, 'whodns.finding.domain': event.domain },
    };
  },
});

/** @throws UserError */
function selectorOf(text: string): Selector {
  const at = text.indexOf('=');
  if (at <= 0)
    throw new UserError(`non-cluster-domain.internal "${text}" is not RESOURCE-ATTRIBUTE=VALUE`, {
      exitCode: 2,
    });
  return { attribute: text.slice(0, at), value: text.slice(at + 1) };
}

function matches({ attribute, value }: Selector, resource: Attributes): boolean {
  const held = Object.hasOwn(resource, attribute) ? resource[attribute] : undefined;
  return Array.isArray(held)
    ? held.map(String).includes(value)
    : held !== undefined && String(held) === value;
}
