// gallery.js - the view to look through a collection, in the order of its ids: pictures and sounds.
//
// In the address: c collection, f filter, n points a page, at where the page begins (an id as JSON).
import {el, select, number, announce, replace} from './dom.js';
import {result, collectionPath, toJson, fromJson} from './api.js';
import {CollectionView} from './view.js';
import {tiles} from './tiles.js';

class Gallery extends CollectionView {
  constructor(place, tools) {
    super(place, tools, 'gallery', {title: 'Gallery', results: 'Points', fold: 'What to show',
      lead: 'What is in a collection, page by page. Click a picture to find what is like it; sounds play where they stand.'}, {at: ''});
    this.before = new Map();
  }

  form(choice) {
    this.page = select([24, 48, 96, 192].map((n) => [String(n), `${n} points a page`]), '48', {'aria-label': 'Points a page', onchange: (e) => this.go({n: e.target.value, at: ''})});
    return el('form', {class: 'card stack', onsubmit: (e) => e.preventDefault()}, choice, this.filter.element, this.page);
  }

  opened() {
    this.before.clear();
  }

  fill(params) {
    this.page.value = params.n ?? '48';
  }

  async show(mine) {
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
    const to = (where) => () => { this.go({at: where}); scrollTo(0, 0); };
    return el('nav', {class: 'row pager', 'aria-label': 'Pages of points'},
      el('button', {type: 'button', disabled: !at, onclick: to('')}, '⇤ First'),
      el('button', {type: 'button', disabled: !this.before.has(at), onclick: to(this.before.get(at))}, '← Back'),
      el('button', {type: 'button', disabled: next === null || next === undefined, onclick: to(toJson(next))}, 'Next →'));
  }
}

export default {title: 'Gallery', mount: (place, tools) => new Gallery(place, tools)};
