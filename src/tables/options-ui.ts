/** The page in the browser: part of OPTIONS. */
import { parsePageAddress } from '../lib/page-address.ts';
import { option } from './option.ts';

const DEFAULT_PAGE = '127.0.0.1:9053';

export const UI_OPTIONS = {
  ui: option<string | undefined>({
    flag: '--ui [address]',
    commands: ['run'],
    env: ['WHODNS_UI'],
    description: `page for a browser, at ${DEFAULT_PAGE} or ADDRESS`,
    parse: (text) => {
      if (text === '') return { value: DEFAULT_PAGE };
      return parsePageAddress(text) === undefined
        ? { problem: 'is not ADDRESS:PORT, :PORT or unix:PATH' }
        : { value: text };
    },
    default: undefined,
  }),
} as const;
