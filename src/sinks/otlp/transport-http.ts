/** OTLP/HTTP with binary protobuf (OTLP specification, "OTLP/HTTP"): one POST a request over kept connections. */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { ExportResponse, IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import { AttemptError, MAX_RESPONSE_BYTES, type TransportParts } from './attempt.ts';
import { compressed } from './compression.ts';
import type { OtlpTarget } from './target.ts';
import { type TlsMaterial, WatchedCertificates } from './transport-tls.ts';

/** OTLP specification, "OTLP/HTTP Response", "Retryable Response Codes". */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const SHOWN_BODY = 200;

/** What the server did with the request is not known, and asking again would bring as much again. */
class OversizedAnswer extends AttemptError {}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Buffer;
}

export class HttpTransport implements IExporterTransport {
  readonly #target: OtlpTarget;
  readonly #certificates: WatchedCertificates | undefined;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #requests = new Set<ClientRequest>();
  #agent: HttpAgent | HttpsAgent | undefined;
  #material: TlsMaterial | undefined;
  #closed = false;

  constructor({ target, userAgent, warn }: TransportParts) {
    this.#target = target;
    this.#certificates = target.tls === undefined ? undefined : new WatchedCertificates(target.tls, warn);
    this.#headers = {
      ...target.headers,
      'user-agent': userAgent,
      'content-type': 'application/x-protobuf',
      ...(target.compression === 'none' ? {} : { 'content-encoding': target.compression }),
    };
  }

  async send(data: Uint8Array, timeoutMillis: number): Promise<ExportResponse> {
    try {
      const agent = this.#connect();
      const body = await compressed(data, this.#target.compression);
      return this.#judge(await this.#post(agent, body, timeoutMillis));
    } catch (error) {
      if (error instanceof OversizedAnswer) return { status: 'failure', error };
      const { code, message } = error as NodeJS.ErrnoException;
      const text = `${this.#target.shown}: ${message === '' ? (code ?? 'no connection') : message}`;
      return { status: 'retryable', error: new AttemptError(code ?? (error as Error).name, text) };
    }
  }

  shutdown(): void {
    this.#closed = true;
    for (const request of this.#requests) request.destroy();
    this.#agent?.destroy();
  }

  /** Connections with the present certificates. Those of older ones end when their request does. */
  #connect(): HttpAgent | HttpsAgent {
    const material = this.#certificates?.current();
    if (this.#agent !== undefined && this.#material === material) return this.#agent;
    const options = { keepAlive: true, keepAliveMsecs: 20_000 };
    const agent =
      material === undefined ? new HttpAgent(options) : new HttpsAgent({ ...options, ...material });
    for (const free of Object.values(this.#agent?.freeSockets ?? {}))
      for (const socket of free ?? []) socket.destroy();
    this.#agent = agent;
    this.#material = material;
    return agent;
  }

  #options(agent: HttpAgent | HttpsAgent, length: number): RequestOptions {
    const { host, port, path, socket } = this.#target;
    const headers = { ...this.#headers, 'content-length': String(length) };
    const where = socket === undefined ? { host, port } : { host: 'localhost', socketPath: socket };
    return { method: 'POST', agent, headers, path, ...where };
  }

  #post(agent: HttpAgent | HttpsAgent, body: Uint8Array, timeoutMs: number): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    if (this.#closed) throw new AttemptError('closed', 'the transport is closed');
    const begin = this.#certificates === undefined ? httpRequest : httpsRequest;
    let answered = false;
    const request = begin(this.#options(agent, body.length), (response) => {
      answered = true;
      readAnswer(response).then(resolve, reject);
    });
    this.#requests.add(request);
    // The time-out of a socket counts silence; this one counts everything from name resolution to the last byte.
    const timer = setTimeout(() => {
      request.destroy(new AttemptError('timeout', `no answer within ${Math.round(timeoutMs)} ms`));
    }, timeoutMs);
    request.on('error', reject);
    request.on('close', () => {
      clearTimeout(timer);
      this.#requests.delete(request);
      if (!answered) reject(new AttemptError('ECONNRESET', 'the connection was closed without an answer'));
    });
    request.end(body);
    return promise;
  }

  #judge({ status, retryAfter, body }: Answer): ExportResponse {
    if (status >= 200 && status < 300) return { status: 'success', data: body };
    const said = body.toString('utf8').slice(0, SHOWN_BODY);
    const printable = /^[\x20-\x7e\s]+$/.test(said) ? `: ${said}` : '';
    const text = `${this.#target.shown}: HTTP status ${status}${printable}`;
    const error = new AttemptError(String(status), text);
    if (!RETRYABLE.has(status)) return { status: 'failure', error };
    const delay = retryAfter === undefined ? undefined : retryAfterMs(retryAfter);
    return { status: 'retryable', error, ...(delay === undefined ? {} : { retryInMillis: delay }) };
  }
}

/** Rejects when the connection ends before the body, or the body is longer than an answer may be. */
async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_RESPONSE_BYTES)
      throw new OversizedAnswer('_OTHER', `an answer of more than ${MAX_RESPONSE_BYTES} bytes`);
    chunks.push(chunk);
  }
  const retryAfter = response.headers['retry-after'];
  return { status: response.statusCode ?? 0, retryAfter, body: Buffer.concat(chunks) };
}

/** RFC 9110 section 10.2.3: seconds, or a date. @returns ms from now; undefined when it is neither */
export function retryAfterMs(value: string, now = Date.now()): number | undefined {
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) || !/GMT$/.test(value) ? undefined : Math.max(date - now, 0);
}
