/**
 * Files in reach of another user: whoever owns a directory on the way, or may write to it, decides what the agent's next open
 * hits. Everything that the agent writes or trusts goes through src/lib/safe-file.ts; here the kinds of places.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfigFile } from '../../src/config/file.ts';
import { listenAt } from '../../src/control/socket-file.ts';
import { loadDetectors } from '../../src/detect/load.ts';
import { kubeconfigAccess } from '../../src/enrich/kubernetes/access.ts';
import { UserError } from '../../src/lib/errors.ts';
import { assertWritable } from '../../src/lib/safe-file.ts';
import { Spool } from '../../src/sinks/delivery/spool.ts';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import { WatchedCertificates } from '../../src/sinks/otlp/transport-tls.ts';
import { MAIN } from '../matrix/program.ts';
import { directoryAt, fileAt, linkAt, SECRET, STRANGER, skip, temporary } from './places.ts';
import { reportAttack } from './report.ts';

const CAPTURE = join(import.meta.dirname, '../golden/pcaps/edns-opts.pcap');

/** Everything that the agent writes or trusts: does something with a file in the directory. */
const USES: Readonly<Record<string, (directory: string) => unknown>> = {
  'otlp-file': (directory) => LinesFile.open(join(directory, 'w.json'), { maxBytes: 1000, backups: 1 }),
  '--stats-file': (directory) => assertWritable(join(directory, 'stats.json')),
  '--spool': (directory) =>
    new Spool({
      directory,
      maxBytes: 1 << 24,
      memory: { maxBytes: 1 << 20, maxRecords: 10 },
      notices: { warn: () => {}, info: () => {} },
    }).close(),
  '--control': async (directory) => {
    const server = createServer();
    (await listenAt(server, join(directory, 'socket')))();
    server.close();
  },
  '--config-file': (directory) => loadConfigFile(fileAt(join(directory, 'c.yaml'), 'file_format: "1.0"\n')),
  certificates: (directory) => {
    const [key, ca] = [join(directory, 'key.pem'), join(directory, 'ca.pem')];
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=x',
    ];
    execFileSync('openssl', [...made, '-keyout', key, '-out', ca], { stdio: 'ignore' });
    new WatchedCertificates({ ca, key: undefined, cert: undefined }, () => {}).current();
  },
  '--kubeconfig': (directory) => {
    const text = `clusters: [{name: c, cluster: {server: 'https://127.0.0.1'}}]\ncontexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n`;
    return kubeconfigAccess(fileAt(join(directory, 'k.yaml'), text));
  },
  '--detector': (directory) => {
    const text = "export default { name: 'mine', severity: 'warn', describe: 'x', onEvent() {} };";
    return loadDetectors({ detect: [], detectors: [fileAt(join(directory, 'd.mjs'), text)] });
  },
};

/** Places that somebody else can bend, made below `base`. */
const PLACES: Readonly<Record<string, { make(base: string): string; says: RegExp }>> = {
  'a directory of another user': {
    make: (base) => directoryAt(join(base, 'theirs'), { uid: STRANGER }),
    says: /the directory \S+\/theirs belongs to user 1000/,
  },
  'a directory below one of another user': {
    make(base) {
      directoryAt(join(base, 'theirs'), { uid: STRANGER });
      return directoryAt(join(base, 'theirs/ours'), { mode: 0o700 });
    },
    says: /the directory \S+\/theirs belongs to user 1000/,
  },
  'a directory that everyone can write to': {
    make: (base) => directoryAt(join(base, 'open'), { mode: 0o777 }),
    says: /the directory \S+\/open can be written to by everyone/,
  },
  'a directory of a group (fsGroup)': {
    make: (base) => directoryAt(join(base, 'group'), { mode: 0o2775, gid: 2000 }),
    says: /the directory \S+\/group can be written to by group 2000/,
  },
  'a directory behind a link of another user in a shared one': {
    make(base) {
      directoryAt(join(base, 'shared'), { mode: 0o1777 });
      directoryAt(join(base, 'ours'));
      return linkAt(join(base, 'shared/link'), join(base, 'ours'), STRANGER);
    },
    says: /the symbolic link \S+\/shared\/link belongs to user 1000/,
  },
  'a link of ours into a directory of another user': {
    make(base) {
      directoryAt(join(base, 'theirs'), { uid: STRANGER });
      return linkAt(join(base, 'link'), '../../../../../'.concat(join(base, 'theirs')));
    },
    says: /the directory \S+\/theirs belongs to user 1000/,
  },
};

