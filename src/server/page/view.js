// view.js - which collection is looked at, and what search and gallery have in common: controls and a
// filter on the left, points on the right.
import {el, field, select, showError, replace} from './dom.js';
import {get, collection, sample} from './api.js';
import {needsVectors} from './pictures.js';
import {FilterForm} from './filter.js';

export const COLLECTION = 'hashwood.collection';

/** The collections there are, the one asked for (or used last) first in choice. */
export async function pickCollection(wanted, signal) {
  const names = (await get('/collections', signal)).collections.map((c) => c.name).sort();
  const last = localStorage.getItem(COLLECTION);
  const pick = [wanted, last].find((n) => n && (n === wanted || names.includes(n))) ?? names[0];
  if (pick) localStorage.setItem(COLLECTION, pick);
  return {names, pick};
}

export function noCollections() {
  return el('div', {class: 'card empty'}, el('h2', {}, 'No collection yet'),
    el('p', {}, 'Create one under ', el('a', {href: '#/collections'}, 'Collections'), ', or load the demo with ', el('code', {}, 'make demo'), '.'));
}

/** A view gives its words {title, lead, results, fold}, what in its address to change for the `first` page,
 *  and four methods:
 *    form(choice)    its form, with the choice of the collection in it, before anything is known of that
 *    opened(c, here) another collection is there; nothing is to change any more when here() is false
 *    fill(params)    the address into the form
 *    show(mine)      the points, unless this.turn is no longer `mine` */
export class CollectionView {
  constructor(place, tools, name, words, first) {
    Object.assign(this, {place, tools, name, words, first, params: {}, collection: null});
    this.filter = new FilterForm(() => this.refilter());
    this.results = el('section', {class: 'results', 'aria-label': words.results});
    this.controls = el('div', {class: 'controls'});
    place.append(el('div', {class: 'view-top'}, el('div', {}, el('h1', {}, words.title), el('p', {class: 'lead'}, words.lead))),
      el('div', {class: 'split'}, this.controls, this.results));
  }

  async update(params) {
    const mine = this.turn = Symbol('turn');
    const here = () => this.turn === mine;
    try {
      if (!this.collection || (params.c ?? this.collection.name) !== this.collection.name) {
        if (!await this.#open(params.c, here)) return;
      }
      this.params = {...params, c: this.collection.name};
      this.fill(this.params);
      const current = JSON.stringify(this.filter.value());
      if ((params.f ?? 'null') !== current && !this.filter.element.contains(document.activeElement)) this.filter.set(params.f ? JSON.parse(params.f) : null);
      await this.show(mine);
    } catch (error) {
      if (here()) showError(this.results, error, () => this.update(params));
    } finally {
      if (here()) this.results.classList.remove('busy');
    }
  }

  leave() { this.turn = null; }

  /** False when there is no collection, or the address has changed meanwhile. */
  async #open(wanted, here) {
    const {signal} = this.tools;
    const {names, pick} = await pickCollection(wanted, signal);
    if (!here()) return false;
    if (!pick) { replace(this.results, noCollections()); replace(this.controls); return false; }
    const choice = field('Collection', select(names.includes(pick) ? names : [pick, ...names], pick, {onchange: (e) => this.tools.go(this.name, {c: e.target.value})}));
    this.fold = el('details', {class: 'controls-fold', open: !matchMedia('(max-width: 760px)').matches}, el('summary', {}, this.words.fold), this.form(choice));
    replace(this.controls, this.fold);
    this.collection = null;
    const c = await collection(pick, signal);
    const points = c.points ? await sample(pick, 40, {}, signal) : [];
    if (!here()) return false;
    const vector = c.vectors.find((v) => !v.sparse) ?? c.vectors[0];
    this.using = vector?.name ?? '';
    this.withVectors = needsVectors(points, vector?.dim);
    await this.opened(c, here);
    if (!here()) return false;
    this.collection = c;
    this.filter.use(c, points);
    return true;
  }

  go(changes) {
    this.tools.go(this.name, {...this.params, ...changes});
  }

  refilter() {
    const f = this.filter.value();
    this.go({f: f ? JSON.stringify(f) : '', ...this.first});
  }
}
