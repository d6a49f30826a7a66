// drive.cjs - drives the page in Chromium as a user would. Started by page.py, with BASE, CHROMIUM and
// SHOTS (where pictures go) in the environment; the argument names the tour. Ends with 1 on the
// first thing that is not as it should be.
const {chromium} = require('playwright-core');
const axe = require.resolve('axe-core/axe.min.js');
const {readFileSync} = require('fs');
const {execFileSync} = require('child_process');
const assert = require('assert/strict');

const {BASE, CHROMIUM, SHOTS, FILES} = process.env;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const complaints = [];
let expected = []; // complaints of the console that the tour provokes: failed calls

async function open(browser, hash, options = {}) {
  const context = await browser.newContext({viewport: {width: 1400, height: 900}, ...options});
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
  page.on('console', (m) => { if (m.type() === 'error' && !expected.some((e) => e.test(`${m.text()} ${m.location().url}`))) complaints.push(`${m.text()} ${m.location().url}`); });
  page.on('request', (r) => { if (!r.url().startsWith(BASE) && !/^(data|blob):/.test(r.url())) complaints.push(`outside address: ${r.url()}`); });
  await page.goto(`${BASE}/dashboard${hash}`);
  return page;
}

async function accessible(page, what) {
  await page.evaluate(readFileSync(axe, 'utf8'));
  const {violations} = await page.evaluate(() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}));
  for (const v of violations) complaints.push(`${what}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
}

/** Searches by clicking, with a filter, page by page. */
async function search(page) {
  await page.locator('.hit').first().waitFor();
  assert.equal(await page.locator('.hit canvas.grey').count(), 24, 'vectors are drawn as pictures');
  await page.locator('.hit-picture').nth(2).click();
  await page.locator('.query').waitFor();
  const kind = await page.locator('.query em').textContent();
  assert.equal(await page.locator('.hit .hit-title').first().textContent(), kind, 'the nearest is of the same kind');
  await accessible(page, 'search');

  await page.getByRole('button', {name: '+ Condition'}).click();
  const other = ['box', 'cross', 'ring'].find((k) => k !== kind);
  await page.locator('.chip', {hasText: other}).click();
  await page.waitForURL(/f=/);
  await page.waitForFunction((k) => document.querySelector('.hit .hit-title')?.textContent === k, other);
  assert.deepEqual(new Set(await page.locator('.hit .hit-title').allTextContents()), new Set([other]), 'all hits pass the filter');

  await page.getByRole('button', {name: 'Farther'}).click();
  await page.getByText('Hits 25 to 48').waitFor();
  await page.goBack();
  await page.getByText('Hits 1 to 24').waitFor();

  await page.getByText('This search as a request').click();
  for (const [tab, word] of [['curl', 'curl -X POST'], ['Python', 'QdrantClient('], ['JavaScript', 'client.query(']]) {
    await page.locator('.request').getByRole('button', {name: tab, exact: true}).click();
    assert.match(await page.locator('.request pre').textContent(), new RegExp(word.replace(/[.(]/g, '\\$&')));
    assert.match(await page.locator('.request pre').textContent(), /must/, 'the filter is part of the request');
  }
  await page.locator('.request').getByRole('button', {name: 'curl', exact: true}).click();
  const {result} = JSON.parse(execFileSync('bash', ['-c', await page.locator('.request pre').textContent()], {stdio: ['ignore', 'pipe', 'ignore']}));
  assert.equal(result.points.length, 24, 'the request does what the page did');
  assert.ok(result.points.every((p) => p.payload.name === other));
  await page.locator('.hit').first().getByRole('button', {name: /Details/}).click();
  await page.getByRole('dialog').getByText('"name"').waitFor();
  await page.keyboard.press('Escape');
}

/** Errors are shown, in words of the server, and the page goes on. */
async function errors(page) {
  expected = [/status of 4\d\d/];
  await page.goto(`${BASE}/dashboard#/search?c=clothes&id=999999999`);
  await page.getByRole('alert').filter({hasText: /not found/i}).first().waitFor();
  await page.goto(`${BASE}/dashboard#/search?c=nothing`);
  await page.getByRole('alert').filter({hasText: 'nothing'}).first().waitFor();
  await page.goto(`${BASE}/dashboard#/search?c=clothes`);
  await page.getByText('a vector', {exact: true}).click();
  await page.getByLabel('Vector', {exact: true}).fill('[1, 2, 3]');
  await page.getByRole('button', {name: 'Search', exact: true}).click();
  await page.getByRole('alert').filter({hasText: /256/}).waitFor(); // the dimension that was expected
  await page.getByLabel('Vector', {exact: true}).fill('one, two');
  await page.getByRole('button', {name: 'Search', exact: true}).click();
  await page.getByRole('alert').filter({hasText: 'not a vector'}).waitFor();
  expected = [];
}