for (const [place, { make, says }] of Object.entries(PLACES)) {
  test(`refused, with what to do: ${place}`, skip, async (t) => {
    for (const [use, act] of Object.entries(USES)) {
      const base = temporary(t);
      const directory = make(base);
      await assert.rejects(
        async () => act(directory),
        (error) => {
          assert.ok(error instanceof UserError, `${use}: ${error}`);
          assert.match(error.message, says, use);
          assert.ok(!error.message.includes('\n'), `${use}: one line`);
          assert.match(`${error.hint} ${error.message}`, /name a path|chmod [og]-w/, use);
          return true;
        },
        use,
      );
    }
  });
}

test(
  'allowed: directories of the agent, links of root to them, new files in a shared one',
  skip,
  async (t) => {
    for (const act of Object.values(USES)) {
      const base = temporary(t);
      const ours = directoryAt(join(base, 'ours'), { mode: 0o775 });
      await act(ours);
      await act(linkAt(join(base, 'link'), 'ours'));
      await act(`${base}/ours/../link/.`);
      const shared = directoryAt(join(base, 'shared'), { mode: 0o1777 });
      // A spool is a directory of its own.
      if (act !== USES['--spool']) await act(shared);
      else await assert.rejects(async () => act(shared), /can be written to by everyone/);
      await act(directoryAt(join(shared, 'ours'), { mode: 0o700 }));
    }
  },
);

test('a shared directory: what another user put there is neither written nor read', skip, (t) => {
  const shared = directoryAt(join(temporary(t), 'shared'), { mode: 0o1777 });
  const secret = fileAt(join(shared, '../secret'), SECRET, { mode: 0o600 });
  const path = join(shared, 'w');
  const traps: Readonly<Record<string, () => unknown>> = {
    'a link to a file of root': () => linkAt(path, secret, STRANGER),
    'a link to a directory': () => linkAt(path, '/etc', STRANGER),
    'a link to nothing': () => linkAt(path, join(shared, '../new'), STRANGER),
    'a hard link to a file of root': () => linkSync(secret, path),
    'a file of his own': () => fileAt(path, '', { uid: STRANGER, mode: 0o666 }),
    'a FIFO': () => execFileSync('mkfifo', [path]),
    'a socket': () =>
      execFileSync('/usr/bin/python3', [
        '-c',
        `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(path)})`,
      ]),
    'a device': () => execFileSync('mknod', [path, 'c', '1', '3']),
    'a directory': () => mkdirSync(path),
  };
  for (const [trap, set] of Object.entries(traps)) {
    set();
    const before = lstatSync(path);
    assert.throws(() => LinesFile.open(path), UserError, `otlp-file: ${trap}`);
    assert.throws(() => assertWritable(path), Error, `--stats-file: ${trap}`);
    if (trap !== 'a hard link to a file of root') assert.throws(() => loadConfigFile(path), UserError, trap);
    assert.deepEqual([lstatSync(path).mode, lstatSync(path).uid], [before.mode, before.uid], trap);
    assert.equal(readFileSync(secret, 'utf8'), SECRET, trap);
    assert.ok(!existsSync(join(shared, '../new')), trap);
    rmSync(path, { recursive: true });
  }
  const count = Object.keys(traps).length;
  reportAttack({
    attack:
      'links, hard links, FIFOs, sockets, devices and own files at the path of a file that the agent writes',
    stranger: 'user',
    holds: 'refused; nothing is written through it, no owner or mode changes',
    figure: `${count} of ${count} traps refused`,
  });
});

test('configuration and detectors that others can write to, or own', skip, async (t) => {
  const base = temporary(t);
  const detector = "export default { name: 'mine', severity: 'warn', describe: 'x', onEvent() {} };";
  for (const [name, owned, says] of [
    ['world', { mode: 0o666 }, /everyone can write to it: chmod go-w/],
    ['group', { mode: 0o664, gid: 2000 }, /group 2000 can write to it: chmod go-w/],
    ['owner', { uid: STRANGER }, /belongs to user 1000, neither root nor the agent/],
  ] as const) {
    const yaml = fileAt(join(base, `${name}.yaml`), 'file_format: "1.0"\n', owned);
    assert.throws(() => loadConfigFile(yaml), says);
    const module_ = fileAt(join(base, `${name}.mjs`), detector, owned);
    await assert.rejects(loadDetectors({ detect: [], detectors: [module_] }), says);
  }
  // What a detector imports runs as the agent too.
  directoryAt(join(base, 'theirs'), { uid: STRANGER });
  fileAt(join(base, 'theirs/part.mjs'), 'export const part = 1;', { uid: STRANGER });
  const whole = fileAt(join(base, 'whole.mjs'), `import './theirs/part.mjs'; ${detector}`);
  await assert.rejects(loadDetectors({ detect: [], detectors: [whole] }), /\/theirs belongs to user 1000/);
  reportAttack({
    attack: 'a configuration file, a detector, or what it imports, that another user owns or may write to',
    stranger: 'user',
    holds: 'refused with one line, none of it runs',
    figure: '7 of 7 refused',
  });
});

