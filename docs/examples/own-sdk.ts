/**
 * Sends lookups through the OpenTelemetry SDK of a program: its resource, its processors, its exporters. By OTLP where an endpoint is set,
 * else to the console: `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 node own-sdk.ts`
 */
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchLogRecordProcessor,
  ConsoleLogRecordExporter,
  LoggerProvider,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs';
import {
  ConsoleMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { capture } from 'whodns';

const resource = resourceFromAttributes({ 'service.name': 'my-watcher' });
const endpoint = process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
const loggerProvider = new LoggerProvider({
  resource,
  processors: [
    endpoint === undefined
      ? new SimpleLogRecordProcessor({ exporter: new ConsoleLogRecordExporter() })
      : new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: endpoint }) }),
  ],
});
const meterProvider = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() })],
});

const lookups = capture({ loggerProvider, meterProvider });
process.once('SIGTERM', () => lookups.return());
await lookups.ready;
console.error('capturing');
await lookups.closed;
// They are this program's: no one else shuts them down.
await loggerProvider.shutdown();
await meterProvider.shutdown();
