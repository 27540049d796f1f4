import { existsSync } from 'node:fs';
import { serveStatic } from '@hono/node-server/serve-static';
import type { Hono } from 'hono';
import type { ClusterFacade } from './facade.ts';
import type { StatusDocument } from './types.ts';

/** Serves the built dashboard where there is one, else one plain page that says what is known. */
export function addPage(app: Hono, facade: ClusterFacade, dashboardDirectory: string | null): void {
  if (dashboardDirectory !== null && existsSync(dashboardDirectory)) {
    app.use('/*', serveStatic({ root: dashboardDirectory }));
    return;
  }
  app.get('/', c => c.html(plainPage(facade.status())));
}

function plainPage(status: StatusDocument): string {
  const rows = status.members.map(
    ({ id, role, state, lagBytes }) => `<tr><td>${id}<td>${role}<td>${state}<td>${lagBytes === null ? '' : `${lagBytes} bytes behind`}`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(status.cluster)}: ${status.verdict}</title>
<h1>${escapeHtml(status.cluster)}: ${status.verdict}</h1>
<p>${escapeHtml(status.summary)}
<table><tr><th>Member<th>Role<th>State<th>Lag${rows.join('')}</table>
<p>The dashboard is not part of this installation. <a href="/status">/status</a>, <a href="/events?limit=50">/events</a>,
<a href="/history">/history</a>, <a href="/metrics">/metrics</a>, <a href="/openapi.json">/openapi.json</a>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"]/g, letter => `&#${letter.charCodeAt(0)};`);
}
