// console.js - any request, sent by hand: paths and bodies complete themselves, answers are laid out
// to be read, and what was sent is kept in this browser.
import {el, field, select, duration, bytes, showError, copy, replace} from './dom.js';
import {send, get, askKey, collectionPath, fromJson} from './api.js';
import {CALLS, WORDS} from './calls.js';
import {COLLECTION} from './view.js';
import {pretty} from './snippets.js';

const HISTORY = 'hashwood.history', KEPT = 30, SHOWN = 200000;

/** A list below a text field, by which it completes: arrows choose, Enter or Tab takes, Escape closes. */
class Completion {
  constructor(input, offer, take) {
    Object.assign(this, {input, offer, take, items: [], at: -1});
    this.list = el('ul', {class: 'completion', role: 'listbox', id: `${input.id}-list`, hidden: true, 'aria-label': 'Completions'});
    this.isLine = input.tagName === 'INPUT'; // a text of many lines cannot be a combobox
    const roles = {'aria-autocomplete': 'list', 'aria-controls': this.list.id, ...(this.isLine && {role: 'combobox', 'aria-expanded': 'false'})};
    for (const [k, v] of Object.entries(roles)) input.setAttribute(k, v);
    input.addEventListener('input', () => this.open());
    input.addEventListener('keydown', (e) => this.#key(e));
    input.addEventListener('blur', () => setTimeout(() => this.close(), 150));
    this.element = el('div', {class: 'completes'}, input, this.list);
  }

  open() {
    this.items = this.offer();
    this.at = -1;
    if (!this.items.length) { this.close(); return; }
    replace(this.list, ...this.items.map((item, i) => el('li', {role: 'option', id: `${this.list.id}-${i}`, 'aria-selected': 'false', onpointerdown: (e) => { e.preventDefault(); this.#choose(i); }}, item.label)));
    this.list.hidden = false;
    if (this.isLine) this.input.setAttribute('aria-expanded', 'true');
  }

  close() {
    this.list.hidden = true;
    this.items = [];
    if (this.isLine) this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
  }

  #choose(i) {
    const item = this.items[i];
    this.close();
    this.take(item);
  }

  #key(e) {
    if (e.key === 'Escape' && this.items.length) { this.close(); e.preventDefault(); return; }
    if (e.key === 'ArrowDown' && !this.items.length && this.isLine) { this.open(); e.preventDefault(); return; }
    if (!this.items.length) return;
    const step = {ArrowDown: 1, ArrowUp: -1}[e.key];
    if (step) {
      this.at = (this.at + step + this.items.length) % this.items.length;
      [...this.list.children].forEach((li, i) => li.setAttribute('aria-selected', String(i === this.at)));
      this.list.children[this.at].scrollIntoView({block: 'nearest'});
      this.input.setAttribute('aria-activedescendant', `${this.list.id}-${this.at}`);
    } else if ((e.key === 'Enter' || e.key === 'Tab') && this.at >= 0) this.#choose(this.at);
    else return;
    e.preventDefault();
  }
}

class Console {
  constructor(place, tools) {
    this.tools = tools;
    this.collection = localStorage.getItem(COLLECTION) ?? 'fashion';
    this.names = [];
    this.method = select(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], 'GET', {'aria-label': 'Method'});
    this.path = el('input', {id: 'console-path', class: 'mono', value: '/collections', 'aria-label': 'Path', autocomplete: 'off', spellcheck: 'false'});
    this.body = el('textarea', {id: 'console-body', rows: 12, spellcheck: 'false', 'aria-label': 'Body', placeholder: 'No body',
      onkeydown: (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); this.#send(); } }});
    const paths = new Completion(this.path, () => this.#paths(), (item) => this.#take(item));
    const words = new Completion(this.body, () => this.#words(), (item) => this.#insert(item.word));
    this.answer = el('div', {class: 'stack'}, el('p', {class: 'note'}, 'The answer comes here.'));
    this.past = el('ol', {class: 'history'});
    place.append(el('div', {class: 'view-top'}, el('div', {}, el('h1', {}, 'Console'), el('p', {class: 'lead'}, 'Send any request. The path offers calls as you type; Ctrl+Enter sends.'))),
      el('div', {class: 'console-grid'},
        el('div', {class: 'stack'},
          el('form', {class: 'card stack', onsubmit: (e) => { e.preventDefault(); this.#send(); }},
            el('div', {class: 'request-line'}, this.method, paths.element), field('Body (JSON)', words.element),
            el('div', {class: 'row'}, el('button', {class: 'primary'}, 'Send'), el('button', {type: 'button', onclick: () => this.#tidy()}, 'Tidy the JSON'))),
          el('details', {class: 'card'}, el('summary', {}, 'Calls to begin from'), el('ul', {class: 'calls'}, CALLS.map((c) => el('li', {}, el('button', {type: 'button', class: 'quiet', onclick: () => this.#take({call: c})},
            el('span', {class: `verb ${c[0]}`}, c[0]), el('span', {}, c[2])))))),
          el('section', {class: 'card stack tight'}, el('div', {class: 'row apart'}, el('h2', {}, 'Sent before'), el('button', {type: 'button', class: 'quiet small', onclick: () => this.#forget()}, 'Forget all')), this.past)),
        el('section', {class: 'card answer', 'aria-label': 'Answer', 'aria-live': 'polite'}, this.answer)));
    this.#history();
    get('/collections', tools.signal).then((r) => { this.names = r.collections.map((c) => c.name); if (!this.names.includes(this.collection)) this.collection = this.names[0] ?? this.collection; }).catch(() => {});
  }

  update(params) {
    if (params.path) { this.method.value = params.method ?? 'GET'; this.path.value = params.path; }
  }

  #paths() {
    const typed = this.path.value.toLowerCase();
    const known = /^\/collections\/([^/]+)/.exec(this.path.value)?.[1];
    const c = this.names.includes(decodeURIComponent(known ?? '')) ? decodeURIComponent(known) : this.collection;
    const words = typed.split(/\s+/).filter(Boolean);
    return CALLS.map((call) => ({call, path: call[1].replace('/collections/{c}', collectionPath(c))}))
      .filter(({call, path}) => path.toLowerCase().startsWith(typed) || words.every((w) => `${call[0]} ${path} ${call[2]}`.toLowerCase().includes(w)))
      .slice(0, 40)
      .map((item) => ({...item, label: [el('span', {class: `verb ${item.call[0]}`}, item.call[0]), el('span', {class: 'mono'}, item.path), el('span', {class: 'note small'}, item.call[2])]}));
  }

  #take({call, path}) {
    const [method, pattern, , body] = call;
    this.method.value = method;
    this.path.value = path ?? pattern.replace('/collections/{c}', collectionPath(this.collection));
    this.body.value = body ? pretty(body) : '';
    this.path.focus();
  }

  #typed() {
    const before = this.body.value.slice(0, this.body.selectionStart);
    return /"([A-Za-z_]*)$/.exec(before)?.[1];
  }

  #words() {
    const typed = this.#typed();
    if (!typed) return [];
    return WORDS.filter((w) => w.startsWith(typed) && w !== typed).slice(0, 8).map((word) => ({word, label: word}));
  }

  #insert(word) {
    const {selectionStart: at, value} = this.body, typed = this.#typed() ?? '';
    const rest = value.slice(at).replace(/^[A-Za-z_]*"?/, '');
    const isKey = !/:\s*$/.test(value.slice(0, at - typed.length - 1));
    const text = `${word}"${isKey && !/^\s*:/.test(rest) ? ': ' : ''}`;
    this.body.value = value.slice(0, at - typed.length) + text + rest;
    this.body.selectionStart = this.body.selectionEnd = at - typed.length + text.length;
    this.body.focus();
  }

  #tidy() {
    try {
      this.body.value = this.body.value.trim() ? pretty(fromJson(this.body.value)) : '';
    } catch (error) { showError(this.answer, new Error(`The body is not JSON: ${error.message}`)); }
  }

  async #send() {
    const [method, path] = [this.method.value, this.path.value.trim()];
    const body = this.body.value.trim() && method !== 'GET' ? this.body.value : undefined;
    replace(this.answer, el('p', {class: 'wait'}, 'Waiting for the answer'));
    try {
      let got = await send(method, path, body, this.tools.signal);
      if (got.status === 401 && await askKey(true)) got = await send(method, path, body, this.tools.signal);
      this.#show(got);
      this.#remember({method, path, body: body ?? '', status: got.status});
    } catch (error) { showError(this.answer, error); }
  }

  #show(got) {
    let text = got.text, isJson = false;
    try { text = pretty(fromJson(text)); isJson = true; } catch { /* as it is */ }
    const whole = text;
    if (text.length > SHOWN) text = `${text.slice(0, SHOWN)}\n…`;
    const button = el('button', {type: 'button', class: 'small', onclick: () => copy(whole, button)}, 'Copy');
    replace(this.answer, el('div', {class: 'row apart'}, el('p', {}, el('span', {class: `tag ${got.ok ? 'good' : 'warn'}`}, `${got.ok ? '✓' : '✕'} ${got.status}`), ' ', el('span', {class: 'note'}, `${duration(got.seconds)}, ${bytes(got.text.length)}`)), button),
      el('pre', {tabindex: '0', class: 'pretty'}, isJson && text.length < SHOWN ? coloured(text) : text));
  }

  #read() {
    try { return JSON.parse(localStorage.getItem(HISTORY)) ?? []; } catch { return []; }
  }

  #remember(entry) {
    const kept = [entry, ...this.#read().filter((e) => !(e.method === entry.method && e.path === entry.path && e.body === entry.body))].slice(0, KEPT);
    try { localStorage.setItem(HISTORY, JSON.stringify(kept)); } catch { /* bodies too large to keep */ }
    this.#history();
  }

  #forget() {
    localStorage.removeItem(HISTORY);
    this.#history();
  }

  #history() {
    const entries = this.#read();
    replace(this.past, ...(entries.length ? entries.map((e) => el('li', {}, el('button', {type: 'button', class: 'quiet', onclick: () => { this.method.value = e.method; this.path.value = e.path; this.body.value = e.body; this.path.focus(); }},
      el('span', {class: `verb ${e.method}`}, e.method), el('span', {class: 'mono break'}, e.path), el('span', {class: 'note small'}, String(e.status))))) : [el('li', {class: 'note'}, 'Nothing yet.')]));
  }
}

/** JSON with its kinds in colours, as elements. */
function coloured(text) {
  const parts = [];
  let last = 0;
  for (const m of text.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\btrue\b|\bfalse\b|\bnull\b/g)) {
    if (parts.length > 20000) break;
    parts.push(text.slice(last, m.index));
    const word = m[1] ?? m[0];
    parts.push(el('span', {class: m[2] ? 'json-key' : m[1] ? 'json-text' : /^[tfn]/.test(m[0]) ? 'json-word' : 'json-number'}, word), m[2] ?? '');
    last = m.index + m[0].length;
  }
  return [...parts, text.slice(last)];
}

export default {title: 'Console', mount: (place, tools) => new Console(place, tools)};
