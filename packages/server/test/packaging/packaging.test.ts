import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { createProgram } from '../../src/cli/program.ts';
import type { CommandContext } from '../../src/cli/context.ts';
import { loadServiceSettings } from '../../src/service/index.ts';
import { filesOf } from '../../src/service/machine-files.ts';
import { testDirectory } from '../store/fixture.ts';

const PACKAGING = fileURLToPath(new URL('../../../../packaging/', import.meta.url));
const read = (file: string): string => readFileSync(join(PACKAGING, file), 'utf8');

/** No container engine is at hand: what can be known without one is checked here. */
describe('what is packaged', () => {
  const program = createProgram({ env: {}, cwd: '/' } as CommandContext, () => undefined, '0');
  const commands = program.commands.map(command => command.name());

  const services = readdirSync(join(PACKAGING, 'systemd')).filter(unit => unit.endsWith('.service'));
  test.each(services)('the unit %s runs a program with a file that init writes', unit => {
    const start = /^ExecStart=(.+)$/m.exec(read(`systemd/${unit}`))![1]!;
    expect(start).toMatch(/ \/etc\/understudy\/(etcd|member|proxy)\.yaml$/);
    const understudy = /understudy (\w+) --config/.exec(start)?.[1];
    if (understudy !== undefined) expect(commands).toContain(understudy);
    expect(read(`systemd/${unit}`)).toMatch(/^WorkingDirectory=\/etc\/understudy$/m);
  });

  test('the port that systemd holds open for a proxy is the one that init writes, and its service brings it along', () => {
    const socket = read('systemd/understudy-proxy.socket');
    const layout = { cluster: 'main', etcd: [], members: [], proxies: ['10.0.0.1'], dataDirectory: '/d', provider: 'embedded' } as const;
    const { port } = parse(filesOf(layout, '10.0.0.1').get('proxy.yaml')!) as { port: number };
    expect(socket.match(/^ListenStream=.*$/gm)).toEqual([`ListenStream=${port}`]);
    const service = read('systemd/understudy-proxy.service');
    expect(service).toMatch(/^Requires=understudy-proxy\.socket$/m);
    expect(service).toMatch(/^Also=understudy-proxy\.socket$/m);
  });

  test('the image runs nothing as root, and from no moving base', () => {
    const lines = read('docker/Dockerfile').split('\n');
    const bases = lines.filter(line => line.startsWith('FROM '));
    expect(bases.length).toBeGreaterThan(0);
    for (const base of bases) expect(base).toMatch(/^FROM [a-z./-]+:\d[\w.-]*( AS \w+)?$/);
    expect(lines.findLastIndex(line => /^USER (?!root)/.test(line))).toBeGreaterThan(lines.findLastIndex(line => line.startsWith('FROM ')));
    expect(lines).toContain('ENTRYPOINT ["understudy"]');
  });

  test('the compose file is complete: every service, command and volume', () => {
    const compose = parse(read('docker/compose.yaml'), { merge: true }) as {
      services: Record<string, { image: string; command: string[]; volumes: string[] }>;
      volumes: Record<string, null>;
    };
    expect(Object.keys(compose.services)).toEqual(['etcd1', 'etcd2', 'etcd3', 'member1', 'member2', 'member3', 'proxy1', 'proxy2']);
    for (const [name, { image, command, volumes }] of Object.entries(compose.services)) {
      expect(image).toMatch(/^(understudy|quay\.io\/coreos\/etcd:v3\.\d+\.\d+)$/);
      if (image === 'understudy') expect(commands).toContain(command[0]);
      expect(volumes).toEqual([`./machines/${name}:/etc/understudy:ro`, `${name}:/var/lib/understudy`]);
      expect(Object.keys(compose.volumes)).toContain(name);
    }
  });

  test('the Kubernetes manifests hang together, and their configuration is taken', () => {
    const documents = parseAllDocuments(read('kubernetes/understudy.yaml')).map(document => {
      expect(document.errors).toEqual([]);
      return document.toJS() as { kind: string; metadata: { name: string }; spec: Record<string, never>; data?: Record<string, string> };
    });
    const kinds = documents.map(({ kind }) => kind).toSorted();
    expect(kinds).toEqual(['ConfigMap', 'PodDisruptionBudget', 'PodDisruptionBudget', 'Service', 'Service', 'StatefulSet', 'StatefulSet']);
    const services = documents.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
    for (const set of documents.filter(({ kind }) => kind === 'StatefulSet')) {
      const { serviceName, selector, template } = set.spec as unknown as {
        serviceName: string;
        selector: { matchLabels: object };
        template: {
          metadata: { labels: object };
          spec: { containers: { args: string[]; volumeMounts: { name: string }[] }[]; volumes: { name: string }[] };
        };
      };
      expect(services).toContain(serviceName);
      expect(template.metadata.labels).toMatchObject(selector.matchLabels);
      expect(commands).toContain(/understudy (\w+) --config/.exec(template.spec.containers[0]!.args.join(' '))?.[1]);
    }
    const directory = testDirectory();
    for (const name of ['ca.crt', 'machine.crt', 'machine.key']) writeFileSync(join(directory, name), 'PEM');
    const config = documents.find(({ kind }) => kind === 'ConfigMap')!.data!;
    for (const [file, text] of Object.entries(config)) {
      writeFileSync(
        join(directory, file),
        text.replace('NAME', 'n1').replace('HOST', 'n1.example').replaceAll('/etc/understudy-secret/', ''),
      );
      const { name, machineTls, httpTls } = loadServiceSettings(directory, file, {});
      expect([name, machineTls?.cert, httpTls]).toEqual(['n1', join(directory, 'machine.crt'), file === 'member.yaml' ? 'machine' : 'off']);
    }
    // What asks the API of a member does so as it is served.
    const probes = [...read('kubernetes/understudy.yaml').matchAll(/httpGet: (\{.*\})/g)].map(([, probe]) => parse(probe!) as object);
    expect(probes).toHaveLength(2);
    for (const probe of probes) expect(probe).toMatchObject({ port: 'api', scheme: 'HTTPS' });
  });
});
