/**
 * Masks secrets in command lines. A table of rules; rather too much is masked than too little, and what is shown is
 * still no promise: a secret in a place nobody can know stays readable. That is why arguments are opt-in.
 */
export const MASK = '****';

/** Longest argument and most arguments that are looked at and kept. */
const MAX_CHARACTERS = 4096;
const MAX_ARGUMENTS = 256;

/** Part of a name that says its value is secret. */
const SECRET =
  'pass(?:wd|word|phrase|code)?|pwd|secret|token|api[-_.]?key|access[-_.]?key|private[-_.]?key|auth[-_.]?key|account[-_.]?key|master[-_.]?key|encryption[-_.]?key|signing[-_.]?key|credentials?|bearer|authorization|cookie|session[-_.]?id|signature';

interface TextRule {
  readonly description: string;
  readonly pattern: RegExp;
  readonly replacement: string;
}

/** Inside one argument; each is linear in its length but for the part after a keyword. */
export const TEXT_RULES: readonly TextRule[] = [
  {
    description: 'private keys in PEM form',
    pattern: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}-----)?/g,
    replacement: MASK,
  },
  {
    description: 'header lines: Authorization, Cookie, X-Api-Key and the like',
    pattern:
      /\b((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token|secret|auth)[\w-]*|private-token)(\s*:\s*)[^\r\n]+/gi,
    replacement: `$1$2${MASK}`,
  },
  {
    description: 'authentication schemes',
    pattern: /\b(bearer|basic|digest)\s+[^\s'"]+/gi,
    replacement: `$1 ${MASK}`,
  },
  {
    description: 'user and password in a URL',
    pattern: /\b([a-z][a-z0-9+.-]{1,20}:\/\/[^\s/?#@:]*):[^\s/?#]*@/gi,
    replacement: `$1:${MASK}@`,
  },
  {
    description: 'a token as the user of a web URL',
    pattern: /\b(https?:\/\/)[^\s/?#@:]+@/gi,
    replacement: `$1${MASK}@`,
  },
  {
    description: 'NAME=value, name: value, --name=value, ?name=value, "name":"value" with a telling name',
    pattern: new RegExp(
      `((?:${SECRET})[\\w.-]{0,64}["']?\\s{0,8}[=:]\\s{0,8})(?:"[^"]*"?|'[^']*'?|[^\\s"'&;,]+)`,
      'gi',
    ),
    replacement: `$1${MASK}`,
  },
  {
    description: '--name value inside one argument (sh -c)',
    pattern: new RegExp(
      `(--?[\\w.-]{0,64}?(?:${SECRET})[\\w.-]{0,64}\\s+)(?:"[^"]*"?|'[^']*'?|[^\\s"']+)`,
      'gi',
    ),
    replacement: `$1${MASK}`,
  },
  {
    description: 'AWS access key ids',
    pattern: /\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b/g,
    replacement: MASK,
  },
  {
    description:
      'tokens with a known prefix: GitHub, GitLab, Slack, Stripe, npm, Google, Vault, OpenAI, DigitalOcean',
    pattern:
      /\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{8,}|[rs]k_(?:live|test)_\w{8,}|npm_[A-Za-z0-9]{16,}|AIza[\w-]{30,}|hv[sbr]\.[\w-]{16,}|sk-[\w-]{16,}|do[opr]_v1_[a-f0-9]{16,})/g,
    replacement: MASK,
  },
  { description: 'JSON web tokens', pattern: /\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, replacement: MASK },
];

interface OptionRule {
  readonly description: string;
  /** Base name of argument zero. */
  readonly program: RegExp;
  /** Options whose next argument, or whose own rest (`-pSECRET`), is secret. */
  readonly options: readonly string[];
}

/** Short options have a meaning only within their program. */
export const OPTION_RULES: readonly OptionRule[] = [
  {
    description: 'databases',
    program: /^(?:mysql|mariadb|mycli|mongo|percona|xtrabackup|clickhouse)/,
    options: ['-p'],
  },
  { description: 'sshpass, 7z', program: /^(?:sshpass|7z|7za|7zr)$/, options: ['-p'] },
  { description: 'redis', program: /^(?:redis-cli|valkey-cli)$/, options: ['-a'] },
  { description: 'web clients', program: /^(?:curl|http|https|xh)$/, options: ['-u', '-U', '-a', '-b'] },
  { description: 'directories', program: /^ldap/, options: ['-w'] },
  { description: 'Samba', program: /^(?:smbclient|rpcclient|net|mount\.cifs)$/, options: ['-U'] },
  { description: 'zip', program: /^(?:zip|unzip)$/, options: ['-P'] },
  { description: 'SQL Server', program: /^(?:sqlcmd|bcp)$/, options: ['-P'] },
  { description: 'IPMI', program: /^ipmitool$/, options: ['-P'] },
  { description: 'SNMP', program: /^snmp/, options: ['-c', '-A', '-X'] },
];

/** `-p`, whose next argument is masked with every program but those in which it is a port or a mode. */
const P_IS_HARMLESS =
  /^(?:dig|kdig|drill|host|delv|ssh|nc|ncat|nmap|ps|mkdir|cp|docker|podman|nerdctl|psql|pg_\w+|tar|kill|lsof|perl|python[\d.]*|node|make|read|iptables|dnsmasq|sshd|tcpdump|dnsperf|whodns|patch|git|less)$/;

const SECRET_OPTION = new RegExp(
  `^--?(?:[\\w.-]{0,64}[-_.])?(?:${SECRET})[\\w.-]{0,64}$|^--?[\\w.-]{0,64}(?:password|passwd|secret|token)[\\w.-]{0,64}$`,
  'i',
);
const WHOLE_SECRET_OPTIONS = new Set(['--user', '--proxy-user', '--basic', '--pass', '-passin', '-passout']);

/** The arguments with secrets replaced by `****`. What lies beyond the bounds is left out, not shown. */
export function masked(args: readonly string[]): string[] {
  const program = (args[0] ?? '').slice(0, MAX_CHARACTERS).split('/').pop() ?? '';
  const options = OPTION_RULES.filter((rule) => rule.program.test(program)).flatMap((rule) => rule.options);
  const result: string[] = [];
  let isSecretNext = false;
  for (const [i, argument] of args.slice(0, MAX_ARGUMENTS).entries()) {
    if (isSecretNext) {
      result.push(MASK);
      isSecretNext = false;
      continue;
    }
    const own = options.find((option) => argument.startsWith(option) && !argument.startsWith('--'));
    if (i > 0 && own !== undefined) {
      result.push(argument === own ? own : `${own}${MASK}`);
      isSecretNext = argument === own;
      continue;
    }
    isSecretNext = i > 0 && announcesSecret(argument, program);
    result.push(maskedText(argument.slice(0, MAX_CHARACTERS)));
  }
  return result;
}

function announcesSecret(argument: string, program: string): boolean {
  if (argument.length > 256) return false;
  if (argument === '-p') return !P_IS_HARMLESS.test(program);
  return WHOLE_SECRET_OPTIONS.has(argument) || SECRET_OPTION.test(argument);
}

function maskedText(text: string): string {
  let result = text;
  for (const { pattern, replacement } of TEXT_RULES) result = result.replace(pattern, replacement);
  return result;
}
