import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Kept by CI, and looked at by people. */
const ARTEFACTS = fileURLToPath(new URL('artefacts', import.meta.url));
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
/** Nothing may be asked of the network but what the page itself asks. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Look {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
}

export const LOOKS: readonly Look[] = [1600, 360].flatMap(width => (['light', 'dark'] as const).map(scheme => ({ width, scheme })));

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/** The page of a cluster, with what went wrong on it and what it asked of whom. */
export async function openPage(
  browser: Browser,
  url: string,
  { width, scheme }: Look,
): Promise<{ readonly page: Page; readonly complaints: string[]; readonly hosts: Set<string> }> {
  const complaints: string[] = [];
  const hosts = new Set<string>();
  // Axe is put into the page from outside, which the page's own policy forbids.
  const page = await browser.newPage({ viewport: { width, height: 1000 }, colorScheme: scheme, bypassCSP: true });
  page.setDefaultTimeout(120_000);
  page.on('pageerror', error => complaints.push(error.message));
  page.on('request', request => hosts.add(new URL(request.url()).host));
  await page.goto(url);
  await page.locator('.member').first().waitFor({ state: 'attached' });
  return { page, complaints, hosts };
}

export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(ARTEFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`), fullPage: true });
}

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly impact: string; readonly nodes: readonly { readonly html: string }[] }[];
}

/** What axe-core finds that keeps somebody from using the page. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeResult;
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' | ')}`);
}
