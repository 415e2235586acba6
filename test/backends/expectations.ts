/** What each panel must show for the scenario: `<dashboard>/<panel>` to one entry per query. */
import { LOOKUPS, OTHERS, TRACE_ID } from './scenario.ts';

/**
 * Values by series (labels as queries.ts writes them), a number of log lines, or trace ids. Rates of Prometheus are
 * compared within 15 % (extrapolation), everything else exactly.
 */
export type Expectation =
  | Readonly<Record<string, number>>
  | { readonly lines: number }
  | { readonly traces: readonly string[] };

const POD = 'k8s_pod_name=checkout-7c9f64b5-x2lkq';
const SERVER = 'server_address=10.96.0.10';
const BY_RESULT = {
  'result=NOERROR': 250,
  'result=NXDOMAIN': 600,
  'result=SERVFAIL': 100,
  'result=timeout': 100,
  'result=unknown': 20,
};
const CHECKOUT_SERVICE = 'k8s_namespace_name=shop,service_name=checkout';
const CURL_SERVICE = 'service_name=unknown_service:curl';
/** Labels of a series by workload, with more of them where they come in the order. */
const onCheckout = (beforeName = '', behind = '') =>
  `host_name=node-7,k8s_namespace_name=shop,${POD},place=shop,${beforeName}process_executable_name=node${behind},workload=checkout-7c9f64b5-x2lkq`;
const onCurl = (beforeName = '', behind = '') =>
  `host_name=node-7,place=node-7,${beforeName}process_executable_name=curl${behind},workload=curl`;
const MEDIAN_CHECKOUT = 0.00278;

/** Seconds of counting in the time range: the first push is zero, the last scrape sees this many. */
export const ROUNDS = 14;

function names(format: (group: (typeof LOOKUPS)[number]) => string): Readonly<Record<string, number>> {
  return Object.fromEntries(LOOKUPS.map((group) => [format(group), group.count]));
}

/** Where the records of a group are from. */
const serviceOf = ({ process }: Pick<(typeof LOOKUPS)[number], 'process'>) =>
  process['service.name'] === 'checkout' ? CHECKOUT_SERVICE : CURL_SERVICE;
const program = ({ process }: Pick<(typeof LOOKUPS)[number], 'process'>) =>
  `process_executable_name=${process['process.executable.name']}`;
const pid = ({ process }: Pick<(typeof LOOKUPS)[number], 'process'>) =>
  `process_pid=${process['process.pid']}`;

const rcode = (code: string | undefined) => (code === undefined ? '' : `,dns_response_code=${code}`);
const answered = LOOKUPS.filter(({ lookup }) => lookup.duration !== undefined);
const MEAN_DURATION =
  answered.reduce((sum, { count, lookup }) => sum + count * (lookup.duration ?? 0), 0) /
  answered.reduce((sum, { count }) => sum + count, 0);
const ALL_LINES = LOOKUPS.reduce((sum, { count }) => sum + count, 0);

/** As Loki has arrays: JSON text. */
const connectedBy = (whose: (group: (typeof OTHERS)[number]) => string) =>
  Object.fromEntries(
    OTHERS.filter(({ record }) => record.eventName === 'whodns.connect').map((group) => {
      const { count, record } = group;
      const { 'network.peer.address': address, 'network.peer.port': port, ...rest } = record.attributes;
      const names = rest['whodns.connect.names'];
      const name = names === undefined ? '' : `,whodns_connect_names=${JSON.stringify(names)}`;
      return [`network_peer_address=${address},network_peer_port=${port},${whose(group)}${name}`, count];
    }),
  );