/** The path of a search: tree, map, funnel, a leaf, a point asked after. */
async function how(page) {
  await page.goto(`${BASE}/dashboard#/how?c=clothes&id=30`);
  await page.locator('.icicle .pin').first().waitFor();
  assert.ok(await page.locator('.icicle rect.leaf').count() > 20, 'the leaves are drawn');
  const opened = await page.locator('.how-leaf .chip').count();
  assert.equal(await page.locator('.icicle .pin').count(), opened, 'each opened leaf has its pin');
  assert.ok(await page.locator('.funnel li').count() >= 5, 'the funnel has its steps');
  await page.locator('.bits').waitFor();
  await page.getByText(/Compared with point/).waitFor();
  await page.locator('.how-leaf .chip').nth(opened - 1).click();
  await page.getByText(`Opened as number ${opened}`).waitFor();
  await page.locator('.icicle').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('button', {name: 'Whole tree'}).click();
  await page.getByLabel('Id of the point you expected').fill('31');
  await page.getByRole('button', {name: 'Why?'}).click();
  await page.locator('.steps .lost').waitFor();
  await accessible(page, 'how it works');
}

/** Creates a collection, indexes a field, takes a snapshot, drops it with its name typed. */
async function collections(page) {
  await page.goto(`${BASE}/dashboard#/collections`);
  await page.getByRole('button', {name: '+ New collection'}).click();
  await page.getByRole('dialog').getByLabel('Name', {exact: true}).fill('made here');
  await page.getByRole('dialog').getByLabel('Numbers').fill('8');
  await accessible(page, 'dialog');
  await page.getByRole('button', {name: 'Create', exact: true}).click();
  await page.getByRole('heading', {name: 'made here'}).waitFor();

  expected = [/status of 4\d\d/];
  await page.getByRole('button', {name: '+ New collection'}).click();
  await page.getByRole('dialog').getByLabel('Name', {exact: true}).fill('made here');
  await page.getByRole('button', {name: 'Create', exact: true}).click();
  await page.getByRole('dialog').getByRole('alert').waitFor();
  await page.keyboard.press('Escape');
  expected = [];

  await page.getByLabel('Field').fill('colour');
  await page.getByRole('button', {name: 'Index it'}).click();
  await page.getByRole('button', {name: 'Drop the index of colour'}).waitFor();
  await page.getByRole('button', {name: 'Create a snapshot'}).click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', {name: 'Download'}).click()]);
  assert.equal(await file.failure(), null, 'the snapshot is downloaded');
  await page.getByRole('button', {name: /^Delete made/}).click();
  await page.getByText('None yet').waitFor();
  await accessible(page, 'collections');

  await page.getByRole('button', {name: 'Drop this collection…'}).click();
  const drop = page.getByRole('button', {name: 'Drop it'});
  assert.ok(await drop.isDisabled(), 'nothing is dropped before its name is typed');
  await page.getByLabel(/to confirm/).fill('made here');
  await drop.click();
  await page.getByText('made here dropped').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('table')?.textContent.includes('made here'));
}

async function metrics(page) {
  await page.goto(`${BASE}/dashboard#/metrics`);
  await page.locator('.chart path.line0[d^="M"]').first().waitFor();
  await page.getByText('All metrics').first().click();
  await page.getByLabel('Find a metric').fill('collections_total');
  await page.locator('.metrics-all tbody th', {hasText: 'collections_total'}).waitFor();
  await accessible(page, 'metrics');
}

