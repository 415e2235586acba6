/** The thread that keeps the history and answers questions to it. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../lib/errors.ts';
import { askedOf } from './forwarded.ts';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';
import { Queries } from './queries.ts';
import { Store } from './store.ts';

function serve(port: NonNullable<typeof parentPort>, data: WorkerData): void {
  const tell = (message: FromWorker, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer);
  const warn = (message: string): void => tell({ kind: 'warning', message });
  let store: Store;
  try {
    store = new Store({ ...data, warn });
  } catch (error) {
    tell({ kind: 'refused', message: (error as Error).message });
    return;
  }
  const queries = new Queries(store, data.place, () => store.bytes);
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'batch') keepBatch(message);
    else if (message.kind === 'question') void answer(message);
    else close();
  });
  tell({ kind: 'ready' });

  function keepBatch({ buffer, count, processes, isFirst, events }: ToWorker & { kind: 'batch' }): void {
    let error: string | undefined;
    try {
      store.learn(processes, isFirst);
      store.write(buffer, count, events);
    } catch (cause) {
      error = (cause as Error).message;
    }
    tell({ kind: 'kept', buffer, error }, [buffer]);
  }

  async function answer({ id, question, given }: ToWorker & { kind: 'question' }): Promise<void> {
    try {
      tell({ kind: 'answer', id, value: await askedOf(queries, question, given) });
    } catch (error) {
      const { message, hint, exitCode } = error as UserError;
      const isUsers = error instanceof UserError;
      tell({
        kind: 'failure',
        id,
        message: isUsers ? message : String((error as Error).stack ?? error),
        hint: isUsers ? hint : undefined,
        exitCode: isUsers ? exitCode : undefined,
      });
    }
  }

  function close(): void {
    store.close();
    tell({ kind: 'closed' });
    port.close();
  }
}

if (parentPort !== null) serve(parentPort, workerData as WorkerData);
