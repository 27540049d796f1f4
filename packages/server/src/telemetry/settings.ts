/** Where traces go. */
export interface TraceSettings {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** OpenTelemetry's own variables, as its specification has them. Null: no traces, which is so unless an endpoint is named. */
export function traceSettings(env: Environment): TraceSettings | null {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none') return null;
  const base = env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || (base ? `${base.replace(/\/+$/, '')}/v1/traces` : '');
  if (endpoint === '' || !URL.canParse(endpoint)) return null;
  const headers = { ...pairs(env['OTEL_EXPORTER_OTLP_HEADERS']), ...pairs(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS']) };
  const resource = { 'service.name': 'understudy', ...pairs(env['OTEL_RESOURCE_ATTRIBUTES']) };
  const name = env['OTEL_SERVICE_NAME'];
  return { endpoint, headers, resource: name ? { ...resource, 'service.name': name } : resource };
}

/** `a=b,c=d`, with percent-encoded values. What is no pair is passed over. */
function pairs(text: string | undefined): Record<string, string> {
  const found = (text ?? '').split(',').flatMap(pair => {
    const at = pair.indexOf('=');
    return at > 0 ? [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())] as const] : [];
  });
  return Object.fromEntries(found);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
