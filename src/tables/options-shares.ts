/** How much of the agent one workload may use (bpf/share.h): part of OPTIONS. */
import { integer, type Parsed } from '../lib/values.ts';
import { option, repeatable } from './option.ts';

/** Another rate for the control groups of a namespace or of an executable. */
export interface RateRule {
  readonly subject: 'namespace' | 'executable';
  /** Kubernetes namespace, or absolute path of the executable. */
  readonly name: string;
  /** Records a second; 0: no bound. */
  readonly rate: number;
}

const MAX_RATE = 10_000_000;
const MAX_BURST = 100_000_000;
const MAX_CHARACTERS = 4096;

export const SHARE_OPTIONS = {
  cgroupRate: option<number>({
    flag: '--cgroup-rate <records>',
    commands: ['run'],
    env: ['WHODNS_CGROUP_RATE'],
    description: 'records a second of one control group (on the host: of one user in it); 0 = no bound',
    parse: integer(0, MAX_RATE),
    default: 5000,
  }),
  cgroupBurst: option<number>({
    flag: '--cgroup-burst <records>',
    commands: ['run'],
    env: ['WHODNS_CGROUP_BURST'],
    description: 'records that it may have at once on top of its rate',
    parse: integer(1, MAX_BURST),
    default: 50_000,
  }),
  cgroupRateFor: repeatable<RateRule>({
    flag: '--cgroup-rate-for <rule>',
    repeatable: true,
    commands: ['run'],
    env: ['WHODNS_CGROUP_RATE_FOR'],
    description:
      'another rate: namespace=NAME:RATE, or executable=/PATH:RATE for groups in which it runs; repeat or comma list',
    parse: rateRule,
    default: [],
    shownDefault: '',
  }),
} as const;

function rateRule(text: string): Parsed<RateRule> {
  const found = /^(namespace|executable)=(.+):(\d{1,8})$/.exec(text);
  const [, subject, name = '', digits] = found ?? [];
  const rate = Number(digits);
  if (found === null || rate > MAX_RATE || text.length > MAX_CHARACTERS)
    return {
      problem: `is not namespace=NAME:RATE or executable=/PATH:RATE, with a rate of 0 to ${MAX_RATE}`,
    };
  if (subject === 'executable' && !name.startsWith('/'))
    return { problem: 'is not the path of an executable' };
  return { value: { subject: subject as RateRule['subject'], name, rate } };
}
