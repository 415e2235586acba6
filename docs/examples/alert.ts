/** Says who asks for a name, and what it connects to is yours to stop: `node alert.ts evil.example other.example` */
import { type Capture, CaptureError, capture } from 'whodns';

const domains = process.argv.slice(2);

function watch(): Capture {
  return capture({
    // In the filter language: names of attackers never match by accident, and what does not match costs nothing.
    filter: `domain in (${domains.map((domain) => JSON.stringify(domain)).join(', ')})`,
    onWarning: (message) => console.error(message),
  });
}

try {
  for await (const { time, question, process: who, container, kubernetes } of watch())
    console.log(
      JSON.stringify({
        alert: question?.name,
        time,
        pid: who.pid,
        executable: who.executable,
        parent: who.parent?.name,
        user: who.user?.name,
        container: container?.name,
        pod: kubernetes?.pod.name,
      }),
    );
} catch (error) {
  if (!(error instanceof CaptureError)) throw error;
  console.error(`${error.message} (${error.code})`);
  console.error(error.hint ?? '');
  process.exitCode = 1;
}
