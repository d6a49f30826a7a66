// main.js - which view is shown, in which colours, with which key.
//
// The address after '#' is the whole state that is worth keeping: '#/search?c=fashion&id=7'. A view
// is {title, mount(place, tools)}; mount returns update(params), called at each change of the address
// within the view, and leave(), called when another view takes its place.
import {el, showError} from './dom.js';
import {askKey, hasKey, send} from './api.js';

const views = {
  search: () => import('./search.js'),
  gallery: () => import('./gallery.js'),
  how: () => import('./how.js'),
  collections: () => import('./collections.js'),
  metrics: () => import('./metrics.js'),
  console: () => import('./console.js'),
};

const main = document.getElementById('main');
let current = null; // {name, view, stop}

export function address(view, params = {}) {
  const kept = Object.entries(params).filter(([, v]) => v !== undefined && v !== null && v !== '' && v !== false);
  return `#/${view}${kept.length ? `?${new URLSearchParams(kept)}` : ''}`;
}

function where() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return {name: views[path] ? path : 'search', params: Object.fromEntries(new URLSearchParams(query))};
}

function end() {
  current?.stop.abort();
  current?.view?.leave?.();
  current = null;
}

async function show() {
  const {name, params} = where();
  for (const link of document.querySelectorAll('.top nav a')) {
    if (link.getAttribute('href') === `#/${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (current?.name === name) {
    current.view?.update?.(params);
    return;
  }
  const isFirst = !current;
  end();
  const mine = current = {name, view: null, stop: new AbortController()};
  const place = el('div', {class: `view ${name}`});
  main.replaceChildren(place);
  scrollTo(0, 0);
  try {
    const {default: view} = await views[name]();
    if (current !== mine) return;
    document.title = `${view.title} - hashwood`;
    mine.view = view.mount(place, {signal: mine.stop.signal, address, go: (to, p) => { location.hash = address(to, p); }});
    if (!isFirst) main.focus({preventScroll: true}); // screen readers begin at the new view
    mine.view.update?.(where().params);
  } catch (error) {
    showError(place, error);
  }
}

function themeButton() {
  const button = document.getElementById('theme');
  const names = {auto: 'Colours: as the system', light: 'Colours: light', dark: 'Colours: dark'};
  const signs = {auto: '◐', light: '☀', dark: '☾'};
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = signs[theme];
    button.title = names[theme];
    button.setAttribute('aria-label', `${names[theme]}. Change`);
    document.dispatchEvent(new Event('themechange'));
  };
  button.addEventListener('click', () => {
    const order = ['auto', 'light', 'dark'];
    const next = order[(order.indexOf(document.documentElement.dataset.theme) + 1) % 3];
    localStorage.setItem('hashwood.theme', next);
    apply(next);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => document.dispatchEvent(new Event('themechange')));
  apply(localStorage.getItem('hashwood.theme') ?? 'auto');
}

async function serverName() {
  const answer = await send('GET', '/').catch(() => null);
  if (!answer?.ok) return;
  const {title = '', version = ''} = JSON.parse(answer.text);
  document.getElementById('server').textContent = version;
  document.getElementById('server').title = `${title} ${version}`;
}

document.getElementById('key').addEventListener('click', async () => {
  await askKey(false);
  document.getElementById('key').classList.toggle('lit', hasKey());
  end();
  show();
});
themeButton();
addEventListener('hashchange', show);
serverName();
show();