async function console_(page) {
  await page.goto(`${BASE}/dashboard#/console`);
  await page.getByLabel('Path').fill('scroll');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.match(await page.getByLabel('Path').inputValue(), /\/collections\/clothes\/points\/scroll/);
  await page.getByLabel('Body').fill('{"limit": 1, "with_p');
  await page.getByRole('option', {name: 'with_payload'}).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  await page.keyboard.type('true}');
  await page.keyboard.press('Control+Enter');
  await page.locator('.answer .tag', {hasText: '200'}).waitFor();
  assert.match(await page.locator('.answer pre').textContent(), /next_page_offset/);
  assert.ok(await page.locator('.history li button').count() > 0, 'what was sent is remembered');
  await accessible(page, 'console');
}

/** Page by page through a collection, with a filter; from a picture to what is like it. */
async function gallery(page) {
  await page.goto(`${BASE}/dashboard#/gallery?c=pictures&n=24`);
  await page.locator('.hit img').first().waitFor();
  assert.equal(await page.locator('.hit').count(), 24);
  assert.ok(await page.locator('.hit img').first().evaluate((i) => i.decode().then(() => i.naturalWidth > 0)), 'thumbnails are shown');
  assert.equal(await page.getByRole('navigation', {name: 'Pages of points'}).count(), 0, 'one page needs no pages');
  await page.goto(`${BASE}/dashboard#/gallery?c=pictures&n=10`);
  await page.getByRole('button', {name: 'Next'}).click();
  await page.getByRole('button', {name: 'Next'}).click();
  await page.waitForFunction(() => document.querySelectorAll('.hit').length === 4);
  const last = await page.locator('.hit-title').allTextContents();
  assert.ok(await page.getByRole('button', {name: 'Next'}).isDisabled());
  await page.getByRole('button', {name: 'Back', exact: false}).click();
  await page.waitForFunction(() => document.querySelectorAll('.hit').length === 10);
  await page.getByRole('button', {name: 'Next'}).click();
  await page.waitForFunction(() => document.querySelectorAll('.hit').length === 4);
  assert.deepEqual(await page.locator('.hit-title').allTextContents(), last);
  await page.getByRole('button', {name: 'First'}).click();
  await page.waitForFunction(() => document.querySelectorAll('.hit').length === 10);
  await page.getByRole('button', {name: '+ Condition'}).click();
  await page.locator('.chip', {hasText: 'red'}).click();
  await page.getByText('12 of 24 points').waitFor();
  await accessible(page, 'gallery');
  await page.locator('.hit-picture').first().focus();
  await page.keyboard.press('Enter');
  await page.locator('.query').waitFor();
  assert.match(await page.locator('.query em').textContent(), /stripes/);
}

/** Who changes the collection and changes back before the first answer sees what was chosen last. */
async function quickChanges(page) {
  for (const view of ['gallery', 'search']) {
    await page.goto(`${BASE}/dashboard#/${view}?c=pictures`);
    await page.locator('.hit', {hasText: 'stripes'}).first().waitFor();
    for (const slow of ['**/collections', '**/collections/sounds', '**/collections/sounds/embedding']) {
      if (view === 'gallery' && slow.endsWith('embedding')) continue; // which it does not ask for
      let answer;
      const asked = new Promise((done) => page.route(slow, (route) => { answer = route; done(); }, {times: 1}));
      await page.goto(`${BASE}/dashboard#/${view}?c=sounds`);
      await asked;
      await page.goto(`${BASE}/dashboard#/${view}?c=pictures`);
      await page.waitForFunction(() => document.querySelector('.controls select')?.value === 'pictures' && !document.querySelector('.busy'));
      const answered = page.waitForResponse(slow);
      await answer.continue();
      await (await answered).finished();
      await page.waitForTimeout(200); // for what should not happen
      assert.equal(await page.getByLabel('Collection', {exact: true}).inputValue(), 'pictures', `${view}, ${slow}`);
      await page.getByLabel(/ a page$/).selectOption('48');
      await page.waitForURL(/n=48/);
      await page.waitForFunction(() => document.querySelectorAll('.hit').length === 24);
      assert.match(await page.locator('.hit-title').first().textContent(), /stripes|blob/);
    }
  }
}

