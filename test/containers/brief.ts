/** Many short-lived containers: a few at a time. */

/** Runs `task` for 0 to `count - 1`, `atOnce` at a time. @throws the first failure, when all have ended */
export async function inTurns(
  count: number,
  atOnce: number,
  task: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
