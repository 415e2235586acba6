/** Where rows of several boards lead to. */
import type { Link } from './panels.ts';
import { anyOf } from './queries.ts';

export const TO_WORKLOAD: Link = {
  title: 'This workload',
  board: 'whodns-workload',
  set: { namespace: anyOf('k8s.namespace.name'), service: anyOf('service.name') },
};

export const TO_PROCESS: Link = {
  title: 'Its processes',
  board: 'whodns-process',
  set: {
    host: anyOf('host.name'),
    namespace: anyOf('k8s.namespace.name'),
    executable: anyOf('process.executable.name'),
  },
};
