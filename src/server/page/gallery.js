// gallery.js - the view to look through a collection, in the order of its ids: pictures and sounds.
//
// In the address: c collection, f filter, n points a page, at where the page begins (an id as JSON).
import {el, field, select, number, showError, announce, replace} from './dom.js';
import {result, collection, collectionPath, sample, toJson, fromJson} from './api.js';
import {needsVectors} from './pictures.js';
import {FilterForm} from './filter.js';
import {pickCollection, noCollections} from './search.js';
import {tiles} from './tiles.js';

class Gallery {
  constructor(place, tools) {
    Object.assign(this, {place, tools, params: {}, collection: null, before: new Map()});
    this.filter = new FilterForm(() => this.#refilter());
    this.results = el('section', {class: 'results', 'aria-label': 'Points'});
    this.controls = el('div', {class: 'controls'});
    place.append(el('div', {class: 'view-top'}, el('div', {}, el('h1', {}, 'Gallery'),
      el('p', {class: 'lead'}, 'What is in a collection, page by page. Click a picture to find what is like it; sounds play where they stand.'))),
    el('div', {class: 'split'}, this.controls, this.results));
  }

  async update(params) {
    const mine = this.turn = Symbol('turn');
    try {
      if (!this.collection || (params.c ?? this.collection.name) !== this.collection.name) {
        if (!await this.#open(params.c) || this.turn !== mine) return;
      }
      this.params = {...params, c: this.collection.name};
      this.page.value = params.n ?? '48';
      const current = JSON.stringify(this.filter.value());
      if ((params.f ?? 'null') !== current && !this.filter.element.contains(document.activeElement)) this.filter.set(params.f ? JSON.parse(params.f) : null);
      await this.#show(mine);
    } catch (error) {
      if (this.turn === mine) showError(this.results, error, () => this.update(params));
    }
    this.results.classList.remove('busy');
  }

  leave() { this.turn = null; }

  async #open(wanted) {
    const {signal} = this.tools;
    const {names, pick} = await pickCollection(wanted, signal);
    if (!pick) { replace(this.results, noCollections()); replace(this.controls); return false; }
    this.page = select([24, 48, 96, 192].map((n) => [String(n), `${n} points a page`]), '48', {'aria-label': 'Points a page', onchange: (e) => this.#go({n: e.target.value, at: ''})});
    const form = el('form', {class: 'card stack', onsubmit: (e) => e.preventDefault()},
      field('Collection', select(names.includes(pick) ? names : [pick, ...names], pick, {onchange: (e) => this.tools.go('gallery', {c: e.target.value})})),
      this.filter.element, this.page);
    replace(this.controls, el('details', {class: 'controls-fold', open: !matchMedia('(max-width: 760px)').matches}, el('summary', {}, 'What to show'), form));
    this.collection = null;
    const c = await collection(pick, signal);
    const dense = c.vectors.find((v) => !v.sparse) ?? c.vectors[0];
    this.using = dense?.name ?? '';
    const points = c.points ? await sample(pick, 40, {}, signal) : [];
    this.withVectors = needsVectors(points, dense?.dim);
    this.collection = c;
    this.before.clear();
    this.filter.use(c, points);
    return true;
  }

  #go(changes) {
    this.tools.go('gallery', {...this.params, ...changes});
  }

  #refilter() {
    const f = this.filter.value();
    this.#go({f: f ? JSON.stringify(f) : '', at: ''});
  }

  async #show(mine) {
    const c = this.collection;
    const filter = this.params.f ? JSON.parse(this.params.f) : undefined;
    const ask = {limit: Number(this.params.n ?? 48), filter, with_payload: true, with_vector: this.withVectors};
    if (this.params.at) ask.offset = fromJson(this.params.at);
    this.results.classList.add('busy');
    const [page, counted] = await Promise.all([
      result('POST', collectionPath(c.name, '/points/scroll'), ask, this.tools.signal),
      filter ? result('POST', collectionPath(c.name, '/points/count'), {filter, exact: true}, this.tools.signal) : {count: c.points}]);
    if (this.turn !== mine) return;
    const next = page.next_page_offset;
    if (next !== null && next !== undefined) this.before.set(toJson(next), this.params.at ?? '');
    replace(this.results,
      el('h2', {}, filter ? `${number(counted.count)} of ${number(c.points)} points` : `${number(c.points)} points`),
      page.points.length
        ? tiles(page.points, {using: this.using, alike: (p) => this.tools.go('search', {c: c.name, id: String(p.id)})})
        : el('div', {class: 'card empty'}, el('h2', {}, c.points ? 'Nothing matches' : `${c.name} is empty`), el('p', {}, c.points ? 'No point passes the filter. Loosen it, or clear it.' : 'Put pictures or sounds into it with hashwood embed.')),
      this.#pages(next));
    announce(`${page.points.length} points shown`);
  }

  /** Scrolling goes one way; where a page came from is remembered while the view is open. */
  #pages(next) {
    const at = this.params.at ?? '';
    if (!at && (next === null || next === undefined)) return null;
    const to = (where) => () => { this.#go({at: where}); scrollTo(0, 0); };
    return el('nav', {class: 'row pager', 'aria-label': 'Pages of points'},
      el('button', {type: 'button', disabled: !at, onclick: to('')}, '⇤ First'),
      el('button', {type: 'button', disabled: !this.before.has(at), onclick: to(this.before.get(at))}, '← Back'),
      el('button', {type: 'button', disabled: next === null || next === undefined, onclick: to(toJson(next))}, 'Next →'));
  }
}

export default {title: 'Gallery', mount: (place, tools) => new Gallery(place, tools)};
