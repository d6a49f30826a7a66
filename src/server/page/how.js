// how.js - the view that teaches: how one search found its answer, step by step, in pictures.
//
//     tree (tree.js) --- map (map.js)       which regions were opened, in which order
//     funnel                                how many vectors each step looked at
//     signatures (signatures.js)            what an opened leaf looks like inside
//     why not?                              where a given point was lost
//
// The address says the same as that of the search view, so each search can be looked into.
import {el, field, select, number, counted, duration, percent, short, showError, errorBox, announce, replace} from './dom.js';
import {call, get, result, collection, collectionPath, name as escaped, parseId, sample} from './api.js';
import {picture, title, vectorOf, needsVectors} from './pictures.js';
import {queryBody, pasted} from './search.js';
import {pickCollection, noCollections} from './view.js';
import {Tree} from './tree.js';
import {PointMap} from './map.js';
import {Signatures} from './signatures.js';

const MAP_POINTS = 3000;

class How {
  constructor(place, tools) {
    Object.assign(this, {place, tools});
    this.tree = new Tree((leaf) => this.#choose(leaf));
    this.map = new PointMap((leaf) => this.#choose(leaf));
    this.signatures = new Signatures((id) => this.#go({id: String(id)}));
    this.top = el('div', {});
    this.body = el('div', {class: 'stack how-body'});
    place.append(el('div', {class: 'view-top'}, el('div', {}, el('h1', {}, 'How it works'),
      el('p', {class: 'lead'}, 'One search, taken apart: a KD-tree cuts the space into regions, signatures tell which vectors of a region are worth a look, and only a handful are compared exactly.'))),
    this.top, this.body);
  }

  async update(params) {
    const mine = this.turn = Symbol('turn');
    const here = () => this.turn === mine;
    try {
      if (!this.c || (params.c && params.c !== this.c.name)) await this.#open(params.c, here);
      if (!here() || !this.c) return;
      this.params = {...params, c: this.c.name};
      this.byVector = params.q === 'vector' && pasted;
      if (!params.id && !this.byVector) {
        const [point] = this.c.points ? await sample(this.c.name, 1, {with_payload: false}, this.tools.signal) : [];
        if (point && here()) location.replace(this.tools.address('how', {...this.params, q: '', id: point.id}));
        else if (here()) replace(this.body, el('div', {class: 'card empty'}, el('h2', {}, 'Nothing to look into yet'), el('p', {}, 'This collection has no points.')));
        return;
      }
      this.#controls();
      await this.#search(here);
    } catch (error) {
      if (here()) showError(this.c?.tree ? this.alert : this.body, error, () => this.update(params));
    }
  }

  leave() { this.turn = null; }

  #go(changes) { this.tools.go('how', {...this.params, why: '', ...(changes.id && {q: ''}), ...changes}); }

  /** What does not depend on the query: the tree, the map. */
  async #open(wanted, here) {
    const {signal} = this.tools;
    replace(this.body, el('p', {class: 'wait'}, 'Reading the index'));
    const {names, pick} = await pickCollection(wanted, signal);
    if (!pick) { replace(this.body, noCollections()); return; }
    this.names = names;
    const c = await collection(pick, signal);
    if (!here()) return;
    const vector = c.vectors.find((v) => !v.sparse && !v.multi);
    if (!vector) {
      this.c = null;
      replace(this.body, el('div', {class: 'card empty'}, el('h2', {}, 'No index to look into'), el('p', {}, `${pick} has sparse or multi-vectors only, which are compared exactly.`)));
      return;
    }
    const using = vector?.name ? `?using=${escaped(vector.name)}` : '';
    const [index, map] = await Promise.all([get(collectionPath(pick, `/index${using}`), signal),
      get(collectionPath(pick, `/index/map${using ? `${using}&` : '?'}points=${MAP_POINTS}`), signal).catch((e) => { if (e.status === 0 || e.name === 'AbortError') throw e; return null; })]);
    if (!here()) return;
    Object.assign(c, {using: vector?.name ?? '', vector, index, tree: index.nodes?.some((n) => n.left !== undefined), map: map?.points?.length ? map : null});
    this.c = c;
    this.#lay();
    if (c.tree) this.tree.set(index.nodes);
    if (c.map) await this.#setMap(here);
  }

  async #setMap(here) {
    const {map, name, schema} = this.c;
    const groupBy = Object.entries(schema).find(([, s]) => s.data_type === 'keyword')?.[0];
    const groups = new Map();
    if (groupBy) {
      const points = await result('POST', collectionPath(name, '/points'), {ids: map.points.map((p) => p.id), with_payload: [groupBy], with_vector: false}, this.tools.signal);
      for (const p of points) if (['string', 'number'].includes(typeof p.payload?.[groupBy])) groups.set(String(p.id), p.payload[groupBy]);
    }
    if (!here()) return;
    this.map.set({anchors: map.anchors, points: map.points.map((p) => ({...p, group: groups.get(String(p.id))}))});
  }

  #lay() {
    const {index, map, tree} = this.c;
    const share = (map?.share ?? []).slice(0, 2).reduce((a, b) => a + b, 0);
    this.query = el('div', {});
    this.alert = el('div', {class: 'bare'});
    this.funnel = el('div', {});
    this.leaves = el('div', {class: 'row', role: 'group', 'aria-label': 'Opened leaves'});
    this.leafWords = el('p', {class: 'note'});
    this.why = el('div', {class: 'bare', 'aria-live': 'polite'});
    let count = 0;
    const section = (cls, head, words, ...rest) => el('section', {class: `card ${cls}`}, el('h2', {}, `${++count}. ${head}`), el('p', {}, words), ...rest);
    replace(this.body, this.alert, this.query,
      tree ? section('how-tree', 'The tree: which regions are near?',
        `Each level cuts a region in two where its points spread most, until a leaf holds about ${number(index.leaf_size)} of them. The search ranks all ${number(index.leaves)} leaves by the distance of their anchors and opens the nearest first, as numbered.`,
        this.tree.element, treeLegend())
        : section('', 'No tree is needed here', 'A collection this small is searched by comparing the query with every vector, which is exact and quicker than any index. A tree grows by itself once there are a few thousand points.'),
      el('div', {class: 'how-pair'},
        map && section('how-map', 'The map: the same regions, seen flat',
          `A sample of the points along the two directions in which they differ most, which hold ${percent(share)} of the variance. Regions that look close here can be far apart in the other ${number(Math.max(0, this.c.vector.dim - 2))} dimensions, and the reverse.`,
          this.map.element),
        section('how-funnel', 'The funnel: cheap looks first',
          'Every step looks at fewer vectors, and more closely. Most are dismissed after comparing a few bytes; the exact distance is computed for the last few only.', this.funnel)),
      tree && index.bits ? section('how-leaf', 'Inside a leaf: signatures',
        'Each line is one vector as bits: on which side of a random plane it lies, seen from the anchor. Near vectors agree in most bits, so counting those that differ estimates a distance in a few instructions.',
        this.leaves, this.leafWords, this.signatures.element) : null,
      section('how-why', 'Why not this point?',
        'Name a point you expected among the hits. The search is run again and tells at which step it lost that point, or at which rank it stands.',
        this.#whyForm(), this.why));
  }

  #controls() {
    if (this.form?.isConnected && this.form.dataset.c === this.c.name) { this.idBox.value = this.params.id ?? ''; return; }
    this.idBox = el('input', {value: this.params.id ?? '', 'aria-label': 'Id', autocomplete: 'off'});
    const recall = select([['0.7', '70 %'], ['0.9', '90 %'], ['0.95', '95 %'], ['0.99', '99 %'], ['exact', 'exact']], this.params.exact ? 'exact' : this.params.recall ?? '0.95',
      {onchange: (e) => this.#go(e.target.value === 'exact' ? {exact: '1', recall: ''} : {exact: '', recall: e.target.value === '0.95' ? '' : e.target.value})});
    this.form = el('form', {class: 'card how-form', dataset: {c: this.c.name}, onsubmit: (e) => { e.preventDefault(); this.#go({id: this.idBox.value.trim()}); }},
      field('Collection', select(this.names, this.c.name, {onchange: (e) => this.tools.go('how', {c: e.target.value})})),
      field('The query: a stored point', el('div', {class: 'with-button'}, this.idBox, el('button', {}, 'Look'),
        el('button', {type: 'button', onclick: () => this.#random()}, 'Random'))),
      field('Recall to aim at', recall), field('Hits (k)', select(['1', '5', '10', '24', '100'], this.params.n ?? '10', {onchange: (e) => this.#go({n: e.target.value})})));
    replace(this.top, this.form);
  }

  async #random() {
    const [point] = await sample(this.c.name, 1, {with_payload: false}, this.tools.signal);
    if (point) this.#go({id: String(point.id)});
  }

  async #search(here) {
    const c = this.c, body = queryBody({n: '10', ...this.params}, c.using, pasted);
    const withVector = needsVectors([], c.vector?.dim);
    this.body.classList.add('busy');
    const [envelope, [own]] = await Promise.all([
      call('POST', collectionPath(c.name, '/points/query'), {...body, with_vector: withVector, explain: true}, this.tools.signal),
      this.byVector ? [{vector: pasted}]
        : result('POST', collectionPath(c.name, '/points'), {ids: [body.query], with_payload: true, with_vector: true}, this.tools.signal)])
      .finally(() => this.body.classList.remove('busy'));
    if (!here()) return;
    const hits = envelope.result.points;
    const explain = this.explain = envelope.result.explain ?? envelope.explain ?? {};
    this.hits = hits;
    replace(this.alert);
    this.#showQuery(own, hits, envelope);
    this.opened = this.c.tree ? (explain.leaves_opened ?? []).map((l) => ({...l, node: this.#node(l)})) : [];
    const order = this.opened.map((l) => l.node);
    this.tree.light(order);
    if (c.map) this.map.light({leaves: order, query: this.#project(own), hits: hits.map((h) => this.#project(h)).filter(Boolean)});
    this.#showFunnel(explain, hits);
    this.#showLeaves();
    announce(`${hits.length} hits. ${counted(order.length, 'leaf', 'leaves')} opened, ${explain.funnel?.scanned ?? 0} signatures scanned.`);
    const first = order[0] ?? c.map?.points.find((p) => hits.some((h) => String(h.id) === String(p.id)))?.leaf ?? c.map?.points[0]?.leaf;
    if (c.tree && c.index.bits && first !== undefined) await this.#choose(first, false);
    if (this.params.why) { this.whyBox.value = this.params.why; this.#askWhy(); }
  }

  #node(leaf) {
    if (this.tree.nodes.has(leaf.leaf)) return leaf.leaf;
    return this.tree.leafOfPath(leaf.path ?? '').node;
  }

  /** Where a point lies on the map: as sampled, or by the map's own directions. */
  #project(point) {
    const {map, using} = this.c;
    const known = map.points.find((p) => String(p.id) === String(point.id));
    const v = map.directions && vectorOf(point, using);
    if (known || !v) return known ?? null;
    const length = map.normalised ? Math.hypot(...v) || 1 : 1;
    const along = (d) => v.reduce((sum, x, i) => sum + (x / length - (map.mean?.[i] ?? 0)) * d[i], 0);
    return {x: along(map.directions[0]), y: along(map.directions[1])};
  }

  #showQuery(own, hits, envelope) {
    const e = this.explain;
    const link = (p, words) => el('a', {href: this.tools.address('how', {...this.params, q: '', why: '', id: p.id}), class: 'thumb', title: `${words} ${title(p.payload)} (${p.id}): look into its search`},
      picture(p, this.c.using), el('span', {class: 'unseen'}, `${words} ${title(p.payload)} ${p.id}`));
    replace(this.query, el('div', {class: 'card how-query'},
      el('figure', {}, own ? el('div', {class: 'query-picture'}, picture(own, this.c.using)) : null, el('figcaption', {class: 'small'}, this.byVector ? 'a pasted vector' : title(own?.payload) || `point ${this.params.id}`)),
      el('div', {class: 'stack'},
        el('p', {}, el('b', {}, `${number(hits.length)} nearest`), ` of ${number(e.points ?? this.c.points)} points in ${duration(envelope.time)}, recall ${e.recall >= 1 ? 'exact' : `${percent(e.recall)} expected`}${this.params.f ? ', filtered' : ''}.`, ' ',
          el('a', {href: this.tools.address('search', {...this.params, why: '', n: ''})}, 'Back to the search')),
        el('div', {class: 'thumbs'}, hits.slice(0, 24).map((h, i) => link(h, `Hit ${i + 1}:`))))));
  }

  #showFunnel(e, hits) {
    const f = e.funnel ?? {}, us = e.microseconds ?? {};
    const total = e.points ?? this.c.points;
    const steps = [['stored', total, 'points in the collection'],
      e.leaves?.opened && ['opened', f.in_leaves ?? this.opened.reduce((s, l) => s + (l.rows ?? 0), 0), `in ${counted(e.leaves.opened, 'leaf', 'leaves')} opened of ${number(e.leaves.ranked)}`],
      ['scanned', f.scanned, e.plan === 'leaves' && this.c.index.bits ? 'looked at by signature' : 'looked at'], ['survived', f.survivors, 'not ruled out by their lower bound'],
      ['refined', f.refined, 'estimated by the longer code'], ['exact', f.exact, 'compared in full precision'], ['hits', hits.length, 'returned']].filter((s) => s && s[1]);
    const width = (n) => Math.max(1.5, 100 * Math.log1p(n) / Math.log1p(total));
    const times = Object.entries(us).filter(([, v]) => typeof v === 'number');
    const words = {rotate: 'turn the query', rank: 'rank the leaves', scan: 'scan and refine', exact: 'compare exactly'};
    const whole = times.reduce((s, [, v]) => s + v, 0) || 1;
    replace(this.funnel, el('ol', {class: 'funnel'}, steps.map(([key, n, text]) => {
      const bar = el('span', {class: `bar ${key}`});
      bar.style.width = `${width(n)}%`;
      return el('li', {}, el('span', {class: 'funnel-n'}, number(n)), el('span', {class: 'funnel-bar'}, bar, el('span', {class: 'small note'}, text)));
    })), el('p', {class: 'small note'}, 'The bars are logarithmic.'),
    whole > 1 ? el('div', {class: 'stack tight'}, el('h3', {}, `Time: ${duration(whole / 1e6)}`),
      el('div', {class: 'time-bar', 'aria-hidden': 'true'}, times.map(([k, v]) => { const part = el('span', {class: `t-${k}`}); part.style.flexGrow = String(Math.max(v, whole / 200)); return part; })),
      el('dl', {class: 'times'}, times.map(([k, v]) => el('div', {}, el('dt', {class: `t-${k}`}, words[k] ?? k), el('dd', {}, duration(v / 1e6)))))) : null,
    this.#planWords(e));
  }

  #planWords(e) {
    const plans = {leaves: 'the nearest leaves are opened', exact: 'branch and bound: regions that cannot hold a nearer point are never opened',
      scan: 'compare with everything', flat: 'compare with everything', gather: 'few points pass the filter: compare with each of those'};
    const f = e.filter;
    return el('dl', {class: 'plan small'}, el('div', {}, el('dt', {}, 'Plan'), el('dd', {}, e.plan ? `${e.plan}${plans[e.plan] ? ` (${plans[e.plan]})` : ''}` : '–')),
      f && el('div', {}, el('dt', {}, 'Filter'), el('dd', {}, `${percent(f.selectivity_guessed)} of points were expected to pass; ${f.decided_by_indexes ? 'decided by payload indexes' : `${number(f.payloads_tested)} payloads read`}`)),
      e.kernels && el('div', {}, el('dt', {}, 'Kernels'), el('dd', {}, e.kernels)));
  }

  #showLeaves() {
    replace(this.leaves, !this.opened.length && el('p', {class: 'note'}, `This search did not go by ranked leaves (plan: ${this.explain.plan}).`), ...this.opened.slice(0, 24).map((l, i) => el('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', dataset: {leaf: String(l.node)},
      onclick: () => this.#choose(l.node, false)}, el('span', {class: 'turn'}, String(i + 1)), `${number(l.rows)} in, ${number(l.survivors)} survived`)));
  }

  async #choose(leaf, scroll = true) {
    this.tree.select(leaf);
    this.map.select(leaf);
    const c = this.c;
    if (!c.index.bits) return;
    for (const b of this.leaves.children) b.setAttribute('aria-pressed', String(b.dataset.leaf === String(leaf)));
    const mine = this.leafTurn = Symbol('leaf');
    try {
      const using = c.using ? `?using=${escaped(c.using)}` : '';
      const inside = await get(collectionPath(c.name, `/index/leaves/${leaf}${using}`), this.tools.signal);
      if (this.leafTurn !== mine) return;
      const rows = inside.signatures ?? [];
      const turn = this.opened.findIndex((l) => l.node === leaf);
      replace(this.leafWords, el('b', {}, `Leaf ${leaf}`), `: ${number(inside.rows ?? rows.length)} vectors${inside.radius ? ` within ${short(inside.radius)} of their anchor` : ''}. ${turn >= 0 ? `Opened as number ${turn + 1}.` : 'Not opened by this search.'} Bars on the right: bits that agree with the line in the frame; hits of the search carry a mark at the end.`);
      this.signatures.set(rows, null, new Set([...this.hits.map((h) => String(h.id)), this.params.id]));
      const reference = rows.find((r) => String(r.id) === this.params.id) ?? rows.find((r) => this.hits.some((h) => String(h.id) === String(r.id)));
      if (reference) this.signatures.compare(reference.id);
      if (scroll) this.leafWords.scrollIntoView({block: 'center', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'});
    } catch (error) {
      if (this.leafTurn === mine && error.name !== 'AbortError') replace(this.leafWords, errorBox(error));
    }
  }

  #whyForm() {
    this.whyBox = el('input', {placeholder: 'id', 'aria-label': 'Id of the point you expected', autocomplete: 'off'});
    return el('form', {class: 'row why-form', onsubmit: (e) => { e.preventDefault(); this.#askWhy(); }}, this.whyBox, el('button', {class: 'primary'}, 'Why?'));
  }

  async #askWhy() {
    if (!this.whyBox.value.trim()) { this.whyBox.focus(); return; }
    const body = queryBody({n: '10', ...this.params}, this.c.using, pasted);
    try {
      const id = parseId(this.whyBox.value);
      const ask = {query: body.query, id, limit: body.limit, ...(body.filter && {filter: body.filter}), ...(body.params && {params: body.params}), ...(body.using && {using: body.using})};
      const [w, [point]] = await Promise.all([result('POST', collectionPath(this.c.name, '/points/why'), ask, this.tools.signal),
        result('POST', collectionPath(this.c.name, '/points'), {ids: [id], with_payload: true, with_vector: needsVectors([], this.c.vector?.dim)}, this.tools.signal)]);
      this.#showWhy(w, point);
    } catch (error) {
      showError(this.why, error);
    }
  }

  #showWhy(w, point) {
    const lost = w.lost_at ?? '', opened = w.leaf_rank <= w.leaves_opened;
    const rank = `exact rank ${number(w.exact_rank)}`;
    const words = w.found ? `It is a hit: ${rank}.`
      : lost.startsWith('filter') ? 'It does not pass the filter.'
        : lost.startsWith('leaf') ? `It should have been a hit (${rank}), but its region was not opened: a higher recall opens more.`
          : lost.startsWith('signature') ? `It should have been a hit (${rank}), but its signature made it look farther than it is: a higher recall allows for more error.`
            : lost.startsWith('rank') ? `It is no hit, rightly: ${rank}, and ${number(this.hits.length)} were asked for.` : `It is not a hit: ${lost}.`;
    const steps = [['Filter', w.passes_filter === false ? 'lost' : 'passed', this.params.f ? (w.passes_filter === false ? 'its payload does not match' : 'its payload matches') : 'none was given']];
    if (w.leaf_rank !== undefined) steps.push(['Leaf', opened ? 'passed' : lost.startsWith('leaf') ? 'lost' : 'unknown', `number ${number(w.leaf_rank)} by its anchor (leaf ${w.leaf}); ${counted(w.leaves_opened, 'leaf was', 'leaves were')} opened`]);
    if (w.bucket !== undefined) steps.push(['Signature', w.found ? 'passed' : lost.startsWith('signature') ? 'lost' : 'unknown', `in bucket ${w.bucket} of its leaf${opened ? '' : ', which was not looked into'}`]);
    if (w.exact_rank !== undefined) steps.push(['Distance', w.found ? 'passed' : lost.startsWith('rank') ? 'lost' : 'unknown', `${short(w.score)}${w.score_of_last_hit !== undefined ? `; the last hit has ${short(w.score_of_last_hit)}` : ''}`]);
    const said = {passed: 'passed: ', lost: 'lost here: ', unknown: 'did not decide: '};
    replace(this.why, el('div', {class: 'why-answer'},
      point && el('div', {class: 'query-picture'}, picture(point, this.c.using)),
      el('div', {class: 'stack tight'}, el('p', {}, el('b', {}, words)),
        el('ol', {class: 'steps'}, steps.map(([text, state, more]) => el('li', {class: state}, el('span', {class: 'unseen'}, said[state]), el('b', {}, text), el('span', {class: 'note'}, ` ${more}`)))))));
    if (w.leaf !== undefined && this.tree.nodes?.has(w.leaf)) { this.tree.select(w.leaf); this.map.select(w.leaf); }
  }
}

function treeLegend() {
  const key = (cls, text) => el('span', {class: 'key'}, el('i', {class: cls}), text);
  return el('div', {class: 'legend'}, key('opened', 'opened leaf'), key('way', 'the way to it'),
    el('span', {class: 'key'}, 'leaf by size: small', [1, 2, 3, 4, 5].map((n) => el('i', {class: `size${n}`})), 'large'), key('inner', 'inner region'));
}

export default {title: 'How it works', mount: (place, tools) => new How(place, tools)};
