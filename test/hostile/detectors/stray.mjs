/** A detector of which everything goes wrong that a file can get wrong outside of its calls. What it does is in the name asked for. */
import { connect } from 'node:net';

const boom = (what) => {
  throw new Error(`stray ${what}`);
};
setTimeout(boom, 50, 'import');
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

export default {
  name: 'stray',
  severity: 'warn',
  describe: 'For a test.',
  onEvent: (event) => FAULTS[event.name.split('.')[0]]?.(),
};
