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

const MOST_RATE = 10_000_000;
const MOST_BURST = 100_000_000;
const MOST_CHARACTERS = 4096;

export const SHARE_OPTIONS = {
  cgroupRate: option<number>({
    flag: '--cgroup-rate <records>',
    commands: ['run'],
    env: ['WHODNS_CGROUP_RATE'],
    brief: 'records a second of one control group (on the host: of one user in it); 0 = no bound',
    parse: integer(0, MOST_RATE),
    fallback: 5000,
  }),
  cgroupBurst: option<number>({
    flag: '--cgroup-burst <records>',
    commands: ['run'],
    env: ['WHODNS_CGROUP_BURST'],
    brief: 'records that it may have at once on top of its rate',
    parse: integer(1, MOST_BURST),
    fallback: 50_000,
  }),
  cgroupRateFor: repeatable<RateRule>({
    flag: '--cgroup-rate-for <rule>',
    repeatable: true,
    commands: ['run'],
    env: ['WHODNS_CGROUP_RATE_FOR'],
    brief:
      'another rate: namespace=NAME:RATE, or executable=/PATH:RATE for groups in which it runs; repeat or comma list',
    parse: rateRule,
    fallback: [],
    shownDefault: '',
  }),
} as const;

function rateRule(text: string): Parsed<RateRule> {
  const found = /^(namespace|executable)=(.+):(\d{1,8})$/.exec(text);
  const [, subject, name = '', digits] = found ?? [];
  const rate = Number(digits);
  if (found === null || rate > MOST_RATE || text.length > MOST_CHARACTERS)
    return {
      problem: `is not namespace=NAME:RATE or executable=/PATH:RATE, with a rate of 0 to ${MOST_RATE}`,
    };
  if (subject === 'executable' && !name.startsWith('/'))
    return { problem: 'is not the path of an executable' };
  return { value: { subject: subject as RateRule['subject'], name, rate } };
}
