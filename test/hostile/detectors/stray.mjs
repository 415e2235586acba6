/** Detectors of which each gets one thing wrong, when the name asked for begins with its fault. */
import { connect } from 'node:net';

const boom = (what) => {
  throw new Error(`stray ${what}`);
};
const FAULTS = {
  timer: () => void setTimeout(boom, 5, 'timer'),
  interval: () => void setInterval(boom, 5, 'interval'),
  rejection: () => void Promise.reject(new Error('stray rejection')),
  text: () => void Promise.reject('stray text'),
  later: () => void (async () => boom(await 'later'))(),
  tick: () => void process.nextTick(boom, 'tick'),
  microtask: () => void queueMicrotask(() => boom('microtask')),
  socket: () => void connect(1, '127.0.0.1'),
  exit: () => process.exit(3),
  throws: () => boom('throws'),
  proxy: () => new Proxy({}, { get: () => boom('proxy') }),
  getter: () => ({
    subject: 's',
    message: 'm',
    evidence: {
      get x() {
        return boom('getter');
      },
    },
  }),
  twice: () => {
    let reads = 0;
    return {
      get subject() {
        return reads++ === 0 ? 'text' : 7;
      },
      message: 'm',
    };
  },
  huge: () => ({ subject: 'x'.repeat(400_000_000), message: 'y'.repeat(400_000_000) }),
  keys: () => ({ subject: 's', message: 'm', evidence: new Proxy({}, { ownKeys: () => boom('keys') }) }),
  promise: () => Promise.reject(new Error('stray promise')),
  // biome-ignore lint/suspicious/noThenProperty: on purpose
  thenable: () => ({ then: () => boom('then') }),
};

export const stray = (fault) => {
  if (fault === 'import') setTimeout(boom, 50, 'import');
  return {
    name: `stray-${fault}`,
    severity: 'warn',
    describe: 'For a test.',
    onEvent: (event) => (event.name.startsWith(`${fault}.`) ? FAULTS[fault]?.() : undefined),
  };
};
