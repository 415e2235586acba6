/**
 * Data in DNS messages (iodine, dnscat2 and their kin): what is sent stands in names, so they are long and hardly ever
 * the same, below a domain whose server takes them; what comes back stands in TXT, NULL or private-type answers.
 */
import { RR_TYPES } from '../../tables/rrtypes.ts';
import type { Finding, LookupEvent, PerProcess } from '../detector.ts';
import { Domains, isArpa } from '../domain.ts';
import { rule } from '../rule.ts';
import { Characters, Distinct, hashOf } from '../statistics.ts';

/** Domains watched of one process. A busier one takes the place of the quietest. */
const MAX_DOMAINS = 4;
/** Lookups of one domain in a window before figures of their names are kept: nearly all processes stay below. */
const FIGURES_FROM = 16;
/** Names with figures below which nothing is said. */
const LEAST_NAMES = 20;
/** Characters are counted of one name in so many. */
const TEXT_SAMPLE = 4;
/** Private use (RFC 6895 section 3.1). */
const PRIVATE_TYPES = 65_280;

interface Figures {
  names: number;
  characters: number;
  payload: number;
  /** `names` at the last judgement. */
  judged: number;
  readonly distinct: Distinct;
  readonly text: Characters;
}

interface Watched {
  domain: string;
  start: number;
  count: number;
  figures: Figures | undefined;
}

interface State {
  readonly watched: PerProcess<Watched[]>;
  readonly exclude: Domains;
  readonly settings: {
    readonly window: number;
    readonly rate: number;
    readonly distinct: number;
    readonly length: number;
    readonly entropy: number;
    readonly payload: number;
  };
}

export default rule('tunnel', {
  init: (context, settings): State => ({
    watched: context.perProcess(() => []),
    exclude: new Domains(settings.exclude),
    settings,
  }),
  onEvent(event, { state }) {
    if (event.kind !== 'lookup' || event.name === '') return undefined;
    // A search list makes names out of names: not the program's doing.
    if (event.search !== undefined && event.search.base !== event.name) return undefined;
    const { domain, name } = event;
    if (domain === '' || name.length === domain.length || isArpa(domain)) return undefined;
    if (state.exclude.has(domain)) return undefined;
    const watched = watchedOf(state.watched.of(event), domain, event.at, state.settings.window);
    watched.count++;
    if (watched.count < FIGURES_FROM) return undefined;
    watched.figures ??= newFigures();
    addTo(watched.figures, event);
    return judge(watched, event, state);
  },
});

function watchedOf(all: Watched[], domain: string, at: number, window: number): Watched {
  let quietest: Watched | undefined;
  for (const each of all) {
    if (at - each.start > window) restart(each, at);
    if (each.domain === domain) return each;
    if (quietest === undefined || each.count < quietest.count) quietest = each;
  }
  if (all.length < MAX_DOMAINS || quietest === undefined) {
    const made = { domain, start: at, count: 0, figures: undefined };
    all.push(made);
    return made;
  }
  quietest.domain = domain;
  restart(quietest, at);
  return quietest;
}

function restart(watched: Watched, at: number): void {
  watched.start = at;
  watched.count = 0;
  watched.figures = undefined;
}

function newFigures(): Figures {
  return { names: 0, characters: 0, payload: 0, judged: 0, distinct: new Distinct(), text: new Characters() };
}

function addTo(figures: Figures, { name, domain, lookup }: LookupEvent): void {
  const end = name.length - domain.length - 1;
  figures.names++;
  figures.distinct.add(hashOf(name, end));
  figures.characters += end;
  if (figures.names % TEXT_SAMPLE === 0) figures.text.add(name, end);
  const { response } = lookup;
  if (response === undefined) return;
  for (const { type } of response.message.answers)
    if (type === RR_TYPES.TXT || type === RR_TYPES.NULL || type >= PRIVATE_TYPES) {
      figures.payload += response.length;
      return;
    }
}

/** At the threshold, and again each time half as many names have come: what comes later may tell what the first did not. */
function judge(watched: Watched, event: LookupEvent, { settings }: State): Finding | undefined {
  const { figures, count } = watched;
  const seconds = settings.window / 1000;
  const isFast = count >= settings.rate * seconds;
  const isLarge = figures !== undefined && figures.payload >= settings.payload * seconds;
  if (figures === undefined || (!isFast && !isLarge)) return undefined;
  if (figures.names < LEAST_NAMES || figures.names < figures.judged * 1.5) return undefined;
  figures.judged = figures.names;
  const distinct = Math.min(figures.distinct.count / figures.names, 1);
  if (distinct < settings.distinct) return undefined;
  const length = figures.characters / figures.names;
  const { entropy } = figures.text;
  const isDense = length >= settings.length && entropy >= settings.entropy;
  if (!isLarge && !isDense) return undefined;
  return finding(event, isFast && isDense ? 'names' : 'answers', {
    count,
    seconds: Math.max((event.at - watched.start) / 1000, 0.001),
    distinct,
    length,
    entropy,
    payload: figures.payload,
  });
}

interface Evidence {
  readonly count: number;
  readonly seconds: number;
  readonly distinct: number;
  readonly length: number;
  readonly entropy: number;
  readonly payload: number;
}

function finding(event: LookupEvent, kind: 'names' | 'answers', found: Evidence): Finding {
  const { count, seconds, distinct, length, entropy, payload } = found;
  const percent = (100 * distinct).toFixed(0);
  return {
    subject: event.domain,
    kind,
    message: `${count} lookups in ${seconds.toFixed(1)} s below ${event.domain}: ${percent} % of the names new, ${length.toFixed(0)} characters each, ${payload} bytes of TXT or NULL answers`,
    evidence: {
      'dns.question.name': event.name,
      'whodns.finding.domain': event.domain,
      'whodns.finding.count': count,
      'whodns.finding.seconds': seconds,
      'whodns.finding.distinct': distinct,
      'whodns.finding.length': length,
      'whodns.finding.entropy': entropy,
      'whodns.finding.payload': payload,
    },
  };
}
