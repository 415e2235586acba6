/** Queries that the pages show (otel-config/loki, otel-config/victorialogs, docs/recipes.md), and what they find in the scenario. */
import { LOOKUPS, OTHERS } from './scenario.ts';

const CHECKOUT_RECORDS = [...LOOKUPS, ...OTHERS]
  .filter(({ process }) => process['service.name'] === 'checkout')
  .reduce((sum, { count }) => sum + count, 0);

const LOKI: Readonly<Record<string, number>> = {
  '{service_name="checkout"}': CHECKOUT_RECORDS,
  '{service_namespace="shop"} | k8s_pod_name="checkout-7c9f64b5-x2lkq"': CHECKOUT_RECORDS,
  '{service_name="checkout"} | scope_name="whodns" | network_protocol_name="dns"': 105,
  '{service_name=~".+"} | whodns_connect_names=~".*payments[.]example[.]com.*"': 6,
  '{service_name=~".+"} | whodns_unresolved="true"': 2,
  '{service_name=~".+"} | security_rule_name="tunnel"': 1,
  '{k8s_namespace_name="shop"} | whodns_visibility_level!=""': 1,
  '{service_name=~".+"} | whodns_search_base="payments.example.com"': 65,
  '{service_name=~".+"} | dns_question_name="payments.example.com"': 20,
  '{service_name=~".+"} | dns_response_code="SERVFAIL"': 10,
  '{service_name=~".+"} | process_pid="991"': 7,
  '{service_name=~".+"} | container_id=~"4c01db.*" | error_type="timeout"': 10,
  '{service_name=~".+"} |= "silent.example.net"': 10,
};

const VICTORIA_LOGS: Readonly<Record<string, number | Readonly<Record<string, number>>>> = {
  'service.name:=checkout': CHECKOUT_RECORDS,
  '{service.name="checkout"} k8s.pod.name:="checkout-7c9f64b5-x2lkq"': CHECKOUT_RECORDS,
  'service.name:=checkout event_name:="whodns.query"': 105,
  'event_name:="whodns.connect" whodns.connect.names:~"payments[.]example[.]com"': 6,
  'whodns.unresolved:=true': 2,
  'event_name:="whodns.finding" security_rule.name:=tunnel': 1,
  'event_name:="whodns.visibility" k8s.namespace.name:=shop': 1,
  'whodns.search.base:="payments.example.com"': 65,
  'dns.question.name:="payments.example.com"': 20,
  'dns.response_code:=SERVFAIL': 10,
  'process.pid:=991': 7,
  'container.id:=4c01db* error.type:=timeout': 10,
  'dns.lookup.duration:>0.5': 5,
  '"silent.example.net"': 10,
  'event_name:="whodns.query" dns.response_code:=NXDOMAIN | stats by (service.name) count()': {
    'service_name=checkout': 60,
  },
};

export const PAGE_QUERIES: Readonly<
  Record<string, Readonly<Record<string, number | Readonly<Record<string, number>>>>>
> = { 'Loki and Tempo': LOKI, 'VictoriaLogs and Jaeger': VICTORIA_LOGS };
