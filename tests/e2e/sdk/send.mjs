// OpenTelemetry's SDK for Node as a client: sends every shape of telemetry that it can make, and tells what it sent.
//
//     node send.mjs grpc|http/protobuf|http/json ENDPOINT none|gzip
//
// Prints one JSON line per request: {"signal": "traces", "code": 0, "request": "<base64 of the protobuf message>"}; code 0:
// the exporter was answered with success. Ends when everything has been answered.
import {SpanStatusCode, TraceFlags, ValueType, createTraceState, trace, context, ROOT_CONTEXT} from '@opentelemetry/api';
import {SeverityNumber} from '@opentelemetry/api-logs';
import {ProtobufLogsSerializer, ProtobufMetricsSerializer, ProtobufTraceSerializer} from '@opentelemetry/otlp-transformer';
import {resourceFromAttributes} from '@opentelemetry/resources';
import {BatchLogRecordProcessor, LoggerProvider} from '@opentelemetry/sdk-logs';
import {AggregationTemporality, AggregationType, MeterProvider, PeriodicExportingMetricReader} from '@opentelemetry/sdk-metrics';
import {BasicTracerProvider, BatchSpanProcessor} from '@opentelemetry/sdk-trace-base';

const [protocol, endpoint, compression] = process.argv.slice(2);
const flavour = {'grpc': 'grpc', 'http/protobuf': 'proto', 'http/json': 'http'}[protocol];

async function makeExporter(signal, name, path, more = {}) {
  const module = await import(`@opentelemetry/exporter-${signal}-otlp-${flavour}`);
  const url = flavour === 'grpc' ? endpoint : `${endpoint}${path}`;
  return new module[name]({url, compression, timeoutMillis: 20000, ...more});
}

// Tells of every request what was in it and how it was answered.
function watched(exporter, signal, serializer) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, answered) => {
    const request = Buffer.from(serializer.serializeRequest(items)).toString('base64');
    send(items, (result) => {
      console.log(JSON.stringify({signal, code: result.code, error: result.error?.message, request}));
      answered(result);
    });
  };
  return exporter;
}

// Whole numbers beyond 2^63 are left out: the SDK sends them as intValue, where they do not fit.
const everyKind = {
  text: 'plain', empty: '', unicode: 'Grüße, 世界 🌍', 'with "quotes" and \\': 'line\nbreak\ttab\u0001',
  yes: true, no: false, zero: 0, negative: -42, whole: Number.MAX_SAFE_INTEGER, least: Number.MIN_SAFE_INTEGER,
  fraction: 0.1, tiny: 5e-324, large: 4503599627370495.5, strings: ['a', '', 'c'], numbers: [1, 2.5, -3],
  booleans: [true, false], nothing: [],
};
const resource = resourceFromAttributes({'service.name': 'sdk', 'service.instance.id': protocol, ...everyKind});

async function sendSpans() {
  const exporter = watched(await makeExporter('trace', 'OTLPTraceExporter', '/v1/traces'), 'traces', ProtobufTraceSerializer);
  const provider = new BasicTracerProvider({
    resource, spanLimits: {attributeCountLimit: 20, eventCountLimit: 3, linkCountLimit: 3},
    spanProcessors: [new BatchSpanProcessor(exporter, {maxExportBatchSize: 50, scheduledDelayMillis: 50})],
  });
  for (const scope of [['first', '1.2.3'], ['second']]) {
    const tracer = provider.getTracer(...scope);
    for (let i = 0; i < 60; i++) {
      const remote = {
        traceId: `${i + 1}`.padStart(32, 'a'), spanId: `${i + 1}`.padStart(16, 'b'), traceFlags: TraceFlags.SAMPLED,
        isRemote: true, traceState: createTraceState('vendor=value,other=1'),
      };
      const parent = i % 3 ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
      const span = tracer.startSpan(`operation ${i}`, {
        kind: i % 5, attributes: i % 4 ? everyKind : {}, links: i % 2 ? [{context: remote, attributes: everyKind}] : [],
      }, parent);
      for (let e = 0; e < i % 6; e++)
        span.addEvent(`event ${e}`, e % 2 ? {attempt: e} : undefined);
      for (let a = 0; a < i; a++)
        span.setAttribute(`beyond.${a}`, a);
      if (i % 7 === 0)
        span.recordException(new Error('broken on purpose'));
      if (i % 3)
        span.setStatus(i % 2 ? {code: SpanStatusCode.OK} : {code: SpanStatusCode.ERROR, message: 'it failed'});
      span.end();
    }
  }
  await provider.shutdown();
}

