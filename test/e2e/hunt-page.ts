/** docs/hunting.md: ten questions, each with the command and what it says. `write-hunting.ts` writes it, `hunting.test.ts` judges it. */
import type { Facts } from './hunt-stage.ts';

interface Question {
  readonly title: string;
  readonly text: readonly string[];
  /** Lines for a shell. */
  readonly commands: (facts: Facts) => readonly string[];
  readonly behind?: readonly string[];
}

export const QUESTIONS: readonly Question[] = [
  {
    title: 'Who asked for this name?',
    text: ['The process with its parent and user, what it was told, and what it then connected to:'],
    commands: () => ['whodns search evil.example --process curl --since 1h'],
    behind: ["`'*.evil.example'` finds the names below it, `/^ev[il1]+\\./` what a pattern matches."],
  },
  {
    title: 'What did this process ask?',
    text: ['By its id, also when it is gone:'],
    commands: ({ pid }) => [`whodns search --pid ${pid}`],
  },
  {
    title: 'What fails most?',
    text: ['Any column can be counted. `whodns top` shows it as it comes (`4`):'],
    commands: () => [
      'whodns search --failed --format csv --limit 10000 | cut -d, -f8,9 | sort | uniq -c | sort -rn | head -3',
    ],
  },
  {
    title: 'Which server is slow?',
    text: ['What took 200 ms or longer, with the server that was asked:'],
    commands: () => ['whodns search --min-latency 200ms'],
    behind: ['`whodns top` has median and 99th percentile of each server (`3`).'],
  },
  {
    title: 'When was it seen first?',
    text: ['The oldest row comes first:'],
    commands: () => ['whodns search c2.example --type A --limit 10000 | head -2'],
    behind: ['Only as far back as the history goes ([history.md](history.md)).'],
  },
  {
    title: 'A firewall names an address and a port: which process was that, and which name?',
    text: [
      'Both ports are in the line of the firewall. The age is that of the answer that named the address:',
    ],
    commands: ({ localPort }) => [`whodns search 203.0.113.66:443 --local-port ${localPort}`],
    behind: [
      '`unresolved` stands where no answer had named the address: [connections.md](connections.md#the-name).',
    ],
  },
  {
    title: 'Does something call home?',
    text: ['The same name by a new process at even distances:'],
    commands: () => ['whodns search c2.example --type A --format csv | cut -d, -f1,2,3,8'],
  },
  {
    title: 'What does the search list of resolv.conf cost?',
    text: ['One name, asked for with every domain of the list before it is asked for as it is:'],
    commands: () => ["whodns search '/^www\\.shop\\.example/' --process getent --type A"],
    behind: [
      '`ndots:1`, or a dot at the end of the name, saves them. Records say how many were in vain: `whodns.search.wasted` ([attributes.md](attributes.md)).',
    ],
  },
  {
    title: 'Who goes past the resolver?',
    text: [
      'What went to another server than those of the host, and what the detector `rogue-resolver` says of it:',
    ],
    commands: () => [
      "whodns search --filter 'not server in (192.0.2.53, 192.0.2.54)' | head -3",
      'whodns search --findings',
    ],
    behind: ['Findings need `--detect` ([detections.md](detections.md)).'],
  },
  {
    title: 'What is in this capture?',
    text: [
      'A pcap or pcapng file, or records of `--exporter otlp-file`; no rights are needed, and no agent:',
    ],
    commands: ({ capture }) => [`whodns search --in ${capture} --type A`],
  },
];

/** @param ask runs a line in a shell and gives what it prints */
export function huntingPage(facts: Facts, ask: (command: string) => string): string {
  const sections = QUESTIONS.flatMap(({ title, text, commands, behind = [] }) => [
    `## ${title}`,
    '',
    ...text,
    '',
    ...commands(facts).flatMap((command) => [
      `    $ ${command}`,
      ...ask(command)
        .trimEnd()
        .split('\n')
        .map((line) => `    ${line.trimEnd()}`),
      '',
    ]),
    ...(behind.length === 0 ? [] : [...behind, '']),
  ]);
  return [
    '# Hunting',
    '',
    'Ten questions to a host with `whodns --history --detect rogue-resolver`. What stands here is what the commands said: the page is made by',
    '`node test/e2e/write-hunting.ts`, and `test/e2e/hunting.test.ts` runs them again. Each takes `--format json` too; `whodns search --help`',
    'has the rest, [filters.md](filters.md) the language of `--filter`.',
    '',
    ...sections,
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

/** What is the same each time: times, ids, ports and latencies are masked, and columns are as wide as what is in them. */
export function comparable(page: string): readonly string[] {
  return page.split('\n').map((line) =>
    line
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}/g, 'TIME')
      .replace(/[\d.]+(?:ns|µs|ms|s)\b/g, 'SPAN')
      .replace(/(?<=^| |,|\[)\d+(?=$| |,|\])/g, 'N')
      .replace(/ +/g, ' '),
  );
}