export const EXPECTATIONS: Readonly<Record<string, readonly Expectation[]>> = {
  'whodns-overview/Lookups': [{ '': 1050 }],
  'whodns-overview/Failing': [{ '': 800 / 1050 }],
  'whodns-overview/99th percentile': [{ '': 0.969 }],
  'whodns-overview/Lost by whodns': [{ '': 3 * ROUNDS }],
  'whodns-overview/Lookups by service': [{ [CHECKOUT_SERVICE]: 1000, [CURL_SERVICE]: 70 }],
  'whodns-overview/Lookups by result': [BY_RESULT],
  'whodns-overview/Duration': [{ '': 0.00347 }, { '': 0.0095 }, { '': 0.969 }],
  'whodns-overview/Lookups by record type': [{ 'dns_question_type=A': 1000, 'dns_question_type=AAAA': 50 }],
  'whodns-overview/Who asks most': [
    {
      [onCheckout('', ',service_name=checkout')]: 1000,
      [onCurl('', ',service_name=unknown_service:curl')]: 70,
    },
  ],
  'whodns-overview/Names': [names((group) => `dns_question_name=${group.lookup.name},${serviceOf(group)}`)],
  'whodns-overview/Lookups that failed': [{ lines: 80 }],
  'whodns-overview/Findings by rule': [{ 'security_rule_name=tunnel': ROUNDS }],
  'whodns-overview/Findings': [{ lines: 2 }],

  'whodns-workload/Lookups by result': [BY_RESULT],
  'whodns-workload/Lookups by pod and program': [{ [onCheckout()]: 1000, [onCurl()]: 70 }],
  'whodns-workload/Processes': [
    { [onCheckout('', ',process_pid=4201')]: 1000, [onCurl('', ',process_pid=991')]: 50 },
  ],
  'whodns-workload/Duration': [
    { 'service_name=checkout': MEDIAN_CHECKOUT, 'service_name=unknown_service:curl': 0.0075 },
    { 'service_name=checkout': 0.975, 'service_name=unknown_service:curl': 0.00995 },
  ],
  'whodns-workload/Names': [
    names((group) => `dns_question_name=${group.lookup.name}${rcode(group.lookup.rcode)},${program(group)}`),
  ],
  'whodns-workload/Wasted by search domains': [{ [onCheckout()]: 350 }],
  'whodns-workload/Connections': [{ 'whodns_unresolved=false': 70, 'whodns_unresolved=true': 20 }],
  'whodns-workload/Connected to': [connectedBy(program)],
  'whodns-workload/Findings': [{ lines: 2 }],
  'whodns-workload/Traces of the service': [{ traces: [TRACE_ID] }],
  'whodns-workload/Lookups': [{ lines: ALL_LINES }],

  'whodns-process/Requests by process': [
    {
      'host_name=node-7,process_executable_name=node,process_pid=4201': 1000,
      'host_name=node-7,process_executable_name=curl,process_pid=991': 50,
    },
  ],
  'whodns-process/Processes': [
    {
      [onCheckout(
        'process_creation_time=2026-01-31T09:25:34.853Z,',
        ',process_pid=4201,service_name=checkout',
      )]: 1000 * ROUNDS,
      [onCurl(
        'process_creation_time=2026-01-31T10:00:00.120Z,',
        ',process_pid=991,service_name=unknown_service:curl',
      )]: 50 * ROUNDS,
    },
  ],
  'whodns-process/Names': [
    names(
      ({ lookup }) =>
        `dns_question_name=${lookup.name},dns_question_type=${lookup.type}${rcode(lookup.rcode)},${SERVER}`,
    ),
  ],
  'whodns-process/Threads and parents': [
    {
      'process_executable_path=/usr/bin/curl,process_pid=991,whodns_process_parent_executable_name=bash,whodns_thread_name=main': 5,
      'process_executable_path=/usr/local/bin/node,process_pid=4201,whodns_process_parent_executable_name=containerd-shim,whodns_thread_name=main': 105,
    },
  ],
  'whodns-process/Connected to': [connectedBy(pid)],
  'whodns-process/Findings': [{ lines: 2 }],
  'whodns-process/Lookups': [{ lines: ALL_LINES }],

  'whodns-latency/Duration': [
    Object.fromEntries(
      [
        '0.005',
        '0.01',
        '0.025',
        '0.05',
        '0.075',
        '0.1',
        '0.25',
        '0.5',
        '0.75',
        '1',
        '2.5',
        '5',
        '7.5',
        '10',
        '+Inf',
      ].map((bound) => [`le=${bound}`, bound === '0.005' ? 180 : Number(bound) < 1 ? 230 : 250]),
    ),
  ],
  'whodns-latency/99th percentile by service': [{ [CHECKOUT_SERVICE]: 0.975, [CURL_SERVICE]: 0.00995 }],
  'whodns-latency/Errors': [
    { 'error_type=NXDOMAIN': 600, 'error_type=SERVFAIL': 100, 'error_type=timeout': 100 },
    { 'whodns_outcome=unknown': 20 },
  ],
  'whodns-latency/Share of lookups without an answer': [{ [CHECKOUT_SERVICE]: 0.1 }],
  'whodns-latency/Mean duration by name server': [{ [SERVER]: MEAN_DURATION }],
  'whodns-latency/Lookups without an answer by name server': [{ [SERVER]: 10 }],
  'whodns-latency/Slow lookups': [{ lines: 5 }],
  'whodns-latency/Lookups that failed': [{ lines: 20 }],

  'whodns-nxdomain/Wasted by search domains': [{ '': 350 / 1070 }],
  'whodns-nxdomain/NXDOMAIN': [{ '': 600 / 1050 }],
  'whodns-nxdomain/Wasted lookups': [{ '': 350 }],
  'whodns-nxdomain/Share wasted by service': [{ [CHECKOUT_SERVICE]: 0.35 }],
  'whodns-nxdomain/Share of NXDOMAIN by service': [{ [CHECKOUT_SERVICE]: 0.6 }],
  'whodns-nxdomain/Wasted by pod and program': [{ [onCheckout()]: 350 }],
  'whodns-nxdomain/NXDOMAIN by pod and program': [{ [onCheckout()]: 600 }],
  'whodns-nxdomain/Names that cost most': [
    { [`${CHECKOUT_SERVICE},whodns_search_base=payments.example.com`]: 50 },
  ],
  'whodns-nxdomain/Other names that do not exist': [
    { [`dns_question_name=gone.example.net,${CHECKOUT_SERVICE}`]: 15 },
  ],

  'whodns-agent/Agents': [{ '': 1 }],
  'whodns-agent/Lost': [{ '': 3 * ROUNDS }],
  'whodns-agent/Fullest ring': [{ '': 0.75 }],
  'whodns-agent/Skipped program runs': [{ '': ROUNDS }],
  'whodns-agent/Lost by stage and reason': [
    {
      'host_name=node-7,whodns_reason=ring_full,whodns_stage=kernel': 3,
      'host_name=node-7,whodns_reason=request_suppressed,whodns_stage=kernel': 1,
    },
  ],
  'whodns-agent/Left out on purpose': [{ 'whodns_reason=answer_sent,whodns_stage=dns': 2 }],
  'whodns-agent/Held by stage': [{ 'host_name=node-7,whodns_stage=correlate': 7 }],
  'whodns-agent/Kernel ring': [{ 'host_name=node-7': 0.75 }],
  'whodns-agent/Kernel events': [{ 'whodns_kernel_event=message': 1100 }],
  'whodns-agent/Bytes a batch': [{ 'host_name=node-7': 4096 }],
  'whodns-agent/Waiting for export': [
    { 'host_name=node-7,otel_component_name=batching_log_processor/0': 4096 },
  ],
  'whodns-agent/Spool': [{ 'host_name=node-7': 8_388_608 }],
  'whodns-agent/Memory': [{ 'host_name=node-7': 180_000_000 }],
  'whodns-agent/CPU': [{ 'cpu_mode=user,host_name=node-7': 2 }],
  'whodns-agent/Sources of names connected': [
    { 'host_name=node-7,whodns_kubernetes_source=api': 0 },
    { 'host_name=node-7,whodns_metadata_source=cri': 1 },
  ],
  'whodns-agent/Pods known': [{ 'host_name=node-7': 12 }],
  'whodns-agent/Kubernetes requests': [
    { 'whodns_kubernetes_outcome=unreachable,whodns_kubernetes_source=api': 5 },
  ],
  'whodns-agent/Container metadata': [
    { 'whodns_metadata_event=timeout,whodns_metadata_source=containers': 4 },
  ],
  'whodns-agent/DNS cache': [{ 'host_name=node-7': 30 }, { 'host_name=node-7': 90 }],
  'whodns-agent/DNS cache asked, removed, refused': [
    { 'whodns_dnscache_result=miss': 9 },
    { 'whodns_reason=evicted': 3 },
    { 'whodns_reason=full': 2 },
  ],
  'whodns-agent/Changes of who is captured': [{ lines: 1 }],
};