async function sendMetrics(temporality) {
  const exporter = watched(await makeExporter('metrics', 'OTLPMetricExporter', '/v1/metrics', {temporalityPreference: temporality}),
    'metrics', ProtobufMetricsSerializer);
  const provider = new MeterProvider({
    resource, readers: [new PeriodicExportingMetricReader({exporter, exportIntervalMillis: 3600000})],
    views: [{instrumentName: 'exponential', aggregation: {type: AggregationType.EXPONENTIAL_HISTOGRAM, options: {maxSize: 40}}},
      {instrumentName: 'own.bounds', aggregation: {type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: {boundaries: [1, 10, 100]}}}],
  });
  const meter = provider.getMeter('meters', '4.5', {schemaUrl: 'https://example.com/schema'});
  const counter = meter.createCounter('requests', {unit: '1', description: 'Requests, counted.', valueType: ValueType.INT});
  const fractions = meter.createCounter('seconds', {unit: 's'});
  const level = meter.createUpDownCounter('level');
  const histograms = ['classic', 'own.bounds', 'exponential'].map((name) => meter.createHistogram(name, {unit: 'ms'}));
  const gauge = meter.createGauge('temperature', {unit: 'Cel'});
  meter.createObservableGauge('observed.gauge').addCallback((r) => { r.observe(-1.5, {a: 1}); r.observe(7); });
  meter.createObservableCounter('observed.counter', {valueType: ValueType.INT}).addCallback((r) => r.observe(12345));
  meter.createObservableUpDownCounter('observed.level').addCallback((r) => r.observe(-0.25));
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 40; i++) {
      const labels = {route: `/r/${i % 8}`, ...(i % 2 ? everyKind : {})};
      counter.add(i, labels);
      fractions.add(i / 7, labels);
      level.add(i % 3 - 1, labels);
      gauge.record(i * 1.5 - 20, labels);
      for (const h of histograms)
        h.record(round === 0 ? 0 : (i - 10) * 1.37 ** i, labels);
    }
    await provider.forceFlush();
  }
  await provider.shutdown();
}

// A record without a body is left out: as protobuf the SDK sends none, as JSON an empty one.
async function sendLogs() {
  const exporter = watched(await makeExporter('logs', 'OTLPLogExporter', '/v1/logs'), 'logs', ProtobufLogsSerializer);
  const provider = new LoggerProvider({
    resource, processors: [new BatchLogRecordProcessor({exporter, maxExportBatchSize: 40, scheduledDelayMillis: 50})],
  });
  const bodies = ['text', '', 'Grüße 🌍', 7, -1.5, true, ['a', 1, false], {nested: {deep: ['x', {y: 1}]}, list: []},
    new Uint8Array([0, 255, 128])];
  const span = {traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: TraceFlags.SAMPLED};
  for (const scope of [['app', '0.1'], ['other']]) {
    const logger = provider.getLogger(...scope);
    for (let i = 0; i < 55; i++)
      logger.emit({
        body: bodies[i % bodies.length], severityNumber: i % 25 || undefined, severityText: SeverityNumber[i % 25],
        attributes: i % 3 ? everyKind : {}, timestamp: 1792000000000 + i, observedTimestamp: i % 2 ? 1792000000500 : undefined,
        eventName: i % 4 ? undefined : 'device.app.lifecycle',
        context: i % 5 ? context.active() : trace.setSpanContext(ROOT_CONTEXT, span),
      });
  }
  await provider.shutdown();
}

await sendSpans();
await sendMetrics(AggregationTemporality.CUMULATIVE);
await sendMetrics(AggregationTemporality.DELTA);
await sendLogs();
