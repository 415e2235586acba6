/**
 * The declarative configuration file (OTEL_CONFIG_FILE; OpenTelemetry specification, configuration/sdk.md, schema 1.x).
 * The OpenTelemetry package validates it against the schema and puts in the values of ${VARIABLES}; it reads over broken
 * YAML, though, so the syntax is checked first.
 */
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { type ConfigurationModel, parseConfigFile } from '@opentelemetry/configuration';
import { parseDocument, visit } from 'yaml';
import { EXIT, UserError } from '../lib/errors.ts';
import { forTerminal } from '../lib/escape.ts';
import { readTrusted } from '../lib/safe-file.ts';
import type { FileSettings } from './config.ts';
import { translate } from './file-settings.ts';

const MAX_BYTES = 1_000_000;
/** Of one mapping. Each new key is compared with all before: 40 000 would take a minute. */
const MAX_KEYS = 1000;
const HINT =
  'schema: https://github.com/open-telemetry/opentelemetry-configuration; own keys: docs/configuration.md';

export interface LoadedFile {
  readonly settings: FileSettings;
  /** One line each, already safe for a terminal: what is valid but not supported here. */
  readonly warnings: readonly string[];
}

/** @throws UserError (exit code 2): the file cannot be read or is not valid. */
export function loadConfigFile(path: string): LoadedFile {
  const shown = forTerminal(path);
  const refuse: Refuse = (reason, cause, hint = HINT) =>
    new UserError(`${shown}: ${forTerminal(reason)}`, { exitCode: EXIT.usage, hint, cause });
  checkSyntax(path, refuse);
  const { model, notes } = parseModel(path, refuse);
  const { variables, warnings, problems } = translate(model);
  if (problems.length > 0) throw refuse(problems.join('; '));
  return {
    settings: { path: shown, variables },
    warnings: [...notes, ...warnings].map((warning) => forTerminal(`${path}: ${warning}`)),
  };
}

type Refuse = (reason: string, cause?: unknown, hint?: string) => UserError;

function checkSyntax(path: string, refuse: Refuse): void {
  let text: string;
  try {
    text = readTrusted(path, MAX_BYTES).toString('utf8');
  } catch (error) {
    const hint = error instanceof UserError ? error.hint : undefined;
    throw refuse(`the configuration file cannot be read: ${(error as Error).message}`, error, hint);
  }
  if (hasLargeMapping(text)) throw refuse(`has a mapping of more than ${MAX_KEYS} keys`);
  const broken = parseDocument(text, { version: '1.2', logLevel: 'silent' }).errors[0];
  // The rest of the message draws the line with the mistake, which may hold a secret.
  if (broken !== undefined) throw refuse(`is not valid YAML: ${broken.message.split('\n')[0]}`, broken);
}

function hasLargeMapping(text: string): boolean {
  let found = false;
  visit(parseDocument(text, { version: '1.2', logLevel: 'silent', uniqueKeys: false }), {
    Map(_, { items }) {
      found ||= items.length > MAX_KEYS;
      return found ? visit.BREAK : undefined;
    },
  });
  return found;
}

function parseModel(path: string, refuse: Refuse): { model: ConfigurationModel; notes: string[] } {
  const notes: string[] = [];
  const note = (message: string): void => {
    notes.push(message);
  };
  const nothing = (): void => {};
  diag.setLogger(
    { error: note, warn: note, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  try {
    return { model: parseConfigFile(path), notes };
  } catch (error) {
    const message = (error as Error).message
      .replace('Invalid OpenTelemetry config file: ', 'is not valid: ')
      .replaceAll(`${path}: `, '')
      .replace(/\s*\n\s*/g, '; ');
    throw refuse(message, error);
  } finally {
    diag.disable();
  }
}
