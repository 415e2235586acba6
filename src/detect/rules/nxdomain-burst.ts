/**
 * Many names that do not exist. Programs that meet their master at generated domains try hundreds of names of which a few are
 * registered (Antonakakis and others 2012, "From Throw-Away Traffic to Bots"); a wrong setting asks for few, and for words.
 * What a search list adds is in vain by design and has a metric of its own (`whodns.search.wasted`).
 */
import { RCODES } from '../../tables/rcodes.ts';
import type { Finding, LookupEvent, PerProcess } from '../detector.ts';
import { Domains, isArpa } from '../domain.ts';
import { rule } from '../rule.ts';
import { Characters, Distinct, hashOf } from '../statistics.ts';

/** NXDOMAIN answers in a window before figures of their names are kept. */
const FIGURES_FROM = 8;
/** Share of names below domains of their own from which they were generated. */
const DISTINCT_DOMAINS = 0.5;
/** Words hold few digits; hexadecimal names are poor in entropy but half digits. */
const MAX_DIGITS = 0.2;
/** Blocklists by address (RFC 5782): `4.3.2.1.list.example`, or 32 nibbles. NXDOMAIN is their good news. */
const LISTED_ADDRESS = /^(?:\d{1,3}\.){4}|^(?:[0-9a-f]\.){32}/;

interface Figures {
  readonly domains: Distinct;
  readonly text: Characters;
  names: number;
}

interface Window {
  start: number;
  answers: number;
  failed: number;
  reported: boolean;
  figures: Figures | undefined;
}

interface State {
  readonly windows: PerProcess<Window>;
  readonly exclude: Domains;
  readonly settings: {
    readonly window: number;
    readonly count: number;
    readonly share: number;
    readonly entropy: number;
  };
}

export default rule('nxdomain-burst', {
  init: (context, settings): State => ({
    windows: context.perProcess(() => ({
      start: Number.NEGATIVE_INFINITY,
      answers: 0,
      failed: 0,
      reported: false,
      figures: undefined,
    })),
    exclude: new Domains(settings.exclude),
    settings,
  }),
  onEvent(event, { state, host }) {
    if (event.kind !== 'lookup' || event.lookup.response === undefined || event.name === '') return undefined;
    if (event.search !== undefined && event.search.base !== event.name) return undefined;
    const window = state.windows.of(event);
    if (event.at - window.start > state.settings.window) restart(window, event.at);
    if (event.lookup.response.message.rcode !== RCODES.NXDOMAIN) {
      window.answers++;
      return undefined;
    }
    if (isArpa(event.name) || LISTED_ADDRESS.test(event.name) || state.exclude.has(event.name))
      return undefined;
    window.answers++;
    window.failed++;
    if (window.failed >= FIGURES_FROM) addTo(window, event);
    const { count, share } = state.settings;
    if (window.reported || window.failed < count || window.failed < share * window.answers) return undefined;
    window.reported = true;
    // A name server fails on behalf of others, who are seen themselves.
    // Of the window as it is now: it may be over when the answer comes.
    const found = finding(window, event, state.settings.entropy);
    return host.servesNames(event, (serves) => (serves === true ? undefined : found));
  },
});

function restart(window: Window, at: number): void {
  window.start = at;
  window.answers = 0;
  window.failed = 0;
  window.reported = false;
  window.figures = undefined;
}

function addTo(window: Window, { name, domain }: LookupEvent): void {
  window.figures ??= { domains: new Distinct(), text: new Characters(), names: 0 };
  const { figures } = window;
  const registered = domain === '' ? name : domain;
  figures.names++;
  // The same name again says nothing new of how names are made.
  if (!figures.domains.add(hashOf(registered))) return;
  const dot = registered.indexOf('.');
  figures.text.add(registered, dot < 0 ? registered.length : dot);
}

function finding(window: Window, event: LookupEvent, leastEntropy: number): Finding {
  const { failed, answers, figures } = window;
  const names = figures?.names ?? 1;
  const distinct = Math.min((figures?.domains.count ?? 0) / names, 1);
  const entropy = figures?.text.entropy ?? 0;
  const digits = figures === undefined ? 0 : figures.text.digits / Math.max(figures.text.total, 1);
  const isGenerated = distinct >= DISTINCT_DOMAINS && (entropy >= leastEntropy || digits > MAX_DIGITS);
  const seconds = Math.max((event.at - window.start) / 1000, 0.001);
  const kind = isGenerated ? 'generated-domains' : 'misconfiguration';
  return {
    subject: kind,
    kind,
    message: `${failed} of ${answers} answers in ${seconds.toFixed(1)} s are NXDOMAIN, ${isGenerated ? 'names look generated' : 'a misconfiguration by the names'}, the last: ${event.name}`,
    evidence: {
      'dns.question.name': event.name,
      'whodns.finding.count': failed,
      'whodns.finding.seconds': seconds,
      'whodns.finding.share': failed / answers,
      'whodns.finding.distinct': distinct,
      'whodns.finding.entropy': entropy,
    },
  };
}
