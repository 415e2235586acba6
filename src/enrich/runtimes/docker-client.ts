/** Docker Engine API over its Unix socket: GET only. */
import { type IncomingMessage, request } from 'node:http';
import { NotOffered } from './session.ts';

const ANSWER_MS = 5000;
const MAX_BYTES = 32 * 1024 * 1024;
/** One event; labels of a container are in it. */
const MAX_LINE = 1024 * 1024;

export class DockerClient {
  readonly #path: string;

  /** @param path of the socket. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The JSON answer; undefined: the daemon does not know it (404). */
  async get(path: string): Promise<unknown> {
    const response = await this.#open(path, AbortSignal.timeout(ANSWER_MS));
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BYTES) throw new Error(`answer to ${path} is longer than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    if (response.statusCode === 404) return undefined;
    if (response.statusCode !== 200) throw new Error(`${path}: status ${response.statusCode}`);
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  }

  /**
   * JSON values, one a line, until the daemon ends the answer. Lines that are not JSON are passed over.
   * @param onOpen called when the daemon has begun to answer: it tells everything from now on.
   */
  async follow(
    path: string,
    signal: AbortSignal,
    onOpen: () => void,
    onValue: (value: unknown) => void,
  ): Promise<void> {
    const response = await this.#open(path, signal);
    if (response.statusCode !== 200) throw new Error(`${path}: status ${response.statusCode}`);
    onOpen();
    let rest = '';
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) throw new Error(`an event is longer than ${MAX_LINE} bytes`);
      for (const line of lines) {
        const value = parsed(line);
        if (value !== undefined) onValue(value);
      }
    }
  }

  #open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { host: 'localhost' };
      const sent = request({ socketPath: this.#path, path, headers, signal, agent: false }, (response) => {
        // Whatever else listens here, it does not speak this API.
        if (response.statusCode === 400 || response.statusCode === 405) {
          response.destroy();
          reject(new NotOffered(`${path}: status ${response.statusCode}`));
        } else resolve(response);
      });
      sent.on('error', (error) => {
        const isOther = (error as NodeJS.ErrnoException).code?.startsWith('HPE_') === true;
        reject(isOther ? new NotOffered(error.message) : error);
      });
      sent.end();
    });
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
