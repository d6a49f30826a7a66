// collections.js - the collections there are: create, look into, index, save, drop.
import {el, field, select, number, bytes, percent, short, showError, errorBox, toast, dialog, replace} from './dom.js';
import {get, result, collection, collectionPath, headers, hasKey, name as escaped, root} from './api.js';
import {COLLECTION} from './view.js';
import {pretty} from './snippets.js';

const LOOKED_INTO = 100; // collections whose counts the list shows
const DISTANCES = ['Cosine', 'Euclid', 'Dot', 'Manhattan'];
const TYPES = ['keyword', 'integer', 'float', 'bool', 'datetime', 'geo', 'uuid', 'text'];

class Collections {
  constructor(place, tools) {
    Object.assign(this, {place, tools});
    this.list = el('div', {});
    this.detail = el('div', {class: 'stack', 'aria-live': 'polite'});
    place.append(el('div', {class: 'view-top'}, el('div', {}, el('h1', {}, 'Collections'),
      el('p', {class: 'lead'}, 'Points of one kind, with their vectors, payload and indexes.')),
    el('button', {class: 'primary', type: 'button', onclick: () => this.#create()}, '+ New collection')), this.list, this.detail);
  }

  async update(params) {
    this.wanted = params.c;
    const mine = this.turn = Symbol('turn');
    try {
      const {collections} = await get('/collections', this.tools.signal);
      const names = collections.map((c) => c.name).sort();
      const wanted = params.c ?? names[0];
      const look = (n, i) => (i < LOOKED_INTO || n === wanted ? collection(n, this.tools.signal).catch((error) => ({name: n, error})) : {name: n, error: new Error('open it to see more')});
      const infos = await Promise.all(names.map(look));
      if (this.turn !== mine) return;
      this.#showList(names, infos);
      const pick = names.includes(params.c) ? params.c : params.c ? null : names[0];
      if (pick) await this.#show(pick, infos.find((i) => i.name === pick), mine);
      else replace(this.detail, params.c ? errorBox(new Error(`There is no collection ${params.c}.`)) : '');
    } catch (error) {
      if (this.turn === mine) showError(this.list, error, () => this.update(params));
    }
  }

  leave() { this.turn = null; }

  #showList(names, infos) {
    if (!names.length) {
      replace(this.list, el('div', {class: 'card empty'}, el('h2', {}, 'No collection yet'), el('p', {}, 'Create one here, or load the demo with ', el('code', {}, 'make demo'), '.')));
      return;
    }
    const row = (c) => el('tr', {class: c.name === (this.wanted ?? names[0]) ? 'current' : ''},
      el('th', {scope: 'row'}, el('a', {href: this.tools.address('collections', {c: c.name})}, c.name)),
      c.error ? el('td', {colspan: 4}, c.error.message) : [
        el('td', {}, el('span', {class: `tag ${c.info.status === 'green' ? 'good' : 'warn'}`}, c.info.status === 'green' ? '● ready' : `◐ ${c.info.status}`)),
        el('td', {class: 'n'}, number(c.points)), el('td', {}, vectorsInWords(c.vectors)), el('td', {}, Object.keys(c.schema).join(', ') || '–')],
      el('td', {class: 'n'}, el('a', {href: this.tools.address('search', {c: c.name}), 'aria-label': `Search ${c.name}`}, 'Search')));
    replace(this.list, el('div', {class: 'card scroll flush', tabindex: '0', role: 'region', 'aria-label': 'List of collections'}, el('table', {},
      el('thead', {}, el('tr', {}, ['Name', 'Status', 'Points', 'Vectors', 'Payload indexes', ''].map((h, i) => el('th', {scope: 'col', class: i === 2 || i === 5 ? 'n' : ''}, h || el('span', {class: 'unseen'}, 'Search'))))),
      el('tbody', {}, infos.map(row)))));
  }

  async #show(name, c, mine) {
    if (!c || c.error) { replace(this.detail, errorBox(c?.error ?? new Error('unknown'))); return; }
    const quiet = (promise) => promise.catch((error) => ({error}));
    const {signal} = this.tools;
    const [stats, recall, snapshots] = await Promise.all([quiet(get(collectionPath(name, '/stats'), signal)), quiet(get(collectionPath(name, '/recall'), signal)),
      quiet(get(collectionPath(name, '/snapshots'), signal))]);
    if (this.turn !== mine) return;
    replace(this.detail,
      el('h2', {class: 'detail-name'}, name),
      el('div', {class: 'detail'},
        el('section', {class: 'card stack'}, el('h3', {}, 'Index'), this.#statistics(c, stats, recall)),
        el('section', {class: 'card stack'}, el('h3', {}, 'Payload indexes'), this.#fields(c)),
        el('section', {class: 'card stack'}, el('h3', {}, 'Snapshots'), this.#snapshots(c, snapshots)),
        el('section', {class: 'card stack'}, el('h3', {}, 'Settings'), el('pre', {tabindex: '0', class: 'settings'}, pretty(c.info.config ?? {}))),
        el('section', {class: 'card stack danger-zone'}, el('h3', {}, 'Drop'),
          el('div', {class: 'row apart'}, el('p', {class: 'note grow'}, `Removes ${name} with its ${number(c.points)} points. Only a snapshot brings them back.`),
            el('button', {type: 'button', class: 'danger', onclick: () => this.#drop(c)}, 'Drop this collection…')))));
  }

  #statistics(c, stats, recall) {
    const facts = [['Points', number(c.points)], ['Vectors indexed', number(c.info.indexed_vectors_count)]];
    const out = [el('dl', {class: 'facts'})];
    for (const [name, v] of Object.entries(stats.vectors ?? {})) {
      if (v.kind) facts.push([`Kind${name ? ` of ${name}` : ''}`, v.kind]);
      if (v.leaves) facts.push(['Leaves', number(v.leaves), v.leaf_rows && ` of ${short(v.leaf_rows.mean)} points`], ['Depth of the tree', number(v.depth)], ['Signature', `${v.bits} bits`]);
      if (v.index_bytes_per_vector) facts.push(['Index a vector', bytes(Math.round(v.index_bytes_per_vector))]);
      if (v.leaf_rows?.histogram_fifths_of_leaf_size) out.push(histogram(v));
      if (v.calibration?.efforts?.length) out.push(calibration(v.calibration));
    }
    const today = (recall.days ?? []).filter((d) => d.day === recall.days.at(-1).day);
    for (const d of today) facts.push([d.filter === 'none' ? 'Recall, measured' : 'Recall with filters', percent(d.recall), ` in ${number(d.samples)} samples`]);
    out[0].append(...facts.map(([n, v, more]) => el('div', {}, el('dt', {}, n), el('dd', {}, v ?? '–', more && el('small', {}, more)))));
    if (stats.error && stats.error.status !== 404) out.push(errorBox(stats.error));
    const place = el('div', {class: 'bare'});
    const build = el('button', {type: 'button', title: 'Train and write the whole index again; searches and writes go on meanwhile', onclick: () => {
      build.disabled = true;
      build.textContent = 'Building…';
      this.#do(place, async () => { await result('POST', collectionPath(c.name, '/index/build')); toast(`The index of ${c.name} is built`); });
    }}, 'Build the index afresh');
    return [...out, el('div', {class: 'row'}, build), place];
  }

  #fields(c) {
    const path = el('input', {placeholder: 'name, a.b or tags[].id', required: true, autocomplete: 'off'});
    const type = select(TYPES, 'keyword');
    const place = el('div', {class: 'bare'});
    const entries = Object.entries(c.schema);
    const drop = (p) => this.#do(place, async () => { await result('DELETE', collectionPath(c.name, `/index/${escaped(p)}?wait=true`)); toast(`The index of ${p} is gone`); });
    return [entries.length ? el('table', {}, el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Field'), el('th', {scope: 'col'}, 'Type'), el('th', {scope: 'col', class: 'n'}, 'Points'), el('th', {}, el('span', {class: 'unseen'}, 'Drop')))),
      el('tbody', {}, entries.map(([p, s]) => el('tr', {}, el('th', {scope: 'row', class: 'mono'}, p), el('td', {}, s.data_type), el('td', {class: 'n'}, number(s.points)),
        el('td', {class: 'n'}, el('button', {type: 'button', class: 'quiet small', 'aria-label': `Drop the index of ${p}`, onclick: () => drop(p)}, 'Drop'))))))
      : el('p', {class: 'note'}, 'None: filters read payloads, which is slower.'),
    el('form', {class: 'row index-form', onsubmit: (e) => { e.preventDefault(); this.#do(place, async () => {
      await result('PUT', collectionPath(c.name, '/index?wait=true'), {field_name: path.value, field_schema: type.value});
      toast(`${path.value} is indexed`);
    }); }}, field('Field', path), field('Type', type), el('button', {}, 'Index it')), place];
  }

  #snapshots(c, list) {
    const place = el('div', {class: 'bare'});
    if (list.error) return errorBox(list.error);
    const path = (s) => collectionPath(c.name, `/snapshots/${escaped(s.name)}`);
    const create = el('button', {type: 'button', onclick: () => this.#do(place, async () => {
      create.disabled = true;
      replace(place, el('p', {class: 'wait'}, 'Writing the snapshot'));
      const s = await result('POST', collectionPath(c.name, '/snapshots'));
      toast(`Snapshot ${s.name} written`);
    }).finally(() => { create.disabled = false; })}, 'Create a snapshot');
    return [list.length ? el('ul', {class: 'snapshots'}, list.map((s) => el('li', {},
      el('div', {class: 'grow'}, el('div', {class: 'mono break'}, s.name), el('small', {class: 'note'}, `${bytes(s.size)}${s.creation_time ? `, ${s.creation_time.replace('T', ' ').slice(0, 19)}` : ''}`)),
      el('a', {class: 'button', href: new URL(path(s).slice(1), root).href, download: s.name, onclick: (e) => this.#download(e, path(s), s.name, place)}, 'Download'),
      el('button', {type: 'button', class: 'danger', 'aria-label': `Delete ${s.name}`, onclick: () => this.#do(place, async () => { await result('DELETE', path(s)); toast('Snapshot deleted'); })}, 'Delete'))))
      : el('p', {class: 'note'}, 'None yet. A snapshot is one file with everything, index included; writes go on while it is made.'), create, place];
  }

  /** A link cannot carry a key; then the file is fetched first. */
  async #download(event, path, name, place) {
    if (!hasKey()) return;
    event.preventDefault();
    await this.#do(place, async () => {
      const response = await fetch(new URL(path.slice(1), root), {headers: headers()});
      if (!response.ok) throw new Error(`The server answered ${response.status}`);
      const link = el('a', {href: URL.createObjectURL(await response.blob()), download: name});
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    }, false);
  }

  /** Does something, then shows the collections anew; says in `place` what went wrong. */
  async #do(place, work, again = true) {
    try {
      replace(place);
      await work();
      if (again) await this.update({c: this.wanted});
    } catch (error) {
      showError(place, error);
    }
  }

  async #create() {
    const made = await dialog('New collection', (done) => createForm(done));
    if (!made) return;
    toast(`Collection ${made} created`);
    localStorage.setItem(COLLECTION, made);
    if (this.wanted === made) this.update({c: made});
    this.tools.go('collections', {c: made});
  }

  async #drop(c) {
    const gone = await dialog(`Drop ${c.name}?`, (done) => {
      const place = el('div', {class: 'bare'});
      const input = el('input', {autocomplete: 'off', oninput: () => { button.disabled = input.value !== c.name; }});
      const button = el('button', {class: 'danger', disabled: true}, 'Drop it');
      return el('form', {onsubmit: async (e) => {
        e.preventDefault();
        try {
          await result('DELETE', collectionPath(c.name));
          done(true);
        } catch (error) { showError(place, error); }
      }}, el('p', {}, `${number(c.points)} points will be gone.`), field(`Type ${c.name} to confirm`, input), place, el('div', {class: 'row end'}, button));
    });
    if (!gone) return;
    toast(`Collection ${c.name} dropped`);
    if (this.wanted) this.tools.go('collections');
    else this.update({});
  }
}

function vectorsInWords(vectors) {
  const words = vectors.map((v) => `${v.name ? `${v.name}: ` : ''}${v.sparse ? 'sparse' : `${number(v.dim)}${v.multi ? ' × n' : ''}, ${v.distance}`}`);
  return words.length > 3 ? `${words.slice(0, 3).join('; ')} and ${words.length - 3} more` : words.join('; ') || 'none';
}

function createForm(done) {
  const place = el('div', {class: 'bare'});
  const name = el('input', {required: true, autocomplete: 'off', maxlength: 255, placeholder: 'photos'});
  const vectors = el('div', {class: 'stack tight'});
  const add = () => {
    const first = !vectors.children.length;
    const row = el('div', {class: 'vector-row', role: 'group', 'aria-label': 'Vector'},
      field(first ? 'Name (may be empty)' : 'Name', el('input', {class: 'v-name', autocomplete: 'off', placeholder: first ? 'none' : 'text'})),
      field('Numbers', el('input', {class: 'v-size', type: 'number', min: 1, max: 65536, value: 128, required: true})),
      field('Distance', select(DISTANCES, 'Cosine', {class: 'v-distance'})),
      first ? el('span', {class: 'no-button'}) : el('button', {type: 'button', class: 'quiet', 'aria-label': 'Remove this vector', onclick: () => row.remove()}, '✕'));
    vectors.append(row);
  };
  add();
  const extra = el('textarea', {rows: 3, spellcheck: 'false', placeholder: '{"sparse_vectors": {"words": {}}}'});
  const submit = async (e) => {
    e.preventDefault();
    try {
      const list = [...vectors.children].map((r) => [r.querySelector('.v-name').value.trim(), {size: Number(r.querySelector('.v-size').value), distance: r.querySelector('.v-distance').value}]);
      if (list.length > 1 && list.some(([n]) => !n)) throw new Error('With several vectors each needs a name.');
      const config = {vectors: list.length === 1 && !list[0][0] ? list[0][1] : Object.fromEntries(list), ...(extra.value.trim() ? JSON.parse(extra.value) : {})};
      await result('PUT', collectionPath(name.value.trim()), config);
      done(name.value.trim());
    } catch (error) { showError(place, error); }
  };
  return el('form', {onsubmit: submit}, field('Name', name), vectors,
    el('div', {class: 'row'}, el('button', {type: 'button', class: 'small', onclick: add}, '+ Another vector')),
    el('details', {}, el('summary', {}, 'More settings as JSON'), field('Joined to the request', extra)),
    place, el('div', {class: 'row end'}, el('button', {class: 'primary'}, 'Create')));
}

/** Leaves by size, in fifths of the size asked for. */
function histogram(v) {
  const bars = v.leaf_rows.histogram_fifths_of_leaf_size, top = Math.max(...bars, 1);
  return el('figure', {class: 'histogram'}, el('div', {class: 'columns', role: 'img', 'aria-label': `Leaves by size, from ${v.leaf_rows.min} to ${v.leaf_rows.max} points: ${bars.join(', ')}`},
    bars.map((n, i) => { const b = el('span', {title: `${Math.round(i * v.leaf_size / 5)} to ${Math.round((i + 1) * v.leaf_size / 5)} points: ${n} leaves`}); b.style.height = `${Math.max(n ? 3 : 0, 100 * n / top)}%`; return b; })),
  el('figcaption', {class: 'small note'}, `Leaves by size: ${v.leaf_rows.min} to ${v.leaf_rows.max} points, ${v.leaf_rows.median} in the middle`));
}

function calibration(c) {
  const k = c.efforts.some((e) => e.k === 10) ? 10 : c.efforts[0].k;
  const rows = [0.8, 0.9, 0.95, 0.98, 0.99].map((r) => c.efforts.find((e) => e.k === k && e.recall >= r)).filter(Boolean);
  return el('details', {}, el('summary', {}, `Calibration: what a recall costs (k = ${k})`), el('table', {},
    el('thead', {}, el('tr', {}, ['Recall', 'Leaves opened', 'Margin (eps)', 'Re-ranked'].map((h) => el('th', {scope: 'col', class: 'n'}, h)))),
    el('tbody', {}, rows.map((e) => el('tr', {}, el('td', {class: 'n'}, percent(e.recall)), el('td', {class: 'n'}, number(e.leaves)), el('td', {class: 'n'}, e.eps === null ? 'all rows' : String(e.eps)), el('td', {class: 'n'}, number(k + e.extra)))))));
}

export default {title: 'Collections', mount: (place, tools) => new Collections(place, tools)};
