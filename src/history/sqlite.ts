/**
 * `node:sqlite`, which Node has built in since 22.5 and without a flag since 22.13. Node says once that it is experimental: that is
 * nothing the operator could act on. Everything of the history that needs it is loaded when a history is.
 */
import type { DatabaseSync as Database } from 'node:sqlite';

export type { StatementSync } from 'node:sqlite';
export type DatabaseSync = Database;

const warn = process.emitWarning;
process.emitWarning = () => {};
const sqlite = process.getBuiltinModule('node:sqlite');
process.emitWarning = warn;

export const { DatabaseSync } = sqlite;