test('the command says it in one line, and what to do in the next', skip, (t) => {
  const base = temporary(t);
  const theirs = directoryAt(join(base, 'theirs'), { uid: STRANGER });
  fileAt(join(theirs, 'c.yaml'), 'file_format: "1.0"\n');
  fileAt(join(theirs, 'd.mjs'), 'throw new Error("it ran")');
  const remote = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
  for (const [options, says, environment = {}] of [
    [['--exporter', `otlp-file:${theirs}/w`], /^whodns: cannot write to \S+\/w: the directory/],
    [['--exporter', 'none', '--stats-file', `${theirs}/s`], /^whodns: cannot write to \S+\/s: the directory/],
    [
      // A collector that is away is said first.
      ['--exporter', 'otlp', '--spool', theirs],
      /^whodns: the spool \S+\/theirs\/logs cannot be used: the dir/m,
      remote,
    ],
    [
      ['--exporter', 'none', '--control', `${theirs}/x`],
      /^whodns: cannot make the control socket \S+: the dir/,
    ],
    [
      ['--config-file', `${theirs}/c.yaml`],
      /^whodns: \S+: the configuration file cannot be read: the directory/,
    ],
    [['--exporter', 'none', '--detector', `${theirs}/d.mjs`], /^whodns: --detector \S+: \S+: the directory/],
  ] as const) {
    const env = { PATH: process.env.PATH, ...environment };
    const ran = spawnSync(process.execPath, [MAIN, ...options], { encoding: 'utf8', timeout: 20_000, env });
    assert.match(ran.stderr, says);
    assert.match(ran.stderr, /belongs to user 1000/);
    assert.ok(!ran.stderr.includes('it ran') && !ran.stderr.includes('    at '), ran.stderr);
    assert.notEqual(ran.status, 0);
  }
  assert.deepEqual(readdirSync(theirs).sort(), ['c.yaml', 'd.mjs'], 'nothing was made there');
});

test('an ordinary user in a home of his own: it just works', skip, (t) => {
  const home = directoryAt(join(temporary(t), 'home'), { uid: STRANGER, gid: STRANGER, mode: 0o750 });
  // umask 002 with a private group, as Debian and Fedora have it
  directoryAt(join(home, 'logs'), { uid: STRANGER, gid: STRANGER, mode: 0o775 });
  const run = (...options: string[]) =>
    execFileSync(
      'setpriv',
      [
        `--reuid=${STRANGER}`,
        `--regid=${STRANGER}`,
        '--clear-groups',
        process.execPath,
        MAIN,
        'replay',
        CAPTURE,
        ...options,
      ],
      { cwd: home, encoding: 'utf8', stdio: 'pipe', env: { PATH: process.env.PATH } },
    );
  run('--exporter', 'otlp-file:logs/w.json', '--stats-file', 'stats.json');
  run('--exporter', 'otlp-file:logs/w.json', '--stats-file', 'stats.json');
  assert.ok(readFileSync(join(home, 'logs/w.json'), 'utf8').split('\n').length > 4);
  assert.ok(JSON.parse(readFileSync(join(home, 'stats.json'), 'utf8')).stages.length > 0);
  const { uid } = statSync(join(home, 'logs/w.json'));
  assert.equal(uid, STRANGER);
  const piped = `${process.execPath} ${MAIN} replay ${CAPTURE} --exporter none --stats-file /dev/stdout | cat`;
  assert.match(execFileSync('sh', ['-c', piped], { encoding: 'utf8' }), /"stages"/);
});

test('a ConfigMap: mode 0777, but mounted read-only', skip, (t) => {
  const base = temporary(t);
  const volume = directoryAt(join(base, 'volume'));
  const text = 'file_format: "1.0"\\n';
  const script = `set -e; mount -t tmpfs -o mode=0777 none ${volume}; mkdir ${volume}/..data1; printf '${text}' >${volume}/..data1/c.yaml
    ln -s ..data1 ${volume}/..data; ln -s ..data/c.yaml ${volume}/c.yaml
    ${process.execPath} ${MAIN} config --config-file ${volume}/c.yaml >/dev/null 2>${base}/before || true
    mount -o remount,ro ${volume}; ${process.execPath} ${MAIN} config --config-file ${volume}/c.yaml`;
  const output = execFileSync('unshare', ['--mount', 'sh', '-c', script], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
  assert.match(readFileSync(join(base, 'before'), 'utf8'), /can be written to by everyone/);
  assert.match(output, /c\.yaml/);
});
