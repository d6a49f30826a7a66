// filter.js - a filter made by choosing: rows of field, operator and value, from what the collection
// indexes and from the payloads of a few of its points. The same filter can be written as JSON; the
// two follow each other as long as the JSON is of the kind that rows can say.
import {el, field as labelled, select, number, replace} from './dom.js';
import {result, collectionPath} from './api.js';

const FACETS = 24; // values offered as choices; more go to a text box

const OPERATORS = {
  keyword: [['any', 'is'], ['none', 'is not'], ['exists', 'is there'], ['missing', 'is missing']],
  bool: [['any', 'is'], ['exists', 'is there'], ['missing', 'is missing']],
  number: [['gte', 'at least'], ['lte', 'at most'], ['between', 'between'], ['any', 'is'], ['none', 'is not'], ['exists', 'is there'], ['missing', 'is missing']],
  datetime: [['gte', 'from'], ['lte', 'until'], ['between', 'between'], ['exists', 'is there'], ['missing', 'is missing']],
  text: [['text', 'contains'], ['any', 'is'], ['exists', 'is there'], ['missing', 'is missing']],
};
const KINDS = {keyword: 'keyword', uuid: 'keyword', integer: 'number', float: 'number', bool: 'bool', datetime: 'datetime', text: 'text'};

function walk(value, path, found) {
  if (Array.isArray(value)) value.forEach((v) => walk(v, typeof v === 'object' ? `${path}[]` : path, found));
  else if (value && typeof value === 'object') {
    for (const [key, v] of Object.entries(value)) walk(v, path ? `${path}.${key}` : key, found);
  } else if (path && value !== null) {
    const kind = typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'bool' : 'keyword';
    const entry = found.get(path) ?? {kind, values: new Set()};
    if (typeof value !== 'string' || value.length < 60) entry.values.add(value);
    found.set(path, entry);
  }
}

/** Fields that can be asked about: {path: {kind, indexed, values}}. */
export function fieldsOf(schema, points) {
  const found = new Map();
  points.forEach((p) => walk(p.payload, '', found));
  for (const [path, s] of Object.entries(schema)) {
    const kind = KINDS[s.data_type];
    if (kind) found.set(path, {values: new Set(), ...found.get(path), kind, indexed: s.data_type});
  }
  for (const path of found.keys()) if (/^(image|thumbnail|picture|img|sound|audio)$/.test(path)) found.delete(path);
  return new Map([...found].sort(([, a], [, b]) => !!b.indexed - !!a.indexed));
}

const typed = (text, kind) => (kind === 'number' ? Number(text) : kind === 'bool' ? text === 'true' : text);

/** One row as a condition: [clause, condition], or null while it is incomplete. */
function condition({path, op, values = [], low = '', high = '', kind}) {
  const say = (clause, rest) => [clause, {key: path, ...rest}];
  if (op === 'exists') return ['must_not', {is_empty: {key: path}}];
  if (op === 'missing') return ['must', {is_empty: {key: path}}];
  if (op === 'text') return low ? say('must', {match: {text: low}}) : null;
  if (op === 'any' || op === 'none') {
    const list = (values.length ? values : low === '' ? [] : [low]).map((v) => (typeof v === 'string' ? typed(v, kind) : v));
    if (!list.length) return null;
    return say(op === 'any' ? 'must' : 'must_not', {match: list.length === 1 ? {value: list[0]} : {any: list}});
  }
  const range = {};
  if (op !== 'lte' && low !== '') range.gte = typed(low, kind);
  if (op === 'lte' && low !== '') range.lte = typed(low, kind);
  if (op === 'between' && high !== '') range.lte = typed(high, kind);
  return Object.keys(range).length ? say('must', {range}) : null;
}

export function toFilter(rows) {
  const filter = {};
  for (const row of rows) {
    const [clause, c] = condition(row) ?? [];
    if (clause) (filter[clause] ??= []).push(c);
  }
  return Object.keys(filter).length ? filter : null;
}

function toRow(clause, c, fields) {
  if (c.is_empty) return {path: c.is_empty.key, op: clause === 'must' ? 'missing' : 'exists'};
  const kind = fields.get(c.key)?.kind ?? 'keyword';
  const keys = Object.keys(c).sort().join();
  if (keys === 'key,match') {
    if (clause === 'must' && typeof c.match.text === 'string') return {path: c.key, kind, op: 'text', low: c.match.text};
    const values = c.match.any ?? (c.match.value !== undefined ? [c.match.value] : null);
    return values && {path: c.key, kind, op: clause === 'must' ? 'any' : 'none', values};
  }
  if (keys !== 'key,range' || clause !== 'must') return null;
  const {gte, lte, ...rest} = c.range;
  if (Object.keys(rest).length) return null;
  if (gte !== undefined && lte !== undefined) return {path: c.key, kind, op: 'between', low: String(gte), high: String(lte)};
  return gte !== undefined ? {path: c.key, kind, op: 'gte', low: String(gte)} : {path: c.key, kind, op: 'lte', low: String(lte)};
}

/** A filter as rows, or null when rows cannot say it. */
export function toRows(filter, fields) {
  if (!filter) return [];
  const rows = [];
  for (const [clause, list] of Object.entries(filter)) {
    if (clause !== 'must' && clause !== 'must_not') return null;
    for (const c of Array.isArray(list) ? list : [list]) {
      const row = toRow(clause, c, fields);
      if (!row || !fields.has(row.path)) return null;
      rows.push(row);
    }
  }
  return rows;
}