/** One sound plays at a time, from what the payload holds. */
async function sounds(page) {
  await page.goto(`${BASE}/dashboard#/gallery?c=sounds`);
  const plays = page.getByRole('button', {name: /^Play /});
  await plays.first().waitFor();
  assert.equal(await plays.count(), 6);
  await page.evaluate(() => {
    window.played = [];
    const {play} = HTMLMediaElement.prototype;
    HTMLMediaElement.prototype.play = function () { window.played.push(this); return play.call(this); };
  });
  await plays.nth(0).click();
  await page.waitForFunction(() => window.played[0]?.currentTime > 0 && window.played[0].duration > 0.2);
  await plays.nth(1).click();
  await page.waitForFunction(() => window.played.length === 2 && window.played[0].paused);
  await page.waitForFunction(() => document.querySelectorAll('.play[aria-pressed=true]').length === 0); // it ends by itself
  await page.locator('.hit').first().getByRole('button', {name: /Details/}).click();
  await page.getByRole('dialog').locator('audio').waitFor();
  await page.waitForFunction(() => document.querySelector('dialog audio').readyState > 0);
  await accessible(page, 'a sound');
  await page.keyboard.press('Escape');
}

const drop = (page, path, type) => page.evaluate(async ([base64, name, type]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, {type}));
  const on = (kind) => document.querySelector('.results').dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
  on('dragover');
  on('drop');
}, [readFileSync(path).toString('base64'), path.split('/').pop(), type]);

/** Chosen or dropped, a file finds what is like it; what is no picture is told. */
async function byFile(page) {
  await page.goto(`${BASE}/dashboard#/search?c=pictures`);
  await page.getByText('a file', {exact: true}).click();
  await page.getByLabel('File to search by').setInputFiles(`${FILES}/pics/red/stripes3.png`);
  await page.locator('.query em', {hasText: 'stripes3.png'}).waitFor();
  assert.equal(await page.locator('.hit-title').first().textContent(), 'stripes3', 'the file itself is the nearest');
  assert.ok(await page.locator('.query-picture img').evaluate((i) => i.decode().then(() => i.naturalWidth === 40)), 'the file is shown');
  await accessible(page, 'search by a file');
  await page.getByRole('button', {name: '+ Condition'}).click();
  await page.locator('.chip', {hasText: 'blue'}).click();
  await page.waitForFunction(() => /^blob/.test(document.querySelector('.hit-title')?.textContent));
  await page.getByText('This search as a request').click();
  const command = (await page.locator('.request pre').textContent()).replace('file=@', `file=@${FILES}/pics/red/`);
  const {result} = JSON.parse(execFileSync('bash', ['-c', command], {stdio: ['ignore', 'pipe', 'ignore']}));
  assert.ok(result.points.length > 5 && result.points.every((p) => p.payload.labels[0] === 'blue'), 'the request does what the page did');

  await page.goto(`${BASE}/dashboard#/search?c=pictures`);
  await page.locator('.hit').first().waitFor();
  await drop(page, `${FILES}/pics/blue/blob5.png`, 'image/png');
  await page.locator('.query em', {hasText: 'blob5.png'}).waitFor();
  assert.equal(await page.locator('.hit-title').first().textContent(), 'blob5');
  expected = [/status of 400/];
  await drop(page, `${FILES}/snd/low/200.wav`, 'audio/wav');
  await page.getByRole('alert').filter({hasText: 'not a JPEG, PNG or WebP'}).waitFor();
  expected = [];

  await page.goto(`${BASE}/dashboard#/search?c=sounds`);
  await page.locator('.hit').first().waitFor();
  await drop(page, `${FILES}/snd/high/1500.wav`, 'audio/wav');
  await page.locator('.query audio').waitFor();
  assert.equal(await page.locator('.hit-title').first().textContent(), '1500');
  await page.waitForFunction(() => document.querySelector('.query audio').readyState > 0); // the policy lets it be heard
}

