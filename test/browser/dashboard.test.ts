import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { LOOKS, launch, openPage, screenshot, seriousFindings } from './browser.ts';

let cluster: Cluster;
let browser: Browser;
let url: string;

beforeAll(async () => {
  cluster = await Cluster.start('--replicas', '2');
  const { token } = JSON.parse(readFileSync(join(cluster.data, 'run', 'supervisor.json'), 'utf8')) as { token: string };
  url = `http://127.0.0.1:${cluster.httpPort}/#token=${token}`;
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await cluster?.destroy();
});

const WIDE = LOOKS[0]!;

describe('the dashboard', () => {
  it.each(LOOKS)('can be used by everybody, asks nobody else, and fits: %j', async look => {
    const { page, complaints, hosts } = await openPage(browser, url, look);
    await page.getByRole('button', { name: 'Guided tour' }).click();
    await page.locator('.tour').waitFor();
    await page.getByRole('button', { name: 'Watch' }).click();
    await page.locator('.statement-list').waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    expect([...hosts]).toEqual([`127.0.0.1:${cluster.httpPort}`]);
    // Nothing sticks out: the page itself is never scrolled sideways.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(look.width);
    await screenshot(page, `page-${look.width}-${look.scheme}`);
    await page.close();
  });

  it('has taken the token out of the address', async () => {
    const { page } = await openPage(browser, url, WIDE);
    expect(page.url()).not.toContain('token');
    await page.close();
  });

  it('can be worked by keyboard: a switchover is previewed, refused by Escape, and done by Enter', async () => {
    const { page } = await openPage(browser, url, WIDE);
    const before = primaryOf(await cluster.whenHealthy());
    const replica = (await cluster.status()).members.find(member => member.role === 'replica')!;
    const make = page.getByRole('article', { name: `Member ${replica.id}` }).getByRole('button', { name: 'Make primary' });
    await make.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByRole('listitem').first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(primaryOf(await cluster.whenHealthy()).id).toBe(before.id);
    await make.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByRole('listitem').first().waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await leads(page, replica.id);
    await page.close();
  });

  it('shows the new primary when the old one is killed', async () => {
    await cluster.whenHealthy();
    const { page, complaints } = await openPage(browser, url, WIDE);
    const old = primaryOf(await cluster.status());
    await leads(page, old.id);
    process.kill(old.postmasterPid!, 'SIGKILL');
    const next = await cluster.whenStatus('another primary', ({ primary, verdict }) => verdict !== 'no-primary' && primary !== old.id);
    const knownAt = performance.now();
    await leads(page, next.primary!);
    process.stdout.write(`the page showed the new primary ${Math.round(performance.now() - knownAt)} ms after the API\n`);
    const failover = page.locator('.election').first();
    for (const phase of ['Detect', 'Recruit', 'Promote']) await failover.locator('.phases li', { hasText: phase }).first().waitFor();
    await screenshot(page, 'failover');
    expect(complaints).toEqual([]);
    await page.close();
  });
});

async function leads(page: Page, id: string): Promise<void> {
  await page.locator(`.role-primary[aria-label="Member ${id}"]`).waitFor();
}

describe('the guided tour', () => {
  let page: Page;
  beforeAll(async () => {
    await cluster.whenHealthy();
    ({ page } = await openPage(browser, url, WIDE));
    await page.getByRole('button', { name: 'Watch' }).click();
    await page.getByRole('button', { name: 'Guided tour' }).click();
  });

  it.each([
    ['reads-and-writes', /reads \(\d+ %\)/],
    ['refused-write', /SQLSTATE 25006/],
    ['add-replica', /n4 copied and following/],
    ['lag', /is behind/],
    ['stale-read', /gives “The post” after/],
    ['failover', /acknowledged and lost\s*0/],
    ['return', /replica on timeline/],
    ['kill-two', /acknowledged and lost\s*0/],
    ['names', /pg_is_in_recovery\(\) = true/],
  ])('plays %s', async (id, found) => {
    await cluster.whenHealthy(120_000);
    const chapter = (await tour()).chapters.find(each => each.id === id)!;
    await page.getByRole('navigation', { name: 'Chapters' }).getByRole('button', { name: chapter.title }).click();
    await page.locator(`[data-play="${id}"]`).click();
    await page.locator('.findings[data-state="done"]').waitFor();
    expect(await page.locator('.findings').innerText()).toMatch(found);
    await page.getByText(chapter.question).click();
    await page.getByText(chapter.answer).waitFor();
    await screenshot(page, `tour-${id}`);
  });

  it('shows which statement went where', async () => {
    await page.getByLabel('Filter statements').fill('posts');
    await page.locator('.statement-read').first().waitFor();
    const row = await page.locator('.statement-read').first().innerText();
    expect(row).toMatch(/n\d[\s\S]*select title[\s\S]*understudy_tour/);
  });

  it('ends, and leaves nothing of the blog behind', async () => {
    await page.getByRole('button', { name: 'End the tour' }).click();
    await page.locator('.tour').waitFor({ state: 'detached' });
    const { stdout } = await cluster.command('psql', '--', '-Atc', "select count(*) from pg_namespace where nspname = 'understudy_tour'");
    expect(stdout.trim()).toBe('0');
  });

  async function tour(): Promise<{ chapters: { id: string; title: string; question: string; answer: string }[] }> {
    return (await (await fetch(`http://127.0.0.1:${cluster.httpPort}/tour`)).json()) as never;
  }
});
