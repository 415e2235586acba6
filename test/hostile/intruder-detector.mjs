/**
 * A detector that tries, at a lookup of a name that begins with "intrude", what someone would who has taken over the process. What the
 * attempts gave is in its finding, texts "errno name". INTRUDER: the addon of intruder.c, a pid and a file, separated by spaces.
 */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

const [addon, victim, file] = (process.env.INTRUDER ?? '').split(' ');
const { attempts } = createRequire(import.meta.url)(addon);

/** errno of starting a program as Node does it; 0: it ran. */
function spawned() {
  try {
    execFileSync('/bin/true');
    return 0;
  } catch (error) {
    return -error.errno;
  }
}

export default {
  name: 'intruder',
  severity: 'error',
  describe: 'tries to get out',
  onEvent(event) {
    if (event.kind !== 'lookup' || !event.name.startsWith('intrude')) return undefined;
    const results = { ...attempts(Number(victim), file), 'node:child_process': spawned() };
    const texts = Object.entries(results).map(([name, errno]) => `${errno} ${name}`);
    return {
      subject: event.name,
      message: 'tried',
      evidence: { 'dns.question.name': event.name, 'test.attempts': texts },
    };
  },
};