/** The form. `changed` is called after each change; read `value()` then. */
export class FilterForm {
  constructor(changed) {
    this.changed = changed;
    this.rows = [];
    this.fields = new Map();
    this.facets = new Map();
    this.raw = null; // a filter that rows cannot say
    this.list = el('div', {class: 'stack tight'});
    this.add = el('button', {type: 'button', class: 'small', onclick: () => this.#append()}, '+ Condition');
    this.json = el('textarea', {rows: 5, spellcheck: 'false', placeholder: '{"must": [{"key": "name", "match": {"value": "Bag"}}]}',
      onchange: () => this.#readJson()});
    this.problem = el('div', {class: 'bare', role: 'alert'});
    this.element = el('fieldset', {class: 'filter'}, el('legend', {}, 'Filter'),
      this.list, el('div', {class: 'row'}, this.add),
      el('details', {}, el('summary', {class: 'small'}, 'As JSON'), labelled('Filter as JSON', this.json), this.problem));
  }

  use(collection, points) {
    this.collection = collection;
    this.fields = fieldsOf(collection.schema, points);
    this.facets.clear();
    this.set(null);
  }

  value() {
    return this.raw ?? toFilter(this.rows);
  }

  set(filter) {
    const rows = toRows(filter, this.fields);
    this.raw = rows ? null : filter;
    this.rows = rows ?? [];
    this.#draw();
  }

  #append() {
    const unused = [...this.fields.keys()].find((p) => !this.rows.some((r) => r.path === p));
    const path = unused ?? [...this.fields.keys()][0];
    this.raw = null;
    this.rows.push(this.#fresh(path));
    this.#draw();
    this.list.lastElementChild.querySelector('select').focus();
  }

  #fresh(path) {
    const kind = this.fields.get(path).kind;
    return {path, kind, op: OPERATORS[kind][0][0], values: [], low: '', high: ''};
  }

  #readJson() {
    replace(this.problem);
    try {
      this.set(this.json.value.trim() ? JSON.parse(this.json.value) : null);
      this.changed();
    } catch (error) {
      replace(this.problem, el('p', {class: 'error small'}, `This is not JSON: ${error.message}`));
    }
  }

  #touched() {
    const filter = this.value();
    this.json.value = filter ? JSON.stringify(filter, null, 1) : '';
    this.changed();
  }

  #draw() {
    const filter = this.value();
    this.json.value = filter ? JSON.stringify(filter, null, 1) : '';
    this.add.disabled = !this.fields.size;
    replace(this.list, ...(this.raw
      ? [el('p', {class: 'note small'}, 'The filter is written as JSON below. ', el('button', {type: 'button', class: 'small', onclick: () => { this.set(null); this.changed(); }}, 'Clear it'))]
      : this.rows.map((row, i) => this.#row(row, i))));
  }

  #row(row, i) {
    const kind = this.fields.get(row.path).kind;
    const value = el('div', {class: 'filter-value'});
    const drop = el('button', {type: 'button', class: 'quiet', 'aria-label': `Remove the condition on ${row.path}`,
      onclick: () => { this.rows.splice(i, 1); this.#draw(); this.#touched(); this.add.focus(); }}, '✕');
    const box = el('div', {class: 'filter-row', role: 'group', 'aria-label': `Condition ${i + 1}`},
      select([...this.fields].map(([p, f]) => [p, f.indexed ? p : `${p} (not indexed)`]), row.path,
        {'aria-label': 'Field', onchange: (e) => { this.rows[i] = this.#fresh(e.target.value); this.#draw(); this.#touched(); this.list.children[i].querySelector('select').focus(); }}),
      select(OPERATORS[kind], row.op, {'aria-label': 'Operator', onchange: (e) => { row.op = e.target.value; this.#value(row, value); this.#touched(); }}),
      drop, value);
    this.#value(row, value);
    return box;
  }

  async #value(row, place) {
    const {kind} = this.fields.get(row.path);
    replace(place);
    if (row.op === 'exists' || row.op === 'missing') return;
    const input = (key, label) => el('input', {value: row[key] ?? '', 'aria-label': label, placeholder: label.toLowerCase(),
      type: kind === 'number' ? 'number' : 'text', step: 'any', onchange: (e) => { row[key] = e.target.value; row.values = []; this.#touched(); }});
    if (row.op === 'between') { place.append(el('div', {class: 'row'}, input('low', 'From'), input('high', 'To'))); return; }
    const choices = row.op === 'any' || row.op === 'none' ? await this.#choices(row.path) : [];
    if (!place.isConnected && !place.parentNode) return;
    if (!choices.length || choices.length > FACETS) {
      if (!row.low && row.values?.length) row.low = String(row.values[0]);
      replace(place, input('low', 'Value'));
      return;
    }
    replace(place, el('div', {class: 'chips', role: 'group', 'aria-label': `Values of ${row.path}`},
      choices.map(({value, count}) => el('label', {class: 'chip'},
        el('input', {type: 'checkbox', checked: row.values?.includes(value) ?? false, onchange: (e) => {
          row.values = e.target.checked ? [...(row.values ?? []), value] : row.values.filter((v) => v !== value);
          this.#touched();
        }}), String(value), count !== undefined && el('b', {}, number(count))))));
  }

  /** Values of a field: counted by the server where it is indexed, else those seen. */
  #choices(path) {
    if (!this.facets.has(path)) this.facets.set(path, this.#ask(path));
    return this.facets.get(path);
  }

  async #ask(path) {
    const {kind, indexed, values} = this.fields.get(path);
    const seen = kind === 'bool' ? [true, false] : [...values];
    if (indexed && ['keyword', 'integer', 'bool', 'uuid'].includes(indexed)) {
      try {
        const {hits} = await result('POST', collectionPath(this.collection.name, '/facet'), {key: path, limit: FACETS + 1});
        return hits;
      } catch { /* no facets: the values seen have to do */ }
    }
    return seen.sort().map((value) => ({value}));
  }
}
