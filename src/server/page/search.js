// search.js - the view to search in: choose a point, a picture or a vector, see what is like it.
//
// Everything but a pasted vector and a chosen file is in the address, so back, forward and a copied link
// work: c collection, id point, q=vector or q=file, f filter, recall, exact, n hits a page, o offset, using.
import {el, field, select, number, duration, percent, showError, announce, copy, replace} from './dom.js';
import {call, result, collectionPath, parseId, sample} from './api.js';
import {picture, title} from './pictures.js';
import {tiles} from './tiles.js';
import {FileChooser, embedding, searchByFile} from './files.js';
import {CollectionView} from './view.js';
import {curl, pythonClient, javascript, curlFile, pythonFile, javascriptFile} from './snippets.js';

/** The body of POST points/query for what the address says. */
export function queryBody(params, using, vector) {
  const body = params.q === 'file' ? {} : {query: params.q === 'vector' ? vector : parseId(params.id ?? '')};
  if (using) body.using = using;
  if (params.f) body.filter = JSON.parse(params.f);
  if (params.exact) body.params = {exact: true};
  else if (params.recall && Number(params.recall) !== 0.95) body.params = {recall: Number(params.recall)};
  body.limit = Number(params.n ?? 24);
  if (Number(params.o)) body.offset = Number(params.o);
  body.with_payload = true;
  return body;
}

export let pasted = null; // the vector last searched by: too long for an address