/** Alerts whose condition holds, with labels that must be on them. */
export const ALERTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  DnsTimeouts: { service_name: 'checkout', error_type: 'timeout' },
  DnsServerFailures: { service_name: 'checkout', error_type: 'SERVFAIL' },
  DnsSlow: { service_name: 'checkout' },
  DnsSearchDomainWaste: { service_name: 'checkout', k8s_namespace_name: 'shop' },
  DnsNamesMissing: { service_name: 'checkout', k8s_namespace_name: 'shop' },
  DnsFinding: { service_name: 'checkout', host_name: 'node-7', security_rule_name: 'tunnel' },
  WhodnsLosesRecords: { host_name: 'node-7', whodns_stage: 'kernel', whodns_reason: 'ring_full' },
  WhodnsLeavesOut: { host_name: 'node-7' },
  WhodnsOutcomesUnknown: { host_name: 'node-7' },
  WhodnsRingNearlyFull: { host_name: 'node-7' },
  WhodnsMissesEvents: { host_name: 'node-7' },
  WhodnsMetadataGone: { host_name: 'node-7', source: 'api' },
};

const CHECKOUT_SERIES = 'k8s_namespace_name=shop,service_name=checkout,service_namespace=shop';

/** Recording rules' series that must be there; the value where the window's length does not change it. */
export const RECORDINGS: Readonly<Record<string, Readonly<Record<string, number | undefined>>>> = {
  'service:whodns_queries:rate5m': {
    [CHECKOUT_SERIES]: undefined,
    'service_name=unknown_service:curl': undefined,
  },
  'service_error:whodns_queries:rate5m': {
    [`error_type=NXDOMAIN,${CHECKOUT_SERIES}`]: undefined,
    [`error_type=SERVFAIL,${CHECKOUT_SERIES}`]: undefined,
    [`error_type=timeout,${CHECKOUT_SERIES}`]: undefined,
  },
  'service_error:whodns_queries:ratio_rate5m': {
    [`error_type=NXDOMAIN,${CHECKOUT_SERIES}`]: 0.6,
    [`error_type=SERVFAIL,${CHECKOUT_SERIES}`]: 0.1,
    [`error_type=timeout,${CHECKOUT_SERIES}`]: 0.1,
  },
  'service:whodns_queries_nxdomain:ratio_rate5m': { [CHECKOUT_SERIES]: 0.6 },
  'service:whodns_search_wasted:ratio_rate5m': { [CHECKOUT_SERIES]: 0.35 },
  'service:dns_lookup_duration_seconds:p50_5m': {
    [CHECKOUT_SERIES]: MEDIAN_CHECKOUT,
    'service_name=unknown_service:curl': 0.0075,
  },
  'service:dns_lookup_duration_seconds:p99_5m': {
    [CHECKOUT_SERIES]: 0.975,
    'service_name=unknown_service:curl': 0.00995,
  },
};
