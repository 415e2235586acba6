/** The published JSON Schema of a record, in a validator that is not ours. Every record that an agent prints in a test is held against it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AnySchema, ValidateFunction } from 'ajv';

const FILE = join(import.meta.dirname, '../../data/records.schema.json');
/** In a test machine there is only what src/ needs; what runs there runs on the host too. */
const isMachine = process.env.WHODNS_TEST_BUILT !== undefined;
const validate: ValidateFunction | undefined = isMachine ? undefined : await compiled();

async function compiled(): Promise<ValidateFunction> {
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const schema = JSON.parse(readFileSync(FILE, 'utf8')) as AnySchema;
  return new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schema);
}

/** What is wrong with it; undefined: nothing. */
export function schemaProblem(record: unknown): string | undefined {
  if (validate === undefined || validate(record)) return undefined;
  // One of the five kinds was meant: of the others each says so much.
  const name = (record as { event_name?: string }).event_name?.split('.')[1] ?? '';
  const errors = validate.errors?.filter(({ schemaPath }) => schemaPath.includes(`/${name}/`));
  return JSON.stringify((errors?.length ? errors : validate.errors)?.slice(0, 5));
}