class Search extends CollectionView {
  constructor(place, tools) {
    super(place, tools, 'search', {title: 'Search', results: 'Results', fold: 'What to search for',
      lead: 'Click a picture, name a point, paste a vector or drop a file.'}, {o: ''});
    this.files = new FileChooser(() => this.#searchFile());
    this.files.dropped = () => { this.#mode('file'); if (this.fold) this.fold.open = true; };
    this.files.watch(place, tools.signal);
  }

  async opened(c, here) {
    const embedder = await embedding(c.name, this.tools.signal);
    if (!here()) return;
    this.files.use(embedder);
    replace(this.usingBox, ...(c.vectors.length > 1 ? [field('Vector', select(c.vectors.map((v) => [v.name, `${v.name || '(unnamed)'}${v.sparse ? ', sparse' : ''}`]), this.using,
      {onchange: (e) => { this.using = e.target.value; this.go({using: this.using}); }}))] : []));
    this.dimHint.textContent = c.vectors.filter((v) => v.name === this.using).map((v) => (v.sparse ? 'Sparse: {"indices": [7, 12], "values": [0.4, 1]}' : `${number(v.dim)} numbers, ${v.distance}`)).join();
  }

  form(choice) {
    this.modes = ['point', 'vector', 'file'].map((m) => el('input', {type: 'radio', name: 'mode', value: m, onchange: () => this.#mode(m)}));
    this.id = el('input', {placeholder: 'id', autocomplete: 'off', 'aria-label': 'Id of the point'});
    this.vector = el('textarea', {rows: 5, spellcheck: 'false', placeholder: '[0.12, 0.5, …]', 'aria-label': 'Vector'});
    this.dimHint = el('small', {class: 'hint'});
    this.pointPart = el('div', {class: 'with-button'}, this.id, el('button', {type: 'button', onclick: () => this.#random()}, 'Random'));
    this.vectorPart = el('div', {hidden: true}, this.vector, this.dimHint);
    this.recall = el('input', {type: 'range', min: 50, max: 99, step: 1, oninput: () => this.#effort(), onchange: () => this.go(this.#effortParams())});
    this.recallText = el('output', {});
    this.exact = el('input', {type: 'checkbox', onchange: () => { this.#effort(); this.go(this.#effortParams()); }});
    this.page = select([12, 24, 48, 96].map((n) => [String(n), `${n} hits a page`]), '24', {'aria-label': 'Hits a page', onchange: (e) => this.go({n: e.target.value, o: ''})});
    this.usingBox = el('div', {class: 'bare'});
    return el('form', {class: 'card stack', onsubmit: (e) => { e.preventDefault(); this.#submit(); }},
      choice, this.usingBox,
      el('fieldset', {class: 'stack tight'}, el('legend', {}, 'Nearest to'),
        el('div', {class: 'choice'}, el('label', {}, this.modes[0], 'a point'), el('label', {}, this.modes[1], 'a vector'), el('label', {}, this.modes[2], 'a file')),
        this.pointPart, this.vectorPart, this.files.element),
      this.filter.element,
      el('fieldset', {class: 'stack tight'}, el('legend', {}, 'How sure'),
        el('label', {class: 'row apart small'}, el('span', {}, 'Recall to aim at'), this.recallText, this.recall),
        el('label', {class: 'check small'}, this.exact, 'Exact: prove that nothing is nearer'), this.page),
      el('button', {class: 'primary'}, 'Search'));
  }

  fill(p) {
    this.#mode(p.q === 'vector' || p.q === 'file' ? p.q : 'point');
    this.id.value = p.id ?? '';
    this.recall.value = Math.round(Number(p.recall ?? 0.95) * 100);
    this.exact.checked = !!p.exact;
    this.page.value = p.n ?? '24';
    if (p.using !== undefined) this.using = p.using;
    this.#effort();
  }

  show(mine) {
    const {id, q} = this.params;
    const isQuery = (id !== undefined && id !== '') || (q === 'vector' && pasted) || (q === 'file' && this.files.file);
    return isQuery ? this.#search(mine) : this.#browse(mine);
  }

  #mode(m) {
    this.modes.forEach((r) => { r.checked = r.value === m; });
    this.pointPart.hidden = m !== 'point';
    this.vectorPart.hidden = m !== 'vector';
    this.files.element.hidden = m !== 'file';
  }

  #effort() {
    this.recall.disabled = this.exact.checked;
    this.recallText.textContent = this.exact.checked ? 'exact' : `${this.recall.value} %`;
  }

  #effortParams() {
    const r = this.recall.value / 100;
    return {recall: r === 0.95 ? '' : String(r), exact: this.exact.checked ? '1' : '', o: ''};
  }

  #submit() {
    if (this.modes[2].checked) { this.files.file ? this.#searchFile() : this.files.input.focus(); return; }
    const isVector = this.modes[1].checked;
    if (!isVector) {
      if (this.id.value.trim() === '') { this.id.focus(); return; }
      const next = {id: this.id.value.trim(), q: '', o: '', ...this.#effortParams()};
      if (this.params.id === next.id && !this.params.q) this.update({...this.params, ...next});
      this.go(next);
      return;
    }
    try {
      const text = this.vector.value.trim();
      const v = JSON.parse(/^[[{]/.test(text) ? text : `[${text}]`);
      if (!v.indices && !(Array.isArray(v) && v.flat().every((x) => typeof x === 'number'))) throw new Error('a vector is a list of numbers, like [0.1, 0.2, 0.3]');
      pasted = v;
    } catch (error) {
      showError(this.results, error instanceof SyntaxError ? new Error(`This is not a vector: ${error.message}`) : error);
      return;
    }
    const was = this.params.q;
    this.go({q: 'vector', id: '', o: '', ...this.#effortParams()});
    if (was === 'vector') this.update(this.params);
  }

  /** By the file that was chosen; its vector field is the first that the server can embed for. */
  #searchFile() {
    const {vectors} = this.files.told;
    if (!vectors[this.using]) this.using = Object.keys(vectors)[0];
    const next = {q: 'file', id: '', o: '', using: this.using, ...this.#effortParams()};
    const same = this.params.q === 'file';
    this.go(next);
    if (same) this.update({...this.params, ...next});
  }

  async #random() {
    const [point] = await sample(this.collection.name, 1, {with_payload: false}, this.tools.signal);
    if (point) this.go({id: String(point.id), q: '', o: ''});
  }

  /** No query yet: a handful of points to begin from. */
  async #browse(mine) {
    const c = this.collection;
    if (!c.points) { replace(this.results, el('div', {class: 'card empty'}, el('h2', {}, `${c.name} is empty`), el('p', {}, 'Put points into it, for example from the ', el('a', {href: '#/console'}, 'console'), '.'))); return; }
    this.results.classList.add('busy');
    const filter = this.params.f ? JSON.parse(this.params.f) : undefined;
    const points = await sample(c.name, Number(this.params.n ?? 24), {with_vector: this.withVectors, filter}, this.tools.signal);
    if (this.turn !== mine) return;
    replace(this.results,
      el('div', {class: 'row apart'}, el('h2', {}, `Some of ${number(c.points)} points`),
        el('button', {type: 'button', onclick: () => this.update(this.params)}, 'Others')),
      this.#grid(points, false));
    announce(`${points.length} points to choose from`);
  }

  async #search(mine) {
    this.results.classList.add('busy');
    const c = this.collection;
    const body = queryBody(this.params, this.using, pasted);
    const isFile = this.params.q === 'file';
    const ask = {...body, with_vector: this.withVectors, explain: true};
    const [envelope, [own]] = await Promise.all([
      isFile ? searchByFile(c.name, this.files.file, ask, this.tools.signal)
        : call('POST', collectionPath(c.name, '/points/query'), ask, this.tools.signal),
      isFile ? [] : this.params.q === 'vector' ? [{vector: pasted, payload: null, id: ''}]
        : result('POST', collectionPath(c.name, '/points'), {ids: [body.query], with_payload: true, with_vector: this.withVectors}, this.tools.signal)]);
    if (this.turn !== mine) return;
    const points = envelope.result.points;
    const explain = envelope.result.explain ?? envelope.explain;
    replace(this.results, this.#about(own, points, envelope, explain, body),
      points.length ? this.#grid(points, true, body.offset ?? 0) : el('div', {class: 'card empty'}, el('h2', {}, 'Nothing matches'), el('p', {}, 'No point passes the filter. Loosen it, or clear it.')),
      this.#pages(points.length, body), this.#request(body));
    announce(`${points.length} hits in ${duration(envelope.time)}`);
  }

  #about(own, points, envelope, explain, body) {
    const f = explain?.funnel;
    const isFile = this.params.q === 'file';
    const name = isFile ? this.files.file.name : this.params.q === 'vector' ? 'a pasted vector' : title(own?.payload) || `point ${this.params.id}`;
    return el('div', {class: 'card query'},
      el('div', {class: 'query-picture'}, isFile ? this.files.preview() : own && picture(own, this.using)),
      el('div', {class: 'query-words'},
        el('h2', {}, 'Nearest to ', el('em', {}, name)),
        el('p', {class: 'note'}, isFile ? `Embedded by ${this.files.told.vectors[this.using]?.embedder}. ` : this.params.id !== undefined && this.params.q !== 'vector' ? `Point ${this.params.id}. ` : '',
          body.filter ? 'Filtered. ' : '', `${this.collection.vectors.find((v) => v.name === this.using)?.distance ?? ''} distance.`),
        isFile && this.files.listen(),
        el('dl', {class: 'facts'},
          fact('Answered in', duration(envelope.time)),
          fact('Recall expected', explain?.recall >= 1 ? 'exact' : percent(explain?.recall)),
          f && fact('Looked at', number(f.scanned), ` of ${number(explain.points ?? this.collection.points)}`),
          f && fact('Compared exactly', number(f.exact))),
        explain?.warning && el('p', {class: 'warning small'}, explain.warning)),
      !isFile && el('a', {class: 'button', href: this.tools.address('how', {...this.params, o: '', n: ''})}, 'How it was found →'));
  }

  #grid(points, scored, offset = 0) {
    return tiles(points, {using: this.using, scored, offset, alike: (p) => this.go({id: String(p.id), q: '', o: ''}),
      more: (p, done) => this.params.id && el('a', {class: 'button', href: this.tools.address('how', {...this.params, o: '', n: '', why: String(p.id)}), onclick: () => done()}, 'Why is it a hit?')});
  }

  #pages(count, body) {
    const offset = body.offset ?? 0;
    if (!offset && count < body.limit) return null;
    return el('nav', {class: 'row pager', 'aria-label': 'Pages of hits'},
      el('button', {type: 'button', disabled: !offset, onclick: () => this.go({o: String(Math.max(0, offset - body.limit) || '')})}, '← Nearer'),
      el('span', {class: 'note'}, `Hits ${offset + 1} to ${offset + count}`),
      el('button', {type: 'button', disabled: count < body.limit, onclick: () => this.go({o: String(offset + body.limit)})}, 'Farther →'));
  }

  #request(body) {
    const {file} = this.files;
    const kinds = this.params.q === 'file' ? {curl: (c, b) => curlFile(c, b, file.name), Python: (c, b) => pythonFile(c, b, file.name), JavaScript: javascriptFile}
      : {curl, Python: pythonClient, JavaScript: javascript};
    const code = el('pre', {tabindex: '0'});
    const tabs = Object.keys(kinds).map((k) => el('button', {type: 'button', 'aria-pressed': 'false', onclick: () => choose(k)}, k));
    const choose = (k) => {
      tabs.forEach((t) => t.setAttribute('aria-pressed', String(t.textContent === k)));
      code.textContent = kinds[k](this.collection.name, body);
    };
    choose('curl');
    const button = el('button', {type: 'button', class: 'small', onclick: () => copy(code.textContent, button)}, 'Copy');
    return el('details', {class: 'card request'}, el('summary', {}, 'This search as a request'),
      el('div', {class: 'row apart'}, el('div', {class: 'choice', role: 'group', 'aria-label': 'Language'}, tabs), button), code);
  }
}

function fact(name, value, more) {
  return el('div', {}, el('dt', {}, name), el('dd', {}, value, more && el('small', {}, more)));
}

export default {title: 'Search', mount: (place, tools) => new Search(place, tools)};
