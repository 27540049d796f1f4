// The layering of the house: an arrow may only point down this list:
//   dashboard -> server (types of the API only) ; server -> wire, client?, core ; client -> core ; wire ; core
const server = (...parts) => `^packages/server/src/(${parts.join('|')})/`;

/** A part of the server may not reach up to these. */
const below = (part, ...above) => ({
  name: `server-${part}-points-down`,
  severity: 'error',
  from: { path: server(part) },
  to: { path: server(...above) },
});

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: { path: '^packages/[^/]+/src/' }, to: { circular: true } },
    {
      name: 'core-is-pure',
      severity: 'error',
      comment: 'core has no node:* import and no effects',
      from: { path: '^packages/core/src/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'core-stands-alone',
      severity: 'error',
      from: { path: '^packages/core/src/' },
      to: { path: '^packages/(wire|client|server|dashboard)/' },
    },
    {
      name: 'core-depends-on-zod-only',
      severity: 'error',
      from: { path: '^packages/core/src/' },
      to: { path: 'node_modules', pathNot: 'node_modules/zod/' },
    },
    {
      name: 'wire-is-bytes-only',
      severity: 'error',
      comment: 'no sockets in wire',
      from: { path: '^packages/wire/src/' },
      to: { path: ['^packages/(core|client|server|dashboard)/', '^(net|tls|http|https|dgram|fs|child_process)$'] },
    },
    {
      name: 'client-knows-core-only',
      severity: 'error',
      from: { path: '^packages/client/src/' },
      to: { path: '^packages/(server|dashboard|wire)/' },
    },
    {
      name: 'dashboard-knows-only-the-api-types',
      severity: 'error',
      from: { path: '^packages/dashboard/src/' },
      to: { path: '^packages/(server|client|wire)/', pathNot: '^packages/server/src/api/types' },
    },
    below('certificates', 'cli', 'api', 'proxy', 'agent', 'postgres', 'store', 'supervisor', 'service'),
    below('store', 'cli', 'api', 'proxy', 'agent', 'postgres', 'supervisor', 'service'),
    below('postgres', 'cli', 'api', 'proxy', 'agent', 'store', 'supervisor', 'service'),
    below('agent', 'cli', 'api', 'proxy', 'supervisor', 'service'),
    below('proxy', 'cli', 'api', 'agent', 'supervisor', 'service'),
    below('api', 'cli', 'proxy', 'agent', 'supervisor', 'service', 'tour'),
    below('tour', 'cli', 'proxy', 'agent', 'supervisor', 'service'),
    below('telemetry', 'cli', 'proxy', 'agent', 'supervisor', 'service', 'store', 'postgres'),
    below('log', 'cli', 'api', 'proxy', 'agent', 'supervisor', 'service', 'store', 'postgres', 'telemetry'),
    below('supervisor', 'cli', 'service'),
    below('service', 'cli'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Its swc parser is never told of JSX; what views may import is checked by packages/dashboard/test/layering.test.ts.
    exclude: { path: ['(^|/)dist/', '[.]tsx$'] },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['source', 'import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.js', '.mjs'],
    },
  },
};