/** Where the server does not embed, that is said, with how to change it. */
async function noFiles(page) {
  await page.locator('.hit').first().waitFor();
  await page.getByText('a file', {exact: true}).click();
  await page.getByText('Not available:').waitFor();
  assert.ok(await page.getByLabel('File to search by').isDisabled());
  await drop(page, `${FILES}/pics/blue/blob5.png`, 'image/png');
  await page.getByRole('alert').filter({hasText: '--embed auto'}).waitFor();
  await accessible(page, 'no files');
}

const VIEWS = {browse: '#/search?c=clothes', search: '#/search?c=clothes&id=30', how: '#/how?c=clothes&id=30&why=31', collections: '#/collections?c=clothes',
  metrics: '#/metrics', console: '#/console'};

/** A picture of each view at each width and in both colours, and nothing wider than the window. */
async function pictures(browser, hashes = VIEWS) {
  for (const width of [390, 1400]) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(browser, '#/search', {viewport: {width, height: 900}, colorScheme, reducedMotion: 'reduce'});
      for (const [name, hash] of Object.entries(hashes)) {
        await page.goto(`${BASE}/dashboard${hash}`);
        await page.locator({browse: '.hit', search: '.query', how: '.steps li', collections: '.detail', metrics: '.chart path.line0[d^="M"]', console: '.answer', gallery: '.hit img', sounds: '.play'}[name]).first().waitFor();
        await page.waitForLoadState('networkidle').catch(() => {});
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) complaints.push(`${name} is ${wide} wider than a window of ${width}`);
        if (width === 390 || colorScheme === 'dark') await accessible(page, `${name} ${width} ${colorScheme}`);
        await page.screenshot({path: `${SHOTS}/${name}-${width}-${colorScheme}.png`, fullPage: true});
      }
      await page.context().close();
    }
  }
}

/** Without the key nothing is shown; with it everything. */
async function key(browser) {
  expected = [/status of 401/];
  const page = await open(browser, '#/collections');
  await page.getByRole('dialog').getByLabel('Key').fill('a wrong key');
  await page.getByRole('button', {name: 'Use this key'}).click();
  await page.getByRole('alert').first().waitFor();
  await page.getByRole('button', {name: 'Key', exact: true}).click();
  await page.getByRole('dialog').getByLabel('Key').fill('a key of some length');
  await page.getByRole('button', {name: 'Use this key'}).click();
  await page.getByRole('heading', {name: 'secret'}).waitFor();
  await accessible(page, 'with a key');
}

const tours = {
  async views(browser) {
    const page = await open(browser, '#/search?c=clothes', {acceptDownloads: true});
    for (const part of [search, errors, how, collections, metrics, console_]) {
      await part(page);
      console.log(`${part.name} done`);
    }
    await page.context().close();
    await pictures(browser);
  },
  async files(browser) {
    const page = await open(browser, '#/gallery?c=pictures');
    for (const part of [gallery, quickChanges, sounds, byFile]) {
      await part(page);
      console.log(`${part.name} done`);
    }
    await page.context().close();
    await pictures(browser, {gallery: '#/gallery?c=pictures', sounds: '#/gallery?c=sounds'});
  },
  async noFiles(browser) {
    await noFiles(await open(browser, '#/search?c=pictures'));
  },
  key,
};

(async () => {
  const browser = await chromium.launch({executablePath: CHROMIUM, args: FLAGS});
  try {
    await tours[process.argv[2]](browser);
    assert.deepEqual(complaints, [], 'the console is silent, nothing is inaccessible');
  } catch (error) {
    console.error(error);
    console.error(complaints.join('\n'));
    for (const page of browser.contexts().flatMap((c) => c.pages())) await page.screenshot({path: `${SHOTS}/failed.png`}).catch(() => {});
    process.exitCode = 1;
  }
  await browser.close();
})();
