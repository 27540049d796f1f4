import type { Settings } from '@understudy/core/cluster';
import type { Provider } from '../postgres/provider.ts';
import type { writeMarker } from '../supervisor/directory.ts';

/** What a member's directory says of itself. */
export function markerOf(settings: Settings, provider: Provider): Parameters<typeof writeMarker>[1] {
  return {
    schema: 1,
    cluster: settings.cluster,
    createdAtMs: Date.now(),
    provider: provider.kind,
    major: provider.version.major,
    port: settings.memberPort,
    httpPort: settings.httpPort,
  };
}
